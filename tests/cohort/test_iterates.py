"""Graded iterates of a cohort: what is kept, where its truth lies, whose they are, and how they resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csiq.cohort import database, study
from csiq.cohort.cohort_folder import StudyConfig
from csiq.cohort.database import Progress
from csiq.cohort.following import Running
from csiq.cohort.iterates import PER_PATIENT, STRETCHES, Kept, ScanSize, ScanSizes, kept_of
from csiq.cohort.manifest import read_manifest
from csiq.cohort.patients import CohortPatient, Difficulty, draw_patients
from csiq.cohort.readers import reader_rng
from csiq.cohort.reconstructed import RootSumOfSquares, reconstructed, scanned
from csiq.cohort.study import init_cohort, state_of
from csiq.errors import ConfigError, OutputError
from csiq.io.tables import read_table
from csiq.quality.features import measure
from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from tests.cohort import fake_images, fake_iterates

CONFIG = StudyConfig(n_patients=8, matrix=16, raw=False, raw_matrix=17, raw_coils=2, iterates=3)
GO_ON = Running(resume=True)


def silent(what: str, step: Progress) -> None:
    """Listen to nothing."""


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "timing.json"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def in_this_process(
    task: Callable[[Any], Any], items: Iterable[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    """Do what :func:`csiq.workers.pool.results_of` does, without processes: each imports for seconds."""
    for item in items:
        try:
            result = task(item)
        except Exception as error:
            result = error
        yield item, result


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "iterate_maker", lambda: fake_iterates.make_iterates)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cohort with iterates that a worker process made."""
    folder = tmp_path_factory.mktemp("iterates") / "c"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "iterate_maker", lambda: fake_iterates.make_iterates)
        init_cohort(folder, CONFIG, Running(workers=1), fake_images.make_image, silent)
    return folder


def test_what_is_kept_of_a_reconstruction() -> None:
    people = draw_patients(100)
    found = [kept_of(patient) for patient in people]
    assert found == [kept_of(replace(patient, matrix=16)) for patient in draw_patients(110)[:100]]
    for kept in found:
        assert kept[:4] == tuple(Kept(0, phase) for phase in (1, 2, 3, 4))
        assert len(set(kept)) == len(kept) == PER_PATIENT
        assert sorted(one.phase for one in kept[4:]) == [1, 2, 3, 4]
        for one, (first, last) in zip(kept[4:], STRETCHES, strict=True):
            assert first <= one.iteration <= last
    assert {kept[-1].iteration for kept in found} == set(range(12, 21))
    assert {kept[-1].phase for kept in found} == {1, 2, 3, 4}


def test_iterates_train_with_their_patient_and_never_test(made: Path) -> None:
    scans = read_manifest(made / "graded.tsv")
    own, further = scans[:8], scans[8:]
    assert [scan.patient for scan in own] == [f"p{i:03d}" for i in range(1, 9)]
    assert len(further) == 3 * PER_PATIENT
    split = {scan.patient: scan.split for scan in own}
    training = [name for name, part in split.items() if part != "test"]
    assert list(dict.fromkeys(scan.patient for scan in further)) == training[:3]
    assert all(scan.split == split[scan.patient] for scan in further)
    rows = read_table(made / "iterates.tsv")
    for row, scan in zip(rows, further, strict=True):
        assert (made / row["volume"], row["split"], row["reference"]) == (
            scan.volume,
            scan.split,
            scan.reference,
        )
        assert {name: row[name] for name in scan.grades} == scan.grades
        told = json.loads(scan.volume.with_suffix(".json").read_text())
        assert told["kept"] == {"iteration": row["iteration"], "phase": row["phase"]}
        assert told["scan"] == {"matrix": 17, "n_coils": 2}
    told = json.loads((made / "cohort.json").read_text())["iterates"]
    assert (told["patients"], told["volumes"]) == (training[:3], 24)
    clean = [row["reference"] for row in rows if row["iteration"] > 11]
    assert np.mean(clean) > np.mean([row["reference"] for row in rows if row["iteration"] == 0])


def test_no_two_images_share_a_reader_s_noise() -> None:
    drawn = [reader_rng(3, 5, image).standard_normal(3).tolist() for image in range(85)]
    assert len({tuple(numbers) for numbers in drawn}) == 85
    assert np.array_equal(drawn[0], reader_rng(3, 5).standard_normal(3))


def test_iterates_are_added_and_go_on(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "results_of", in_this_process)
    folder = tmp_path / "c"
    init_cohort(folder, replace(CONFIG, iterates=0), Running(), fake_images.make_image, silent)
    plain = contents(folder)
    assert state_of(folder)["iterates"] == {"done": 0, "of": 0}
    init_cohort(folder, replace(CONFIG, iterates=2), GO_ON, fake_images.make_image, silent)
    with_two = contents(folder)
    # the patients' own volumes, grades and splits do not change
    assert with_two["graded.tsv"].startswith(plain["graded.tsv"])
    assert all(with_two[name] == plain[name] for name in plain if name.startswith(("volumes", "patients")))
    last = sorted((folder / "iterates").glob("*.json"))[-1]
    last.unlink()
    assert state_of(folder)["iterates"] == {"done": 1, "of": 2}
    steps: list[str] = []
    init_cohort(folder, CONFIG, GO_ON, fake_images.make_image, lambda what, step: steps.append(step.name))
    assert len(steps) == 2
    assert steps[0] == last.name.split("-")[0]
    assert state_of(folder)["iterates"] == {"done": 3, "of": 3}
    assert contents(folder) == contents(made)
    with pytest.raises(OutputError, match="iterates 3, now 2"):
        init_cohort(folder, replace(CONFIG, iterates=2), GO_ON, fake_images.make_image, silent)


