"""Which parts of a volume its grade comes from: the occlusion procedure of the paper."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.arrays import Array, default_threads, run_tasks, to_host
from csiq.errors import ModelError, RawDataError
from csiq.heatmap.maps import HeatMap, Occlusion, Stack
from csiq.heatmap.masks import Mask, maps_of, normalised
from csiq.quality.patches import (
    HALF_EDGE,
    ORIENTATIONS,
    cut_slices,
    patch_window,
    volume_slices,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from csiq.quality.grade import Grader

#: Is told how many masks of how many are graded.
Listener = Callable[[int, int], None]
#: SD of the blur, voxels of 1 mm: a coronary artery of 3 mm loses its edges.
_BLUR = 2.0
#: Slices that share a product: more need memory (1.2 MB each), fewer time (a matrix is made for each mask).
_SLICES_AT_A_TIME = 104


def occlusion_map(
    grader: Grader | nn.Module,
    volume: Array,
    voxel_size: tuple[float, float, float],
    occlusion: Occlusion | None = None,
    listener: Listener | None = None,
) -> HeatMap:
    """Show which parts of a volume its grade comes from.

    For every position of a sliding mask in a slice: set what it hides to zero (or blur it), grade the slice,
    and add that grade to all pixels that are not hidden; then divide by how often each was included, and
    normalise. The intensities are scaled once, by the unmasked volume: hiding something does not brighten the
    rest.

    Parameters
    ----------
    grader : Grader or torch module
        A module takes slices (n, height, width) and returns n times any number of grades. The slice's grade
        is their mean. An IQ-DCNN is about twenty times as fast as another; of an ensemble the mean counts.
    volume : real or complex array, (z, y, x)
        Scale and phase do not matter.
    voxel_size : (float, float, float)
        mm, z y x.
    occlusion : Occlusion, optional
    listener : callable, optional
        Is told, from any thread but by one at a time, how many masks of how many are graded.

    Raises
    ------
    ShapeError
        If the volume has not three axes, or a voxel size is not positive.
    RawDataError
        If the volume is dark or holds values that are not finite.
    ModelError
        If ``grader`` has no network to look into.

    References
    ----------
    Piccini D, Demesmaeker R, et al. Radiology: Artificial Intelligence 2020;2(3):e190123. Section "Heatmap
    generation".
    """
    occlusion = occlusion or Occlusion()
    networks, half_edge = networks_of(grader), half_edge_of(grader)
    values, warnings = _slices(volume, voxel_size, occlusion, half_edge)
    flat = values.reshape(-1, *values.shape[2:])
    fill = np.zeros_like(flat) if occlusion.fill == "zero" else blurred(flat)
    baseline, grades = _graded(networks, (flat, fill), occlusion.mask, listener)
    n = values.shape[1]
    stacks = []
    for number, name in enumerate(occlusion.axes):
        mine = slice(number * n, (number + 1) * n)
        average, relevance = maps_of(occlusion.mask, flat.shape[1:], baseline[mine], grades[:, mine])
        heat = normalised(average, occlusion.normalise)
        where = np.asarray(occlusion.places, np.float64)
        stacks.append(Stack(name, where, baseline[mine], average, heat, relevance.astype(np.float32)))
    return HeatMap(tuple(stacks), occlusion, patch_window(half_edge), warnings)


def networks_of(grader: Grader | nn.Module) -> tuple[nn.Module, ...]:
    """Return the networks of a grader, or a torch module itself, ready to grade.

    Raises
    ------
    ModelError
        If there is none.
    """
    from torch import nn

    found: Any = (grader,) if isinstance(grader, nn.Module) else getattr(grader, "networks", ())
    if not found or not all(isinstance(network, nn.Module) for network in found):
        raise ModelError(
            f"a {type(grader).__name__} has no network that grades slices",
            hint="a heat map needs a Grader or a torch module",
        )
    return tuple(network.eval() for network in found)


def half_edge_of(grader: Any) -> int:
    """Return the half edge of the cube of patch centres, mm, as the model card says it."""
    card = getattr(grader, "card", None) or {}
    return int(card.get("input", {}).get("half_edge", HALF_EDGE))


def _slices(
    volume: Array, voxel_size: tuple[float, float, float], occlusion: Occlusion, half_edge: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the slices (n_axes, n_offsets, height, width) as the grader would see them, and warnings."""
    graded = volume_slices(volume, voxel_size, half_edge)
    if graded.scale == 0:
        raise RawDataError("dark where the heart should be: no grade, no heat map", field="volume")
    numbers = [ORIENTATIONS.index(name) for name in occlusion.axes]
    window = patch_window(half_edge)
    values = to_host(cut_slices(volume, voxel_size, occlusion.places))[numbers][..., window, window]
    if not np.isfinite(values).all():
        raise RawDataError("holds values that are not finite", field="volume")
    return np.ascontiguousarray(values / np.float32(graded.scale)), graded.warnings


