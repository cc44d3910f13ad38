"""Statistics over redraws of simulated readers, with the ceiling that their own noise sets.

A study has one reading of each patient; simulated readers can read the same patients again. The mean over
such redraws is free of the luck of one reading. Even a network that knew the reference exactly would not
agree perfectly with noisy readers: what it would reach is the ceiling.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.resampling import Statistic, bootstrap_values, percentiles
from csiq.errors import ShapeError


@dataclass(frozen=True)
class OverRedraws:
    """A statistic over redraws of the readers; NaN where undefined.

    Attributes
    ----------
    mean, sd : float
        Over the redraws, the SD with n - 1.
    ceiling : float
        The same mean for the noise-free reference in place of the prediction.
    share : float
        mean / ceiling; says something of kappa, R2 or an error that cannot be 0, not of a bias.
    single : float
        Of the one draw that is in the manifest, as a study on people would have it.
    single_ceiling : float
        Of the noise-free reference against that draw.
    n_draws : int
    """

    mean: float
    sd: float
    ceiling: float
    share: float
    single: float
    single_ceiling: float
    n_draws: int

    def as_dict(self) -> dict[str, float | int]:
        """Return the fields by name."""
        return asdict(self)


def over_redraws(
    statistic: Statistic, draws: ArrayLike, predicted: ArrayLike, reference: ArrayLike
) -> OverRedraws:
    """Evaluate a statistic on every redraw of the readers.

    Parameters
    ----------
    statistic : callable
        ``statistic(predicted, reader, ...)``, working along the last axis, as those of this package.
    draws : float array, (n_draws + 1, n_patients) or (n_draws + 1, n_patients, n_readers)
        Draw 0 is the manifest's, as :func:`csiq.cohort.redraws` has it, and not part of the mean. Of
        several readers, each is an argument of the statistic.
    predicted : float array, (n_patients,)
    reference : float array, (n_patients,)
        Noise-free.

    Raises
    ------
    ShapeError
        If patients do not match, there is no redraw, or the statistic does not work along the last axis.
    """
    readers, grades = _readers(draws, predicted)
    truth = np.asarray(reference, np.float64)
    if truth.shape != grades.shape:
        raise ShapeError(f"expected a reference {grades.shape}, got {truth.shape}")
    found, best = _each_draw(statistic, grades, readers), _each_draw(statistic, truth, readers)
    mean, ceiling = float(found[1:].mean()), float(best[1:].mean())
    return OverRedraws(
        mean=mean,
        sd=float(found[1:].std(ddof=1)) if len(found) > 2 else float("nan"),
        ceiling=ceiling,
        share=mean / ceiling if ceiling else float("nan"),
        single=float(found[0]),
        single_ceiling=float(best[0]),
        n_draws=len(found) - 1,
    )


def interval_over_redraws(
    statistic: Statistic,
    draws: ArrayLike,
    predicted: ArrayLike,
    *,
    seed: int = 0,
    n: int = 500,
    level: float = 0.90,
    patients: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval over patients of the mean over redraws.

    Every resample of the patients meets all redraws; their noise is averaged out, what is left is which
    patients there are.

    Parameters
    ----------
    statistic, draws, predicted
        As for :func:`over_redraws`.
    seed, n, level, patients
        As for :func:`csiq.agreement.bootstrap_interval`.

    Raises
    ------
    ShapeError
        As :func:`over_redraws`.
    """
    readers, grades = _readers(draws, predicted)

    def mean_over_draws(chosen: np.ndarray, *drawn: np.ndarray) -> np.ndarray:
        stacked = np.broadcast_to(chosen[:, None], drawn[0].shape)
        return np.asarray(np.asarray(statistic(stacked, *drawn)).mean(axis=-1))

    columns = [grades, *(reader[1:] for reader in readers)]
    values = bootstrap_values(mean_over_draws, columns, seed=seed, n=n, patients=patients)
    return percentiles(values, level)


def _readers(draws: ArrayLike, predicted: ArrayLike) -> tuple[list[np.ndarray], np.ndarray]:
    array, grades = np.asarray(draws, np.float64), np.asarray(predicted, np.float64)
    if array.ndim not in (2, 3) or grades.shape != array.shape[1:2]:
        raise ShapeError(
            f"expected draws (n_draws + 1, n_patients[, n_readers]) and grades (n_patients,), "
            f"got {array.shape} and {grades.shape}"
        )
    if len(array) < 2:
        raise ShapeError("expected the manifest's draw and at least one redraw")
    readers = [array] if array.ndim == 2 else [array[..., i] for i in range(array.shape[2])]
    return readers, grades


def _each_draw(statistic: Statistic, grades: np.ndarray, readers: list[np.ndarray]) -> np.ndarray:
    stacked = np.broadcast_to(grades, readers[0].shape)
    found = np.asarray(statistic(stacked, *readers), np.float64)
    if found.shape != (len(readers[0]),):
        raise ShapeError(
            f"the statistic gave {found.shape} for {len(readers[0])} draws",
            hint="it has to work along the last axis; by_rows wraps one that does not",
        )
    return found
