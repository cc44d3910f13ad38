"""Grades stretched as images ask that a network did not see, before its intervals are calibrated.

A network that is not sure draws its grades towards the middle, on its own images and more so on others: the
L1 loss asks for a median. A line from the grades of images left out to their readers' grades, least squares,
takes that back (calibration slope and intercept). It goes into the weights of the last layer: patches, maps
and ensembles need not know of it, and the network stays what it was.

References
----------
Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562-565: slope and
intercept. Steyerberg EW. Clinical Prediction Models, 2nd ed., 2019, chapter 15: shrinkage and recalibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from csiq.agreement import linear_fit
from csiq.errors import ModelError
from csiq.io.tables import read_json, write_json
from csiq.quality.build import build_network
from csiq.quality.grade import Grader
from csiq.quality.model_file import encode_tensors, open_model, save_model
from csiq.training.graded_set import GradedImage
from csiq.training.runs import RESULT
from csiq.training.trainer import weights_of

#: Entry of a card.
ENTRY = "recalibration"
#: No network that learned anything needs more; a line beyond them was drawn through noise.
SLOPES = (0.5, 2.0)


@dataclass(frozen=True)
class Recalibration:
    """A line from the grades of a network to those of the reader it learned.

    Attributes
    ----------
    slope, offset : float
        ``slope * grade + offset``; 1 and 0 change nothing.
    n : int
        Images it comes from.
    left_out : tuple of str
        The parts they belong to.
    """

    slope: float
    offset: float
    n: int
    left_out: tuple[str, ...]

    @classmethod
    def fit(
        cls, grades: Sequence[float], targets: Sequence[float], left_out: tuple[str, ...]
    ) -> Recalibration:
        """Return the least-squares line of targets on grades; no line where its slope is beyond 0.5 to 2."""
        n = int(np.isfinite(np.add(grades, targets)).sum())
        line = linear_fit(grades, targets)
        if not SLOPES[0] <= line.slope <= SLOPES[1]:
            return cls(1.0, 0.0, n, left_out)
        return cls(float(line.slope), float(line.intercept), n, left_out)

    @classmethod
    def of_model(cls, path: Path) -> Recalibration | None:
        """Return what a model was recalibrated by, None if it was not."""
        entry = (open_model(path).card or {}).get(ENTRY)
        return cls(**{**entry, "left_out": tuple(entry["left_out"])}) if entry else None

    def as_dict(self) -> dict[str, Any]:
        """Return the card's entry."""
        return {**asdict(self), "left_out": list(self.left_out)}


def recalibration_of(images: Sequence[GradedImage], graders: Sequence[tuple[str, Grader]]) -> Recalibration:
    """Return the line that the grades of left-out images ask for.

    Parameters
    ----------
    images : sequence of GradedImage
    graders : sequence of (str, Grader)
        The part that each network left out, and the network.
    """
    found = [
        (grader.grade(np.asarray(image.volume), image.voxel_size).grade, image.grade)
        for part, grader in graders
        for image in images
        if image.split == part
    ]
    grades, targets = zip(*found, strict=True)
    return Recalibration.fit(grades, targets, tuple(part for part, _ in graders))


def recalibrate(path: Path, line: Recalibration) -> None:
    """Write a line into the last layer of a model on disk and into its card; once.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``; ``result.json`` beside it gets the new SHA-256.
    line : Recalibration

    Raises
    ------
    ModelError
        If the model has no card, or its last layer is none that a line can go into.
    """
    if Recalibration.of_model(path) is not None:
        return
    model = open_model(path)
    if model.card is None:
        raise ModelError("has no model card", file=path)
    network = build_network(model)
    last = network.regression[-1]
    if not isinstance(last, nn.Conv2d) or last.bias is None:
        raise ModelError("its last layer is not linear", file=path)
    with torch.no_grad():
        last.weight.mul_(line.slope)
        last.bias.mul_(line.slope).add_(line.offset)
    weights = encode_tensors(weights_of(network), model.card["network"])
    save_model(path, weights, {**model.card, ENTRY: line.as_dict()})
    result = path.parent / RESULT
    if result.is_file():
        write_json(result, {**read_json(result), "sha256": open_model(path).sha256})
