"""What grades a volume: the shipped network, a torch module, or any function of one's own.

Whatever stands in for :class:`csiq.quality.grade.Grader` has no model card, so that nothing is known of its
range, its voxel sizes or its error: its grades are marked as uncertified.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from csiq.arrays import Array, to_host
from csiq.errors import ConfigError, ModelError
from csiq.quality.patches import N_PATCHES, volume_slices

if TYPE_CHECKING:
    from csiq.cuda.stream import SideLine

VoxelSize = tuple[float, float, float]


@dataclass(frozen=True)
class Grade:
    """The quality of one volume on the scale of the experts.

    Attributes
    ----------
    grade : float
        Mean over the patches, 0 (nondiagnostic) to 4 (excellent); as the network gave it, not clipped. NaN if
        more than 5 % of the patches have none.
    grade_sd : float
        Standard deviation over the patches.
    in_domain : bool
        Whether voxel size and image statistics are like those of the training set.
    n_patches, n_failed : int
        Patches seen, and those for which the network gave no finite number.
    warnings : tuple of str
        What is odd about the volume or the model, in words for people.
    interval : (float, float), optional
        Holds the noise-free reference in the share of cases that the model's card states, 90 % unless it says
        otherwise. None if the model has no calibrated confidence, or the image lies outside its domain.
    uncertainty : float, optional
        Standard deviation of a normal error whose interval would be as wide; None where there is no interval.
    calibrated : bool
        Whether the grade is on the scale of a site's readers: taken to it (``csiq model calibrate``), or of a
        network that learned from their grades. Others of measured scans are to be called uncalibrated.
    """

    grade: float
    grade_sd: float
    in_domain: bool
    n_patches: int = N_PATCHES
    n_failed: int = 0
    warnings: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    uncertainty: float | None = None
    calibrated: bool = False

    @property
    def standard_error(self) -> float:
        """Standard error of the mean if the patches were independent (they overlap: a lower bound)."""
        counted = self.n_patches - self.n_failed
        return self.grade_sd / math.sqrt(counted) if counted else math.nan


@runtime_checkable
class Assessor(Protocol):
    """What a reconstruction asks for grades; :class:`csiq.quality.grade.Grader` is one."""

    @property
    def name(self) -> str:
        """Name, for records."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights; empty if there are none to hash."""

    @property
    def card(self) -> dict[str, Any]:
        """The model card; empty if there is none and the grades are uncertified."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of every grade."""

    def grade(self, volume: Array, voxel_size: VoxelSize) -> Grade:
        """Return the grade of a volume (z, y, x), NumPy or CuPy, its voxels in mm."""

    def side_line(self) -> SideLine | None:
        """Return a line on which to grade beside the reconstruction, if there is one."""


def as_assessor(grader: Any, name: str | None = None) -> Assessor:
    """Return what grades like a :class:`csiq.quality.grade.Grader`.

    Parameters
    ----------
    grader : Assessor, torch.nn.Module or callable
        - an assessor is returned as it is;
        - an object with a method ``grade(volume, voxel_size)``, or a callable of the same arguments, is given
          the magnitude as a float32 NumPy array (z, y, x) and the voxels in mm (z y x). It returns a grade, a
          pair of grade and spread, or a :class:`Grade`;
        - a torch module without such a method is given the normalised slices, float32 (18, 208, 208), on its
          own device, and returns one or more grades a slice; their mean is the grade, as for the IQ-DCNN.
    name : str, optional
        For records; that of the class or function by default.

    Raises
    ------
    ConfigError
        If it is nothing of these.
    """
    if isinstance(grader, Assessor):
        return grader
    called = name or str(getattr(grader, "__name__", type(grader).__name__))
    own = getattr(grader, "grade", None)
    if callable(own):
        return _Stranger(called, own)
    if hasattr(grader, "state_dict") and hasattr(grader, "parameters"):
        return _Stranger(called, _of_module(grader), _sha256_of(grader))
    if callable(grader):
        return _Stranger(called, grader)
    raise ConfigError(
        f"expected a grader, a torch module or a callable (volume, voxel_size), got {type(grader).__name__}",
        field="grader",
    )


@dataclass(frozen=True)
class _Stranger:
    """A grader without a card."""

    name: str
    function: Callable[[np.ndarray, VoxelSize], Any]
    sha256: str = ""
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the one warning, that no model card vouches for these grades."""
        return (f"{self.name} has no model card: its grades are uncertified",)

    def grade(self, volume: Array, voxel_size: VoxelSize) -> Grade:
        """Return the function's grade of the magnitude (z, y, x); a number is a grade without spread."""
        magnitude = np.abs(to_host(volume)).astype(np.float32, copy=False)
        found = self.function(magnitude, voxel_size)
        if isinstance(found, Grade):
            # NumPy's False is another object than False
            known = bool(found.in_domain)
            return replace(found, in_domain=known, warnings=(*self.warnings, *found.warnings))
        pair = found if isinstance(found, (tuple, list)) else (found, math.nan)
        try:
            grade, spread = (float(value) for value in pair)
        except (TypeError, ValueError):
            what = f"expected a grade or a pair of grade and spread, got {type(found).__name__}"
            raise ModelError(what, file=self.name) from None
        return Grade(grade, spread, False, 1, int(not math.isfinite(grade)), self.warnings)

    def side_line(self) -> SideLine | None:
        """Return None: a function grades where it is called."""
        return None


def _of_module(module: Any) -> Callable[[np.ndarray, VoxelSize], Grade]:
    """Return the function that has a torch module grade the slices of a volume."""
    import torch

    module.eval()

    def grade(volume: np.ndarray, voxel_size: VoxelSize) -> Grade:
        """Return mean and standard deviation of the finite outputs over all slices; nan if none is."""
        slices = volume_slices(volume, voxel_size)
        place = next((p.device for p in module.parameters()), torch.device("cpu"))
        stack = torch.from_numpy(slices.values.reshape(-1, *slices.values.shape[-2:]))
        with torch.inference_mode():
            values = module(stack.to(place)).double().cpu().numpy().ravel()
        kept = values[np.isfinite(values)] if slices.scale > 0 else values[:0]
        mean, spread = (float(kept.mean()), float(kept.std())) if kept.size else (math.nan, math.nan)
        return Grade(mean, spread, False, values.size, values.size - kept.size, slices.warnings)

    return grade


def _sha256_of(module: Any) -> str:
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()
