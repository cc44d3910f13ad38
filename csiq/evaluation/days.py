"""The readers of a simulated cohort at the same images again, on other days.

A cohort has more than one volume of some patients: iterates of their reconstruction, an image in larger
voxels, smeared ones. Which one it is follows from its folder and name. Each has its own sharpness and
cleanliness, and its own stretch of the readers' random numbers, the first of which made the grades in the
manifest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.cohort_folder import COARSE, SMEARED
from csiq.cohort.database import features_of
from csiq.cohort.grading import reader_scores
from csiq.cohort.iterates import ITERATES
from csiq.cohort.readers import PREFERENCE, READERS, grades_of, reader_rng
from csiq.cohort.recipe import N_PHASES
from csiq.cohort.smeared import WHERE
from csiq.errors import RawDataError
from csiq.training.graded_set import GradedImage

#: How often the readers of a cohort are redrawn.
N_DRAWS = 200
_ITERATE = re.compile(r"p\d+-i(\d+)-phase(\d)")
_SMEARED = re.compile(rf"p\d+-({'|'.join(WHERE)})")
#: Stretches of the readers' random numbers, as :mod:`csiq.cohort.coarse` and its neighbours have them.
_COARSE, _FIRST_SMEARED = 1000, 1001


def read_again(
    images: Sequence[GradedImage], people: Mapping[str, Mapping[str, Any]], *, seed: int
) -> tuple[dict[str, np.ndarray] | None, str]:
    """Have the readers of a cohort grade images again.

    Parameters
    ----------
    images : sequence of GradedImage
    people : mapping of str to mapping
        Rows of ``patients.tsv`` by patient.
    seed : int
        Of the cohort.

    Returns
    -------
    draws : dict of str to float64 array (n_draws, n), or None
        By reader; NaN where the manifest has no grade of theirs.
    why : str
        Why there are none; empty if there are.
    """
    if any(image.patient not in people for image in images):
        return None, "Some patients are not in patients.tsv, so the readers are not drawn again."
    if not all(np.isfinite(image.reference) for image in images):
        return None, "Readers are drawn from the reference, which some volumes have not: no redraws."
    try:
        numbers = [int(people[image.patient]["number"]) for image in images]
        scores = np.array([_scores(image, people[image.patient]) for image in images], float)
    except RawDataError:
        return None, "Some volumes have no features beside them, so the readers are not drawn again."
    except (KeyError, TypeError, ValueError):
        what = "number, sharpness or cleanliness"
        return None, f"patients.tsv does not have {what} of all patients, so the readers are not drawn again."
    quality = np.array([image.reference for image in images])
    streams = [reader_rng(seed, number, which(i.path)) for number, i in zip(numbers, images, strict=True)]
    noise = np.stack([rng.standard_normal((N_DRAWS + 1, len(READERS))) for rng in streams], axis=1)
    drawn = grades_of(quality, PREFERENCE.leaning(*scores.T), noise)
    written = np.array([[image.grades.get(name, np.nan) for name in READERS] for image in images])
    given = np.isfinite(written)
    # rounding in the tables may tip a grade that lay on an edge; more than that is another reader
    if not given.any() or np.mean(np.abs(drawn[0] - written)[given] < 0.25) < 0.98:
        return None, "The grades of the manifest are not those of the cohort's readers: no redraws."
    # who has not read an image does not read it on other days either: all columns are of the same images
    again = np.where(given, drawn[1:], np.nan)
    return {name: again[:, :, i] for i, name in enumerate(READERS)}, ""


def which(path: Path) -> int:
    """Return which image of its patient a volume of a cohort is; 0 is the patient's own."""
    folder, name = path.parent.name, path.name.split(".")[0]
    if folder == COARSE:
        return _COARSE
    if folder == ITERATES and (found := _ITERATE.fullmatch(name)):
        return 1 + N_PHASES * int(found[1]) + int(found[2]) - 1
    if folder == SMEARED and (found := _SMEARED.fullmatch(name)):
        return _FIRST_SMEARED + WHERE.index(found[1])
    return 0


def _scores(image: GradedImage, person: Mapping[str, Any]) -> tuple[float, float]:
    """Return sharpness and cleanliness of an image.

    Raises
    ------
    RawDataError
        If it is not the patient's own, and was not measured.
    """
    if which(image.path) == 0:
        return float(person["sharpness"]), float(person["cleanliness"])
    return reader_scores(features_of(image.path))
