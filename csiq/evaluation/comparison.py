"""Everything that is computed of a test: the network, its readers, the reference, patches and retrainings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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
from csiq.evaluation.merits import LEVEL, MERITS, PATCH_MERITS, Estimate, Rater, estimates
from csiq.evaluation.paper import AGAIN, MAIN, NETWORK, SECOND
from csiq.evaluation.predictions import Predictions
from csiq.evaluation.redrawn import mean_consensus, mean_ends

_NAME = re.compile(r"reader(\d+)([a-z]?)")
Merits = Mapping[str, Estimate]


@dataclass(frozen=True)
class AgainstReference:
    """The network against the noise-free reference; intervals are of 90 %, over images.

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
class Spread:
    """Mean and SD (n - 1) of a figure of merit over retrained networks."""

    mean: float
    sd: float
    n: int


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
        return {**found, NETWORK: Rater(NETWORK, "IQ-DCNN", self.predicted)}

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Merits]:
        """Figures of merit of every pair of raters, by their roles: row, column."""
        reference = self.cases.reference
        return {
            (a, b): estimates(self.raters[a], self.raters[b], reference=reference if b == NETWORK else None)
            for a, b in combinations(self.raters, 2)
        }

    @property
    def patients(self) -> Merits:
        """The network against the main reader, by patient."""
        return self.pairs[MAIN, NETWORK]

    @cached_property
    def patches(self) -> Merits:
        """The network against the main reader, by patch: each has the grade of its patient."""
        patches = Rater(NETWORK, "IQ-DCNN", self.predictions.flat().T)
        return estimates(self.raters[MAIN], patches, reference=self.cases.reference, keys=PATCH_MERITS)

    @cached_property
    def retrained(self) -> dict[str, dict[str, Spread]]:
        """Mean and SD over the retrained networks, by level and key; empty if there is none."""
        others = range(1, len(self.predictions.models))
        if not others:
            return {}
        grades, main = self.predictions.grades, self.raters[MAIN].grades
        patients = {key: [float(m.of(main, grades[i])) for i in others] for key, m in MERITS.items()}
        flat = [self.predictions.flat(i) for i in others]
        wide = [np.repeat(main, one.shape[1]) for one in flat]
        patches = {
            key: [float(MERITS[key].of(w, one.ravel())) for w, one in zip(wide, flat, strict=True)]
            for key in PATCH_MERITS
        }
        return {
            level: {key: _spread(values) for key, values in found.items()}
            for level, found in (("patches", patches), ("patients", patients))
        }

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
            r2_interval=bootstrap_interval(pearson_r2, truth, grades, level=LEVEL),
            slope_interval=bootstrap_interval(
                lambda t, g: linear_fit(t, g).slope, truth, grades, level=LEVEL
            ),
            sd_interval=bootstrap_interval(lambda t, g: bland_altman(g, t).sd, truth, grades, level=LEVEL),
        )

    @cached_property
    def kappa_gain(self) -> dict[str, float] | None:
        """Kappa(network, 1a) - kappa(1b, 1a) with its paired interval, None without a second reading."""
        if AGAIN not in self.raters:
            return None
        main, again = (self.raters[role].grades for role in (MAIN, AGAIN))
        low, high = bootstrap_interval(
            weighted_kappa, self.predicted, main, paired=(again, main), level=LEVEL
        )
        single = float(weighted_kappa(self.predicted, main) - weighted_kappa(again, main))
        both = [self.pairs[MAIN, role]["kappa"].mean for role in (NETWORK, AGAIN)]
        return {"single": single, "low": low, "high": high, "mean": both[0] - both[1]}

    @cached_property
    def variability(self) -> dict[str, GradeVariability]:
        """Absolute differences from the main reader for each grade, by role of the other."""
        main = self.raters[MAIN].grades
        roles = [role for role in (AGAIN, SECOND, NETWORK) if role in self.raters]
        return {role: variability_per_grade(self.raters[role].grades, main) for role in roles}

    @cached_property
    def consensus(self) -> ConsensusError | None:
        """The network against the mean of the two observers, None if there is one only."""
        if SECOND not in self.raters:
            return None
        return consensus_error(self.predicted, *(self.raters[role].grades for role in (MAIN, SECOND)))

    @cached_property
    def consensus_redrawn(self) -> dict[str, dict[str, float] | None]:
        """The same as means over redraws, of the network and of the reference (``ceiling``)."""
        if SECOND not in self.raters:
            return {}
        readers = self.raters[MAIN], self.raters[SECOND]
        found = {"mean": mean_consensus(self.predicted, *readers)}
        if self.cases.reference is not None:
            found["ceiling"] = mean_consensus(self.cases.reference, *readers)
        return found

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
    def seen_between(self) -> tuple[float, float]:
        """Mean SD over the patches of an image, and SD of the images' grades."""
        return float(np.nanmean(self.predictions.spread())), float(np.nanstd(self.predicted, ddof=1))


def label_of(column: str) -> str:
    """Return how tables and figures call a reader: ``reader1a`` is Observer 1a."""
    found = _NAME.fullmatch(column)
    return f"Observer {found[1]}{found[2]}" if found else column


def _spread(values: list[float]) -> Spread:
    defined = np.array(values)[np.isfinite(values)]
    mean = float(defined.mean()) if len(defined) else math.nan
    return Spread(mean, float(defined.std(ddof=1)) if len(defined) > 1 else math.nan, len(defined))
