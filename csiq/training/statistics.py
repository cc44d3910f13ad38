"""What is known of each volume before a training: its intensity scale, and the statistics of its slices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from csiq.arrays import default_threads, run_tasks
from csiq.errors import RawDataError
from csiq.io.tables import read_json, write_json
from csiq.quality.descriptors import DESCRIPTORS, describe_slices
from csiq.quality.patches import volume_slices
from csiq.training.graded_set import GradedImage

_FILE = "statistics.json"
#: Volumes looked at together; what is known is written after each group.
_GROUP = 32

#: Called with the number of volumes that are done, and of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Statistics:
    """Of one volume.

    Attributes
    ----------
    scale : float
        What its magnitudes are divided by: their 99th percentile in the cube of patch centres.
    descriptors : tuple of float
        Those of :mod:`csiq.quality.descriptors`.
    """

    scale: float
    descriptors: tuple[float, ...]


def statistics_of(
    images: Sequence[GradedImage], half_edge: int, folder: Path, progress: Progress | None = None
) -> list[Statistics]:
    """Return the statistics of volumes, from ``folder/statistics.json`` where they are known already.

    Raises
    ------
    RawDataError
        If volumes are dark in the cube of patch centres: all of them are named.
    """
    known = _read(folder / _FILE)
    keys = [_key(image, half_edge) for image in images]
    missing = [i for i, key in enumerate(keys) if key not in known]
    for start in range(0, len(missing), _GROUP):
        group = missing[start : start + _GROUP]
        tasks: list[Callable[[], None]] = [
            partial(_look, images[i], half_edge, known, keys[i]) for i in group
        ]
        run_tasks(tasks, default_threads())
        folder.mkdir(parents=True, exist_ok=True)
        # another process may have added its own meanwhile
        write_json(folder / _FILE, {**_read(folder / _FILE), **known})
        if progress is not None:
            progress(start + len(group), len(missing))
    found = [Statistics(float(known[key][0]), tuple(known[key][1:])) for key in keys]
    dark = [image.name for image, one in zip(images, found, strict=True) if not one.scale > 0]
    if dark:
        raise RawDataError(f"{len(dark)} volumes are dark where the heart should be: {', '.join(dark[:10])}")
    return found


def _look(image: GradedImage, half_edge: int, known: dict[str, list[float]], key: str) -> None:
    slices = volume_slices(image.volume, image.voxel_size, half_edge)
    known[key] = [slices.scale, *(float(value) for value in describe_slices(slices.values))]


def _key(image: GradedImage, half_edge: int) -> str:
    stat = image.volume.path.stat()
    what = hashlib.sha256(repr(DESCRIPTORS).encode()).hexdigest()[:8]  # other statistics, other numbers
    return f"{image.name}|{stat.st_size}|{stat.st_mtime_ns}|{half_edge}|{what}"


def _read(path: Path) -> dict[str, list[float]]:
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
