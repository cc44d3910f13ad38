"""A network on the test set: grades, statistics, tables and figures, one page. Read it from top to bottom.

A further part of the study is a function of :class:`csiq.evaluation.comparison.Comparison` that returns a
:class:`csiq.evaluation.section.Section`, and a line in :data:`PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.errors import ConfigError, ModelError
from csiq.evaluation import (
    bars,
    consensus,
    database,
    exemplar_figure,
    network_figure,
    patches,
    raters,
    regression,
)
from csiq.evaluation.cases import Cases, read_cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import write_figure
from csiq.evaluation.folder import FIGURES, PAGE, TABLES, config_of, open_folder, write_record
from csiq.evaluation.page import MEASURED, SIMULATED, render
from csiq.evaluation.paper import MAIN
from csiq.evaluation.predictions import PatchGrader, Report, predict
from csiq.evaluation.section import Picture, Section, shown
from csiq.io.atomic import write_text
from csiq.io.tables import write_table

if TYPE_CHECKING:
    from csiq.quality.grade import Grader

#: Parts of a study in their order on the page.
PARTS: tuple[Callable[[Comparison], Section], ...] = (
    network_figure.section,
    database.section,
    exemplar_figure.section,
    regression.section,
    raters.section,
    patches.section,
    consensus.section,
    bars.section,
)


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes
    ----------
    where : Path
        A manifest of graded volumes, or the folder of a cohort.
    split : str
    reader : str
        Whom the network is held against.
    overwrite, resume : bool
    """

    where: Path
    split: str = "test"
    reader: str = "reader1a"
    overwrite: bool = False
    resume: bool = False


def evaluate(
    request: Request,
    graders: Sequence[PatchGrader],
    folder: str | Path,
    report: Report = lambda *_: None,
    parts: Sequence[Callable[[Comparison], Section]] | None = None,
) -> dict[str, Any]:
    """Evaluate a network, with its retrainings, and write everything into a folder.

    Parameters
    ----------
    request : Request
    graders : sequence of PatchGrader
        The main one first, then its retrainings.
    folder : path
        For ``evaluation.html``, ``evaluation.json``, ``predictions.tsv``, ``patches.h5``, tables and figures.
    report : callable, optional
        Told of each image that is graded: its name, how many are done, of how many.
    parts : sequence of callables
        What the page shows; :data:`PARTS` by default.

    Returns
    -------
    dict
        The content of ``evaluation.json``.

    Raises
    ------
    CsiqError
        If the manifest, a volume or a model is not in order, or the folder cannot be written to.
    """
    folder = Path(folder)
    cases = read_cases(request.where, split=request.split, reader=request.reader)
    config = config_of(cases.manifest, request.split, request.reader, [(g.name, g.sha256) for g in graders])
    with open_folder(folder, config, overwrite=request.overwrite, resume=request.resume):
        predictions = predict(cases, graders, folder, report)
        if np.isfinite(predictions.grades).sum(axis=1).min() < 2:
            raise ModelError("a model gave fewer than two images a grade", field="--model")
        study = Comparison(cases, predictions, getattr(graders[0], "card", {}))
        sections = [part(study) for part in (PARTS if parts is None else parts)]
        for section in sections:
            write_items(folder, section)
        write_text(folder / PAGE, render(sections, about(study, config)))
        return write_record(folder, config, "complete", **numbers(study, sections))


def write_items(folder: Path, section: Section) -> None:
    """Write the tables of a part as TSV, its figures as PNG, SVG and the TSV of what is drawn."""
    for item in section.items:
        if isinstance(item, Picture):
            write_figure(folder / FIGURES, item.name, item.figure)
        if item.data:
            place = FIGURES if isinstance(item, Picture) else TABLES
            write_table(folder / place / f"{item.name}.tsv", item.data)


