"""The grades of networks on the images of a test: every patch, kept as they are finished.

Of the main network, what it says besides of each image (interval, domain) is kept from the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from csiq.errors import ModelError
from csiq.evaluation.cases import Cases
from csiq.evaluation.kept import Kept, Scale, card_of, read_kept, state_of, write_kept
from csiq.io.tables import Cell, write_table
from csiq.quality.assessor import Grade

#: Where the grades of all patches and those of the images are kept.
PATCHES, PREDICTIONS = "patches.h5", "predictions.tsv"
#: Share of patches without a grade above which an image has none, as of a grader.
_MAX_FAILED = 0.05

Report = Callable[[str, int, int], None]


class PatchGrader(Protocol):
    """Anything that grades patches: a :class:`csiq.quality.grade.Grader`, or what takes its place.

    One that has more to say than patches has ``grade_with_patches``, too, which returns (Grade, patches).
    """

    @property
    def name(self) -> str:
        """Name, for records; no two models of an evaluation share one."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights; empty if there are none to hash."""

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
    said : tuple of Grade, optional
        What the main model says of each image, interval and domain with it; None if it has grades alone.
    has_patches : bool
        Whether the main one grades patches; one that grades images as a whole has one patch an image.
    """

    models: tuple[str, ...]
    patches: tuple[np.ndarray, ...]
    scales: tuple[Scale | None, ...] = ()
    said: tuple[Grade, ...] | None = None
    has_patches: bool = True

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
    kept = [Kept(g.name, g.sha256, scale_of(g), has_patches=getattr(g, "has_patches", True)) for g in graders]
    kept[0].card = card_of(graders[0])
    read_kept(folder / PATCHES, kept)
    for number, image in enumerate(cases.images, start=1):
        state = state_of(image)
        missing = [(one, g) for one, g in zip(kept, graders, strict=True) if not one.has(image, state)]
        if missing:
            volume = np.asarray(image.volume)
            for one, grader in missing:
                said = None
                if one.card is None:
                    patches = grader.patch_grades(volume, image.voxel_size)
                else:
                    said, patches = grader.grade_with_patches(volume, image.voxel_size)  # type: ignore[attr-defined]
                one.add(image, state, patches, said)
            write_kept(folder / PATCHES, kept)
            write_table(folder / PREDICTIONS, list(_rows(cases, kept)))
        report(image.name, number, len(cases))
    write_table(folder / PREDICTIONS, list(_rows(cases, kept)))
    found = tuple(np.stack([one.patches[image.name] for image in cases.images]) for one in kept)
    told = tuple(kept[0].said[image.name] for image in cases.images) if kept[0].card else None
    if told and not any(one.in_domain or one.interval for one in told) and not kept[0].has_patches:
        told = None  # nothing is known of a domain
    return Predictions(tuple(names), found, tuple(one.scale for one in kept), told, kept[0].has_patches)


def scale_of(grader: PatchGrader) -> Scale | None:
    """Return what takes a grader's grades to the scale of a site's reader, None if its card has nothing.

    What grades images as a whole does that itself.
    """
    from csiq.quality.site_calibration import SiteCalibration

    card = getattr(grader, "card", None) if getattr(grader, "has_patches", True) else None
    return SiteCalibration.from_card(card) if card else None


def _rows(cases: Cases, kept: Sequence[Kept]) -> Iterator[dict[str, Cell]]:
    main, *others = kept
    for image in cases.images:
        grades = {one.name: _grade(one.patches.get(image.name), one.scale) for one in kept}
        yield {
            "volume": image.name,
            "patient": image.patient,
            "split": image.split,
            **image.grades,
            "reference": image.reference,
            "grade": grades[main.name],
            "grade_sd": _sd(main, image.name),
            **{f"grade_{other.name}": grades[other.name] for other in others},
        }


def _grade(patches: np.ndarray | None, scale: Scale | None) -> float | None:
    return None if patches is None else float(grades_of(patches[None], scale)[0])


def _sd(model: Kept, name: str) -> float | None:
    """Return the SD over the patches of an image, or what a model without patches says of it."""
    if not model.has_patches:
        return model.said[name].grade_sd if name in model.said else None
    patches = model.patches.get(name)
    return float(np.nanstd(patches)) if patches is not None and np.isfinite(patches).any() else None
