"""What a network says of whole volumes, and how that agrees with their grades, by patch and by patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from csiq.agreement import anti_bias_l1, pearson_r2, weighted_kappa
from csiq.quality.network import IQDCNN
from csiq.quality.patches import patch_window, volume_slices
from csiq.training.device import Place
from csiq.training.graded_set import GradedImage

_AT_A_TIME = 3  # slices: more do not fit a CPU's cache


class Predictor:
    """Grades the patches of the same volumes again and again; their slices are held as float16.

    Parameters
    ----------
    images : sequence of GradedImage
    half_edge : int
    place : Place
    """

    def __init__(self, images: Sequence[GradedImage], half_edge: int, place: Place | None = None) -> None:
        self.images, self.place = list(images), place or Place()
        self._half_edge = half_edge
        self._slices: list[np.ndarray | None] = [None] * len(self.images)
        self._last: tuple[int, dict[str, float]] | None = None

    def patch_grades(self, network: IQDCNN) -> np.ndarray:
        """Return the grade of each patch, float64 (n_images, 3, k, k, k)."""
        network.eval()
        return np.stack([self._grade(network, number) for number in range(len(self.images))])

    def scores(self, network: IQDCNN, iteration: int) -> dict[str, float]:
        """Return :func:`scores` of a network; those of the same iteration are not computed twice."""
        if self._last is None or self._last[0] != iteration:
            found = scores(self.patch_grades(network), [image.grade for image in self.images])
            self._last = iteration, found
        return self._last[1]

    def _grade(self, network: IQDCNN, number: int) -> np.ndarray:
        slices = self._slices_of(number)
        stack = torch.from_numpy(slices.astype(np.float32)).reshape(-1, *slices.shape[-2:])
        parts = stack.to(self.place.device).split(_AT_A_TIME if self.place.device.type == "cpu" else 64)
        # float32 without autocast: as the grader will do it
        with torch.inference_mode():
            grades = torch.cat([network(part) for part in parts])
        return grades.reshape(*slices.shape[:2], *grades.shape[-2:]).double().cpu().numpy()

    def _slices_of(self, number: int) -> np.ndarray:
        held = self._slices[number]
        if held is None:
            image, window = self.images[number], patch_window(self._half_edge)
            found = volume_slices(image.volume, image.voxel_size, self._half_edge)
            held = found.values[..., window, window].astype(np.float16)
            self._slices[number] = held
        return held


def scores(patches: np.ndarray, grades: Sequence[float]) -> dict[str, float]:
    """Return how predicted grades agree with given ones.

    Parameters
    ----------
    patches : float array, (n_images, 3, k, k, k)
    grades : sequence of float

    Returns
    -------
    dict
        ``patch_l1``, ``patient_l1`` (anti-bias, eq. 1), ``patch_r2``, ``patient_r2`` (Pearson, squared),
        ``patch_kappa``, ``patient_kappa`` (weighted, eq. 2); ``nan`` where undefined.
    """
    truth = np.asarray(grades, float)
    flat = patches.reshape(len(truth), -1)
    patient = flat.mean(axis=1)
    repeated = np.repeat(truth, flat.shape[1])
    return {
        "patch_l1": float(anti_bias_l1(flat.ravel(), repeated)),
        "patient_l1": float(anti_bias_l1(patient, truth)),
        "patch_r2": float(pearson_r2(flat.ravel(), repeated)),
        "patient_r2": float(pearson_r2(patient, truth)),
        "patch_kappa": float(weighted_kappa(flat.ravel(), repeated)),
        "patient_kappa": float(weighted_kappa(patient, truth)),
    }
