"""The model card: what a network was trained on, what it knows, how well it does, and what it is not for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from csiq.quality.domain import Domain
from csiq.quality.evaluation import evaluate
from csiq.quality.formula import BEST, formula_sha256, statement
from csiq.quality.network import PATCH, NetworkConfig
from csiq.quality.patches import HALF_EDGE, N_PATCHES, SPACING
from csiq.quality.train import CLASS_WIDTH, TrainConfig
from csiq.quality.training_set import SPLITS, TrainingSet

#: Words of the paper's Table 1 for the whole grades.
SCALE = (
    "nondiagnostic",
    "marked blurring, limited diagnostic value",
    "moderate blurring, but diagnostic value",
    "mild blurring, good diagnostic value",
    "excellent diagnostic value",
)


def make_card(
    data: TrainingSet, network: NetworkConfig, config: TrainConfig, predicted: np.ndarray
) -> dict[str, Any]:
    """Return the card of a trained network.

    Parameters
    ----------
    data : TrainingSet
    network : NetworkConfig
    config : TrainConfig
    predicted : float64 array, (n_test_images,)
        Grades of ``data.of("test")``.
    """
    known = [image for image in data.images if image.split != "test"]
    sizes = sorted({image.voxel_size for image in known})
    domain = Domain.fit(np.array([image.statistics for image in known]), (sizes[0], sizes[-1]))
    return {
        "title": "IQ-DCNN for whole-heart MRI, simulated readers",
        "use": "Research use only. Simulated readers: no human graded an image. Reference grades follow the "
        "formula below, on simulated hearts; grades of measured hearts are not validated.",
        "network": network.as_dict(),
        "grades": {"min": 0.0, "max": BEST, "words": list(SCALE)},
        "voxel_size_mm": {"min": sizes[0], "max": sizes[-1], "trained": sizes},
        "input": {
            "voxels_mm": 1.0,
            "patch": PATCH,
            "spacing": SPACING,
            "half_edge": HALF_EDGE,
            "patches": N_PATCHES,
            "normalisation": "magnitude over its 99th percentile within the cube of patch centres",
        },
        "domain": domain.as_dict(),
        "formula": {"sha256": formula_sha256(), "statement": statement()},
        "training": {
            **asdict(config),
            "loss": "anti-bias L1 (eq. 1), classes of half grades, error to the continuous grade",
            "optimiser": "Adam, linear warm-up, cosine to zero",
            "augmentation": "flips, quarter turns, shifts below 16 mm, intensity +-7 %",
            "images": data.description,
            "sets": {split: _counts(data, split) for split in SPLITS},
        },
        "evaluation": evaluate(data.of("test"), predicted),
    }


def _counts(data: TrainingSet, split: str) -> dict[str, Any]:
    images = data.of(split)
    halves = np.round([image.grade / CLASS_WIDTH for image in images]).astype(int)
    counted = np.bincount(halves, minlength=int(BEST / CLASS_WIDTH) + 1)
    kinds = sorted({image.kind for image in images})
    patients = sorted({image.patient for image in images})
    return {
        "patients": len(patients),
        "seeds": patients,
        "images": {kind: sum(image.kind == kind for image in images) for kind in kinds},
        "images_per_half_grade": counted.tolist(),
    }
