"""A whole cohort of stand-in images: tables, record, raw scans, and what may be resumed or removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.cohort import database
from csiq.cohort.cohort_folder import StudyConfig, check_room, open_cohort
from csiq.cohort.database import Progress
from csiq.cohort.following import Running
from csiq.cohort.grading import fit_preference, grade_cohort, reader_scores
from csiq.cohort.manifest import read_cohort, read_manifest
from csiq.cohort.patients import draw_patients, may_calibrate
from csiq.cohort.raw import bytes_of_scan, choose_spread, n_raw_of, scan_config
from csiq.cohort.readers import PREFERENCE, redraws
from csiq.cohort.splits import n_test_of
from csiq.cohort.study import init_cohort, state_of
from csiq.errors import CohortError, ConfigError, OutputError, RawDataError, ResourceError
from csiq.io import read_acquisition
from csiq.io.tables import read_table
from tests.cohort import fake_images
from tests.cohort.test_iterates import in_this_process

CONFIG = StudyConfig(n_patients=12, matrix=16, raw_matrix=16, raw_coils=2)
ONE = Running(workers=1)
NOT_FROM_SEED = {"timing.json"}


def silent(what: str, step: Progress) -> None:
    """Listen to nothing."""


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in NOT_FROM_SEED]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return a finished cohort, which this process made."""
    folder = tmp_path_factory.mktemp("cohort") / "c"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "results_of", in_this_process)
        init_cohort(folder, CONFIG, ONE, fake_images.make_image, silent)
    return folder


@pytest.fixture
def no_processes(monkeypatch) -> None:
    """Have volumes and scans made in this process."""
    monkeypatch.setattr(database, "results_of", in_this_process)


def test_a_cohort_has_its_tables(made):
    scans = read_manifest(made / "graded.tsv")
    assert [scan.patient for scan in scans] == [f"p{i:03d}" for i in range(1, 13)]
    assert list(scans[0].grades) == ["reader1a", "reader1b", "reader2"]
    assert sum(scan.split == "test" for scan in scans) == n_test_of(12) == 3
    people = read_table(made / "patients.tsv")
    for row, scan in zip(people, scans, strict=True):
        assert (row["patient"], row["split"], row["reference"]) == (scan.patient, scan.split, scan.reference)
        assert row["calibration"] == may_calibrate(row["number"])
        assert not (row["calibration"] and row["split"] == "test")
    assert json.loads((made / "cohort.json").read_text())["status"] == "complete"
    assert "RESEARCH USE ONLY" in (made / "README.txt").read_text()


def test_raw_scans_are_of_test_patients(made):
    scans = read_cohort(made / "scans.tsv")
    testing = [s.patient for s in read_manifest(made / "graded.tsv") if s.split == "test"]
    assert len(scans) == n_raw_of(3) == 2
    assert {scan.scan for scan in scans} < set(testing)
    patient = next(p for p in draw_patients(12) if p.name == scans[0].scan)
    scan = read_acquisition(scans[0].raw)
    assert scan.n_coils == 2
    assert scan.n_spokes == pytest.approx(patient.n_spokes(16), rel=0.07)  # some readouts may be dropped
    assert bytes_of_scan(patient, 16, 2) == pytest.approx(
        sum(p.stat().st_size for p in made.glob(f"raw/{patient.name}.*")), rel=0.6
    )


def test_summary_says_what_the_tables_say(made):
    summary = json.loads((made / "cohort.json").read_text())["summary"]
    scans = read_manifest(made / "graded.tsv")
    first, second = (np.array([s.grades[name] for s in scans]) for name in ("reader1a", "reader1b"))
    assert summary["grade_mean"] == pytest.approx(first.mean(), abs=1e-3)
    assert summary["readers"][0]["sd"] == pytest.approx((first - second).std(ddof=1), abs=1e-3)
    assert sum(summary["grades"].values()) == 12
    assert [part["patients"] for part in summary["parts"].values()] == [3, 3, 3, 3]
    assert any(line.startswith("test has fewer than 4 of grade ") for line in summary["shortfalls"])


def test_what_was_drawn_of_a_patient_is_known_without_images(made):
    people = read_table(made / "patients.tsv")
    assert list(people[0])[:7] == ["patient", "number", "seed", "age", "sex", "split", "calibration"]
    for patient, row in zip(draw_patients(12, seed=CONFIG.seed, matrix=CONFIG.matrix), people, strict=True):
        assert {key: row[key] for key in patient.as_row()} == pytest.approx(patient.as_row())


def test_readings_are_draw_zero_of_the_redraws(made):
    people = read_table(made / "patients.tsv")
    quality = np.array([row["reference"] for row in people])
    scores = [np.array([row[name] for row in people]) for name in ("sharpness", "cleanliness")]
    drawn = redraws(quality, PREFERENCE.leaning(*scores), [r["number"] for r in people], seed=0, n_draws=2)
    typed = [list(scan.grades.values()) for scan in read_manifest(made / "graded.tsv")]
    # tables hold four digits: a value on the edge of two grades could fall to the other side
    assert np.mean(drawn[0] == np.array(typed)) > 0.95


@pytest.mark.slow
def test_files_do_not_depend_on_interruptions_or_workers(made, tmp_path):
    with pytest.raises(CohortError, match=r"1 of 12 volumes failed: p003: no heart") as caught:
        init_cohort(tmp_path, CONFIG, ONE, fake_images.fail_at_three, silent)
    assert caught.value.exit_code == 6
    state = state_of(tmp_path)
    assert (state["status"], state["volumes"]) == ("running", {"done": 11, "of": 12})
    steps: list[tuple[str, str]] = []
    running = Running(workers=2, resume=True)
    init_cohort(
        tmp_path, CONFIG, running, fake_images.make_image, lambda what, step: steps.append((what, step.name))
    )
    assert [step for step in steps if step[0] == "volumes"] == [("volumes", "p003")]
    assert contents(tmp_path) == contents(made)
    assert [run["made"] for run in state_of(tmp_path)["runs"]] == [11, 1, 2]


