"""How far predicted grades follow the reference, on patients never trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from csiq.quality.network import IQDCNN
from csiq.quality.patches import SIDE
from csiq.quality.training_set import GradedImage, TrainingSet


def predict(network: IQDCNN, data: TrainingSet, images: list[GradedImage]) -> np.ndarray:
    """Return the grade of each image as the grader would give it, float64 (n_images,)."""
    network.eval()
    found = []
    with torch.inference_mode():
        for image in images:
            slices = np.array(data.slices(image), dtype=np.float32).reshape(-1, SIDE, SIDE)
            found.append(float(network(torch.from_numpy(slices)).double().mean()))
    return np.array(found)


def agreement(predicted: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Return how predicted grades agree with reference grades.

    Parameters
    ----------
    predicted, reference : float64 array, (n_images,)

    Returns
    -------
    dict
        ``n``; ``r2``, the share of the reference's variance that is explained (1 - residual / total, not the
        squared correlation); ``spearman``; ``slope`` of predicted on reference; ``bias``, ``sd`` (n - 1) and
        ``mae`` of the error. None where undefined.
    """
    n = len(reference)
    error = predicted - reference
    found: dict[str, Any] = {"n": n, "r2": None, "spearman": None, "slope": None, "bias": None, "sd": None}
    found["mae"] = float(np.abs(error).mean()) if n else None
    if n:
        found["bias"] = float(error.mean())
    if n > 1:
        found["sd"] = float(error.std(ddof=1))
    if n > 2 and np.ptp(reference) > 0 and np.ptp(predicted) > 0:
        from scipy.stats import spearmanr

        away = reference - reference.mean()
        found["r2"] = float(1 - np.sum(error**2) / np.sum(away**2))
        found["slope"] = float(away @ predicted / (away @ away))
        found["spearman"] = float(spearmanr(predicted, reference).statistic)
    return {key: round(v, 4) if isinstance(v, float) else v for key, v in found.items()}


def pair_order(
    images: list[GradedImage], predicted: np.ndarray, least: float = 0.25
) -> dict[str, int | float | None]:
    """Return how often two images of one patient are put in the right order.

    Parameters
    ----------
    images : list of GradedImage
    predicted : float64 array, (n_images,)
    least : float
        Pairs whose reference grades differ by less are left out: readers would call them equal.

    Returns
    -------
    dict
        ``pairs`` and the ``share`` in the right order (None without pairs).
    """
    right = pairs = 0
    for i, one in enumerate(images):
        for j in range(i):
            difference = one.grade - images[j].grade
            if one.patient == images[j].patient and abs(difference) >= least:
                pairs += 1
                right += int((predicted[i] - predicted[j]) * difference > 0)
    return {"pairs": pairs, "share": round(right / pairs, 4) if pairs else None}


def evaluate(images: list[GradedImage], predicted: np.ndarray) -> dict[str, Any]:
    """Return the figures of a model card: all images, each kind, each voxel size, and the order of pairs."""
    reference = np.array([image.grade for image in images])

    def part(chosen: list[bool]) -> dict[str, Any]:
        at = np.array(chosen, dtype=bool)
        return agreement(predicted[at], reference[at])

    kinds = sorted({image.kind for image in images})
    sizes = sorted({image.voxel_size for image in images})
    return {
        "patients": len({image.patient for image in images}),
        "all": agreement(predicted, reference),
        "by_kind": {kind: part([i.kind == kind for i in images]) for kind in kinds},
        "by_voxel_size_mm": {f"{size:g}": part([i.voxel_size == size for i in images]) for size in sizes},
        "order_within_patient": pair_order(images, predicted),
        "order_of_cs_iterates": pair_order(
            [i for i in images if i.kind == "cs"], predicted[np.array([i.kind == "cs" for i in images], bool)]
        ),
    }
