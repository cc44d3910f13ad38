"""A network on the test set: grades, statistics, tables and figures, one page. Read it from top to bottom.

A further part of the study is a function of :class:`csiq.evaluation.comparison.Comparison` that returns a
:class:`csiq.evaluation.section.Section`, and a line in :data:`PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import ModelError
from csiq.evaluation import (
    bars,
    confidence,
    consensus,
    database,
    exemplar_figure,
    network_figure,
    patches,
    raters,
    regression,
)
from csiq.evaluation import peers as peers_of
from csiq.evaluation.about import about, numbers, use_of
from csiq.evaluation.cases import read_cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import write_figure
from csiq.evaluation.folder import FIGURES, PAGE, RECORD, TABLES, config_of, open_folder
from csiq.evaluation.page import render
from csiq.evaluation.predictions import Report, predict
from csiq.evaluation.section import Picture, Section
from csiq.evaluation.whole_images import with_patches
from csiq.io.atomic import write_text
from csiq.io.held_folder import write_record
from csiq.io.tables import write_table

#: Parts of a study in their order on the page.
PARTS: tuple[Callable[[Comparison], Section], ...] = (
    network_figure.section,
    database.section,
    exemplar_figure.section,
    regression.section,
    raters.section,
    patches.section,
    consensus.section,
    confidence.section,
    bars.section,
)


def parts_with(*, peers: bool) -> tuple[Callable[[Comparison], Section], ...]:
    """Return the parts of a study, simpler measures among them if asked: they need the training volumes."""
    return (*PARTS[:-1], peers_of.section, *PARTS[-1:]) if peers else PARTS


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
    graders: Sequence[Any],
    folder: str | Path,
    report: Report = lambda *_: None,
    parts: Sequence[Callable[[Comparison], Section]] | None = None,
) -> dict[str, Any]:
    """Evaluate a network, with its retrainings, and write everything into a folder.

    Parameters
    ----------
    request : Request
    graders : sequence
        The main one first, then its retrainings. Each has ``patch_grades``, as a network's
        :class:`csiq.quality.grade.Grader` has, or is anything else that
        :func:`csiq.quality.assessor.as_assessor` takes: what is said of patches is then left out.
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
    folder, graders = Path(folder), with_patches(graders)
    cases = read_cases(request.where, split=request.split, reader=request.reader)
    config = config_of(cases.manifest, request.split, request.reader, [(g.name, g.sha256) for g in graders])
    with open_folder(folder, config, overwrite=request.overwrite, resume=request.resume):
        predictions = predict(cases, graders, folder, report)
        if np.isfinite(predictions.grades).sum(axis=1).min() < 2:
            raise ModelError("a model gave fewer than two images a grade", field="--model")
        study = Comparison(cases, predictions, getattr(graders[0], "card", {}))
        sections = [_section(part, study) for part in (PARTS if parts is None else parts)]
        drawn = [write_items(folder, section, use_of(cases)) for section in sections]
        page = render(sections, about(study, config), {k: v for one in drawn for k, v in one.items()})
        write_text(folder / PAGE, page)
        return write_record(folder / RECORD, config, "complete", **numbers(study, sections))


def _section(part: Callable[[Comparison], Section], study: Comparison) -> Section:
    """Return a part; one that is on patches alone says so where there are none."""
    if part is patches.section and not study.predictions.has_patches:
        what = f"{study.network_name} gives an image one grade: there is no spread to show (Figure E2)."
        return Section("Grades within an image", (what,), (), (), {"cases": []}, "patch_histograms")
    return part(study)


def write_items(folder: Path, section: Section, use: str) -> dict[str, bytes]:
    """Write the tables of a part as TSV, its figures as PNG, SVG and the TSV of what is drawn.

    Returns
    -------
    dict of str to bytes
        The SVG of each figure.
    """
    drawn = {}
    for item in section.items:
        if isinstance(item, Picture):
            drawn[item.name] = write_figure(folder / FIGURES, item.name, item.figure, use)
        if item.data:
            place = FIGURES if isinstance(item, Picture) else TABLES
            write_table(folder / place / f"{item.name}.tsv", item.data)
    return drawn
