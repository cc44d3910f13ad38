"""Coarse volumes of a cohort: one a patient, of a drawn matrix, in the part the patient is in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from csiq.cohort import database
from csiq.cohort.coarse import coarse_patients
from csiq.cohort.cohort_folder import StudyConfig
from csiq.cohort.following import Running
from csiq.cohort.manifest import read_manifest
from csiq.cohort.patients import draw_patients
from csiq.cohort.readers import reader_rng
from csiq.cohort.study import init_cohort, state_of
from csiq.errors import ConfigError, OutputError
from csiq.io.nifti import read_volumes
from tests.cohort import fake_images
from tests.cohort.test_iterates import contents, in_this_process, silent

CONFIG = StudyConfig(n_patients=8, matrix=16, raw=False, coarse=7, coarse_matrices=(17, 18))
GO_ON = Running(resume=True)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cohort with coarse volumes."""
    monkeypatch.setattr(database, "results_of", in_this_process)
    init_cohort(tmp_path / "c", CONFIG, Running(), fake_images.make_image, silent)
    return tmp_path / "c"


def test_a_matrix_is_drawn_for_each_patient_whoever_else_there_is() -> None:
    people = draw_patients(200)
    drawn = coarse_patients(people, (128, 144))
    assert [replace(one, matrix=208) for one in drawn] == people
    assert coarse_patients(people[7:9], (128, 144)) == drawn[7:9]
    counts = [sum(one.matrix == matrix for one in drawn) for matrix in (128, 144)]
    assert sum(counts) == 200
    assert min(counts) > 75


def test_coarse_volumes_are_in_their_patient_s_part(made: Path) -> None:
    scans = read_manifest(made / "graded.tsv")
    own, further = scans[:8], scans[8:]
    split = {scan.patient: scan.split for scan in own[:7]}
    tested = read_manifest(made / "graded-coarse.tsv")
    assert {scan.patient: scan.split for scan in [*further, *tested]} == split
    assert {scan.split for scan in tested} == {"test"}
    assert all(scan.split != "test" for scan in further)
    matrices = {one.name: one.matrix for one in coarse_patients(draw_patients(8), (17, 18))}
    for scan in [*further, *tested]:
        assert scan.volume.parent.name == "coarse"
        _, volume, _ = read_volumes(scan.volume)[0]
        assert volume.shape == (matrices[scan.patient],) * 3
    # equal features and one formula: equal references, but readers read once more
    reference = {scan.patient: scan.reference for scan in own}
    assert all(scan.reference == reference[scan.patient] for scan in further)
    first, second = (reader_rng(0, 5, image).standard_normal(3).tolist() for image in (0, 1000))
    assert first != second
    told = json.loads((made / "cohort.json").read_text())
    assert told["coarse"]["volumes"] == 7
    assert told["config"]["coarse_matrices"] == [17, 18]


def test_coarse_volumes_are_added_and_go_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "later"
    init_cohort(folder, replace(CONFIG, coarse=0), Running(), fake_images.make_image, silent)
    plain = (folder / "graded.tsv").read_bytes()
    assert state_of(folder)["coarse"] == {"done": 0, "of": 0}
    init_cohort(folder, replace(CONFIG, coarse=2), GO_ON, fake_images.make_image, silent)
    assert state_of(folder)["coarse"] == {"done": 2, "of": 2}
    init_cohort(folder, CONFIG, GO_ON, fake_images.make_image, silent)
    assert contents(folder) == contents(made)
    assert (folder / "graded.tsv").read_bytes().startswith(plain)
    (folder / "coarse" / "p003.json").unlink()
    assert state_of(folder)["coarse"] == {"done": 6, "of": 7}
    init_cohort(folder, CONFIG, GO_ON, fake_images.make_image, silent)
    assert contents(folder) == contents(made)
    with pytest.raises(OutputError, match="coarse_matrices"):
        init_cohort(folder, replace(CONFIG, coarse_matrices=(20,)), GO_ON, fake_images.make_image, silent)
    init_cohort(
        folder,
        replace(CONFIG, coarse=0),
        Running(overwrite=True),
        fake_images.make_image,
        silent,
    )
    assert not (folder / "coarse").exists()
    assert not (folder / "graded-coarse.tsv").exists()


def test_a_coarse_matrix_below_the_least_is_refused() -> None:
    with pytest.raises(ConfigError, match="below 16"):
        replace(CONFIG, coarse_matrices=(128, 8))
