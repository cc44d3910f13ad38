"""``csiq recon``: options become configuration, events become lines, and the end says what was found."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from csiq.cli import main
from csiq.cli.recon import recon
from csiq.config import SECTION_OF, Config
from csiq.errors import RawDataError
from tests.report.fake_run import history, run_json, write_run_folder

#: Option, what is typed, and what the key must be.
TYPED = {
    "trajectory": ("traj.h5:/coord", "traj.h5:/coord"),
    "traj_units": ("1/mm", "1/mm"),
    "echo": ("1", 1),
    "group": ("scan2", "scan2"),
    "matrix": ("64", 64),
    "phases": ("6", 6),
    "mode": ("phases", "phases"),
    "source": ("k0", "k0"),
    "coils": ("5", 5),
    "lamda": ("0.05", 0.05),
    "lamda_spatial_tv": ("0.004", 0.004),
    "lamda_wavelet": ("0.01", 0.01),
    "dcf": ("pipe-menon", "pipe-menon"),
    "solver": ("bb", "bb"),
    "max_iter": ("12", 12),
    "time_limit": ("30m", "30m"),
    "plateau_tol": ("0.03", 0.03),
    "plateau_floor": ("0.5", 0.5),
    "patience": ("3", 3),
    "min_iter": ("4", 4),
    "scope": ("all", "all"),
    "return": ("last", "last"),
    "min_grade": ("1.5", 1.5),
    "rule": ("slope(4) or time(30m)", "slope(4) or time(30m)"),
    "truth": ("elsewhere/scan.truth.h5", "scan.truth.h5"),
    "model": ("mine.safetensors", "mine.safetensors"),
    "device": ("cpu", "cpu"),
    "threads": ("2", 2),
    "coil_batch": ("1", 1),
    "max_memory": ("8GB", "8GB"),
    "seed": ("7", 7),
    "delays": ("estimate", "estimate"),
}
SWITCHES = [
    "drop_bad", "strict", "force", "decay_correction", "keep_identifiers", "stop_on_plateau", "shadow",
    "save_iterates", "live",
]  # fmt: skip


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Replace the reconstruction by one that writes a made-up run folder; return what it was called with."""
    calls = []
    result = object()

    def run(config, raw, folder, *, on_event, resume=False, overwrite=False):
        calls.append(
            {"config": config, "raw": raw, "folder": folder, "resume": resume, "overwrite": overwrite}
        )
        made = history(4)
        on_event(
            {
                "event": "start",
                "name": raw.name,
                "n_phases": 4,
                "n_spokes": 5150,
                "nyquist_fraction": 0.2,
                "device": "cpu",
                "max_iter": 20,
            }
        )
        on_event({"event": "stage", "stage": "gating", "seconds": 1.2})
        on_event({"event": "warning", "message": "coil 3 is [bold]dead[/]"})
        for step in made.steps:
            on_event(
                {
                    "event": "iteration",
                    "iteration": step.iteration,
                    "cost": step.cost,
                    "cost_data": step.cost_data,
                    "cost_penalty": step.cost_penalty,
                    "grades": list(step.grades),
                    "grade_sd": [float("nan")] * 4,
                    "seconds": step.recon_s + step.grading_s,
                }
            )
        write_run_folder(folder, n=8)
        on_event({"event": "done", **run_json(made)})
        return result

    module = ModuleType("csiq.run_scan")
    module.run = run
    monkeypatch.setitem(sys.modules, "csiq.run_scan", module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.h5").write_text("a raw file")
    return calls


def config_from(ran, *args: str) -> Config:
    assert main(["recon", "scan.h5", "-q", *args]) == 0
    return ran[-1]["config"]


def value_of(config: Config, key: str):
    return config.as_dict()[SECTION_OF[key]][key]


def test_every_key_of_the_configuration_has_an_option():
    assert set(SECTION_OF) <= {parameter.name.rstrip("_") for parameter in recon.params}


@pytest.mark.parametrize("key", TYPED)
def test_an_option_sets_the_key_of_its_name(ran, key):
    typed, expected = TYPED[key]
    assert value_of(config_from(ran, f"--{key.replace('_', '-')}", typed), key) == expected


@pytest.mark.parametrize("key", SWITCHES)
def test_a_switch_turns_its_key_on(ran, key):
    assert value_of(Config(), key) is False
    assert value_of(config_from(ran, f"--{key.replace('_', '-')}"), key) is True


def test_options_that_take_several_values(ran):
    config = config_from(
        ran, "--exclude-coil", "3", "--exclude-coil", "7", "--band", "0.1", "0.7", "--no-orient"
    )
    assert config.data.exclude_coil == (3, 7)
    assert config.gating.band == (0.1, 0.7)
    assert config.gating.orient is False


def test_what_is_not_typed_stays_at_the_default(ran):
    assert config_from(ran) == Config()


def test_an_option_wins_over_the_file(ran, tmp_path):
    (tmp_path / "mine.toml").write_text(
        "[solver]\nmax_iter = 7\n[stop]\nstop_on_plateau = true\npatience = 4\n"
    )
    config = config_from(ran, "--config", "mine.toml", "--max-iter", "9", "--no-stop-on-plateau")
    assert (config.solver.max_iter, config.stop.patience, config.stop.stop_on_plateau) == (9, 4, False)
    assert config_from(ran, "--preset", "whole-heart-fast").stop.stop_on_plateau is True


def test_where_it_goes_and_how(ran):
    config_from(ran)
    assert (str(ran[-1]["folder"]), ran[-1]["resume"], ran[-1]["overwrite"]) == ("scan.csiq", False, False)
    config_from(ran, "-o", "there", "--overwrite")
    assert (str(ran[-1]["folder"]), ran[-1]["overwrite"]) == ("there", True)
    config_from(ran, "--resume")
    assert ran[-1]["resume"] is True
    assert main(["recon", "scan.h5", "--resume", "--overwrite"]) == 2


def test_wrong_values_are_usage_errors(ran, capsys):
    for args in (
        ["--max-iter", "0"],
        ["--lamda", "nan"],
        ["--lamda", "-1"],
        ["--phases", "0"],
        ["--max-iter", "x"],
    ):
        assert main(["recon", "scan.h5", *args]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert args[0] in err
    assert not ran


def test_plain_lines_without_escape_codes(ran, capsys):
    assert main(["recon", "scan.h5"]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "scan.h5: 4 phases, 5150 spokes (20 % of Nyquist), cpu, at most 20 iterations" in out
    assert "iteration   0  cost 51000  grade 0.35 0.35 0.35 0.35" in out
    assert "looks best" in out
    assert "report: scan.csiq/report.html" in out
    assert err == "csiq: warning: coil 3 is [bold]dead[/]\n"


def test_json_lines_are_strict_and_end_with_the_run(ran, capsys):
    assert main(["recon", "scan.h5", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    events = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert [e["event"] for e in events] == ["start", "warning", *["iteration"] * 9, "done"]
    assert events[2]["grade_sd"] == [None] * 4
    assert events[-1]["status"] == "complete"
    assert events[-1]["returned_iteration"] == 8


def test_an_error_in_mid_run_is_the_last_json_line(ran, capsys, monkeypatch):
    def run(config, raw, folder, *, on_event, **rest):
        on_event({"event": "start", "name": raw.name, "n_phases": 1, "n_spokes": 1})
        raise RawDataError("no signal", file=raw)

    monkeypatch.setattr(sys.modules["csiq.run_scan"], "run", run)
    assert main(["recon", "scan.h5", "--json"]) == 3
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["code"], last["file"]) == ("error", 3, "scan.h5")


def test_resuming_a_complete_run_says_so(ran, capsys, monkeypatch, tmp_path):
    write_run_folder(tmp_path / "scan.csiq", n=8)
    monkeypatch.setattr(sys.modules["csiq.run_scan"], "run", lambda *args, **options: None)
    assert main(["recon", "scan.h5", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert "scan.csiq is complete" in err
    assert "looks best" in out
    assert main(["recon", "scan.h5", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "complete"


def test_quiet_prints_warnings_only(ran, capsys):
    assert main(["recon", "scan.h5", "-q"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning" in err


# ---------------------------------------------------------------- fractions


def test_fractions_are_graded_beside_the_run(ran, monkeypatch, tmp_path, capsys):
    import csiq.rescan.fractions
    from csiq.io.tables import read_table
    from csiq.rescan import Part

    asked = []

    def parts(scan, config, fractions):
        asked.append((config.solver.max_iter, fractions))
        yield Part(0.25, 8, 80, (), (float("nan"),) * 4, (float("nan"),) * 4, 12, problem="no breathing")
        yield Part(0.5, 17, 160, (2,) * 4, (1.0, 1.2, 0.9, 0.5), (0.1,) * 4, 12, 5.0, 0.9)

    scan = SimpleNamespace(heartbeat=np.repeat(np.arange(34), 10), n_spokes=340)
    monkeypatch.setattr("csiq.scan_file.read_scan", lambda config, raw: scan)
    monkeypatch.setattr(csiq.rescan.fractions, "grades_by_fraction", parts)
    assert main(["recon", "scan.h5", "--max-iter", "12", "--fractions", "50,25"]) == 0
    said = capsys.readouterr()
    assert asked == [(12, (0.25, 0.5))]
    assert "first 25 %: no breathing" in said.err
    assert "heartbeats" in said.out
    rows = read_table(tmp_path / "scan.csiq" / "fractions.tsv")
    assert [row["fraction"] for row in rows] == [0.25] * 4 + [0.5] * 4 + [1.0] * 4
    assert (tmp_path / "scan.csiq" / "fractions.png").read_bytes().startswith(b"\x89PNG")
    # the whole scan is the run itself
    run = json.loads((tmp_path / "scan.csiq" / "run.json").read_text())
    step = history(4).steps[run["returned_iteration"]]
    assert [row["grade"] for row in rows[8:]] == list(step.grades)
    assert [(row["heartbeats"], row["spokes"]) for row in rows[8:]] == [(34, 340)] * 4


def test_fractions_are_checked_before_anything_runs(ran, capsys):
    for wrong in ("25;50", "0.25,0.5"):
        assert main(["recon", "scan.h5", "--fractions", wrong]) == 2
    assert ran == []
