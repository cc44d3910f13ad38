"""Every way the command line can end: one line, one exit code, and a start that waits for nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from types import ModuleType

import click
import pytest

from csiq.cli import main
from csiq.cli.group import COMMANDS, Entry, csiq
from csiq.errors import (
    ConfigError,
    DeviceError,
    Interrupted,
    ModelError,
    OutputError,
    RawDataError,
    ResourceError,
    ShapeError,
)

HEAVY = ("numpy", "torch", "sigpy", "scipy", "matplotlib", "h5py", "numba", "rich", "jinja2")


@pytest.fixture
def command(monkeypatch):
    """Register a command ``boom`` that calls a function."""

    def register(function):
        module = ModuleType("boom_for_tests")

        @click.command()
        @click.option("--json", is_flag=True, expose_value=False)
        @click.option("--debug", is_flag=True, expose_value=False)
        def boom():
            function()

        module.boom = boom
        monkeypatch.setitem(sys.modules, "boom_for_tests", module)
        monkeypatch.setitem(COMMANDS, "boom", Entry("boom_for_tests", "boom", "Boom."))

    return register


def raising(error):
    def function():
        raise error

    return function


def python(*code: str, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith("COV_")}
    return subprocess.run(
        [sys.executable, *code], capture_output=True, text=True, env=env, timeout=60, **options
    )


# ---------------------------------------------------------------- start


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\nfrom csiq.cli import main\n"
        "assert main(['--help']) == 0 and main(['--version']) == 0\n"
        "assert main(['recon', '--help']) == 0 and main(['completion', 'bash']) == 0\n"
        f"print('loaded:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert "recon" in done.stdout


def test_help_answers_in_under_0_3_seconds():
    # seconds of the processor: others on a busy machine do not count
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    best = float("inf")
    for _ in range(3):
        begun = spent()
        assert python("-m", "csiq", "--help").returncode == 0
        best = min(best, spent() - begun)
    assert best < 0.3


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_that_the_list_repeats(name, capsys):
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    context = click.Context(csiq)
    found = csiq.get_command(context, name)
    assert found is not None
    assert (found.help or "").splitlines()[0] == COMMANDS[name].help
    assert COMMANDS[name].help.split(";")[0].rstrip(".")[:40] in " ".join(shown.split())


def test_nothing_to_do_shows_the_help(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (RawDataError("x"), 3),
        (ShapeError("x"), 3),
        (ModelError("x"), 4),
        (ResourceError("x"), 5),
        (DeviceError("x"), 5),
        (OutputError("x"), 7),
        (Interrupted("x"), 130),
        (Interrupted("x", signal=15), 143),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 1),
        (OSError(errno.ENAMETOOLONG, "x", "y.h5"), 2),
        (PermissionError(errno.EACCES, "x", "y.h5"), 5),
        (OSError(errno.EIO, "x"), 5),
        (FileNotFoundError(errno.ENOENT, "x", "y.h5"), 1),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(command, capsys, error, code):
    command(raising(error))
    assert main(["boom"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("csiq: interrupted: " if code in (130, 143) else "csiq: error: ")


def test_the_line_names_file_field_and_remedy(command, capsys):
    command(
        raising(RawDataError("no\nsignal", file="/some/where/scan.h5", field="kspace", hint="check the coil"))
    )
    assert main(["boom"]) == 3
    assert capsys.readouterr().err == "csiq: error: scan.h5: kspace: no signal; check the coil\n"


def test_json_errors_are_one_object_on_stdout(command, capsys):
    command(raising(OutputError("is not empty", file="out", hint="--overwrite")))
    assert main(["boom", "--json"]) == 7
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "status": "error",
        "code": 7,
        "file": "out",
        "field": None,
        "message": "is not empty",
        "hint": "--overwrite",
    }


def test_usage_errors_are_one_line_too(capsys):
    assert main(["recon", "--stop-on-platau", "x.h5"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--stop-on-plateau" in err
    assert main(["recn"]) == 2
    assert "did you mean 'recon'?" in capsys.readouterr().err
    assert main(["recon", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["event"] == "error"
    assert main(["grade", "--voxel-size", "1", "1", "x.nii.gz"]) == 2
    assert "'x.nii.gz' is not a number" in capsys.readouterr().err
    assert main(["recon", "x.h5", "--phases", "four"]) == 2
    assert "'four' is not a whole number" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_only_with_debug(command, capsys):
    command(raising(ZeroDivisionError("division by zero")))
    assert main(["boom"]) == 1
    err = capsys.readouterr().err
    assert "bug in csiq: ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    assert main(["boom", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_sigterm_ends_with_143(command, capsys):
    command(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(10)))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["boom"]) == 143
    assert capsys.readouterr().err == "csiq: interrupted: terminated\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_goes_away_ends_it_quietly():
    script = f"{sys.executable} -m csiq config show whole-heart | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == "0"
        assert done.stderr == ""


def test_completion_script_and_answers():
    assert "_CSIQ_COMPLETE" in python("-m", "csiq", "completion", "bash").stdout
    env = {**os.environ, "_CSIQ_COMPLETE": "bash_complete", "COMP_WORDS": "csiq re", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "csiq"], capture_output=True, text=True, env=env, timeout=60)
    assert "recon" in done.stdout
    assert "report" in done.stdout
