"""Which iteration, and which phase, the name of a file speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from csiq.io.images import SUFFIXES

_NUMBER = r"[-_ ]?(\d+)"
_PHASE = re.compile(r"(?<![a-z])(?:phase|ph|resp|state|p)" + _NUMBER, re.IGNORECASE)
_ITERATION = re.compile(r"(?<![a-z])(?:iterations?|iterate|iter|it|step|i|k)" + _NUMBER, re.IGNORECASE)
_ANY = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Numbered:
    """A file of an iterate.

    Attributes
    ----------
    path : Path
    iteration : int
    phase : int or None
        None if the name speaks of none: the file then holds all phases.
    series : str
        The name with ``#`` for these numbers: equal for the files of one reconstruction.
    """

    path: Path
    iteration: int
    phase: int | None
    series: str


def numbered(path: Path) -> Numbered | None:
    """Return what the name of a file says; None if it has no number that could be the iteration.

    The iteration is the number behind ``iter``, ``it``, ``step``, ``i`` or ``k``, else the last number; the
    phase the one behind ``phase``, ``ph``, ``resp``, ``state`` or ``p``: ``img_012.nii.gz``,
    ``recon-iter7-phase2.nii``, ``x5.cfl``.
    """
    suffix = next((end for end in SUFFIXES if path.name.endswith(end)), path.suffix)
    stem = path.name.removesuffix(suffix)
    phase = _last(_PHASE, stem)
    rest = _without(stem, phase)
    iteration = _last(_ITERATION, rest) or _last(_ANY, rest)
    if iteration is None:
        return None
    return Numbered(
        path=path,
        iteration=int(iteration[1]),
        phase=int(phase[1]) if phase is not None else None,
        series=_without(rest, iteration) + suffix,
    )


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(reversed(list(pattern.finditer(text))), None)


def _without(text: str, match: re.Match[str] | None) -> str:
    """Return a text with a number masked."""
    return text if match is None else text[: match.start(1)] + "#" + text[match.end(1) :]
