"""Every volume of a cohort is read again by the readers that made the grades in its manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.cohort import database, smeared, study
from csiq.cohort.cohort_folder import StudyConfig
from csiq.cohort.following import Running
from csiq.cohort.manifest import GradedScan, read_manifest
from csiq.cohort.study import init_cohort
from csiq.evaluation.days import N_DRAWS, read_again, which
from csiq.io.tables import read_table
from csiq.training.graded_set import GradedImage
from tests.cohort import fake_images, fake_iterates
from tests.cohort.test_iterates import in_this_process, silent
from tests.cohort.test_smeared import two_images

SIZES = {"matrix": 16, "raw": False, "raw_matrix": 17, "raw_coils": 2}
CONFIG = StudyConfig(n_patients=8, iterates=2, test_iterates=2, coarse=8, smeared=2, seed=3, **SIZES)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cohort with every kind of volume."""
    folder = tmp_path_factory.mktemp("days") / "c"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "results_of", in_this_process)
        patch.setattr(smeared, "smeared_images", two_images)
        patch.setattr(study, "iterate_maker", lambda: fake_iterates.make_iterates)
        init_cohort(folder, CONFIG, Running(), fake_images.make_image, silent)
    return folder


def images_of(folder: Path, table: str) -> list[GradedImage]:
    scans = read_manifest(folder / table)
    return [as_image(scan) for scan in scans]


def as_image(scan: GradedScan) -> GradedImage:
    about = (scan.volume.name, scan.patient, scan.split, scan.volume, (1.0, 1.0, 1.0))
    return GradedImage(*about, scan.grades["reader1a"], scan.grades, scan.reference, None)  # type: ignore[arg-type]


def people_of(folder: Path) -> dict[str, dict]:
    return {str(row["patient"]): row for row in read_table(folder / "patients.tsv")}


@pytest.mark.parametrize("table", ["graded-iterates.tsv", "graded-coarse.tsv", "graded.tsv"])
def test_every_kind_of_volume_is_read_again(cohort: Path, table: str) -> None:
    images = images_of(cohort, table)
    draws, why = read_again(images, people_of(cohort), seed=3)
    assert why == ""
    assert draws is not None
    assert list(draws) == ["reader1a", "reader1b", "reader2"]
    truth = np.array([image.reference for image in images])
    for reader, drawn in draws.items():
        assert drawn.shape == (N_DRAWS, len(images))
        written = np.array([image.grades[reader] for image in images])
        assert (drawn != written).any()
        # a habit moves a reader by less than half a grade, the end of the scale by a little more
        assert np.abs(drawn.mean(axis=0) - truth).max() < 0.6
    kinds = {image.path.parent.name for image in images}
    assert kinds == ({"volumes", "coarse", "iterates", "smeared"} if table == "graded.tsv" else kinds)
    # the stretch of random numbers is the one that made the manifest: the patient's own would not do
    if table != "graded.tsv":
        elsewhere = [replace(image, path=Path("volumes") / image.path.name) for image in images]
        assert read_again(elsewhere, people_of(cohort), seed=3)[0] is None


def test_images_of_a_patient_have_noise_of_their_own(cohort: Path) -> None:
    images = images_of(cohort, "graded-iterates.tsv")
    draws, _ = read_again(images, people_of(cohort), seed=3)
    assert draws is not None
    assert len({image.patient for image in images}) == 2
    drawn = draws["reader1a"]
    between = np.corrcoef(drawn[:, drawn.std(axis=0) > 0].T)
    apart = between[~np.eye(len(between), dtype=bool)]
    assert len(apart) > 100
    assert np.abs(apart).max() < 0.4  # of 200 draws: SD 0.07


def test_which_volume_of_a_patient() -> None:
    assert which(Path("c/volumes/p001.nii")) == 0
    assert which(Path("c/iterates/p001-i00-phase1.nii.gz")) == 1
    assert which(Path("c/iterates/p123-i07-phase2.nii")) == 1 + 4 * 7 + 1
    assert which(Path("c/coarse/p001.nii")) == 1000
    assert [which(Path(f"c/smeared/p001-{where}.nii")) for where in ("vessels", "rest")] == [1001, 1002]
    assert which(Path("elsewhere/p001-i07-phase2.nii")) == 0


def test_a_volume_that_was_not_measured_is_said(cohort: Path, tmp_path: Path) -> None:
    images = images_of(cohort, "graded-coarse.tsv")
    lost = [replace(image, path=tmp_path / "coarse" / image.path.name) for image in images]
    draws, why = read_again(lost, people_of(cohort), seed=3)
    assert draws is None
    assert "no features beside them" in why
    draws, why = read_again(images, {}, seed=3)
    assert draws is None
    assert "not in patients.tsv" in why
