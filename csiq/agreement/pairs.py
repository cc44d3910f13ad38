"""All pairs of readers, compared by every statistic that ``csiq agree`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from numpy.typing import ArrayLike

from csiq.agreement.columns import paired
from csiq.agreement.correlation import spearman
from csiq.agreement.differences import bland_altman, mae, rmse
from csiq.agreement.kappa import Labels, weighted_kappa
from csiq.agreement.reliability import RELIABLE, Level, pair_alpha


@dataclass(frozen=True)
class PairAgreement:
    """How two readers agree, over the patients both read; NaN where undefined.

    Attributes
    ----------
    a, b : str
        Their names.
    n : int
    kappa : float
        Weighted, of grades rounded to halves.
    alpha : float
        Krippendorff's, of grades as they are.
    alpha_level : str
        Its level of measurement.
    spearman : float
    bias, sd : float
        Of a - b, the SD with n - 1.
    mae, rmse : float
    """

    a: str
    b: str
    n: int
    kappa: float
    alpha: float
    alpha_level: str
    spearman: float
    bias: float
    sd: float
    mae: float
    rmse: float

    @property
    def is_reliable(self) -> bool:
        """Whether alpha is 0.8 or more, which the paper asks of readers who agree."""
        return self.alpha >= RELIABLE

    @property
    def undefined(self) -> str | None:
        """What is not defined, and why; None if everything is."""
        names = [name for name in ("kappa", "alpha", "spearman") if math.isnan(getattr(self, name))]
        if not names:
            return None
        few = "no case was graded by both" if self.n == 0 else "only one case was graded by both"
        why = few if self.n < 2 else "grades that do not vary"
        return f"{', '.join(names)} undefined: {why}"

    def as_dict(self) -> dict[str, Any]:
        """Return the object of ``csiq agree --json``, with NaN where JSON says null."""
        return asdict(self)


def compare_pair(
    a: ArrayLike,
    b: ArrayLike,
    *,
    names: tuple[str, str] = ("a", "b"),
    level: Level = "interval",
    labels: Labels = "all",
) -> PairAgreement:
    """Compare two readers.

    Parameters
    ----------
    a, b : float array, (n_patients,)
        NaN: missing.
    names : (str, str)
    level : {"nominal", "ordinal", "interval", "ratio"}
        Of alpha.
    labels : {"all", "used"}
        Of kappa; see :func:`csiq.agreement.weighted_kappa`.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = paired(a, b)
    limits = bland_altman(one, other)
    return PairAgreement(
        *names,
        n=limits.n,
        kappa=weighted_kappa(one, other, labels=labels),
        alpha=pair_alpha(one, other, level),
        alpha_level=level,
        spearman=spearman(one, other),
        bias=limits.bias,
        sd=limits.sd,
        mae=mae(one, other),
        rmse=rmse(one, other),
    )


def compare_readers(
    columns: Mapping[str, ArrayLike], *, level: Level = "interval", labels: Labels = "all"
) -> list[PairAgreement]:
    """Compare every pair of readers, in the order of their columns."""
    return [
        compare_pair(columns[a], columns[b], names=(a, b), level=level, labels=labels)
        for a, b in combinations(columns, 2)
    ]