def test_resume_of_a_complete_cohort_makes_nothing(made):
    before = contents(made)

    def refuse(what: str, step: Progress) -> None:
        raise AssertionError(step.name)

    init_cohort(made, CONFIG, Running(resume=True), fake_images.make_image, refuse)
    assert contents(made) == before


def test_other_options_are_not_resumed(made):
    for other in ({"seed": 1}, {"matrix": 17}, {"n_patients": 20}):
        with pytest.raises(OutputError, match="was made with") as caught:
            init_cohort(made, replace(CONFIG, **other), Running(resume=True), fake_images.make_image, silent)
        assert caught.value.exit_code == 7


@pytest.mark.usefixtures("no_processes")
def test_more_patients_while_it_is_not_complete(tmp_path):
    config = StudyConfig(n_patients=4, matrix=16, raw=False)
    with pytest.raises(CohortError):
        init_cohort(tmp_path, config, ONE, fake_images.fail_at_three, silent)
    larger = replace(config, n_patients=5)
    record = init_cohort(tmp_path, larger, Running(resume=True), fake_images.make_image, silent)
    assert record["summary"]["patients"] == 5


def test_folders_that_are_not_ours_stay(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    for running in (ONE, Running(resume=True), Running(overwrite=True)):
        with pytest.raises(OutputError):
            init_cohort(tmp_path, CONFIG, running, fake_images.make_image, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.usefixtures("no_processes")
def test_overwrite_removes_what_csiq_wrote(tmp_path):
    config = StudyConfig(n_patients=2, matrix=16, raw=False)
    init_cohort(tmp_path, config, ONE, fake_images.make_image, silent)
    (tmp_path / "volumes" / "notes.txt").write_text("mine")
    with open_cohort(tmp_path, config, overwrite=True):
        left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
        assert left == {".csiq.lock", "volumes/notes.txt"}


def test_two_runs_do_not_share_a_folder(tmp_path):
    with open_cohort(tmp_path, CONFIG), pytest.raises(OutputError, match="is writing to it"):
        init_cohort(tmp_path, CONFIG, Running(resume=True), fake_images.make_image, silent)


def test_a_disk_that_is_too_small(tmp_path):
    check_room(tmp_path, 0)
    with pytest.raises(ResourceError, match=r"needs 1000\.0 TB, .* free"):
        check_room(tmp_path, 10**15)


@pytest.mark.parametrize(
    "wrong", [{"study": "papr"}, {"n_patients": 0}, {"matrix": 8}, {"seed": -1}, {"raw_coils": 0}]
)
def test_impossible_cohorts(wrong):
    with pytest.raises(ConfigError):
        StudyConfig(**wrong)


def test_folders_without_a_cohort(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        state_of(tmp_path / "none")
    with pytest.raises(RawDataError, match="no folder of a cohort"):
        state_of(tmp_path)


def test_raw_patients_are_spread_in_difficulty():
    people = draw_patients(100)
    chosen = choose_spread(people, 30)
    assert len(set(chosen)) == 30
    assert choose_spread(people[::-1], 30) == chosen

    def places(group) -> np.ndarray:
        hard = [p.difficulty for p in group]
        return np.array([(np.log(d.sampling), np.log(d.snr), d.amplitude) for d in hard])

    def spread(group) -> np.ndarray:
        return places(group).std(axis=0)

    def gaps(group) -> float:
        """Return how far the patient is that is farthest from all of the group, in SDs."""
        apart = (places(people)[:, None] - places(group)) / spread(people)
        return float(np.linalg.norm(apart, axis=2).min(axis=1).max())

    lot = np.random.default_rng(0)

    # a random choice of 30 has the spread of all in the mean, SD 11 %; this one leaves no gap
    assert np.all(spread(chosen) > spread(people))
    assert gaps(chosen) < 0.8 * min(gaps([people[i] for i in lot.permutation(100)[:30]]) for _ in range(20))
    assert choose_spread(people[:5], 9) == people[:5]
    assert choose_spread(people, 0) == []


def test_a_scan_is_that_of_the_graded_image():
    patient = next(p for p in draw_patients(60) if p.difficulty.imperfections)
    config = scan_config(patient, 144, 8)
    hard = patient.difficulty
    assert (config.seed, config.snr, config.amplitude) == (patient.seed, hard.snr, hard.amplitude)
    assert config.n_interleaves == hard.heartbeats
    assert config.spokes / (np.pi / 2 * 144**2) == pytest.approx(hard.sampling, rel=1e-3)
    assert config.imperfections != replace(config, imperfections=type(config.imperfections)()).imperfections


def test_preferences_are_fitted_to_calibration_patients(made):
    people = draw_patients(12, matrix=16)
    rows = [row for row in read_table(made / "patients.tsv") if row["calibration"]]
    assert len(rows) == 3
    found = fit_preference(made, people)
    assert found.sharpness_mean == pytest.approx(np.mean([row["sharpness"] for row in rows]), abs=1e-3)
    assert found.cleanliness_sd == pytest.approx(np.std([row["cleanliness"] for row in rows]), abs=1e-3)


def test_scores_of_readers_rise_with_quality(made):
    graded = grade_cohort(made, draw_patients(12, matrix=16), seed=0)
    better = replace(graded[0].features, noise=graded[0].features.noise / 2)
    assert reader_scores(better)[1] > graded[0].cleanliness
    assert reader_scores(better)[0] == graded[0].sharpness