def blurred(slices: np.ndarray) -> np.ndarray:
    """Return slices (n, height, width) convolved in their plane with a Gaussian of 2 mm (SD)."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(slices, (0, _BLUR, _BLUR), mode="nearest"))


def _graded(
    networks: tuple[nn.Module, ...],
    slices: tuple[np.ndarray, np.ndarray],
    mask: Mask,
    listener: Listener | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return grades with nothing hidden (n,), and with the mask at every position (n_positions, n)."""
    import torch

    shape = (slices[0].shape[1], slices[0].shape[2])
    positions = mask.positions(shape)
    # a row of positions is one task, whatever the number of threads
    groups = np.array_split(np.arange(len(positions)), len(mask.starts(shape[0])))
    place = next((p.device for p in networks[0].parameters()), torch.device("cpu"))
    pieces = [torch.from_numpy(values).to(place).split(_SLICES_AT_A_TIME) for values in slices]
    parts = list(zip(*pieces, strict=True))
    count = _Count(len(parts) * len(positions), listener)
    baselines, grades = [], []
    for part in parts:
        found = np.empty((len(positions), len(part[0])))
        baselines.append(_grade_part(networks, part, [(positions, group) for group in groups], found, count))
        grades.append(found)
    return np.concatenate(baselines), np.concatenate(grades, axis=1)


def _grade_part(
    networks: tuple[nn.Module, ...],
    slices: tuple[Tensor, Tensor],
    work: list[tuple[Any, np.ndarray]],
    found: np.ndarray,
    count: _Count,
) -> np.ndarray:
    import torch

    from csiq.heatmap.masked_grades import masked_grades

    with torch.inference_mode():
        graded = [masked_grades(network, *slices) for network in networks]

    def task(positions: list[tuple[slice, slice]], group: np.ndarray) -> None:
        """Write the mean grades of a group of masked positions into ``found``; end early once stopped."""
        with torch.inference_mode():
            for number in group:
                if count.stopped:
                    return
                found[number] = _mean([each.masked(*positions[number]) for each in graded])
        count.add(len(group))

    tasks = [partial(task, *entry) for entry in work]
    try:
        if slices[0].device.type == "cpu":
            run_tasks(tasks, default_threads())
        else:
            for one in tasks:
                one()
    except BaseException:
        count.stopped = True  # threads of the pool outlive an interruption, and would finish all tasks
        raise
    return _mean([each.baseline for each in graded])


def _mean(grades: list[Tensor]) -> np.ndarray:
    """Return the mean over the members of an ensemble, as its grade is."""
    return np.mean([each.cpu().numpy() for each in grades], axis=0)


class _Count:
    """Counts what is done, from many threads."""

    def __init__(self, total: int, listener: Listener | None) -> None:
        self._total, self._done, self._listener = total, 0, listener
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, done: int) -> None:
        """Count so many more masks as done and tell the listener, one thread at a time."""
        with self._lock:
            self._done += done
            if self._listener is not None:
                self._listener(self._done, self._total)
