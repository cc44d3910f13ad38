"""config, doctor and demo; info and check on a small simulated scan."""

from __future__ import annotations

import json
import re

import pytest

from csiq import self_test
from csiq.cli import doctor as doctor_module
from csiq.cli import main
from csiq.cli.demo import check_folder
from csiq.cli.doctor import Check
from csiq.errors import OutputError
from csiq.simulate.scan import write_simulated
from tests.scans import TINIEST, scan_and_truth


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "small.h5"
    write_simulated(path, *scan_and_truth(TINIEST))
    return path


# ---------------------------------------------------------------- info, check


def test_info_tells_what_is_in_the_file(raw, capsys):
    assert main(["info", str(raw)]) == 0
    out = capsys.readouterr().out
    assert "coils                3" in out
    assert "field of view z y x  208 x 208 x 208 mm" in out
    assert ", TR 3.1 ms, " in out
    assert " deg, " in out
    assert main(["info", str(raw), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["n_coils"], content["n_spokes"], content["matrix"]) == (3, 420, [24, 24, 24])
    assert content["nyquist_fraction"] == pytest.approx(420 / (1.5708 * 24**2), rel=0.05)
    assert content["n_navigators"] == content["n_heartbeats"] > 10


def test_check_estimates_memory_and_time(raw, capsys):
    assert main(["check", str(raw), "--phases", "2", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["status"] == "ok"
    assert sum(content["gating"]["spokes_per_phase"]) == 420
    assert content["estimate"]["memory_bytes"] > 1e8
    assert content["estimate"]["seconds_per_iteration"] > 0
    assert main(["check", str(raw), "--phases", "1"]) == 0
    out = capsys.readouterr().out
    size = r"\d\.\d GB"
    assert re.search(rf"memory +{size} in all, set-up {size}, iterations {size}; \d+\.\d GB free", out)
    assert re.search(r"time +set-up about \S+ \S+, an iteration \S+ \S+, at most \S+ \S+ for 20", out)
    assert "nothing stops a reconstruction" in out


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["{raw}", "--max-memory", "1MB"], 5),
        (["{raw}", "--device", "cuda:7"], 5),
        (["{raw}", "--matrix", "4"], 2),
        (["{raw}", "--model", "nothing.safetensors"], 4),
        (["{text}"], 3),
        (["nothing.h5"], 2),
        (["{raw}", "--truth", "nothing.truth.h5"], 2),
    ],
)
def test_check_and_dry_run_end_as_recon_would(raw, capsys, tmp_path, monkeypatch, args, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.h5").write_text("no HDF5")
    typed = [arg.format(raw=raw, text="text.h5") for arg in args]
    said = set()
    for command in (["check"], ["recon", "--dry-run"], ["recon", "-o", "out"]):
        assert main([*command, *typed]) == code
        last = capsys.readouterr().err.splitlines()[-1].partition(";")[0]
        # what this process holds already is counted, and grows from one command to the next
        said.add(re.sub(r"needs \d\.\d GB", "needs some GB", last))
    assert len(said) == 1


def test_dry_run_writes_nothing(raw, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["recon", str(raw), "--dry-run"]) == 0
    assert "memory" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- config, doctor, demo


def test_config_list_names_every_preset(capsys):
    assert main(["config", "list"]) == 0
    assert "whole-heart  " in capsys.readouterr().out
    assert main(["config", "list", "--json"]) == 0
    assert {json.loads(line)["preset"] for line in capsys.readouterr().out.splitlines()} >= {"whole-heart"}


def test_config_show_is_checked_as_good(capsys, tmp_path):
    assert main(["config", "show", "whole-heart-fast"]) == 0
    file = tmp_path / "mine.toml"
    file.write_text(capsys.readouterr().out)
    assert main(["config", "check", str(file)]) == 0
    assert "good" in capsys.readouterr().out
    assert main(["config", "show", "hole-heart"]) == 2
    assert "did you mean 'whole-heart'?" in capsys.readouterr().err


def test_config_check_names_key_and_section(capsys, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[solver]\nmax_itr = 3\n")
    assert main(["config", "check", str(file)]) == 2
    assert "mine.toml: solver.max_itr: unknown key; did you mean 'max_iter'?" in capsys.readouterr().err


def test_doctor_finds_this_installation_sound(capsys):
    assert main(["doctor", "--json"]) == 0
    checks = {c["name"]: c for c in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {"csiq", "packages", "threads", "memory", "fft", "device", "transform", "solver", "model"} <= set(
        checks
    )
    assert all(c["state"] in ("ok", "note") for c in checks.values())
    assert "direct Fourier sum" in checks["transform"]["found"]
    assert checks["self-test"]["state"] == "ok"
    assert "64 transforms of 64 x 64 in" in checks["fft"]["found"]
    assert checks["cupy"]["state"] == "ok" or "pip install 'csiq[gpu12]'" in checks["cupy"]["found"]


def test_the_self_test_sees_what_is_wrong(monkeypatch):
    assert self_test.SelfTest(0.99, 0.97, 0.2, "cpu").good
    assert not self_test.SelfTest(0.5, 0.97, 0.2, "cpu").good
    assert not self_test.SelfTest(0.99, 0.97, 1.0, "cpu").good
    # a transform that looks at a mirror image: the object is no longer where it should be
    right = self_test.object_at
    monkeypatch.setattr(self_test, "object_at", lambda shift: right(shift)[:, ::-1])
    assert not self_test.self_test("cpu").good


def test_doctor_ends_with_5_if_something_is_broken(capsys, monkeypatch):
    monkeypatch.setattr(doctor_module, "_self_test", lambda: Check("self-test", "ok", "not today"))

    def broken() -> Check:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor_module, "_transform", broken)
    assert main(["doctor"]) == 5
    out, err = capsys.readouterr()
    assert "bad   transform     RuntimeError: no such thing" in out
    assert err == "csiq: error: doctor: does not work: transform\n"


def test_doctor_does_not_believe_an_installed_cupy(monkeypatch):
    monkeypatch.setattr(doctor_module, "_version_of", lambda name: "14.0" if name == "cupy" else None)
    monkeypatch.setattr("csiq.arrays.gpu_count", lambda: 0)
    assert "installed but finds no GPU" in doctor_module._device().found


def test_demo_leaves_a_folder_alone_that_csiq_did_not_make(tmp_path, capsys):
    check_folder(tmp_path / "missing")
    check_folder(tmp_path)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError):
        check_folder(tmp_path)
    assert main(["demo", "-o", str(tmp_path)]) == 7
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "run.json").write_text("{}")  # any program may write a file of that name
    with pytest.raises(OutputError):
        check_folder(tmp_path)
    (tmp_path / "run.json").write_text('{"csiq": "0.1.0", "schema_version": 1}')
    check_folder(tmp_path)
    file = tmp_path / "thesis.tex"
    with pytest.raises(OutputError, match="is no folder"):
        check_folder(file)
