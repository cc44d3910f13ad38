"""Metrics that neither grade nor formula knows, on the test images of a cohort, and how they rank images.

HaarPSI and SSIM in the heart against the truth, and the length of vessels that a tracker follows. Images of
simulated scans, research use only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from csiq.agreement import bootstrap_interval, spearman
from csiq.cohort.grading import PEOPLE
from csiq.errors import RawDataError
from csiq.evaluation.cases import manifest_of
from csiq.io.tables import read_json, read_table
from csiq.training.graded_set import GradedImage, GradedSet
from csiq.trust.placed_truth import placed_truth
from csiq.trust.similarity import similarity
from csiq.trust.vessel_tracker import track_vessels

#: Columns of a row.
METRICS = ("haarpsi", "ssim", "tracked_length")
Row = dict[str, str | float]


def outside_metrics(where: str | Path, *, split: str = "test") -> Iterator[Row]:
    """Yield a row an image of a split of a cohort; each costs a quarter of a minute of one core.

    Parameters
    ----------
    where : path
        The folder of a cohort, or its manifest.
    split : str

    Yields
    ------
    dict
        ``volume patient reference haarpsi ssim tracked_length`` (mm).

    Raises
    ------
    RawDataError
        If the manifest does not lie in a cohort's folder, or a record is missing.
    """
    manifest = manifest_of(where)
    people = {str(row["patient"]): row for row in read_table(manifest.parent / PEOPLE)}
    for image in GradedSet.open(manifest, splits=[split]).images:
        if image.patient not in people:
            raise RawDataError(f"patient {image.patient} is not listed", file=manifest.parent / PEOPLE)
        yield outside_row(image, people[image.patient])


def outside_row(image: GradedImage, person: Mapping[str, Any]) -> Row:
    """Return the row of one image.

    Parameters
    ----------
    image : GradedImage
        Beside its volume lies the cohort's record of it.
    person : mapping
        The patient's row of ``patients.tsv``.
    """
    record = image.path.with_suffix(".json")
    try:
        displacement = float(read_json(record)["details"]["displacement_mm"])
    except (KeyError, TypeError, ValueError):
        raise RawDataError("tells no displacement", file=record, field="details") from None
    volume = np.asarray(image.volume)
    truth = placed_truth(volume, image.voxel_size, int(person["seed"]), displacement)
    found = similarity(volume, truth)
    length = track_vessels(volume, image.voxel_size).length
    row: Row = {"volume": image.name, "patient": image.patient, "reference": image.reference}
    return {**row, "haarpsi": found.haarpsi, "ssim": found.ssim, "tracked_length": length}


def ranks_with(rows: Sequence[Mapping[str, Any]], column: str = "grade", *, seed: int = 0) -> list[Row]:
    """Return how grades rank images beside each metric.

    Parameters
    ----------
    rows : sequence of mappings
        Of :func:`outside_metrics`, with the grade of each.
    column : str
        Of the grades: ``reference`` are those of the formula.
    seed : int
        Of the bootstrap over patients.

    Returns
    -------
    list of dict
        ``metric n spearman low high``; the interval is of 90 %.
    """
    patients = [row["patient"] for row in rows]
    given = np.array([row[column] for row in rows], float)
    found: list[Row] = []
    for metric in METRICS:
        values = np.array([row[metric] for row in rows], float)
        low, high = bootstrap_interval(spearman, given, values, seed=seed, patients=patients)
        row: Row = {"metric": metric, "n": float(len(values)), "spearman": float(spearman(given, values))}
        found.append({**row, "low": low, "high": high})
    return found
