"""Everything that is computed of a test: the network, its readers, the reference, patches and retrainings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from csiq.agreement import (
    ConsensusError,
    EndErrors,
    GradeVariability,
    bland_altman,
    bootstrap_interval,
    consensus_error,
    errors_at_ends,
    linear_fit,
    pearson_r2,
    spearman,
    variability_per_grade,
    weighted_kappa,
)
from csiq.evaluation.cases import Cases
from csiq.evaluation.estimating import LEVEL, Estimate, Rater, estimate
from csiq.evaluation.merits import estimates, gains, patch_estimates
from csiq.evaluation.paper import AGAIN, MAIN, NETWORK, SECOND
from csiq.evaluation.predictions import Predictions
from csiq.evaluation.redrawn import (
    consensus_estimates,
    count_estimates,
    ends_estimates,
    mean_ends,
    near_estimate,
    variability_estimates,
)
from csiq.evaluation.retrainings import Spread, spread_of_images, spread_of_patches

_NAME = re.compile(r"reader(\d+)([a-z]?)")
Merits = Mapping[str, Estimate]


@dataclass(frozen=True)
class AgainstReference:
    """The network against the noise-free reference; intervals are of 90 %, over patients.

    Attributes
    ----------
    r2, slope, intercept, spearman : float
        Squared Pearson correlation, the line of the network's grade on the reference, rank correlation.
    explained : float
        Share of the reference's variance that is explained: 1 - residual / total.
    bias, sd : float
        Of network minus reference.
    r2_interval, slope_interval, sd_interval : (float, float)
    """

    r2: float
    slope: float
    intercept: float
    spearman: float
    explained: float
    bias: float
    sd: float
    r2_interval: tuple[float, float]
    slope_interval: tuple[float, float]
    sd_interval: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """A test with its predictions; what follows from them is computed when it is first asked for.

    Attributes
    ----------
    cases : Cases
    predictions : Predictions
    card : dict
        Of the main model, empty if it has none.
    """

    cases: Cases
    predictions: Predictions
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Grades of the main network, float64 (n,)."""
        return np.asarray(self.predictions.grades[0])

    @property
    def network_name(self) -> str:
        """How tables and figures call what is evaluated; a grader without patches by its own name."""
        return "IQ-DCNN" if self.predictions.has_patches else self.predictions.models[0]

    @cached_property
    def raters(self) -> dict[str, Rater]:
        """Readers by role, further ones by column, and last the network."""
        roles = {name: role for role, name in self.cases.roles.as_dict().items()}
        order = [*roles, *(name for name in self.cases.readers if name not in roles)]
        found = {}
        for name in order:
            role = roles.get(name, name)
            draws = self.cases.draws.get(name) if self.cases.draws else None
            found[role] = Rater(role, label_of(name), self.cases.grades(name), draws)
        return {**found, NETWORK: Rater(NETWORK, self.network_name, self.predicted)}

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Merits]:
        """Figures of merit of every pair of raters, by their roles: row, column."""
        reference = self.cases.reference
        return {
            (a, b): estimates(
                self.raters[a],
                self.raters[b],
                reference=reference if b == NETWORK else None,
                patients=self.cases.patients,
            )
            for a, b in combinations(self.raters, 2)
        }

    @property
    def patients(self) -> Merits:
        """The network against the main reader, by patient."""
        return self.pairs[MAIN, NETWORK]

    @cached_property
    def patches(self) -> Merits:
        """The network against the main reader, by patch: each has the grade of its patient.

        Empty without patches, as :attr:`gains` is.
        """
        if not self.predictions.has_patches:
            return {}
        main, flat = self.raters[MAIN], self.predictions.flat()
        return patch_estimates(main, flat, reference=self.cases.reference, patients=self.cases.patients)

    @cached_property
    def gains(self) -> Merits:
        """What figures of merit are by patient less what they are by patch."""
        if not self.predictions.has_patches:
            return {}
        main, flat = self.raters[MAIN], self.predictions.flat()
        return gains(main, self.predicted, flat, patients=self.cases.patients)

    @cached_property
    def retrained(self) -> dict[str, dict[str, Spread]]:
        """Mean and SD over the retrained networks, by level and key; empty if there is none.

        Nothing is said of patches where one of them grades images as a whole.
        """
        others = range(1, len(self.predictions.models))
        if not others:
            return {}
        main, truth, patients = self.raters[MAIN], self.cases.reference, self.cases.patients
        known: dict[str, Any] = {"truth": truth, "patients": patients}
        images = spread_of_images(main, self.predictions.grades[1:], **known)
        flat = [self.predictions.flat(i) for i in others]
        most, least = (end(one.shape[1] for one in flat) for end in (max, min))
        if not self.predictions.has_patches or least == 1:
            return {"patches": {}, "patients": images}
        # networks of another half edge have another number of patches
        same = [np.pad(one, ((0, 0), (0, most - one.shape[1])), constant_values=np.nan) for one in flat]
        return {"patches": spread_of_patches(main, np.stack(same), **known), "patients": images}

    @cached_property
    def reference(self) -> AgainstReference | None:
        """The network against the noise-free reference, None if there is none."""
        truth, grades = self.cases.reference, self.predicted
        if truth is None:
            return None
        line, limits = linear_fit(truth, grades), bland_altman(grades, truth)
        graded = np.isfinite(grades)
        away, left = truth[graded] - truth[graded].mean(), np.sum((grades - truth)[graded] ** 2)
        return AgainstReference(
            r2=line.r2,
            slope=line.slope,
            intercept=line.intercept,
            spearman=spearman(truth, grades),
            explained=float(1 - left / np.sum(away**2)) if away.any() else math.nan,
            bias=limits.bias,
            sd=limits.sd,
            r2_interval=self._interval(pearson_r2),
            slope_interval=self._interval(lambda t, g: linear_fit(t, g).slope),
            sd_interval=self._interval(lambda t, g: bland_altman(g, t).sd),
        )

    def _interval(self, of: Callable[..., Any]) -> tuple[float, float]:
        """Return the interval of a statistic of reference and network."""
        truth, patients = self.cases.reference, self.cases.patients
        assert truth is not None
        return bootstrap_interval(of, truth, self.predicted, level=LEVEL, patients=patients)

    @cached_property
    def kappa_gain(self) -> Estimate | None:
        """Kappa(network, 1a) - kappa(1b, 1a) on the same resamples, None without a second reading."""
        if AGAIN not in self.raters:
            return None

        def of(main: np.ndarray, again: np.ndarray, network: np.ndarray) -> Any:
            """Return the difference of the two kappas."""
            return weighted_kappa(network, main) - weighted_kappa(again, main)

        return self._estimate(of, MAIN, AGAIN)

    def _estimate(self, of: Callable[..., Any], *roles: str) -> Estimate:
        """Return an estimate of readers, by their roles, and of the network."""
        return estimate(of, *(self.raters[role] for role in roles), self.predicted, **self._known)

    def counts(self, row: str, column: str) -> tuple[list[Estimate], Estimate]:
        """Return how often two raters, by their roles, gave each pair of grades, and the share near by."""
        both = self.raters[row], self.raters[column]
        truth, patients = self._truth_for(column), self.cases.patients
        counts = count_estimates(*both, truth=truth, patients=patients)
        return counts, near_estimate(*both, truth=truth, patients=patients)

    def _truth_for(self, role: str) -> np.ndarray | None:
        """Return what takes a rater's place for a ceiling; None of a reader."""
        return self.cases.reference if role == NETWORK else None

    @cached_property
    def variability(self) -> dict[str, GradeVariability]:
        """Absolute differences from the main reader for each grade, by role of the other."""
        main = self.raters[MAIN].grades
        roles = [role for role in (AGAIN, SECOND, NETWORK) if role in self.raters]
        return {role: variability_per_grade(self.raters[role].grades, main) for role in roles}

    @cached_property
    def variability_estimates(self) -> dict[str, list[Estimate]]:
        """Mean absolute differences from the main reader for each half grade of it, likewise."""
        main, patients = self.raters[MAIN], self.cases.patients
        return {
            role: variability_estimates(
                main, self.raters[role], truth=self._truth_for(role), patients=patients
            )
            for role in self.variability
        }

    @cached_property
    def consensus(self) -> ConsensusError | None:
        """The network against the mean of the two observers, None if there is one only."""
        if SECOND not in self.raters:
            return None
        return consensus_error(self.predicted, *(self.raters[role].grades for role in (MAIN, SECOND)))

    @cached_property
    def consensus_estimates(self) -> Merits:
        """The same with intervals, means over redraws and ceilings; empty if there is one observer only."""
        if SECOND not in self.raters:
            return {}
        return consensus_estimates(self.raters[MAIN], self.raters[SECOND], self.predicted, **self._known)

    @cached_property
    def consensus_redrawn(self) -> dict[str, dict[str, float] | None]:
        """The means over redraws alone, of the network and of the reference (``ceiling``)."""
        found = self.consensus_estimates
        if not found:
            return {}
        drawn = self.cases.draws is not None
        means = {name: one.mean for name, one in found.items()}
        best = {name: one.ceiling for name, one in found.items()}
        ceiling = {"ceiling": best if drawn else None} if self.cases.reference is not None else {}
        return {"mean": means if drawn else None, **ceiling}

    @property
    def _known(self) -> dict[str, Any]:
        """What an estimate of the network takes besides the grades."""
        return {"truth": self.cases.reference, "patients": self.cases.patients}

    @cached_property
    def ends(self) -> dict[str, EndErrors]:
        """Errors at the ends of the scale, by what they are errors against.

        ``single`` and ``redraws`` of the main reader, ``ceiling``: of the reference against those redraws,
        ``reference``: of the network against the reference.
        """
        main, truth = self.raters[MAIN], self.cases.reference
        found = {"single": errors_at_ends(self.predicted, main.grades)}
        redrawn = mean_ends(self.predicted, main)
        ceiling = mean_ends(truth, main) if truth is not None else None
        found |= {k: v for k, v in (("redraws", redrawn), ("ceiling", ceiling)) if v is not None}
        if truth is not None:
            found["reference"] = errors_at_ends(self.predicted, truth)
        return found

    @cached_property
    def ends_estimates(self) -> dict[str, Merits]:
        """The same as estimates, against the main ``reader`` and, where there is one, the ``reference``."""
        main, truth = self.raters[MAIN], self.cases.reference
        found: dict[str, Merits] = {"reader": ends_estimates(main, self.predicted, **self._known)}
        if truth is not None:
            patients = self.cases.patients
            found["reference"] = ends_estimates(truth, self.predicted, patients=patients)
        return found

    @cached_property
    def seen_between(self) -> tuple[float, float]:
        """Mean SD over the patches of an image, and SD of the images' grades."""
        return float(np.nanmean(self.predictions.spread())), float(np.nanstd(self.predicted, ddof=1))


def label_of(column: str) -> str:
    """Return how tables and figures call a reader: ``reader1a`` is Observer 1a."""
    found = _NAME.fullmatch(column)
    return f"Observer {found[1]}{found[2]}" if found else column
