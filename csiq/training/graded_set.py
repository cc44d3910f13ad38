"""The graded volumes of a manifest: checked as a whole, and left on disk until they are drawn from."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from csiq.arrays import default_threads, run_tasks
from csiq.cohort.checked_table import ManifestError
from csiq.cohort.manifest import GradedScan, observer_of
from csiq.errors import ConfigError, RawDataError, nearest
from csiq.quality.network import PATCH
from csiq.training.graded_rows import Problems, Row, rows_of, unknown_patients, unlisted
from csiq.training.mapped_volume import MappedVolume
from csiq.training.volume_cell import VolumeCell

#: What a network can be trained on beside a single reader.
CONSENSUS, REFERENCE = "consensus", "reference"


class _Scratch:
    """A folder that is removed with the last set that uses it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="csiq-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True)
class GradedImage:
    """One graded volume.

    Attributes
    ----------
    name : str
        Cell of the manifest.
    patient, split : str
    path : Path
    voxel_size : (float, float, float)
        mm, z y x.
    grade : float
        What the network is to learn, 0 to 4.
    grades : dict of str to float
        Of every reader; ``nan`` where one is missing.
    reference : float
        Of a formula, ``nan`` if there is none.
    volume : MappedVolume
    """

    name: str
    patient: str
    split: str
    path: Path
    voxel_size: tuple[float, float, float]
    grade: float
    grades: dict[str, float]
    reference: float
    volume: MappedVolume = field(repr=False)


@dataclass(frozen=True)
class GradedSet:
    """The graded volumes of a manifest; made by :meth:`open`.

    Attributes
    ----------
    manifest : Path
    reader : str
        A column of the manifest, ``consensus`` or ``reference``.
    images : tuple of GradedImage
        In the order of the manifest.
    warnings : tuple of str
    """

    manifest: Path
    reader: str
    images: tuple[GradedImage, ...]
    warnings: tuple[str, ...] = ()
    _scratch: _Scratch | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        manifest: str | Path,
        reader: str = "reader1a",
        *,
        splits: Sequence[str] | None = None,
        cache: Path | None = None,
    ) -> GradedSet:
        """Read a manifest and look at every volume of it.

        Parameters
        ----------
        manifest : path
            The table, or a cohort's folder with ``graded.tsv``.
        reader : str
            Whose grades are learned: a column; ``consensus``, the mean of the observers, where columns that
            differ in a last letter only (1a, 1b) are one observer; or ``reference``.
        splits : sequence of str, optional
            Parts to open; ``train`` stands for ``train1`` ... too. All by default.
        cache : Path, optional
            Where volumes that cannot be mapped are unpacked; a folder that goes with the set by default.

        Raises
        ------
        ManifestError
            With everything that is wrong, each with its line: what :func:`csiq.cohort.manifest.read_manifest`
            finds, grades that are missing, volumes that are not there, cannot be read, have not three axes,
            are too small for a patch or not finite.
        ConfigError
            If there is no such reader or split.
        """
        path = Path(manifest)
        path = path / "graded.tsv" if path.is_dir() else path
        rows, problems = rows_of(path)
        _check_reader(path, reader, rows)
        chosen = [(line, cell, scan) for line, cell, scan in rows if is_in(scan.split, splits)]
        if rows and not chosen:
            known = sorted({scan.split for _, _, scan in rows})
            raise ConfigError(
                f"no scan is in {', '.join(splits or ())}", field="--splits", hint=nearest("", known)
            )
        scratch = _Scratch()
        images, more = _open_all(path, chosen, reader, cache or scratch.path)
        problems += more + unknown_patients(path, chosen)
        if problems:
            ordered = sorted(set(problems))
            raise ManifestError(path, [f"line {line}: {what}" for line, what in ordered])
        return cls(path, reader, tuple(images), unlisted(path, rows), scratch)

    def of(self, *splits: str) -> list[GradedImage]:
        """Return the images of some splits; ``train`` stands for ``train1`` ... too, none for all."""
        return [image for image in self.images if is_in(image.split, splits or None)]

    def volume(self, image: GradedImage) -> MappedVolume:
        """Return an image's voxels, mapped from disk; ``numpy.asarray`` makes them a float32 array."""
        return image.volume

    @property
    def readers(self) -> tuple[str, ...]:
        """Columns of grades."""
        return tuple(self.images[0].grades) if self.images else ()

    def only(self, *splits: str) -> GradedSet:
        """Return the set of some splits."""
        return replace(self, images=tuple(self.of(*splits)))


