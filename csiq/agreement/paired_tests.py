"""Tests of paired differences, as the paper's comparisons of reconstructions (P <= .05)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import paired
from csiq.errors import ShapeError

#: Differences below which Wilcoxon's P value is exact.
_EXACT = 50


@dataclass(frozen=True)
class PairedTests:
    """Two-sided tests of a - b against 0; NaN where undefined.

    Attributes
    ----------
    n : int
    t, t_p : float
        Student's paired t, and its P value.
    v, v_p : float
        Wilcoxon's sum of positive ranks, and its P value as R's: exact for fewer than 50 differences without
        ties or zeros, else by the normal approximation with continuity correction, zeros left out.
    """

    n: int
    t: float
    t_p: float
    v: float
    v_p: float


def paired_tests(a: ArrayLike, b: ArrayLike) -> PairedTests:
    """Test whether two columns of the same patients differ.

    Parameters
    ----------
    a, b : float array, (n_patients,)
        NaN: missing.

    Raises
    ------
    ShapeError
        If they are not single columns of the same patients.
    """
    from scipy import stats

    one, other = paired(a, b)
    if one.ndim != 1:
        raise ShapeError(f"expected columns (n_patients,), got {one.shape}")
    difference = (one - other)[~np.isnan(one)]
    t = t_p = v = v_p = float("nan")
    if len(difference) > 1 and np.ptp(difference) > 0:
        t, t_p = (float(x) for x in stats.ttest_1samp(difference, 0.0))
    if np.any(difference):
        # alternative="greater" makes scipy's statistic the sum of positive ranks, which is R's V
        v = float(stats.wilcoxon(difference, alternative="greater", method="asymptotic").statistic)
        sizes = np.abs(difference)
        exact = len(sizes) < _EXACT and sizes.all() and len(np.unique(sizes)) == len(sizes)
        method = "exact" if exact else "asymptotic"
        v_p = float(stats.wilcoxon(difference, correction=True, method=method).pvalue)
    return PairedTests(len(difference), t, t_p, v, v_p)
