"""Graders that give an image one grade and have no patches: a torch module, a function, anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.evaluation.predictions import PatchGrader
from csiq.quality.assessor import Assessor, Grade, VoxelSize, as_assessor


@dataclass(frozen=True)
class WholeImages:
    """Takes the place of what grades patches: an image has one patch, itself.

    Attributes
    ----------
    assessor : Assessor
    """

    assessor: Assessor
    #: What is said of patches would be said of images.
    has_patches = False

    @property
    def name(self) -> str:
        """Name, for records."""
        return self.assessor.name

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights; empty if there are none to hash."""
        return self.assessor.sha256

    @property
    def card(self) -> dict[str, Any]:
        """The model card, empty if there is none."""
        return self.assessor.card

    def patch_grades(self, volume: Any, voxel_size: VoxelSize) -> np.ndarray:
        """Return the grade of an image, float64 (1, 1, 1, 1)."""
        return self.grade_with_patches(volume, voxel_size)[1]

    def grade_with_patches(self, volume: Any, voxel_size: VoxelSize) -> tuple[Grade, np.ndarray]:
        """Return what is said of an image, and its grade, float64 (1, 1, 1, 1)."""
        found = self.assessor.grade(volume, voxel_size)
        return found, np.full((1, 1, 1, 1), found.grade)


def with_patches(graders: Sequence[Any]) -> list[PatchGrader]:
    """Return graders that can be evaluated.

    Parameters
    ----------
    graders : sequence
        What has ``patch_grades`` stays as it is; all else that :func:`csiq.quality.assessor.as_assessor`
        takes grades images as a whole.

    Raises
    ------
    ConfigError
        If one of them is no grader.
    """
    return [one if hasattr(one, "patch_grades") else WholeImages(as_assessor(one)) for one in graders]
