"""Statistics of agreement between readers, of whom a network may be one.

All work along the last axis, the patients, and leave pairs with a missing grade (NaN) out; what is undefined
is NaN. Only NumPy is needed, for tests of differences SciPy.
"""

from __future__ import annotations

from csiq.agreement.consensus import ConsensusError, consensus, consensus_error
from csiq.agreement.correlation import Line, linear_fit, pearson, pearson_r2, spearman
from csiq.agreement.differences import (
    BlandAltman,
    EndErrors,
    GradeVariability,
    anti_bias_l1,
    bland_altman,
    errors_at_ends,
    mae,
    rmse,
    variability_per_grade,
)
from csiq.agreement.kappa import agreement_counts, kappa_of_counts, kappa_words, weighted_kappa
from csiq.agreement.paired_tests import PairedTests, paired_tests
from csiq.agreement.pairs import PairAgreement, compare_pair, compare_readers
from csiq.agreement.redraws import OverRedraws, interval_over_redraws, over_redraws
from csiq.agreement.reliability import (
    LEVELS,
    RELIABLE,
    intraclass_correlation,
    krippendorff_alpha,
    pair_alpha,
)
from csiq.agreement.resampling import bootstrap_interval, bootstrap_values, by_rows
from csiq.agreement.scale import HALVES, round_to_halves

__all__ = [
    "HALVES",
    "LEVELS",
    "RELIABLE",
    "BlandAltman",
    "ConsensusError",
    "EndErrors",
    "GradeVariability",
    "Line",
    "OverRedraws",
    "PairAgreement",
    "PairedTests",
    "agreement_counts",
    "anti_bias_l1",
    "bland_altman",
    "bootstrap_interval",
    "bootstrap_values",
    "by_rows",
    "compare_pair",
    "compare_readers",
    "consensus",
    "consensus_error",
    "errors_at_ends",
    "interval_over_redraws",
    "intraclass_correlation",
    "kappa_of_counts",
    "kappa_words",
    "krippendorff_alpha",
    "linear_fit",
    "mae",
    "over_redraws",
    "pair_alpha",
    "paired_tests",
    "pearson",
    "pearson_r2",
    "rmse",
    "round_to_halves",
    "spearman",
    "variability_per_grade",
    "weighted_kappa",
]
