"""``csiq tune``: options become weights and a configuration, and the end says what to paste."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import pytest

from csiq.cli import main
from csiq.cli.entry import Terminated
from csiq.cli.recon import recon
from csiq.cli.tune import tune
from csiq.tuning import run as tuning_run
from tests.tuning.points import point

CHOICE = SimpleNamespace(lamda=0.043, why="grade 1.50, the best; the configuration's own has 1.00")


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Replace the sweep; return what it was called with."""
    calls = []

    def run(config, raw, folder, *, lamdas, on_event, resume, overwrite):
        calls.append(SimpleNamespace(**locals()))
        on_event({"event": "lamda", "lamda": 0.02, "number": 1, "of": 2})
        made = point(0.02, 1.0)
        on_event({"event": "point", **made.row(), "grades": list(made.grades)})
        on_event({"event": "warning", "message": "the scan is short"})
        on_event({"event": "done", "lamda": 0.043})
        return CHOICE

    monkeypatch.setattr(tuning_run, "tune", run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my scan.h5").write_text("a raw file")
    return calls


def test_defaults(called, capsys):
    assert main(["tune", "my scan.h5"]) == 0
    (call,) = called
    assert str(call.folder) == "my scan.tune"
    assert call.lamdas == (0.002, 0.0043, 0.0093, 0.02, 0.043, 0.093, 0.2)
    assert call.config.stop.stop_on_plateau
    shown = capsys.readouterr()
    assert "lamda 0.043: grade 1.50, the best" in shown.out
    assert "csiq recon 'my scan.h5' --lamda 0.043 --stop-on-plateau" in shown.out
    assert "Research use only" in shown.out
    assert "the scan is short" in shown.err
    assert "0.02" in shown.out.splitlines()[1]


def test_the_line_to_paste_is_the_same_reconstruction(called, capsys):
    given = ["--preset", "whole-heart-fast", "--coils", "6", "--model", "models/mine", "--no-stop-on-plateau"]
    assert main(["tune", "my scan.h5", *given]) == 0
    line = next(each for each in capsys.readouterr().out.splitlines() if each.startswith("csiq recon"))
    context = recon.make_context("recon", shlex.split(line)[2:])
    from csiq.cli.options import config_of

    said, swept = config_of(context), called[0].config
    assert said.penalty.lamda == 0.043
    assert (said.coils, said.solver, said.quality, said.stop) == (
        swept.coils, swept.solver, swept.quality, swept.stop,
    )  # fmt: skip
    assert called[0].lamdas[3] == 0.03  # the preset's own


def test_weights_by_list_and_by_range(called):
    assert main(["tune", "my scan.h5", "-q", "--lamda", "0.1, 0.01"]) == 0
    assert (
        main(["tune", "my scan.h5", "-q", "--lamda-min", "0.01", "--lamda-max", "0.04", "--points", "3"]) == 0
    )
    assert [call.lamdas for call in called] == [(0.01, 0.02, 0.1), (0.01, 0.02, 0.04)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lamda", "0.1,x"], "expected numbers"),
        (["--lamda", "0.1", "--points", "3"], "exclude each other"),
        (["--lamda-min", "0.3"], "0 < low < high"),
        (["--points", "1"], "2 or more"),
        (["--mode", "selfnav"], "lamda does nothing"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--shadow"], "no such option"),
    ],
)
def test_wrong_options_end_with_2(called, capsys, options, words):
    assert main(["tune", "my scan.h5", *options]) == 2
    assert words in capsys.readouterr().err
    assert called == []


def test_json_is_one_object_a_line(called, capsys):
    assert main(["tune", "my scan.h5", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["lamda", "point", "warning", "done"]
    assert events[1]["nrmse"] is None


def test_quiet_says_warnings_only(called, capsys):
    assert main(["tune", "my scan.h5", "-q"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "the scan is short" in shown.err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
def test_a_signal_has_its_exit_code_and_the_way_on(called, monkeypatch, capsys, error, code):
    def run(*args, **options):
        raise error

    monkeypatch.setattr(tuning_run, "tune", run)
    assert main(["tune", "my scan.h5", "--json"]) == code
    content = json.loads(capsys.readouterr().out)
    assert (content["event"], content["code"]) == ("error", code)
    assert "--resume" in content["hint"]


def test_a_dry_run_reconstructs_nothing(called, monkeypatch, capsys):
    import csiq.cli.check

    monkeypatch.setattr(csiq.cli.check, "examine", lambda raw, config, as_json: None)
    assert main(["tune", "my scan.h5", "--dry-run", "--lamda", "0.1"]) == 0
    assert capsys.readouterr().out == "2 reconstructions, lamda 0.02, 0.1\n"
    assert called == []


def test_options_that_say_nothing_here_are_not_offered():
    names = {parameter.name for parameter in tune.params}
    left_out = {"shadow", "min_grade", "save_iterates", "live", "lamda"}
    assert {parameter.name for parameter in recon.params} - names == left_out | {"fractions", "verbose"}
