"""From a volume to its grade: the mean over its patches, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.arrays import Array, Device, choose_device, default_threads, run_tasks, to_host, to_torch
from csiq.cuda.stream import SideLine
from csiq.errors import ModelError
from csiq.quality.assessor import Grade
from csiq.quality.build import build_network, build_networks
from csiq.quality.confidence import Confidence
from csiq.quality.descriptors import describe_slices
from csiq.quality.domain import Domain
from csiq.quality.evidence import Evidence
from csiq.quality.model_file import ModelFile, open_model
from csiq.quality.origin import follows_readers
from csiq.quality.patches import HALF_EDGE, Slices, patch_offsets, patch_window, volume_slices
from csiq.quality.site_calibration import SiteCalibration

if TYPE_CHECKING:
    from csiq.quality.network import IQDCNN

__all__ = ["Grade", "Grader", "build_network"]

#: Share of patches without a grade above which the volume has none.
MAX_FAILED = 0.05
_SLICES_AT_A_TIME = 3


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

    def __init__(self, networks: IQDCNN | Sequence[IQDCNN], model: ModelFile, device: Device) -> None:
        import torch

        self.name = model.name
        self.card: dict[str, Any] = model.card or {}
        self.sha256 = model.sha256
        self.warnings = model.warnings + _unknowns(model.card)
        self._domain = Domain.from_card(model.card) if model.card else None
        self._confidence = Confidence.from_card(self.card)
        self._site = SiteCalibration.from_card(self.card)
        self._follows_readers = follows_readers(self.card)
        self._half_edge = _half_edge_of(self.card)
        self._beside = device if device.is_gpu else None
        # a torch without CUDA grades on the CPU what CuPy reconstructed: the 18 slices are small
        on_gpu = device.is_gpu and torch.cuda.is_available()
        self._device = torch.device(str(device) if on_gpu else "cpu")
        members = tuple(networks) if isinstance(networks, Sequence) else (networks,)
        # torch's own hints leave memory_format out
        self._networks = [
            network.to(self._device).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in members
        ]

    @property
    def network(self) -> IQDCNN:
        """The network, where it grades (of an ensemble the first); it takes slices (n, height, width)."""
        return self._networks[0]

    @property
    def networks(self) -> tuple[IQDCNN, ...]:
        """The networks, where they grade: one, or the members of an ensemble."""
        return tuple(self._networks)

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
        return cls.of(open_model(name_or_file), device)

    @classmethod
    def of(cls, model: ModelFile, device: Device | str = "cpu") -> Grader:
        """Return the grader of a model that was read already; see :meth:`load`."""
        place = choose_device(device) if isinstance(device, str) else device
        return cls(build_networks(model), model, place)

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
        return self.grade_with_patches(volume, voxel_size)[0]

    def grade_with_patches(
        self, volume: Array, voxel_size: tuple[float, float, float]
    ) -> tuple[Grade, np.ndarray]:
        """Return what :meth:`grade` and :meth:`patch_grades` do, for the time of one of them."""
        slices = volume_slices(volume, voxel_size, self._half_edge)
        members = self._grade_slices(slices)
        grades = np.asarray(members.mean(axis=0))
        finite = np.isfinite(grades)
        n_failed = int(grades.size - finite.sum())
        sample = describe_slices(slices.values) if self._domain is not None else None
        complaints = self._complaints(sample, voxel_size)
        warnings = (*self.warnings, *slices.warnings, *complaints, *_failures(n_failed, grades.size))
        if n_failed > MAX_FAILED * grades.size:
            return Grade(math.nan, math.nan, False, grades.size, n_failed, warnings), grades
        known = self._domain is not None and not complaints
        evidence = Evidence.of(members, self._distance(sample))
        plain = Grade(
            evidence.grade,
            evidence.patch_sd,
            known,
            grades.size,
            n_failed,
            warnings,
            calibrated=self._follows_readers,
        )
        return self._calibrated(self._with_interval(plain, evidence)), grades

    def evidence(self, volume: Array, voxel_size: tuple[float, float, float]) -> Evidence:
        """Return what is known of the error of a volume's grade, before any calibration to a site.

        Parameters
        ----------
        volume : real or complex array, (z, y, x)
        voxel_size : (float, float, float)
            mm, z y x.
        """
        slices = volume_slices(volume, voxel_size, self._half_edge)
        sample = describe_slices(slices.values) if self._domain is not None else None
        return Evidence.of(self._grade_slices(slices), self._distance(sample))

    def side_line(self) -> SideLine | None:
        """Return a line on which to grade while the next iterate is computed; the caller closes it.

        None on a CPU, where grading would take the solver's cores.
        """
        return SideLine(self._beside) if self._beside is not None else None

    def patch_grades(self, volume: Array, voxel_size: tuple[float, float, float]) -> np.ndarray:
        """Return the grade of each patch before any calibration to a site, float32 (3, k, k, k).

        k is 6 for the half edge of 40 mm. Axes: orientation (axial, coronal, sagittal), centre across the
        slice, row and column of the centre. Of an ensemble, the mean of its members.
        """
        found = self._grade_slices(volume_slices(volume, voxel_size, self._half_edge))
        return np.asarray(found.mean(axis=0))

    def _grade_slices(self, slices: Slices) -> np.ndarray:
        """Return the patch grades of each network, float32 (n_networks, 3, k, k, k)."""
        import torch

        values, n = slices.values, len(patch_offsets(self._half_edge))
        if slices.scale == 0:
            return np.full((len(self._networks), 3, n, n, n), np.nan, dtype=np.float32)
        window = patch_window(self._half_edge)
        values = values[..., window, window]
        here = to_torch(values if self._device.type == "cuda" else to_host(values))
        stack = here.to(self._device).reshape(-1, *values.shape[-2:])
        # a few slices at a time stay in a CPU's cache: three times as fast as all 18
        parts = stack.split(_SLICES_AT_A_TIME if self._device.type == "cpu" else len(stack))
        work = [(network, part) for network in self._networks for part in parts]
        found: list[Any] = [None] * len(work)

        def task(number: int) -> None:
            """Grade one part of the slices by one network, into ``found``."""
            network, part = work[number]
            with torch.inference_mode():
                found[number] = network(part)

        if self._device.type == "cpu":
            # our own threads: torch's wait for each other in every layer, on a busy machine ten times as long
            run_tasks([partial(task, i) for i in range(len(work))], default_threads())
        else:
            for number in range(len(work)):
                task(number)  # in this thread, whose stream it is
        grades = torch.cat(found)
        return np.asarray(grades.reshape(len(self._networks), 3, n, *grades.shape[-2:]).cpu().numpy())

    def _complaints(
        self, sample: np.ndarray | None, voxel_size: tuple[float, float, float]
    ) -> tuple[str, ...]:
        if self._domain is None or sample is None:
            return ()
        return self._domain.complaints(sample, voxel_size)

    def _distance(self, sample: np.ndarray | None) -> float:
        if self._domain is None or sample is None:
            return math.nan
        return self._domain.distance(sample) / self._domain.threshold

    def _with_interval(self, grade: Grade, evidence: Evidence) -> Grade:
        """Return the grade with its interval; outside the domain nothing is known of the error."""
        if self._confidence is None or not grade.in_domain:
            return grade
        interval = self._confidence.interval(evidence)
        spread = self._confidence.uncertainty(evidence) if interval is not None else None
        return replace(grade, interval=interval, uncertainty=spread)

    def _calibrated(self, grade: Grade) -> Grade:
        """Return the grade as the site's reader would call it."""
        site = self._site
        if site is None:
            return grade
        slope, interval, spread = site.slope(grade.grade), grade.interval, grade.uncertainty
        return replace(
            grade,
            grade=site(grade.grade),
            grade_sd=slope * grade.grade_sd,
            interval=(site(interval[0]), site(interval[1])) if interval is not None else None,
            uncertainty=slope * spread if spread is not None else None,
        )


def _half_edge_of(card: dict[str, Any]) -> int:
    found = (card.get("input") or {}).get("half_edge", HALF_EDGE)
    if not isinstance(found, int) or not 0 <= found <= HALF_EDGE:
        raise ModelError(
            f"half edge of the patch centres is {found!r}, expected 0 to {HALF_EDGE}", field="input.half_edge"
        )
    return found


def _unknowns(card: dict[str, Any] | None) -> tuple[str, ...]:
    """Return the warning about a model whose card says that its domain is not known."""
    if not card or card.get("domain", ...) is not None:
        return ()
    return ("what the model was trained on is not known: its grades are uncertified",)


def _failures(n_failed: int, n_patches: int) -> tuple[str, ...]:
    if not n_failed:
        return ()
    verdict = "no grade" if n_failed > MAX_FAILED * n_patches else "left out of the mean"
    return (f"the network gave no number for {n_failed} of {n_patches} patches: {verdict}",)
