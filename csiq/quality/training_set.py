"""A folder of graded slices: what the network is trained and tested on.

Each image is one ``.npy`` file of float16 slices. Each patient has one ``patient-N.jsonl`` that lists his
images, written last and in one piece: a folder cut short by a kill is a smaller training set, not a broken
one, and what was finished is not made again. Patients, not images, are split.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.quality.domain import features
from csiq.quality.patches import OFFSETS, SIDE, volume_slices

SPLITS = ("train", "validation", "test")
_DESCRIPTION = "description.json"


@dataclass(frozen=True)
class GradedImage:
    """One image of a training set.

    Attributes
    ----------
    name : str
        Its file is ``<name>.npy``.
    patient : int
        Seed of the simulated patient.
    split : str
        ``train``, ``validation`` or ``test``: the same for all images of a patient.
    kind : str
        What made it: ``full``, ``gridded`` or ``cs``.
    grade : float
        Reference grade, 0 to 4.
    voxel_size : float
        mm, isotropic.
    details : dict
        How it was degraded, its error and its sharpness.
    statistics : tuple of float
        Those of :mod:`csiq.quality.domain`.
    """

    name: str
    patient: int
    split: str
    kind: str
    grade: float
    voxel_size: float
    details: dict[str, Any]
    statistics: tuple[float, ...] = ()


def store_slices(
    folder: Path, volume: np.ndarray, image: GradedImage, offsets: tuple[float, ...] = OFFSETS
) -> GradedImage:
    """Cut, normalise and write the slices of a volume; return the entry with its statistics.

    Parameters
    ----------
    folder : Path
    volume : array, (z, y, x)
    image : GradedImage
    offsets : tuple of float
        Where slices are cut, mm from the centre; other places than the grader's teach more anatomy.
    """
    voxel_size = (image.voxel_size,) * 3
    graded = volume_slices(volume, voxel_size)
    kept = graded if offsets == OFFSETS else volume_slices(volume, voxel_size, offsets)
    np.save(folder / f"{image.name}.npy", kept.values.astype(np.float16))
    return replace(image, statistics=tuple(round(float(v), 5) for v in features(graded.values)))


def describe_set(folder: Path, description: dict[str, Any]) -> None:
    """Say in the folder how its images are made; the model card repeats it."""
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def finish_patient(folder: Path, patient: int, images: list[GradedImage]) -> None:
    """List a patient's images: from now on they belong to the set."""
    target = folder / f"patient-{patient}.jsonl"
    temporary = target.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(asdict(i)) + "\n" for i in images), encoding="utf-8")
    os.replace(temporary, target)


class TrainingSet:
    """The graded images of a folder; slices stay on disk until they are drawn.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    images : list of GradedImage
    description : dict
        How the images were made; empty if the folder does not say.

    Raises
    ------
    RawDataError
        If an entry cannot be read, or a patient is in two splits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.images: list[GradedImage] = []
        described = self.folder / _DESCRIPTION
        self.description: dict[str, Any] = json.loads(described.read_text()) if described.exists() else {}
        for index in sorted(self.folder.glob("patient-*.jsonl")):
            for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    entry = json.loads(line)
                    self.images.append(GradedImage(**{**entry, "statistics": tuple(entry["statistics"])}))
                except (ValueError, TypeError, KeyError) as error:
                    raise RawDataError(f"line {number}: {error}", file=index) from error
        self.images.sort(key=lambda image: image.name)
        self._check_leaks()

    def _check_leaks(self) -> None:
        split: dict[int, str] = {}
        for image in self.images:
            if split.setdefault(image.patient, image.split) != image.split:
                raise RawDataError(
                    f"patient {image.patient} is in '{split[image.patient]}' and in '{image.split}'",
                    file=self.folder,
                    hint="a patient belongs to one split",
                )

    def of(self, split: str, kind: str | None = None) -> list[GradedImage]:
        """Return the images of a split, in the order of their names."""
        return [i for i in self.images if i.split == split and kind in (None, i.kind)]

    def slices(self, image: GradedImage) -> np.ndarray:
        """Return the slices of an image, float16 (3, n_offsets, 208, 208), mapped from disk."""
        file = self.folder / f"{image.name}.npy"
        try:
            values = np.load(file, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise RawDataError(f"cannot be read: {error}", file=file) from error
        if values.ndim != 4 or values.shape[0] != 3 or values.shape[2:] != (SIDE, SIDE):
            raise RawDataError(f"expected (3, n, {SIDE}, {SIDE}), got {values.shape}", file=file)
        return values
