"""What long experiments keep: images that were made once, and the rows of each finished case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.cohort.volume_file import write_int16
from csiq.io.nifti import read_volume
from csiq.io.tables import Cell, read_json, write_json
from csiq.trust.mechanisms import Mechanism
from csiq.trust.ordering import Level, make_levels
from csiq.trust.radial_scan import Case

Rows = list[dict[str, Cell]]
_ROWS, _IMAGES = "rows", "images"


@dataclass(frozen=True)
class Record:
    """A folder of experiments, gone on with where it was left.

    Attributes
    ----------
    folder : Path
    keep_images : bool
        Whether images are written, 18 MB each at 208^3 (16-bit integers, as in a cohort): the next grader
        need not wait for them to be made again.
    """

    folder: Path
    keep_images: bool = False

    def rows(self, experiment: str, item: str, grader: str, make: Callable[[], Rows]) -> Rows:
        """Return the rows of a finished item, or make and keep them.

        Parameters
        ----------
        experiment, item : str
        grader : str
            SHA-256 or name of what grades: rows of another one are made anew.
        make : callable
        """
        file = self.folder / _ROWS / experiment / f"{item}.json"
        if file.is_file():
            kept = read_json(file)
            if kept["grader"] == grader:
                return [dict(row) for row in kept["rows"]]
        found = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"grader": grader, "rows": found})
        return found

    def all_rows(self, experiment: str, grader: str) -> Rows:
        """Return the rows of all items that a grader has finished, by name of the item."""
        files = sorted((self.folder / _ROWS / experiment).glob("*.json"))
        kept = [read_json(file) for file in files]
        return [dict(row) for one in kept if one["grader"] == grader for row in one["rows"]]

    def levels(self, name: str, case: Callable[[], Case], mechanism: Mechanism) -> Iterator[Level]:
        """Yield the images of a case at every level, from disk if they were kept.

        Parameters
        ----------
        name : str
            Of the case.
        case : callable
            Returns it; not called if every level was kept.
        mechanism : Mechanism
        """
        folder = self.folder / _IMAGES / name / mechanism.name
        files = [folder / f"{number}.nii" for number in range(len(mechanism.levels))]
        if all(file.is_file() and file.with_suffix(".json").is_file() for file in files):
            yield from (_read(file) for file in files)
            return
        for file, level in zip(files, make_levels(case(), mechanism), strict=True):
            if self.keep_images:
                _write(file, level)
                yield _read(file)  # rounded like those kept, so that grades do not depend on it
            else:
                yield level


def _write(file: Path, level: Level) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_int16(file, level.volume, np.diag([*level.voxel_size[::-1], 1.0]))
    write_json(file.with_suffix(".json"), {"row": level.row, "voxel_size": level.voxel_size})


def _read(file: Path) -> Level:
    beside = read_json(file.with_suffix(".json"))
    volume, voxel_size, _ = read_volume(file)
    return Level(beside["row"], np.asarray(volume, np.float32), voxel_size)
