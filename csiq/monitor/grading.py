"""Grading what somebody else reconstructs: no failure of the grader may cost the reconstruction."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Sequence

from csiq.arrays import Array
from csiq.errors import ConfigError
from csiq.monitor.images import checked_voxel_size, volumes_of
from csiq.quality.assessor import Assessor, Grade, as_assessor


class QualityWarning(UserWarning):
    """What is odd about the grades of a monitored reconstruction; said once a kind."""


class Grading:
    """A grader, the voxels it is told, the seconds it took, and what it complained of.

    Parameters
    ----------
    grader : optional
        See :class:`csiq.QualityMonitor`.
    voxel_size : sequence of float, optional
        mm, z y x or y x.

    Attributes
    ----------
    seconds : float
        Spent on grading.
    warnings : list of str

    Raises
    ------
    ConfigError
        If the grader is none, or there is no voxel size to tell it.
    """

    def __init__(self, grader: object | None, voxel_size: Sequence[float] | None) -> None:
        self._assessor = _assessor_of(grader)
        self._voxel_size = checked_voxel_size(voxel_size) or ()
        if self._assessor is not None and not self._voxel_size:
            raise ConfigError("a grader needs it", field="voxel_size", hint="mm, z y x for volumes")
        self.forget()

    def forget(self) -> None:
        """Start anew, for another reconstruction."""
        self.seconds = 0.0
        self.warnings: list[str] = []
        self._warned: set[str] = set()

    def __bool__(self) -> bool:
        return self._assessor is not None

    def n_phases(self, image: Array | None) -> int:
        """Return the number of phases of an image: 1 where nothing is graded."""
        return len(volumes_of(image, self._voxel_size)[0]) if self and image is not None else 1

    def grades(self, image: Array, iteration: int) -> tuple[Grade | None, ...]:
        """Return a grade a phase; None where the grader failed.

        Parameters
        ----------
        image : array, (..., z, y, x) or (..., y, x)
            NumPy or CuPy. It comes to the host once, in the grader, if that works there.
        iteration : int
            For warnings.

        Raises
        ------
        ConfigError
            If csiq's network is to grade a slice.
        """
        volumes, voxel_size = volumes_of(image, self._voxel_size)
        if volumes.shape[1] == 1 and hasattr(self._assessor, "patch_grades"):
            raise ConfigError(
                f"{self._assessor.name} grades volumes, got a slice {tuple(volumes.shape[2:])}",  # type: ignore[union-attr]
                field="grader",
                hint="give three voxel sizes for a volume, or a grader of your own for slices",
            )
        started = time.perf_counter()
        found = tuple(
            self._grade(volume, voxel_size, f"iteration {iteration}, phase {phase}")
            for phase, volume in enumerate(volumes, start=1)
        )
        self.seconds += time.perf_counter() - started
        return found

    def _grade(self, volume: Array, voxel_size: tuple[float, float, float], where: str) -> Grade | None:
        assessor = self._assessor
        if assessor is None:
            return None
        try:
            grade = assessor.grade(volume, voxel_size)
        except Exception as error:
            self._warn(f"{where} has no grade, {assessor.name} failed: {type(error).__name__}: {error}")
            return None
        for warning in grade.warnings:
            self._warn(warning)
        if not math.isfinite(grade.grade):
            self._warn(f"{where} has no grade: rules that look at grades stop nothing any more")
        return grade

    def _warn(self, message: str) -> None:
        kind = re.sub(r"[0-9.]+", "", message)
        if kind not in self._warned:
            self._warned.add(kind)
            self.warnings.append(message)
            warnings.warn(message, QualityWarning, stacklevel=2)


def _assessor_of(grader: object | None) -> Assessor | None:
    if isinstance(grader, str):
        from csiq.plugins import load_assessor

        return load_assessor(grader)
    return None if grader is None else as_assessor(grader)
