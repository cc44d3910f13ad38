"""The scripts for Slurm: an ``sbatch`` that runs them at once, and programs that only listen."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from csiq.cli.cohort_run import run as cohort_run

SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "slurm"
#: Options that sbatch has; --signal=B: sends to the batch shell alone, which csiq takes the place of.
KNOWN = {"job-name", "cpus-per-task", "mem", "time", "signal", "array", "gres"}

SBATCH = """#!/bin/bash
echo "sbatch $*" >> "$LISTENED"
while [[ $1 == --* ]]; do shift; done
script=$1; shift
tasks=1
if grep -q '^#SBATCH.*--array' "$script"; then tasks="1 2"; export SLURM_CPUS_PER_TASK=8; fi
for task in $tasks; do SLURM_ARRAY_TASK_ID=$task bash "$script" "$@" >&2 || exit 1; done
echo $((41 + $(grep -c ^sbatch "$LISTENED")))
"""
LISTENS = '#!/bin/bash\necho "$(basename "$0") $*" >> "$LISTENED"\n'


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what submits, and returns what was called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {
        "sbatch": SBATCH,
        "dask": LISTENS,
        "csiq": LISTENS,
        "hostname": "#!/bin/bash\necho 10.0.0.7 fe80::1\n",
        "sleep": "#!/bin/bash\n",
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    listened = tmp_path / "listened"
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "LISTENED": str(listened)}

    def call(script: str, *arguments: str, code: int = 0) -> list[str]:
        done = subprocess.run(
            ["bash", str(SCRIPTS / script), *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == code, done.stderr
        call.said = done.stdout + done.stderr  # type: ignore[attr-defined]
        return listened.read_text().splitlines() if listened.exists() else []

    return call


def parsed(command: click.Command, line: str) -> dict[str, object]:
    """Return what a program would take from a line; raise what it would about unknown options."""
    words = shlex.split(line)
    context = click.Context(command, info_name=words[0])
    return command.make_parser(context).parse_args(words)[0]


def test_a_cohort_is_submitted_with_its_workers(submit, tmp_path):
    called = submit("submit.sh", "my scans.tsv", "out", "--stop-on-plateau")
    assert "cohort: job 42; workers: job 43; csiq cohort status out" in submit.said
    checked, first, *rest = called
    assert checked == "csiq cohort run my scans.tsv -o out --stop-on-plateau --dry-run"
    assert re.fullmatch(r"sbatch --parsable \S+/cohort.sbatch my scans.tsv out --stop-on-plateau", first)
    # the scheduler is started in the background: its line may stand anywhere among them
    rest.remove("dask scheduler --host 10.0.0.7 --port 8786 --no-dashboard")
    ran, asked, *workers = rest
    assert re.fullmatch(r"sbatch --parsable --dependency=after:42 \S+/worker.sbatch out", asked)
    given = "--resume --engine dask --scheduler tcp://10.0.0.7:8786 --stop-on-plateau"
    assert ran == f"csiq cohort run my scans.tsv -o out {given}"
    assert len(workers) == 2
    assert set(workers) == {
        "dask worker tcp://10.0.0.7:8786 --nworkers 1 --nthreads 8 --memory-limit 0 --death-timeout 600"
        " --no-dashboard"
    }
    assert (tmp_path / "out.scheduler").read_text() == "tcp://10.0.0.7:8786\n"
    taken = parsed(cohort_run, ran.replace("my scans", "scans").removeprefix("csiq cohort run "))
    assert (taken["engine"], taken["scheduler"], taken["resume"]) == ("dask", "tcp://10.0.0.7:8786", True)


def test_dask_takes_these_options(submit):
    cli = pytest.importorskip("distributed.cli.dask_worker")
    from distributed.cli import dask_scheduler

    called = submit("submit.sh", "scans.tsv", "out")
    worker = next(line for line in called if line.startswith("dask worker"))
    scheduler = next(line for line in called if line.startswith("dask scheduler"))
    assert parsed(cli.main, worker.removeprefix("dask worker "))["memory_limit"] == "0"
    assert parsed(dask_scheduler.main, scheduler.removeprefix("dask scheduler "))["host"] == "10.0.0.7"


@pytest.mark.parametrize("name", ["cohort.sbatch", "worker.sbatch"])
def test_slurm_knows_what_is_asked_of_it(name):
    """Lines for Slurm stand before the first command, or Slurm passes over them."""
    lines = (SCRIPTS / name).read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    asked = [line for line in lines if line.startswith("#SBATCH ")]
    assert asked == [line for line in lines[:first] if "SBATCH" in line]
    for line in asked:
        for word in line.split()[1:]:
            assert re.fullmatch(r"--[a-z-]+=\S+", word)
            assert word[2:].partition("=")[0] in KNOWN
    assert lines[0] == "#!/bin/bash"


def test_a_worker_without_a_scheduler_says_so_and_a_name_is_wanted(submit):
    assert submit("worker.sbatch", "out", code=5) == []
    assert "no scheduler has come: out.scheduler" in submit.said
    for script in ("submit.sh", "cohort.sbatch"):
        submit(script, "scans.tsv", code=1)
        assert "usage:" in submit.said


def test_an_address_of_an_earlier_time_is_not_taken(submit, tmp_path):
    (tmp_path / "out.scheduler").write_text("tcp://10.9.9.9:8786\n")
    called = submit("submit.sh", "scans.tsv", "out")
    assert not any("10.9.9.9" in line for line in called)
