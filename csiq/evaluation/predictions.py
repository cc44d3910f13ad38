"""The grades of networks on the images of a test: every patch, kept as they are finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from csiq.errors import ModelError, RawDataError
from csiq.evaluation.cases import Cases
from csiq.io.atomic import atomic_write
from csiq.io.hdf5 import open_h5, reading
from csiq.io.hdf5_write import create_h5
from csiq.io.tables import Cell, write_table
from csiq.training.graded_set import GradedImage

#: Where the grades of all patches and those of the images are kept.
PATCHES, PREDICTIONS = "patches.h5", "predictions.tsv"
#: Share of patches without a grade above which an image has none, as of a grader.
_MAX_FAILED = 0.05

Report = Callable[[str, int, int], None]
Scale = Callable[[float], float]


class PatchGrader(Protocol):
    """Anything that grades patches: a :class:`csiq.quality.grade.Grader`, or what takes its place."""

    name: str
    sha256: str

    def patch_grades(self, volume: Any, voxel_size: tuple[float, float, float]) -> np.ndarray:
        """Return the grade of each patch, float (orientations, centres, rows, columns)."""
        ...


@dataclass(frozen=True)
class Predictions:
    """What networks made of the images of a test.

    Attributes
    ----------
    models : tuple of str
        The main one first; the others are its retrainings.
    patches : tuple of float32 arrays, (n, orientations, centres, rows, columns)
        One a model.
    scales : tuple of callable or None
        What takes a model's grades to the scale of a site's reader, one a model where there are any.
    """

    models: tuple[str, ...]
    patches: tuple[np.ndarray, ...]
    scales: tuple[Scale | None, ...] = ()

    @cached_property
    def grades(self) -> np.ndarray:
        """Grade of each image, the mean of its patches, float64 (n_models, n); NaN if too many failed."""
        scales = self.scales or (None,) * len(self.patches)
        both = zip(self.patches, scales, strict=True)
        return np.array([grades_of(patches, scale) for patches, scale in both])

    def spread(self, model: int = 0) -> np.ndarray:
        """Return the SD over the patches of each image, float64 (n,), NaN where it has no grade."""
        flat = self.flat(model)
        found = [np.nanstd(row) if np.isfinite(row).any() else np.nan for row in flat]
        return np.where(np.isfinite(self.grades[model]), found, np.nan)

    def flat(self, model: int = 0) -> np.ndarray:
        """Return the patches of each image, float64 (n, n_patches)."""
        found = self.patches[model]
        return found.reshape(len(found), -1).astype(np.float64)


def grades_of(patches: np.ndarray, scale: Scale | None = None) -> np.ndarray:
    """Return the mean of the patches of each image, on a site's scale if there is one, float64 (n,)."""
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    finite = np.isfinite(flat)
    counted = finite.sum(axis=1)
    total = np.where(finite, flat, 0.0).sum(axis=1)
    enough = counted >= (1 - _MAX_FAILED) * flat.shape[1]
    means = np.where(enough, total / np.maximum(counted, 1), np.nan)
    return means if scale is None else np.array([scale(float(mean)) for mean in means])


def predict(
    cases: Cases, graders: Sequence[PatchGrader], folder: Path, report: Report = lambda *_: None
) -> Predictions:
    """Grade every image with every model; what a folder holds already is not done again.

    Parameters
    ----------
    cases : Cases
    graders : sequence of PatchGrader
        The main one first.
    folder : Path
        Keeps ``patches.h5`` and ``predictions.tsv``, written anew after each image.
    report : callable, optional
        Told of each image: its name, how many are done, of how many.

    Raises
    ------
    RawDataError
        If a volume is damaged.
    ModelError
        If two models have one name.
    """
    names = [grader.name for grader in graders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"two models are called '{twice[0]}'", field="--model", hint="rename one")
    kept = [_Kept(grader.name, grader.sha256, scale_of(grader)) for grader in graders]
    _read(folder / PATCHES, kept)
    for number, image in enumerate(cases.images, start=1):
        state = _state_of(image)
        missing = [(one, g) for one, g in zip(kept, graders, strict=True) if not one.has(image, state)]
        if missing:
            volume = np.asarray(image.volume)
            for one, grader in missing:
                one.add(image, state, grader.patch_grades(volume, image.voxel_size))
            _write(folder / PATCHES, kept)
            write_table(folder / PREDICTIONS, list(_rows(cases, kept)))
        report(image.name, number, len(cases))
    write_table(folder / PREDICTIONS, list(_rows(cases, kept)))
    found = tuple(np.stack([one.patches[image.name] for image in cases.images]) for one in kept)
    return Predictions(tuple(names), found, tuple(one.scale for one in kept))


def scale_of(grader: PatchGrader) -> Scale | None:
    """Return what takes a grader's grades to the scale of a site's reader, None if its card has nothing."""
    from csiq.quality.site_calibration import SiteCalibration

    card = getattr(grader, "card", None)
    return SiteCalibration.from_card(card) if card else None


@dataclass
class _Kept:
    """What one model has graded: patches by the volume's name, and which file that was."""

    name: str
    sha256: str
    scale: Scale | None = None
    patches: dict[str, np.ndarray] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def has(self, image: GradedImage, state: str) -> bool:
        return self.states.get(image.name) == state

    def add(self, image: GradedImage, state: str, patches: np.ndarray) -> None:
        self.patches[image.name] = np.asarray(patches, dtype=np.float32)
        self.states[image.name] = state


def _state_of(image: GradedImage) -> str:
    """Return what changes when a file does, without reading all of it."""
    found = image.path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"


def _read(path: Path, kept: Sequence[_Kept]) -> None:
    """Fill in what was graded before; nothing if there is no such file, or a damaged one."""
    if not path.is_file():
        return
    try:
        with open_h5(path) as file, reading(path, "/"):
            for group in file.values():
                about = json.loads(bytes(group["about"][()]))
                for one in kept:
                    if [one.name, one.sha256] == [about["name"], about["sha256"]]:
                        one.states.update(about["volumes"])
                        one.patches.update(zip(about["volumes"], group["patches"][()], strict=True))
    except (RawDataError, KeyError, ValueError):
        # graded again: that costs a second each
        return


def _write(path: Path, kept: Sequence[_Kept]) -> None:
    """Write a group a model: ``patches`` (n, ...), and in ``about`` (JSON) the model and its volumes."""
    with atomic_write(path) as temporary, create_h5(temporary) as file:
        for one in kept:
            if one.patches:
                group = file.create_group(one.name)
                about = {"name": one.name, "sha256": one.sha256, "volumes": one.states}
                group["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
                group["patches"] = np.stack([one.patches[name] for name in one.states])


def _rows(cases: Cases, kept: Sequence[_Kept]) -> Iterator[dict[str, Cell]]:
    main, *others = kept
    for image in cases.images:
        grades = {one.name: _grade(one.patches.get(image.name), one.scale) for one in kept}
        own = main.patches.get(image.name)
        yield {
            "volume": image.name,
            "patient": image.patient,
            "split": image.split,
            **image.grades,
            "reference": image.reference,
            "grade": grades[main.name],
            "grade_sd": float(np.nanstd(own)) if own is not None and np.isfinite(own).any() else None,
            **{f"grade_{other.name}": grades[other.name] for other in others},
        }


def _grade(patches: np.ndarray | None, scale: Scale | None) -> float | None:
    return None if patches is None else float(grades_of(patches[None], scale)[0])
