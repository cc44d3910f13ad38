"""What an evaluation keeps of each model as images are finished, so that nothing is graded twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.evaluation.card_entry import ENTRY
from csiq.io.atomic import atomic_write
from csiq.io.hdf5 import open_h5, reading
from csiq.io.hdf5_write import create_h5
from csiq.quality.assessor import Grade
from csiq.training.graded_set import GradedImage

Scale = Callable[[float], float]


def card_of(grader: object) -> str | None:
    """Return a digest of what a grader's intervals and domain come from, None if it has neither."""
    if not hasattr(grader, "grade_with_patches"):
        return None
    # the figures of an earlier evaluation change nothing of what it says
    card = {key: value for key, value in getattr(grader, "card", {}).items() if key != ENTRY}
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


@dataclass
class Kept:
    """What one model has graded: patches by the volume's name, and which file that was.

    With ``card``, what the model says by that card, too.
    """

    name: str
    sha256: str
    scale: Scale | None = None
    card: str | None = None
    patches: dict[str, np.ndarray] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    said: dict[str, Grade] = field(default_factory=dict)
    has_patches: bool = True

    def has(self, image: GradedImage, state: str) -> bool:
        """Return whether an image in this state (:func:`state_of`) need not be graded again."""
        whole = self.card is None or image.name in self.said
        return whole and self.states.get(image.name) == state

    def add(self, image: GradedImage, state: str, patches: np.ndarray, said: Grade | None) -> None:
        """Keep the patches of an image in this state, float (orientations, centres, rows, columns)."""
        kind = np.float32 if self.has_patches else np.float64
        self.patches[image.name] = np.asarray(patches, dtype=kind)
        self.states[image.name] = state
        if said is not None:
            self.said[image.name] = replace(said, warnings=())

    def as_dict(self) -> dict[str, Any]:
        """Return all but the patches."""
        said = {name: asdict(grade) for name, grade in self.said.items()}
        about = {"name": self.name, "sha256": self.sha256, "volumes": self.states}
        return about | {"card": self.card, "said": said}

    def take(self, about: dict[str, Any], patches: np.ndarray) -> None:
        """Take over what :meth:`as_dict` and the patches say, if they are of this model."""
        if [self.name, self.sha256] != [about["name"], about["sha256"]] or not self.sha256:
            return  # of a function nobody knows whether it is the one from before
        # what another card said is not kept: the image is graded again
        said = about.get("said", {}) if self.card is not None and about.get("card") == self.card else {}
        self.said.update({name: _grade_from(entry) for name, entry in said.items()})
        self.states.update(about["volumes"])
        self.patches.update(zip(about["volumes"], patches, strict=True))


def _grade_from(entry: dict[str, Any]) -> Grade:
    interval = entry["interval"]
    return Grade(**{**entry, "warnings": (), "interval": None if interval is None else tuple(interval)})


def state_of(image: GradedImage) -> str:
    """Return what changes when a file does, without reading all of it."""
    found = image.path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"


def read_kept(path: Path, kept: Sequence[Kept]) -> None:
    """Fill in what was graded before; nothing if there is no such file, or a damaged one."""
    if not path.is_file():
        return
    try:
        with open_h5(path) as file, reading(path, "/"):
            for group in file.values():
                about = json.loads(bytes(group["about"][()]))
                for one in kept:
                    one.take(about, group["patches"][()])
    except (RawDataError, KeyError, TypeError, ValueError):
        # graded again: that costs a second each
        return


def write_kept(path: Path, kept: Sequence[Kept]) -> None:
    """Write a group a model: ``patches`` (n, ...), and in ``about`` (JSON) the rest of :class:`Kept`."""
    with atomic_write(path) as temporary, create_h5(temporary) as file:
        for one in kept:
            if one.patches:
                group = file.create_group(one.name)
                about = json.dumps(one.as_dict(), default=_plain)
                group["about"] = np.frombuffer(about.encode(), dtype=np.uint8)
                group["patches"] = np.stack([one.patches[name] for name in one.states])


def _plain(number: Any) -> Any:
    """Return a number of NumPy, as graders of other packages give, as one of Python."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"expected a number, got {type(number).__name__}")