def test_iterates_of_patients_who_do_not_train_any_more_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "results_of", in_this_process)
    stray = [tmp_path / "iterates" / f"p007-i00-phase1.{end}" for end in ("nii", "json", "txt")]
    init_cohort(tmp_path, replace(CONFIG, iterates=1), Running(), fake_images.make_image, silent)
    for path in stray:
        path.write_text("{}")
    init_cohort(tmp_path, replace(CONFIG, iterates=1), GO_ON, fake_images.make_image, silent)
    assert [path.exists() for path in stray] == [False, False, True]
    stray[2].unlink()
    init_cohort(
        tmp_path, replace(CONFIG, iterates=0), Running(overwrite=True), fake_images.make_image, silent
    )
    assert not (tmp_path / "iterates").exists()
    with pytest.raises(ConfigError, match="-1 is below 0"):
        replace(CONFIG, iterates=-1)


def test_iterates_to_test_on_are_in_a_manifest_of_their_own(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "results_of", in_this_process)
    folder = tmp_path / "c"
    config = replace(CONFIG, test_iterates=1, iterate_matrices=(16, 17, 18, 19))
    record = init_cohort(folder, config, Running(), fake_images.make_image, silent)
    assert record["config"]["iterate_matrices"] == [16, 17, 18, 19]
    assert state_of(folder)["iterates"] == {"done": 4, "of": 4}
    training = read_manifest(folder / "graded.tsv")
    assert len(training) == 8 + 3 * PER_PATIENT
    tested = read_manifest(folder / "graded-iterates.tsv")
    assert len(tested) == PER_PATIENT
    (name,) = {scan.patient for scan in tested}
    assert [scan.split for scan in training if scan.patient == name] == ["test"]
    assert {scan.split for scan in tested} == {"test"}
    # a matrix is drawn for each patient: it is the same for all volumes of one, and not for all patients
    sizes = {}
    for path in sorted((folder / "iterates").glob("*.json")):
        sizes.setdefault(path.name.split("-")[0], set()).add(json.loads(path.read_text())["scan"]["matrix"])
    assert all(len(one) == 1 for one in sizes.values())
    assert len(set.union(*sizes.values())) > 1
    init_cohort(folder, config, Running(overwrite=True), fake_images.make_image, silent)
    assert state_of(folder)["iterates"] == {"done": 4, "of": 4}


def test_matrices_of_iterates_are_drawn_evenly() -> None:
    sizes = ScanSizes((96, 128, 144), 8)
    drawn = [sizes.of(patient).matrix for patient in draw_patients(300)]
    assert all(75 < drawn.count(matrix) < 125 for matrix in sizes.matrices)
    with pytest.raises(ConfigError, match="8 is below 16"):
        replace(CONFIG, iterate_matrices=(96, 8))


def test_shading_is_that_of_whitened_coils() -> None:
    loops = CoilArray.around(Patient.from_seed(3).body, 5, np.random.default_rng(0))
    grid = Grid.cube(3, 120.0)
    heard = loops.sensitivities(grid).reshape(5, -1).astype(np.complex128)
    inverse = np.linalg.inv(loops.noise_covariance())
    expected = np.sqrt(np.einsum("iv,ij,jv->v", heard.conj(), inverse, heard).real)
    found = RootSumOfSquares(loops).sensitivities(grid)
    assert found.shape == (1, 3, 3, 3)
    assert found.reshape(-1) == pytest.approx(expected, rel=1e-5)


def likeness(volume: np.ndarray, truth: Any) -> float:
    """Return the correlation of image and truth in the heart."""
    return float(np.corrcoef(volume[truth.heart], truth.volume[truth.heart])[0, 1])


@pytest.mark.slow
def test_a_reconstruction_is_held_against_the_truth_of_its_phases() -> None:
    easy = Difficulty(89, 0.6, 60.0, 18.0, 0.0, 0.2, (), "selfnav")
    patient = CohortPatient(1, 3, 60, "M", 40, easy)
    kept = (Kept(0, 1), Kept(0, 4), Kept(4, 1), Kept(4, 4))
    found = dict(reconstructed(scanned(patient, ScanSize(40, 3)), kept))
    assert tuple(found) == kept
    first, last = found[Kept(4, 1)], found[Kept(4, 4)]
    assert last.details["displacement_mm"] > first.details["displacement_mm"] + 6
    assert (last.details["phase"], last.details["iteration"]) == (4, 4)
    assert last.volume.dtype == np.float32
    for phase in (1, 4):
        gridded, better = found[Kept(0, phase)], found[Kept(4, phase)]
        assert likeness(better.volume, better.truth) > max(0.8, likeness(gridded.volume, gridded.truth))
        assert measure(better.volume, better.truth).noise < measure(gridded.volume, gridded.truth).noise
    # each lies where its own truth does, not where the other phase's is
    for here, there in ((first, last), (last, first)):
        assert likeness(here.volume, here.truth) > likeness(here.volume, there.truth) + 0.1
