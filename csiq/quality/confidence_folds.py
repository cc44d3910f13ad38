"""Confidence from the networks of a cross-validation, and how far a stated interval keeps its word."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from csiq.errors import ModelError
from csiq.quality.confidence_fit import fit_confidence
from csiq.quality.evidence import Evidence
from csiq.quality.grade import Grader

Interval = tuple[float, float]


class Image(Protocol):
    """A graded volume; :class:`csiq.training.GradedImage` is one."""

    @property
    def patient(self) -> str:
        """Whose it is."""

    @property
    def split(self) -> str:
        """Part of the cohort it belongs to."""

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Its voxels, mm, z y x."""

    @property
    def volume(self) -> Any:
        """Its magnitude (z, y, x), as an array or something NumPy makes one of."""

    @property
    def reference(self) -> float:
        """Noise-free reference grade."""


def confidence_of_folds(
    images: Sequence[Image], graders: Sequence[Grader], on_image: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Return the ``confidence`` entry of a card, from networks that left part of the images out.

    Each image is graded by the networks whose card says that its split was held out in their training; those
    of one split count as an ensemble. Images that no network held out are not used.

    Parameters
    ----------
    images : sequence of Image
        With a reference.
    graders : sequence of Grader
        Their cards name ``training.splits`` and ``training.held_out``, as ``csiq train`` writes them.
    on_image : callable, optional
        Called with how many are done, and of how many.

    Returns
    -------
    dict
        As :func:`csiq.quality.confidence_fit.fit_confidence` returns it, and ``networks``.

    Raises
    ------
    ModelError
        If a network saw a split that it says it held out, or says nothing of it.
    ShapeError
        If there are fewer than 40 images.
    """
    held = {split: [g for g in graders if split in _held_out(g)] for split in {i.split for i in images}}
    used = [image for image in images if held[image.split]]
    evidence = []
    for number, image in enumerate(used, start=1):
        evidence.append(_evidence(image, held[image.split]))
        if on_image is not None:
            on_image(number, len(used))
    reference = np.array([image.reference for image in used])
    found = fit_confidence(evidence, reference, groups=[image.patient for image in used])
    return found | {"networks": [{"name": g.name, "sha256": g.sha256} for g in graders]}


def _held_out(grader: Grader) -> list[str]:
    training = grader.card.get("training") or {}
    held, seen = training.get("held_out"), training.get("splits")
    if not isinstance(held, list) or not isinstance(seen, list):
        raise ModelError(
            "its card does not say what was held out", file=grader.name, field="training.held_out"
        )
    if both := sorted(set(held) & set(seen)):
        raise ModelError(
            f"was trained on {', '.join(both)}, too", file=grader.name, field="training.held_out"
        )
    return [str(split) for split in held]


def _evidence(image: Image, graders: Sequence[Grader]) -> Evidence:
    volume = np.asarray(image.volume)
    each = [grader.evidence(volume, image.voxel_size) for grader in graders]
    if len(each) == 1:
        return each[0]
    members = np.stack([grader.patch_grades(volume, image.voxel_size) for grader in graders])
    return Evidence.of(members, float(np.mean([one.distance for one in each])))


def kept_word(intervals: Sequence[Interval | None], reference: np.ndarray) -> dict[str, Any]:
    """Return how many references intervals held.

    Parameters
    ----------
    intervals : sequence of (low, high) or None
        None, where no interval was given, counts for nothing but ``without``.
    reference : float array, (n,)

    Returns
    -------
    dict
        ``n``, ``without``, ``coverage`` with its 90 % ``coverage_interval`` (Wilson), ``mean_width``, and
        ``coverage`` of the narrower and of the wider half.
    """
    given = [(low, high, r) for (low, high), r in _given(intervals, reference)]
    if not given:
        return {"n": 0, "without": len(intervals), "coverage": None}
    low, high, truth = np.array(given).T
    held, width = (low <= truth) & (truth <= high), high - low
    narrow, wide = np.array_split(held[np.argsort(width, kind="stable")], 2)
    return {
        "n": len(held),
        "without": len(intervals) - len(held),
        "coverage": round(float(held.mean()), 4),
        "coverage_interval": [round(end, 4) for end in _wilson(int(held.sum()), len(held))],
        "mean_width": round(float(width.mean()), 4),
        "coverage_narrower_half": round(float(narrow.mean()), 4) if narrow.size else None,
        "coverage_wider_half": round(float(wide.mean()), 4) if wide.size else None,
    }


def _given(intervals: Sequence[Interval | None], reference: np.ndarray) -> list[tuple[Interval, float]]:
    pairs = zip(intervals, np.asarray(reference, dtype=float), strict=True)
    return [(one, float(truth)) for one, truth in pairs if one is not None and math.isfinite(truth)]


def _wilson(hits: int, n: int) -> Interval:
    """Return the 90 % interval of a share.

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212.
    """
    z = 1.6448536
    share, extra = hits / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)