def consensus(grades: dict[str, float]) -> float:
    """Return the mean over observers of the mean of their readings; ``nan`` if nobody read.

    An observer is a column without the letter behind its number: reader1a and reader1b are reader1.
    """
    by_observer: dict[str, list[float]] = {}
    for name, grade in grades.items():
        if not math.isnan(grade):
            by_observer.setdefault(observer_of(name), []).append(grade)
    means = [sum(found) / len(found) for found in by_observer.values()]
    return sum(means) / len(means) if means else math.nan


def grade_of(scan: GradedScan, reader: str) -> float:
    """Return what is learned of a scan."""
    if reader == CONSENSUS:
        return consensus(scan.grades)
    return scan.reference if reader == REFERENCE else scan.grades.get(reader, math.nan)


def _check_reader(path: Path, reader: str, rows: list[Row]) -> None:
    known = [*rows[0][2].grades, CONSENSUS, REFERENCE] if rows else []
    if rows and reader not in known:
        raise ConfigError(f"no reader '{reader}'", file=path, field="--reader", hint=nearest(reader, known))


def is_in(split: str, splits: Sequence[str] | None) -> bool:
    """Return whether a split is among some, ``train`` standing for ``train1`` ... too; None is all."""
    if splits is None:
        return True
    return split in splits or ("train" in splits and split.startswith("train"))


def _open_all(path: Path, rows: list[Row], reader: str, cache: Path) -> tuple[list[GradedImage], Problems]:
    found: list[GradedImage | str] = [""] * len(rows)

    def task(number: int) -> None:
        """Open one row's image, or keep what is wrong with it."""
        _, cell, scan = rows[number]
        try:
            found[number] = _open_one(path, cell, scan, reader, cache)
        except RawDataError as error:
            found[number] = str(error)

    tasks: list[Callable[[], None]] = [partial(task, number) for number in range(len(rows))]
    run_tasks(tasks, default_threads())
    images = [one for one in found if isinstance(one, GradedImage)]
    problems = [(rows[i][0], one) for i, one in enumerate(found) if isinstance(one, str)]
    # said beside what is wrong with the volume, not instead of it
    for line, _, scan in rows:
        if math.isnan(grade_of(scan, reader)):
            problems.append((line, f"no grade of {reader}"))
    return images, problems


def _open_one(path: Path, cell: str, scan: GradedScan, reader: str, cache: Path) -> GradedImage:
    where = VolumeCell.parse(path.parent, cell)
    volume = where.open(cache)
    _check_volume(volume, cell)
    return GradedImage(
        name=cell,
        patient=scan.patient,
        split=scan.split,
        path=where.path,
        voxel_size=volume.voxel_size,
        grade=grade_of(scan, reader),
        grades=scan.grades,
        reference=scan.reference,
        volume=volume,
    )


def _check_volume(volume: MappedVolume, cell: str) -> None:
    sizes = volume.voxel_size
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise RawDataError(f"volume '{cell}' has voxels of {sizes} mm")
    # half a voxel short at one end is what an exact fit looks like
    if min(n * size for n, size in zip(volume.shape, sizes, strict=True)) < PATCH - 1:
        extent = " x ".join(f"{n * size:.0f}" for n, size in zip(volume.shape, sizes, strict=True))
        raise RawDataError(f"volume '{cell}' of {extent} mm is smaller than a patch of {PATCH} mm")
    if not volume.is_integer and not all(np.isfinite(plane).all() for plane in volume.mapped()):
        raise RawDataError(f"volume '{cell}' is not finite everywhere")