def numbers(study: Comparison, sections: Sequence[Section]) -> dict[str, Any]:
    """Return all numbers of a study, for ``evaluation.json``."""
    cases = study.cases
    return {
        "use": use_of(cases),
        "n": len(cases),
        "roles": cases.roles.as_dict(),
        "redraws": len(cases.draws[cases.roles.main]) if cases.draws else 0,
        "notes": notes(study),
        **{section.key: section.numbers for section in sections if section.key},
        "differences_from_paper": [sentence for section in sections for sentence in section.differences],
    }


def notes(study: Comparison) -> list[str]:
    """Return what has to be known to read the numbers."""
    found = list(study.cases.notes)
    failed = int((~np.isfinite(study.predicted)).sum())
    if failed:
        found.append(f"{failed} images got no grade, since too many of their patches had none: left out.")
    if study.predictions.scales and study.predictions.scales[0] is not None:
        found.append(
            "Grades of images are on the scale of the reader the model was calibrated to, patches are not; "
            "scans it was calibrated with should not be among these."
        )
    return found


def use_of(cases: Cases) -> str:
    """Return what stands on top: whether readers were simulated, and that it is for research only."""
    return SIMULATED if cases.cohort is not None else MEASURED


def about(study: Comparison, config: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says around its parts."""
    cases, main = study.cases, study.predictions.models[0]
    found, label = study.patients, study.raters[MAIN].label
    what = "mean over redraws" if cases.draws else "single draw"
    tiles = [
        (shown(found[key].best), f"{name} with {label}, {what}")
        for key, name in (("r2", "R²"), ("kappa", "weighted κ"), ("anti_bias_l1", "anti-bias L1"))
    ]
    if study.reference is not None:
        tiles.append((shown(study.reference.sd), "SD of the error against the noise-free reference"))
    command = f"csiq evaluate {cases.manifest.name} --model {main} --split {cases.split} -o DIR"
    return {
        "title": f"{main} on {len(cases)} images of the {cases.split} set",
        "subject": cases.manifest.name,
        "use": use_of(cases),
        "tiles": tiles,
        "notes": notes(study),
        "command": command,
        "provenance": [
            ("images", len(cases)),
            ("readers", ", ".join(cases.readers)),
            ("main reader", cases.roles.main),
            ("redraws of the readers", len(cases.draws[cases.roles.main]) if cases.draws else "none"),
            ("retrained networks", len(study.predictions.models) - 1),
            *([("the model", study.card["use"])] if "use" in study.card else []),
        ],
        "hashes": [
            (f"manifest {config['manifest']}, SHA-256", config["manifest_sha256"]),
            *((f"model {m['name']}, SHA-256", m["sha256"]) for m in config["models"]),
        ],
    }


def load_graders(
    models: Sequence[str], retrained: str | Path | None = None, device: str = "cpu"
) -> list[Grader]:
    """Load the networks of an evaluation.

    Parameters
    ----------
    models : sequence of str
        Names or files; the main one first.
    retrained : path, optional
        A folder with ``model-00``, ``model-01`` ... in it, each with one network.
    device : str

    Raises
    ------
    ConfigError
        If there is no retrained network in the folder.
    ModelError
        If a model cannot be loaded.
    """
    from csiq.quality.grade import Grader

    found = [Grader.load(model, device) for model in models]
    for name, path in retrained_models(retrained) if retrained is not None else ():
        grader = Grader.load(path, device)
        grader.name = name
        found.append(grader)
    return found


def retrained_models(folder: str | Path) -> list[tuple[str, Path]]:
    """Return the networks in the folders ``model-00`` ... of a folder, or the files of these names.

    Raises
    ------
    ConfigError
        If there is none, or one of the folders holds several.
    """
    folder = Path(folder)
    found = []
    for place in sorted(folder.glob("model-*")):
        if place.is_dir():
            files = sorted(place.glob("*.safetensors"))
            if len(files) > 1:
                raise ConfigError(f"{len(files)} networks, expected one", file=place, field="--retrained")
            found += [(place.name, file) for file in files]
        elif place.suffix == ".safetensors":
            found.append((place.stem, place))
    if not found:
        hint = "expected model-00, model-01 ... as csiq train writes them"
        raise ConfigError("holds no retrained network", file=folder, field="--retrained", hint=hint)
    return found
