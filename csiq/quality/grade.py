"""From a volume to its grade: the mean over its patches, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.arrays import Array, Device, choose_device, default_threads, run_tasks, to_host, to_torch
from csiq.cuda.stream import SideLine
from csiq.errors import ModelError
from csiq.quality.domain import Domain, features
from csiq.quality.model_file import ModelFile, open_model, read_tensors
from csiq.quality.patches import N_PATCHES, Slices, volume_slices

if TYPE_CHECKING:
    from csiq.quality.network import IQDCNN

#: Share of patches without a grade above which the volume has none.
MAX_FAILED = 0.05
_SLICES_AT_A_TIME = 3


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
    """

    grade: float
    grade_sd: float
    in_domain: bool
    n_patches: int = N_PATCHES
    n_failed: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def standard_error(self) -> float:
        """Standard error of the mean if the patches were independent (they overlap: a lower bound)."""
        counted = self.n_patches - self.n_failed
        return self.grade_sd / math.sqrt(counted) if counted else math.nan


class Grader:
    """A trained network with its card; make it with :meth:`load`.

    Attributes
    ----------
    name : str
    card : dict
        The model card; empty if the model has none (its grades are then uncertified).
    sha256 : str
        Of the weights.
    warnings : tuple of str
    """

    def __init__(self, network: IQDCNN, model: ModelFile, device: Device) -> None:
        import torch

        self.name = model.name
        self.card: dict[str, Any] = model.card or {}
        self.sha256 = model.sha256
        self.warnings = model.warnings
        self._domain = Domain.from_card(model.card) if model.card else None
        self._beside = device if device.is_gpu else None
        # a torch without CUDA grades on the CPU what CuPy reconstructed: the 18 slices are small
        on_gpu = device.is_gpu and torch.cuda.is_available()
        self._device = torch.device(str(device) if on_gpu else "cpu")
        network.to(self._device).eval()
        # torch's own hints leave memory_format out
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def network(self) -> IQDCNN:
        """The network, where it grades; it takes slices (n, height, width)."""
        return self._network

    @classmethod
    def load(cls, name_or_file: str | Path = "default", device: Device | str = "cpu") -> Grader:
        """Load a shipped model by name, or a ``.safetensors`` file with its card beside it.

        Parameters
        ----------
        name_or_file : str or path
        device : Device or str
            Where to grade; ``auto``, ``cpu`` or ``cuda:N``.

        Raises
        ------
        ModelError
            If there is no such model, or it is truncated, damaged, not finite or of another architecture.
        """
        model = open_model(name_or_file)
        place = choose_device(device) if isinstance(device, str) else device
        return cls(build_network(model), model, place)

    def grade(self, volume: Array, voxel_size: tuple[float, float, float]) -> Grade:
        """Grade one volume.

        Parameters
        ----------
        volume : real or complex array, (z, y, x)
            NumPy or CuPy; scale and phase do not matter.
        voxel_size : (float, float, float)
            mm, z y x.

        Raises
        ------
        ShapeError
            If the volume has not three axes, or a voxel size is not positive.
        """
        slices = volume_slices(volume, voxel_size)
        grades = self._grade_slices(slices)
        finite = np.isfinite(grades)
        n_failed = int(grades.size - finite.sum())
        complaints = self._complaints(slices, voxel_size)
        warnings = (*self.warnings, *slices.warnings, *complaints, *_failures(n_failed, grades.size))
        known = self._domain is not None and not complaints
        if n_failed > MAX_FAILED * grades.size:
            return Grade(math.nan, math.nan, False, grades.size, n_failed, warnings)
        kept = grades[finite].astype(np.float64)
        return Grade(float(kept.mean()), float(kept.std()), known, grades.size, n_failed, warnings)

    def side_line(self) -> SideLine | None:
        """Return a line on which to grade while the next iterate is computed; the caller closes it.

        None on a CPU, where grading would take the solver's cores.
        """
        return SideLine(self._beside) if self._beside is not None else None

    def patch_grades(self, volume: Array, voxel_size: tuple[float, float, float]) -> np.ndarray:
        """Return the grade of each patch, float32 (3, 6, 6, 6).

        Axes: orientation (axial, coronal, sagittal), centre across the slice, row and column of the centre.
        """
        return self._grade_slices(volume_slices(volume, voxel_size))

    def _grade_slices(self, slices: Slices) -> np.ndarray:
        import torch

        values = slices.values
        if slices.scale == 0:
            return np.full((3, 6, 6, 6), np.nan, dtype=np.float32)
        here = to_torch(values if self._device.type == "cuda" else to_host(values))
        stack = here.to(self._device).reshape(-1, *values.shape[-2:])
        # a few slices at a time stay in a CPU's cache: three times as fast as all 18
        parts = stack.split(_SLICES_AT_A_TIME if self._device.type == "cpu" else len(stack))
        found: list[Any] = [None] * len(parts)

        def task(number: int) -> None:
            with torch.inference_mode():
                found[number] = self._network(parts[number])

        if self._device.type == "cpu":
            # our own threads: torch's wait for each other in every layer, on a busy machine ten times as long
            run_tasks([partial(task, i) for i in range(len(parts))], default_threads())
        else:
            task(0)  # in this thread, whose stream it is
        grades = torch.cat(found)
        return grades.reshape(*values.shape[:2], *grades.shape[-2:]).cpu().numpy()

    def _complaints(self, slices: Slices, voxel_size: tuple[float, float, float]) -> tuple[str, ...]:
        if self._domain is None:
            return ()
        return self._domain.complaints(features(slices.values), voxel_size)


def build_network(model: ModelFile) -> IQDCNN:
    """Return the network of a model with its weights.

    Raises
    ------
    ModelError
        If the weights are damaged or belong to another architecture; the first tensor that differs is named.
    """
    from csiq.quality.network import IQDCNN, NetworkConfig

    tensors, described = read_tensors(model)
    described = described or (model.card or {}).get("network")
    network = IQDCNN(NetworkConfig.from_dict(described) if described else None)
    file = model.name + ".safetensors"
    wanted = network.state_dict()
    for key in [*wanted, *tensors]:
        want = tuple(wanted[key].shape) if key in wanted else None
        got = tuple(tensors[key].shape) if key in tensors else None
        if want != got:
            raise ModelError(
                f"weights of another network: expected shape {want}, got {got}",
                file=file,
                field=key,
                hint="see csiq model list",
            )
    network.load_state_dict(tensors)
    return network


def _failures(n_failed: int, n_patches: int) -> tuple[str, ...]:
    if not n_failed:
        return ()
    verdict = "no grade" if n_failed > MAX_FAILED * n_patches else "left out of the mean"
    return (f"the network gave no number for {n_failed} of {n_patches} patches: {verdict}",)
