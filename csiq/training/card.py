"""The model card: what a network was trained on, what it knows, and what it is not for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq import __version__
from csiq.cohort.cohort_folder import COARSE, SMEARED
from csiq.cohort.iterates import ITERATES
from csiq.io.sniff import sha256_of
from csiq.io.tables import read_json, read_table, strict
from csiq.quality.domain import Domain
from csiq.quality.network import PATCH
from csiq.quality.patches import SPACING, patch_offsets
from csiq.quality.reference import formula_sha256, statement
from csiq.ranking.scale import SCALE
from csiq.training.graded_set import GradedImage, GradedSet
from csiq.training.loss import CLASS_WIDTH, classes_of
from csiq.training.statistics import Statistics

if TYPE_CHECKING:
    from csiq.training.device import Place
    from csiq.training.runs import TrainingTask
    from csiq.training.settings import TrainConfig

_BEST = 4.0
#: What the volumes in a cohort's further folders are.
_KINDS = {ITERATES: "iterate", COARSE: "coarse", SMEARED: "smeared"}
_SIMULATED = (
    "Research use only, simulated readers: patients, scans and readers are simulated, "
    "no human graded an image."
)
_CLINICAL = "Research use only: grades follow the readers of one site and have not been validated elsewhere."


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes
    ----------
    data : GradedSet
    task : TrainingTask
    known : list of Statistics
        Of the volumes trained on, in their order.
    place : Place
    validation : dict, optional
        Scores on held-out patients.
    """

    data: GradedSet
    task: TrainingTask
    known: list[Statistics]
    place: Place
    validation: dict[str, Any] | None


def make_card(facts: CardFacts) -> dict[str, Any]:
    """Return the card of a trained network; :func:`csiq.quality.model_file.save_model` adds its SHA-256."""
    data, task = facts.data, facts.task
    images = data.of(*task.splits)
    cohort = _cohort_of(data.manifest)
    sizes = sorted({round(size, 4) for image in images for size in image.voxel_size})
    patients = [image.patient for image in images]
    domain = Domain.fit(np.array([one.descriptors for one in facts.known]), (sizes[0], sizes[-1]), patients)
    return dict(
        strict(
            {
                "title": f"{task.config.network.title} for whole-heart MRI"
                + (", simulated readers" if cohort else ""),
                "use": _SIMULATED if cohort else _CLINICAL,
                "csiq": __version__,
                "network": task.config.network.as_dict(),
                "grades": {"min": 0.0, "max": _BEST, "words": list(SCALE)},
                "voxel_size_mm": {"min": sizes[0], "max": sizes[-1], "trained": sizes},
                "input": _input(task.config.half_edge),
                "domain": domain.as_dict(),
                "formula": {"sha256": formula_sha256(), "statement": statement()} if cohort else None,
                "training": _training(facts, cohort),
                "validation": facts.validation,
                "note": task.note or None,
            }
        )
    )


def _input(half_edge: int) -> dict[str, Any]:
    return {
        "voxels_mm": 1.0,
        "patch": PATCH,
        "spacing": SPACING,
        "half_edge": half_edge,
        "patches": 3 * len(patch_offsets(half_edge)) ** 3,
        "normalisation": "magnitude over its 99th percentile within the cube of patch centres",
    }


def _training(facts: CardFacts, cohort: dict[str, Any] | None) -> dict[str, Any]:
    data, task, config = facts.data, facts.task, facts.task.config
    settings = {key: value for key, value in config.as_dict().items() if key != "network"}
    return {
        **settings,
        "loss": _loss(config),
        "augmentation": f"flips, quarter turns, intensity +-{100 * config.intensity:g} %",
        "precision": "bf16" if facts.place.bf16 else "float32",
        "reader": task.reader,
        "manifest": {"name": data.manifest.name, "sha256": sha256_of(data.manifest)},
        "cohort": cohort,
        "splits": list(task.splits),
        "held_out": list(task.held_out),
        "sets": sets_of(data, task.splits, task.held_out),
    }


def _loss(config: TrainConfig) -> str:
    words = "anti-bias L1 (eq. 1), classes of half grades, weights of the whole training set"
    if not config.together:
        return words
    windows = f"{config.windows} windows" if config.windows > 1 else "one window"
    return f"{words}; {100 * config.together:g} % of it of the mean over the patches of {windows} of a volume"


def sets_of(data: GradedSet, splits: Sequence[str], held_out: Sequence[str] = ()) -> dict[str, Any]:
    """Return whom a network was trained and validated on, as its card has it.

    Parameters
    ----------
    data : GradedSet
        Open for all of these parts.
    splits, held_out : sequence of str
        Trained on, and looked at meanwhile.
    """
    about = _patients_of(data.manifest)
    parts = {"train": data.of(*splits)}
    if held_out:
        parts["validation"] = data.of(*held_out)
    return {name: _counts(images, about) for name, images in parts.items()}


def _counts(images: Sequence[GradedImage], about: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Count patients, kinds, voxels and grades; patients are named by their seeds, real ones not at all."""
    patients = sorted({image.patient for image in images})
    kinds = Counter(_kind_of(image, about) for image in images)
    halves = np.bincount(
        classes_of([image.grade for image in images]), minlength=int(_BEST / CLASS_WIDTH) + 1
    )
    sizes = Counter(" x ".join(f"{size:g}" for size in image.voxel_size) for image in images)
    seeds = [about[name]["seed"] for name in patients if "seed" in about.get(name, {})]
    return {
        "patients": len(patients),
        "seeds": seeds or None,
        "splits": dict(sorted(Counter(image.split for image in images).items())),
        "images": dict(sorted(kinds.items())),
        "images_per_half_grade": halves.tolist(),
        "voxels_mm": dict(sorted(sizes.items())),
    }


def _cohort_of(manifest: Path) -> dict[str, Any] | None:
    """Return what made the cohort beside a manifest; None for measured scans."""
    path = manifest.parent / "cohort.json"
    if not path.is_file():
        return None
    found = read_json(path)
    config = found.get("config", {}) if isinstance(found, dict) else {}
    return {key: config.get(key) for key in ("study", "n_patients", "matrix", "seed")}


def _patients_of(manifest: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a cohort's ``patients.tsv`` by patient."""
    path = manifest.parent / "patients.tsv"
    if not path.is_file() or _cohort_of(manifest) is None:
        return {}
    return {str(row["patient"]): row for row in read_table(path)}


def _kind_of(image: GradedImage, about: dict[str, dict[str, Any]]) -> str:
    """Return what an image is: a cohort's are told by their folder, and its patients' own by the patient."""
    own = about.get(image.patient)
    if own is None:
        return "graded"
    return _KINDS.get(PurePosixPath(image.name).parent.name) or str(own.get("kind", "graded"))
