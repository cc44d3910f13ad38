"""Cohorts in processes of this machine: scans fail, kill their process or are stopped; the rest is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from csiq.cli import main
from csiq.cohort_run.request import CohortRequest, HowToRun
from csiq.cohort_run.run import run_cohort
from csiq.cohort_run.status import status_of
from csiq.errors import ConfigError, OutputError
from csiq.io.tables import read_table
from tests.cohort_run.fake_scans import begun

OUT = Path("scans.csiq")
ROOT = Path(__file__).parents[2]


def stamps(folder: Path) -> dict[str, int]:
    return {p.parent.name: p.stat().st_mtime_ns for p in sorted(folder.glob("scans/*/run.json"))}


def wait_for(what, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_fails_is_named_the_others_finish_and_resume_tries_it_again(cohort, capsys):
    cohort(a="5", b="bad", c="die", d="7", e="die-once", f="bug")
    assert main(["cohort", "run", "scans.tsv", "--workers", "3", "--json"]) == 6
    shown = capsys.readouterr()
    error = json.loads(shown.out)
    assert error["code"] == 6
    assert "3 of 6 scans failed" in error["message"]
    assert "--resume tries these again" in error["hint"]
    rows = {row["scan"]: row for row in read_table(OUT / "cohort.tsv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "complete", "b": "failed", "c": "failed", "d": "complete", "e": "complete", "f": "failed",
    }  # fmt: skip
    assert (rows["b"]["code"], rows["b"]["error"]) == (3, "b.h5: no signal")
    assert rows["c"]["code"] == 5
    assert "2 times: its process was ended by SIGKILL: out of memory, perhaps" in rows["c"]["error"]
    assert rows["f"]["code"] == 1
    assert "this is a bug in csiq: ValueError: what is this" in rows["f"]["error"]
    assert (rows["d"]["best_phase"], rows["d"]["top_set"], rows["d"]["plateau"]) == (2, "2 3", 7)
    assert rows["d"]["grade"] == 2.0
    assert rows["d"]["seconds"] == 90.5

    # one log a scan, and what another attempt prints is added
    for name, attempts in {"a": 1, "c": 2, "e": 2}.items():
        lines = (OUT / "scans" / name / "csiq.log").read_text().splitlines()
        assert sum(line.startswith(f"{name}: ") for line in lines) == attempts

    before = stamps(OUT)
    assert set(before) == {"a", "d", "e"}
    for name in "bcf":
        Path(f"raw/{name}.h5").write_text("6")
    assert main(["cohort", "run", "scans.tsv"]) == 7
    assert main(["cohort", "run", "scans.tsv", "--resume", "--workers", "3"]) == 0
    shown = capsys.readouterr()
    assert "3 of 6 scans to do: in 3 processes of" in shown.err
    assert "complete  6 of 6" in shown.out
    after = stamps(OUT)
    assert set(after) == set("abcdef")
    assert {name: after[name] for name in before} == before
    assert json.loads((OUT / "cohort-run.json").read_text())["status"] == "complete"

    # nothing is left to do: nothing is done
    assert main(["cohort", "run", "scans.tsv", "--resume", "--json"]) == 0
    assert stamps(OUT) == after
    # a raw file that is another one now is looked at again
    Path("raw/a.h5").write_text("bad")
    assert main(["cohort", "run", "scans.tsv", "--resume", "-q"]) == 6
    assert "warning: a: a.h5: no signal" in capsys.readouterr().err


def test_fail_fast_stops_at_the_first_that_fails(cohort, capsys):
    cohort(a="bad", b="5", c="5")
    assert main(["cohort", "run", "scans.tsv", "--workers", "1", "--fail-fast", "-q"]) == 6
    assert "1 of 1 scans failed" in capsys.readouterr().err
    assert status_of(OUT)["scans"]["waiting"] >= 1
    assert status_of(OUT)["failed"] == [{"scan": "a", "code": 3, "error": "a.h5: no signal"}]


def test_problems_of_the_manifest_come_before_any_work(cohort, capsys):
    manifest = cohort(a="5", b="5")
    manifest.write_text(
        "scan,raw,config\r\na,raw/a.h5,no.toml\r\na,raw/gone.h5,nan\r\n", encoding="utf-8-sig"
    )
    assert main(["cohort", "run", "scans.tsv"]) == 3
    said = capsys.readouterr().err
    for problem in (
        "4 problems: line 1: cells are separated by commas, expected tabs",
        "line 2: config 'no.toml' is not there",
        "line 3: raw 'raw/gone.h5' is not there",
        "line 3: scan 'a' is named before, in line 2",
    ):
        assert problem in said
    assert len(said.splitlines()) == 1
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "ray"], "'ray' is no engine; local or dask"),
        (["--engine", "dask"], "a scheduler is needed"),
        (["--scheduler", "tcp://x:1"], "goes with --engine dask"),
        (["--engine", "dask", "--scheduler", "tcp://x:1", "--workers", "2"], "goes with --engine local"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--solver", "newton"], "newton"),
    ],
)
def test_options_that_do_not_go_together(cohort, capsys, monkeypatch, options, says):
    if "--solver" in options:
        monkeypatch.undo()
        monkeypatch.chdir(cohort(a="5").parent)
    else:
        cohort(a="5")
    assert main(["cohort", "run", "scans.tsv", *options]) == 2
    assert says in capsys.readouterr().err
    assert not OUT.exists()


def test_a_dry_run_does_nothing(cohort, capsys):
    cohort(a="5", b="5")
    assert main(["cohort", "run", "scans.tsv", "--dry-run"]) == 0
    assert capsys.readouterr().out == "scans.tsv: 2 scans, nothing wrong with them; 2 left to do\n"
    assert not OUT.exists()


def test_overwrite_removes_what_csiq_wrote_and_nothing_else(cohort):
    cohort(a="5", b="bad")
    assert main(["cohort", "run", "scans.tsv", "-q"]) == 6
    (OUT / "scans" / "a" / "notes.txt").write_text("mine")
    cohort(c="5")
    assert main(["cohort", "run", "scans.tsv", "--overwrite", "-q"]) == 0
    files = {p.relative_to(OUT).as_posix() for p in OUT.rglob("*") if p.is_file()}
    assert "scans/a/notes.txt" in files
    assert not [name for name in files if "/b" in name or name == "scans/a/run.json"]
    assert {"cohort.html", "cohort.tsv", "cohort-run.json", "outcomes/c.json", "timing.json"} < files


def test_other_scans_under_the_same_names_are_not_taken_for_the_old_ones(cohort):
    request = CohortRequest(cohort(a="5", b="5"), OUT)
    run_cohort(request)
    changed = CohortRequest(request.manifest, OUT, overrides={"lamda": 0.5})
    with pytest.raises(
        OutputError, match=r"a \(another configuration\), b \(another configuration\)"
    ) as caught:
        run_cohort(changed, HowToRun(resume=True))
    assert caught.value.exit_code == 7
    # more scans may come, and a limit may be set further off
    run_cohort(CohortRequest(cohort(a="5", b="5", c="5"), OUT), HowToRun(resume=True))
    assert status_of(OUT)["scans"]["complete"] == 3


def test_folders_that_are_not_ours_stay(cohort):
    request = CohortRequest(cohort(a="5"), OUT)
    OUT.mkdir()
    (OUT / "letter.txt").write_text("mine")
    for how in (HowToRun(), HowToRun(resume=True), HowToRun(overwrite=True)):
        with pytest.raises(OutputError):
            run_cohort(request, how)
    assert [p.name for p in OUT.iterdir()] == ["letter.txt"]
    with pytest.raises(ConfigError, match="holds no cohort of raw scans"):
        status_of(OUT)


def test_status_and_report_while_it_runs(cohort, capsys):
    manifest = cohort(a="5", b="wait", c="5")
    request = CohortRequest(manifest, OUT)
    running = threading.Thread(target=run_cohort, args=(request, HowToRun(workers=1)))
    running.start()
    try:
        wait_for(lambda: begun(Path("raw/b.h5")))
        assert main(["cohort", "status", "scans.tsv", "--json"]) == 0
        state = json.loads(capsys.readouterr().out)
        assert state["status"] == "running"
        assert state["scans"] == {"complete": 1, "failed": 0, "running": 1, "interrupted": 0, "waiting": 1}
        assert state["running"] == [{"scan": "b", "iterations": None}]
        assert main(["cohort", "report", "scans.tsv"]) == 0
        page = (OUT / "cohort.html").read_text()
        assert "2 of 3 scans are not finished" in page
        # nobody else may work on it meanwhile
        with pytest.raises(OutputError, match="is writing to it"):
            run_cohort(request, HowToRun(resume=True))
    finally:
        Path("raw/b.go").touch()
        running.join(30)
    assert main(["cohort", "status", str(OUT)]) == 0
    assert "complete  3 of 3" in capsys.readouterr().out


@pytest.mark.slow
def test_what_runs_ends_with_the_program(cohort):
    cohort(a="5", b="wait", c="wait")
    script = (
        # a shell that starts the tests in its background has them ignore SIGINT, and so all they start
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from csiq.cohort_run import run; from tests.cohort_run import fake_scans\n"
        "run.reconstruct_scan, run.models_of = fake_scans.behave, lambda configs: {'default': '0' * 64}\n"
        "from csiq.cli import main\n"
        "sys.exit(main(['cohort', 'run', 'scans.tsv', '--workers', '2']))"
    )
    with open("log", "w") as log:
        program = subprocess.Popen(
            [sys.executable, "-c", script], stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            wait_for(lambda: begun(Path("raw/b.h5")) and begun(Path("raw/c.h5")), 60)
            program.send_signal(signal.SIGINT)
            assert program.wait(20) == 130
        finally:
            program.kill()
            program.wait()
    pids = [pid for name in "bc" for pid in begun(Path(f"raw/{name}.h5"))]
    wait_for(lambda: not any(is_alive(pid) for pid in pids), 10)
    state = status_of(OUT)
    assert state["status"] == "interrupted"
    assert state["scans"] == {"complete": 1, "failed": 0, "running": 0, "interrupted": 0, "waiting": 2}
    assert "stopped by Ctrl-C; go on with --resume" in Path("log").read_text()
    for name in "bc":
        Path(f"raw/{name}.go").touch()
    assert main(["cohort", "run", "scans.tsv", "--resume", "-q"]) == 0
    assert status_of(OUT)["status"] == "complete"


@pytest.mark.slow
def test_a_real_scan_ends_as_csiq_recon_ends(tmp_path, monkeypatch, capsys):
    from csiq.simulate.scan import write_simulated
    from tests.scans import TINIEST, scan_and_truth

    monkeypatch.chdir(tmp_path)
    write_simulated(Path("a.h5"), *scan_and_truth(TINIEST))
    assert main(["cohort", "init", "scans.tsv", "a.h5"]) == 0
    options = ["--max-iter", "1", "--phases", "2", "--device", "cpu", "--threads", "1"]
    assert main(["cohort", "run", "scans.tsv", "-q", *options]) == 0
    assert main(["recon", "a.h5", "-o", "alone", "-q", *options]) == 0
    both = [OUT / "scans" / "a", Path("alone")]
    names = [{p.name for p in folder.iterdir()} for folder in both]
    assert names[0] == names[1]
    images = [folder / "phase-1.nii.gz" for folder in both]
    assert images[0].read_bytes() == images[1].read_bytes()
    runs = [json.loads((folder / "run.json").read_text()) for folder in both]
    same = ("config", "config_sha256", "input", "model", "lamda_abs", "threads", "stop", "returned_iteration")
    assert [runs[0][key] for key in same] == [runs[1][key] for key in same]
    (row,) = read_table(OUT / "cohort.tsv")
    ranking = json.loads((both[1] / "ranking.json").read_text())
    assert row["best_phase"] == ranking["best_phase"]
    assert row["grade"] == ranking["phases"][ranking["best_phase"] - 1]["grade"]
    assert str(row["top_set"]) == " ".join(map(str, ranking["top_set"]))
    # a finished scan is not worth another look, a limit that is set further off is
    further = options[2:]
    for words, left in ((options, []), (["--max-iter", "3", *further], ["a"])):
        capsys.readouterr()
        assert main(["cohort", "run", "scans.tsv", "--dry-run", "--json", *words]) == 0
        assert json.loads(capsys.readouterr().out) == {"scans": 1, "left": left}
