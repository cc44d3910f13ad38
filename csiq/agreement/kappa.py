"""Weighted kappa (Eq. 2 of the paper), and the counts it is made of.

References
----------
Piccini D, et al. Radiology: Artificial Intelligence 2020;2:e190123.
Kundel HL, Polansky M. Measurement of observer agreement. Radiology 2003;228:303-308.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import Values, paired, plain, ratio
from csiq.agreement.scale import HALVES, round_to_halves

#: Which labels count: all of the scale (Eq. 2), or those somebody gave (R's irr, scikit-learn's default).
Labels = Literal["all", "used"]
#: What a disagreement by d labels costs: d, d squared, or 1 whatever d.
Weights = Literal["linear", "squared", "none"]
#: Largest kappa that each word stands for, in the paper's words; below 0 it has none.
_WORDS = (
    (0.0, "poor"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (1.0, "almost perfect"),
)


def agreement_counts(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return how often two readers gave each pair of grades, as in Figure 4 of the paper.

    Parameters
    ----------
    a, b : float array, (..., n_patients)
        Grades, rounded to halves and clipped to 0-4 here; NaN: missing.

    Returns
    -------
    int64 array, (..., 9, 9)
        Rows are the grades of ``a``, columns those of ``b``, from 0 to 4 in halves.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = (2 * round_to_halves(x) for x in paired(a, b))
    lead, n_cells = one.shape[:-1], len(HALVES) ** 2
    n_rows = int(np.prod(lead))
    cells = (len(HALVES) * one + other).reshape(n_rows, one.shape[-1]) + n_cells * np.arange(n_rows)[:, None]
    counts = np.bincount(cells[~np.isnan(cells)].astype(np.int64), minlength=n_cells * n_rows)
    return counts.reshape(*lead, len(HALVES), len(HALVES))


def kappa_of_counts(counts: ArrayLike, *, weights: Weights = "linear", labels: Labels = "all") -> Values:
    """Return kappa of a table of counts.

    ``1 - sum(w o) / sum(w e)``, with o the shares of the counts, e the products of the shares of rows and
    columns, and w the distance of two labels.

    Parameters
    ----------
    counts : array, (..., n_labels, n_labels)
    weights : {"linear", "squared", "none"}
        The distance itself (the paper's), its square, or 1 for any.
    labels : {"all", "used"}
        With ``"used"``, labels that neither reader gave are left out before distances are counted.

    Returns
    -------
    float or float64 array, (...)
        NaN if both gave one and the same label throughout, or there are no counts.
    """
    table = np.asarray(counts, np.float64)
    rows, columns = table.sum(axis=-1), table.sum(axis=-2)
    place = np.broadcast_to(np.arange(table.shape[-1]), rows.shape)
    if labels == "used":
        place = np.cumsum(rows + columns > 0, axis=-1)
    distance = np.abs(place[..., :, None] - place[..., None, :]).astype(np.float64)
    if weights == "squared":
        distance = distance**2
    elif weights == "none":
        distance = np.minimum(distance, 1.0)
    seen = (distance * table).sum(axis=(-2, -1)) * rows.sum(axis=-1)
    expected = (distance * rows[..., :, None] * columns[..., None, :]).sum(axis=(-2, -1))
    return plain(1 - ratio(seen, expected))


def weighted_kappa(a: ArrayLike, b: ArrayLike, *, labels: Labels = "all") -> Values:
    """Return the paper's weighted kappa of two columns of grades (Eq. 2).

    Distances are counted over all nine grades from 0 to 4, whether somebody gave them or not. scikit-learn
    without ``labels=`` and ``irr::kappa2`` of R rank the grades in use: ``labels="used"``.

    Parameters
    ----------
    a, b : float array, (..., n_patients)
        Rounded to halves (half to even) and clipped to 0-4 here; NaN: missing, that pair is left out.
    labels : {"all", "used"}

    Returns
    -------
    float or float64 array, (...)
        NaN where undefined: no pair, or one and the same grade throughout.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    return kappa_of_counts(agreement_counts(a, b), labels=labels)


def kappa_words(kappa: float) -> str:
    """Return what the paper calls a kappa.

    0-0.2 slight, to 0.4 fair, to 0.6 moderate, to 0.8 substantial, below 1 almost perfect, 1 perfect; a
    bound belongs to the lower word. Below 0, of which the paper does not speak: poor.
    """
    if np.isnan(kappa):
        return "undefined"
    if kappa >= 1:
        return "perfect"
    if kappa == 0:
        return "slight"
    return next(word for most, word in _WORDS if kappa <= most)
