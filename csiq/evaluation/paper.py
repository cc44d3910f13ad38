"""What the paper found, number by number, each with the place where it says so.

References
----------
Piccini D, Demesmaeker R, et al. Deep Learning to Automate Reference-Free Image Quality Assessment of
Whole-Heart MR Images. Radiology: Artificial Intelligence 2020;2(3):e190123.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: How the paper is cited on pages and in tables.
CITATION = "Piccini et al. 2020, Radiology: Artificial Intelligence 2(3):e190123"


@dataclass(frozen=True)
class Published:
    """One number of the paper.

    Attributes
    ----------
    value : float
    source : str
        Table or section of the paper.
    sd : float
        What stands behind its plus-minus sign; NaN if nothing does.
    """

    value: float
    source: str
    sd: float = math.nan


_TEST, _BETWEEN = "Results, Test Performance", "Results, Comparison with Intra- and Interobserver Variability"
_ABSTRACT_DATA = "Materials and Methods, Patient Imaging Database"

#: Patients of the study, for training and validation, and for testing; their age and the share of men.
N_PATIENTS = Published(424, _ABSTRACT_DATA)
N_TRAIN = Published(324, "Materials and Methods, Automated Image Quality Assessment Algorithm")
N_TEST = Published(100, "Materials and Methods, Automated Image Quality Assessment Algorithm")
AGE = Published(57, _ABSTRACT_DATA, 18)
MEN_PERCENT = Published(66.5, _ABSTRACT_DATA)

#: Table 1: the scale; half grades were allowed.
SCALE: Mapping[int, str] = {
    0: "Nondiagnostic",
    1: "Marked blurring, limited diagnostic value",
    2: "Moderate blurring, but diagnostic value",
    3: "Mild blurring, good diagnostic value",
    4: "Excellent diagnostic value",
}

#: Network against observer 1 on the test set, by level and key of a figure of merit.
TEST: Mapping[str, Mapping[str, Published]] = {
    "patches": {
        "anti_bias_l1": Published(0.44, _TEST),
        "r2": Published(0.72, _TEST),
        "kappa": Published(0.63, _TEST),
    },
    "patients": {
        "anti_bias_l1": Published(0.39, _TEST),
        "r2": Published(0.78, _TEST),
        "kappa": Published(0.67, _TEST),
        "alpha": Published(0.86, _BETWEEN),
        "spearman": Published(0.88, _BETWEEN),
        "bias": Published(0.07, "Table 2"),
        "sd": Published(0.52, "Table 2"),
        "mae": Published(0.41, "Table 4"),
        "rmse": Published(0.53, "Table 4"),
    },
}

#: The same after ten retrainings: mean and standard deviation.
RETRAINED: Mapping[str, Mapping[str, Published]] = {
    "patches": {"anti_bias_l1": Published(0.45, _TEST, 0.01)},
    "patients": {
        "anti_bias_l1": Published(0.40, _TEST, 0.01),
        "r2": Published(0.78, _TEST, 0.01),
        "kappa": Published(0.66, _TEST, 0.01),
    },
}

#: Raters as the paper calls them: first and second reading of observer 1, observer 2, and the network.
MAIN, AGAIN, SECOND, NETWORK = "main", "again", "second", "network"
Pair = tuple[str, str]

#: Table 2: row minus column, mean and standard deviation.
BLAND_ALTMAN: Mapping[Pair, Published] = {
    (MAIN, AGAIN): Published(0.01, "Table 2", 0.50),
    (MAIN, SECOND): Published(0.03, "Table 2", 0.57),
    (MAIN, NETWORK): Published(0.07, "Table 2", 0.52),
    (AGAIN, SECOND): Published(0.04, "Table 2", 0.61),
    (AGAIN, NETWORK): Published(0.08, "Table 2", 0.49),
    (SECOND, NETWORK): Published(0.04, "Table 2", 0.47),
}

#: Table 3: weighted kappa.
KAPPA: Mapping[Pair, Published] = {
    (MAIN, AGAIN): Published(0.70, "Table 3"),
    (MAIN, SECOND): Published(0.67, "Table 3"),
    (MAIN, NETWORK): Published(0.67, "Table 3"),
    (AGAIN, SECOND): Published(0.66, "Table 3"),
    (AGAIN, NETWORK): Published(0.72, "Table 3"),
    (SECOND, NETWORK): Published(0.74, "Table 3"),
}

#: Table 4: mean absolute and root mean squared error.
MAE: Mapping[Pair, Published] = {
    (MAIN, SECOND): Published(0.42, "Table 4"),
    (MAIN, NETWORK): Published(0.41, "Table 4"),
    (SECOND, NETWORK): Published(0.36, "Table 4"),
}
RMSE: Mapping[Pair, Published] = {
    (MAIN, SECOND): Published(0.57, "Table 4"),
    (MAIN, NETWORK): Published(0.53, "Table 4"),
    (SECOND, NETWORK): Published(0.47, "Table 4"),
}

#: Krippendorff's alpha and Spearman's rank correlation, in the text.
ALPHA: Mapping[Pair, Published] = {
    (MAIN, NETWORK): Published(0.86, _BETWEEN),
    (SECOND, NETWORK): Published(0.91, _BETWEEN),
    (MAIN, SECOND): Published(0.87, _BETWEEN),
}
SPEARMAN: Mapping[Pair, Published] = {
    (MAIN, NETWORK): Published(0.88, _BETWEEN),
    (SECOND, NETWORK): Published(0.92, _BETWEEN),
    (MAIN, SECOND): Published(0.88, _BETWEEN),
}

#: What is published of a pair of raters, by key of a figure of merit.
PAIRS: Mapping[str, Mapping[Pair, Published]] = {
    "bias": BLAND_ALTMAN,
    "sd": {pair: Published(found.sd, found.source) for pair, found in BLAND_ALTMAN.items()},
    "kappa": KAPPA,
    "alpha": ALPHA,
    "spearman": SPEARMAN,
    "mae": MAE,
    "rmse": RMSE,
}

#: What its figures are said to show.
WORDS: Mapping[str, str] = {
    "2a": "The distribution of grades was highly nonuniform: low and mid grades were frequent.",
    "2b": "A data set with a metal artefact and a flow artefact still received grade 3, as the grade is of "
    "the heart's structures.",
    "3": "The regression is similar for patches and patients, R2 is higher for patients; the variability "
    "depends on the grade.",
    "4": "Most of the counts fall along the diagonal.",
    "E2": "Several peaks occasionally exist where the readers disagree.",
    "E4": "The network's error against the readers' consensus is larger for intermediate quality; it "
    "correlates with the uncertainty between the readers.",
    "ends": "Very low and very high grades are slightly over- and underestimated.",
    "gain": "Averaging the patch grades into a single patient grade yields better predictions by lowering "
    "the variance.",
}
