"""A study of two tiny scans from end to end: killed, resumed, and the same whatever the workers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csiq.cli.entry import main
from csiq.cohort.database import Progress
from csiq.cohort.following import Running
from csiq.errors import CohortError, ConfigError, ModelError, RawDataError
from csiq.io.tables import read_table
from csiq.study import times
from csiq.study.estimate import TimeNeeded, time_needed
from csiq.study.record import PartRecord, folder_of, write_record
from csiq.study.request import Setting, StudyRequest
from csiq.study.scans import choose_scans
from csiq.study.study import run_study
from csiq.study.work import Job, do, jobs_of
from tests.study.fake_cohort import COILS, MATRIX, make_cohort
from tests.study.synthetic import record, rising

OPTIONS = ("--scans", "2", "--tuning", "1", "--solvers", "pnlcg", "--max-iter", "2", "--workers", "1")
SECONDS = ("recon_s", "grading_s")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Return a cohort without raw scans: they are simulated."""
    return make_cohort(tmp_path_factory.mktemp("study") / "cohort", with_raw=())


def test_scans_are_chosen_by_split(cohort):
    request = StudyRequest(cohort, n_scans=3, n_tuning=2)
    scans = choose_scans(request)
    assert [(s.name, s.role) for s in scans[:3]] == [("p002", "test"), ("p003", "test"), ("p005", "test")]
    assert {s.role for s in scans[3:]} == {"tuning"}
    assert {s.name for s in scans[3:]} < {"p001", "p004", "p006"}
    assert all(s.raw is None for s in scans)
    # fewer are some of the more
    fewer = {s.name for s in choose_scans(StudyRequest(cohort, n_scans=2, n_tuning=1))}
    assert fewer < {s.name for s in scans}


def test_a_cohort_with_too_few_patients_is_refused(cohort):
    with pytest.raises(ConfigError, match="9 scans, but 3 test patients"):
        choose_scans(StudyRequest(cohort, n_scans=9, n_tuning=0))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"n_scans": 0}, "--scans"),
        ({"n_tuning": -1}, "--tuning"),
        ({"solvers": ()}, "--solvers"),
        ({"solvers": ("nlcg", "nlcg")}, "--solvers"),
        ({"solvers": ("newton",)}, "--solver"),
    ],
)
def test_a_wrong_request_is_refused(cohort, given, field):
    with pytest.raises(ConfigError) as caught:
        StudyRequest(cohort, **given)
    assert caught.value.field == field


def test_a_folder_that_is_no_cohort_is_refused(tmp_path, capsys):
    assert main(["study", str(tmp_path), "-o", str(tmp_path / "out")]) == 3
    assert "no folder of a cohort" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_jobs_are_what_is_not_finished(cohort, tmp_path):
    scans = choose_scans(StudyRequest(cohort, n_scans=2, n_tuning=1))
    (tmp_path / "scans").mkdir()
    jobs = jobs_of(tmp_path, scans, ("nlcg", "pnlcg"))
    assert [job.parts for job in jobs] == [("nlcg", "pnlcg", "selfnav")] * 2 + [("nlcg", "pnlcg")]
    done = tmp_path / "scans" / f"{scans[0].name}-nlcg"
    done.mkdir()
    (done / "facts.json").write_text('{"schema_version": 1}')
    assert jobs_of(tmp_path, scans, ("nlcg", "pnlcg"))[0].parts == ("pnlcg", "selfnav")


def test_what_another_network_graded_is_made_anew(cohort, tmp_path):
    scans = choose_scans(StudyRequest(cohort, n_scans=1, n_tuning=0))
    place = folder_of(tmp_path / "scans", scans[0].name, "pnlcg")
    write_record(place, record(rising([1, 1, 1, 1], 3), model={"name": "a", "sha256": "a" * 64}))
    selfnav = folder_of(tmp_path / "scans", scans[0].name, "selfnav")
    write_record(selfnav, PartRecord([], {"grade": 1.0}))  # says nothing of who graded it
    assert jobs_of(tmp_path, scans, ("pnlcg",), "a" * 64) == []
    assert [job.parts for job in jobs_of(tmp_path, scans, ("pnlcg",), "b" * 64)] == [("pnlcg",)]


def test_a_network_that_changes_meanwhile_is_refused(cohort, tmp_path):
    """An update of csiq may bring another default network while a study goes on."""
    job = jobs_of(tmp_path, choose_scans(StudyRequest(cohort, n_scans=1, n_tuning=0)), ("pnlcg",))[0]
    with pytest.raises(ModelError, match="changed while the study went on"):
        do(tmp_path, Setting(MATRIX, COILS, 2, sha256="a" * 64), job)
    assert not (tmp_path / "simulated").exists()


def test_what_fails_is_named_and_the_others_are_shown(cohort, tmp_path, monkeypatch):
    request = StudyRequest(cohort, n_scans=2, n_tuning=0, solvers=("pnlcg",), max_iter=2)
    name = choose_scans(request)[1].name

    def broken(folder, jobs, setting, workers):
        for done, job in enumerate(jobs, start=1):
            error = RawDataError("no breathing is found") if job.name == name else None
            if error is None:
                for part in job.parts:
                    made = record(rising([1, 2, 1, 1], 2, n=2)) if part != "selfnav" else PartRecord([], {})
                    write_record(folder_of(folder / "scans", job.name, part), made)
            yield Progress(job.name, done, len(jobs), 1.0, error)

    monkeypatch.setattr("csiq.study.study.work_through", broken)
    monkeypatch.setattr("csiq.study.study.PARTS", (times.section,))
    monkeypatch.setattr("csiq.study.study.time_needed", lambda *_: TimeNeeded(1.0, {}))
    with pytest.raises(CohortError, match=f"1 of 2 scans failed: {name}: no breathing is found") as caught:
        run_study(request, tmp_path / "study", Running())
    assert caught.value.exit_code == 6
    content = json.loads((tmp_path / "study" / "study.json").read_text())
    assert (content["status"], content["missing"]) == ("incomplete", {"pnlcg": [name]})
    assert name in (tmp_path / "study" / "study.html").read_text()


def test_the_time_is_foretold(cohort):
    scans = choose_scans(StudyRequest(cohort, n_scans=1, n_tuning=0, solvers=("pnlcg",)))
    jobs = [Job(scans[0], ("pnlcg", "selfnav"))] * 4
    setting = Setting(64, 8)
    one, two = time_needed(jobs[:2], setting, 1), time_needed(jobs, setting, 1)
    # 4 x 21 images of 0.22 s each, at 64^3
    assert one.parts["truth"] == pytest.approx(2 * 84 * 0.22)
    assert one.parts["simulation"] == pytest.approx(2 * 8.6)
    # what is timed for an instant differs from time to time, what is known does not
    assert two.parts["truth"] == pytest.approx(2 * one.parts["truth"])
    assert {"iterations", "grading", "set-up", "self-navigated images"} <= set(two.parts)


@pytest.mark.slow
def test_a_killed_study_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("csiq.study.study.PARTS", (times.section,))  # the others: test_page.py
    cohort, folder = make_cohort(tmp_path / "cohort", with_raw=(2, 3)), tmp_path / "study"
    command = [sys.executable, "-m", "csiq", "study", str(cohort), "-o", str(folder), *OPTIONS]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        first = wait_for(folder / "scans" / "p002-pnlcg" / "facts.json", running)
        running.kill()
        running.wait()
    assert "about" in (tmp_path / "log").read_text()
    kept = first.read_bytes(), first.stat().st_mtime_ns
    begun = json.loads((folder / "study.json").read_text())
    assert begun["status"] == "running"
    assert sorted(begun["roles"].values()) == ["test", "test", "tuning"]

    assert main(command[3:]) == 7  # there is something
    assert main([*command[3:], "--resume", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["status"] == "complete"
    assert said["n"] == {"pnlcg": 2}
    assert said["n_tuning"] == {"pnlcg": 1}
    assert (first.read_bytes(), first.stat().st_mtime_ns) == kept
    assert (folder / "study.html").is_file()
    # scans that were simulated for it are gone, those of the cohort are not touched
    assert not list((folder / "simulated").glob("*"))
    assert (cohort / "raw" / "p003.h5").is_file()

    rows = read_table(folder / "scans" / "p003-pnlcg" / "curves.tsv")
    assert len(rows) == 3 * 4
    assert all(0 < row["nrmse"] < 1.5 and 0 <= row["reference"] <= 4 for row in rows)
    facts = json.loads((folder / "scans" / "p003-pnlcg" / "facts.json").read_text())
    assert {"recon", "grading", "truth"} <= set(facts["seconds"])
    assert all(phase["heart_sd_mm"] > 0 for phase in facts["phases"])
    assert sum(phase["spokes"] for phase in facts["phases"]) > 100

    # the same numbers in this process, to the bit, but for the seconds
    request = StudyRequest(cohort, n_scans=2, n_tuning=0, solvers=("pnlcg",), max_iter=2)
    assert (request.setting.matrix, request.setting.n_coils) == (MATRIX, COILS)
    (tmp_path / "again" / "scans").mkdir(parents=True)
    job = jobs_of(tmp_path / "again", choose_scans(request), ())[1]
    do(tmp_path / "again", request.setting, type(job)(job.scan, ("pnlcg",)))
    again = read_table(tmp_path / "again" / "scans" / "p003-pnlcg" / "curves.tsv")
    assert [without_seconds(row) for row in again] == [without_seconds(row) for row in rows]


def wait_for(path: Path, running: subprocess.Popen) -> Path:
    """Return a path once it is there."""
    until = time.monotonic() + 600
    while not path.is_file():
        assert running.poll() is None, "it ended before"
        assert time.monotonic() < until
        time.sleep(0.05)
    return path


def without_seconds(row: dict) -> dict:
    return {key: repr(value) for key, value in row.items() if key not in SECONDS}
