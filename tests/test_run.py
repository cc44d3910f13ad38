"""Run folders: complete, honest however a run ends, and equal after a resume."""

from __future__ import annotations

import importlib
import json
import time

import h5py
import nibabel
import numpy as np
import pytest

from csiq import pipeline
from csiq.cli.live import start_line
from csiq.config import load_config
from csiq.errors import ConfigError, CsiqError, OutputError, RawDataError, ResourceError
from csiq.history import COLUMNS
from csiq.io.ismrmrd import write_ismrmrd
from csiq.io.run_folder import RunFolder
from csiq.io.tables import read_table
from csiq.run_scan import run
from tests.fakes import ScriptedGrader, rising
from tests.scans import TINY, scan_and_truth

run_module = importlib.import_module("csiq.run_scan")

CONTRACT = {
    "schema_version", "status", "csiq", "config", "config_sha256", "input", "model", "device", "threads",
    "seed", "lamda_abs", "iterations", "stop", "returned_iteration", "counterfactual", "seconds", "warnings",
}  # fmt: skip
FILES = {
    "run.json", "curves.tsv", "ranking.json", "ranking.tsv", "respiration.tsv", "volumes.h5", "curves.png",
    "report.html", "csiq.log", "extend.h5",
    *(f"phase-{p}.{kind}" for p in range(1, 5) for kind in ("nii.gz", "json")),
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Return a raw file of a 32^3 scan."""
    scan, _ = scan_and_truth(TINY)
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_ismrmrd(path, scan)
    return path


@pytest.fixture(autouse=True)
def grader(monkeypatch):
    """Put a scripted grader in the place of the network: a new one for each run."""
    put_grader(monkeypatch, lambda config, device: rising(plateau=3))


def put_grader(monkeypatch, load):
    for module in (pipeline, run_module):
        monkeypatch.setattr(module, "load_grader", load)


def config_of(**options):
    return load_config(overrides={"coils": 3, "device": "cpu", "max_iter": 4, "threads": 2, **options})


def volumes_of(folder):
    with h5py.File(folder / "volumes.h5") as file:
        return file["volumes"][()]


def test_a_complete_run_has_every_file_of_the_contract(raw, tmp_path):
    folder = tmp_path / "out"
    events = []
    run(config_of(save_iterates=True), raw, folder, on_event=events.append)
    assert {p.name for p in folder.iterdir() if p.is_file()} == FILES
    assert sorted(p.name for p in (folder / "iterates").iterdir()) == [f"iter-{k:03d}.h5" for k in range(5)]
    content = json.loads((folder / "run.json").read_text())
    assert content.keys() >= CONTRACT
    assert content["status"] == "complete"
    assert content["iterations"] == 4
    assert set(content["seconds"]) == {"load", "gating", "coils", "setup", "recon", "grading", "output"}
    assert content["input"]["name"] == "scan.h5"
    assert len(content["input"]["sha256"]) == 64
    assert events[-1]["event"] == "done"
    assert events[-1]["returned_iteration"] == content["returned_iteration"]
    log = (folder / "csiq.log").read_text()
    assert "{" not in log
    for line in (" INFO start: name scan.h5, n_phases 4, ", " DEBUG iteration 4, cost ", " stage output, "):
        assert line in log
    assert log.splitlines()[-1].endswith(" INFO complete, iteration 4 returned, stopped by max_iter")


def test_tables_and_images_say_the_same(raw, tmp_path):
    folder = tmp_path / "out"
    result = run(config_of(), raw, folder)
    curves = read_table(folder / "curves.tsv")
    assert len(curves) == 5 * 4
    assert tuple(curves[0]) == COLUMNS
    assert " ".join(COLUMNS) == "iteration phase grade grade_sd cost cost_data cost_penalty recon_s grading_s"
    ranking = json.loads((folder / "ranking.json").read_text())
    assert ranking["threshold"] == 0.25
    assert len(ranking["pairs"]) == 6
    respiration = read_table(folder / "respiration.tsv")
    assert len(respiration) == 600
    assert {row["phase"] for row in respiration} == {1, 2, 3, 4}
    assert np.array_equal(volumes_of(folder), result.volumes)
    images = [nibabel.load(folder / f"phase-{p}.nii.gz") for p in range(1, 5)]
    scale = json.loads((folder / "phase-1.json").read_text())["scale"]
    for image, volume in zip(images, result.volumes, strict=True):
        assert image.get_data_dtype() == np.float32
        assert np.allclose(image.get_fdata().transpose(2, 1, 0), np.abs(volume) * scale, rtol=1e-5)
        assert np.allclose(image.affine, result.geometry.affine, atol=1e-4)


def test_nothing_names_a_local_path_or_the_host(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "scanner-7-basement")
    folder = tmp_path / "secret-place"
    run(config_of(max_iter=1), raw, folder)
    for name in ("run.json", "report.html", "curves.tsv", "ranking.json", "phase-1.json"):
        text = (folder / name).read_text()
        assert str(tmp_path) not in text
        assert "scanner-7-basement" not in text


def curves_of(folder):
    """Return the curves without the clocks."""
    rows = read_table(folder / "curves.tsv")
    return [{key: value for key, value in row.items() if not key.endswith("_s")} for row in rows]


class Killed(BaseException):
    """Stands for a signal in the middle of a run."""


def kill_at(iteration):
    def on_event(event):
        if event["event"] == "iteration" and event["iteration"] == iteration:
            raise Killed

    return on_event


def test_a_killed_run_goes_on_and_ends_equal_to_the_bit(raw, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    run(config_of(max_iter=5), raw, whole)
    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        run(config_of(max_iter=5), raw, broken, on_event=kill_at(3))
    content = json.loads((broken / "run.json").read_text())
    assert content["status"] == "interrupted"
    assert content["stop"] == {"iteration": 2, "reason": "interrupted", "rule": None}
    assert content["returned_iteration"] == 2
    assert (broken / "checkpoint.h5").exists()
    # the script of the fake grader goes on where it was: iteration 2 was saved last
    script = rising(plateau=3).script
    put_grader(monkeypatch, lambda config, device: ScriptedGrader([script[2], *script[3:]]))
    told = []
    run(config_of(max_iter=5), raw, broken, resume=True, on_event=told.append)
    assert [event["resumed_from"] for event in told if event["event"] == "start"] == [2]
    assert "going on after iteration 2" in start_line(next(e for e in told if e["event"] == "start"))
    assert np.array_equal(volumes_of(broken), volumes_of(whole))
    assert curves_of(broken) == curves_of(whole)
    assert json.loads((broken / "run.json").read_text())["status"] == "complete"
    assert not (broken / "checkpoint.h5").exists()


def test_a_checkpoint_of_another_configuration_is_refused(raw, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        run(config_of(), raw, folder, on_event=kill_at(2))
    with pytest.raises(OutputError, match="another configuration"):
        run(config_of(lamda=0.5), raw, folder, resume=True)
    run(config_of(max_iter=3), raw, folder, resume=True)  # how long does not count
    assert json.loads((folder / "run.json").read_text())["status"] == "complete"


def test_a_complete_run_is_not_run_again(raw, tmp_path):
    folder = tmp_path / "out"
    run(config_of(max_iter=1), raw, folder)
    before = (folder / "run.json").read_bytes()
    assert run(config_of(max_iter=1), raw, folder, resume=True) is None
    assert (folder / "run.json").read_bytes() == before
    with pytest.raises(OutputError, match="another configuration"):
        run(config_of(max_iter=1, lamda=0.3), raw, folder, resume=True)
    with pytest.raises(OutputError, match="not empty") as error:
        run(config_of(max_iter=1), raw, folder)
    assert error.value.exit_code == 7


def test_overwriting_leaves_other_files_alone(raw, tmp_path):
    folder = tmp_path / "out"
    run(config_of(max_iter=1), raw, folder)
    (folder / "notes.txt").write_text("mine")
    run(config_of(max_iter=2), raw, folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert json.loads((folder / "run.json").read_text())["iterations"] == 2


def test_a_failed_run_says_so(raw, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(ResourceError, match="needs") as error:
        run(config_of(max_memory="300MB"), raw, folder)
    assert error.value.exit_code == 5
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    assert "stopped by an error" in (folder / "csiq.log").read_text()


def test_a_cost_that_is_no_number_keeps_the_iterate_before(raw, tmp_path, monkeypatch):
    from csiq.solvers.pogm import POGM
    from csiq.solvers.problem import Cost

    update = POGM._update

    def broken(self):
        update(self)
        if self.iter == 2:  # counts from 0: this is iteration 3
            self.volumes = self.volumes * np.float32(np.nan)
            self.cost = Cost(float("nan"), 0.0)

    monkeypatch.setattr(POGM, "_update", broken)
    folder = tmp_path / "out"
    with pytest.raises(RawDataError, match="not finite at iteration 3; iteration 2 was kept"):
        run(config_of(max_iter=6, solver="pogm"), raw, folder)
    content = json.loads((folder / "run.json").read_text())
    assert (content["status"], content["stop"]["reason"]) == ("failed", "nan")
    assert np.isfinite(volumes_of(folder)).all()


def test_a_missing_file_leaves_no_folder(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        run(config_of(), tmp_path / "none.h5", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_killed_after_its_stop_does_not_go_further(raw, tmp_path, monkeypatch):
    """The plateau had fired and only the writing was lost: resuming must not add an iteration."""

    def killed(self, result, seconds_load):
        raise Killed

    folder = tmp_path / "out"
    options = {"stop_on_plateau": True, "max_iter": 9}
    with monkeypatch.context() as patch:
        patch.setattr(run_module._Run, "_write", killed)
        with pytest.raises(Killed):
            run(config_of(**options), raw, folder)
    result = run(config_of(**options), raw, folder, resume=True)
    assert (result.stop.iteration, result.stop.reason) == (5, "plateau")
    assert result.history.last.iteration == 5


def test_resuming_with_another_model_is_refused(raw, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        run(config_of(), raw, folder, on_event=kill_at(2))
    other = rising(plateau=3)
    other.sha256 = "1" * 64
    put_grader(monkeypatch, lambda config, device: other)
    with pytest.raises(OutputError, match="another model"):
        run(config_of(), raw, folder, resume=True)


def test_what_csiq_did_not_make_is_not_replaced(raw, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "volumes.h5").write_bytes(b"my own work")
    with pytest.raises(OutputError, match=r"would replace volumes\.h5") as error:
        run(config_of(max_iter=1), raw, folder, overwrite=True)
    assert error.value.exit_code == 7
    assert (folder / "volumes.h5").read_bytes() == b"my own work"


def test_a_wrong_option_leaves_no_folder(raw, tmp_path):
    for options in ({"solver": "nope"}, {"time_limit": "soon"}, {"device": "cuda:9"}):
        with pytest.raises(CsiqError):
            run(config_of(**options), raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_too_small_is_said_before_the_work(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module.RunFolder, "free_bytes", lambda self: 1000)
    with pytest.raises(ResourceError, match="B of disk"):
        run(config_of(), raw, tmp_path / "out")


def test_a_rescan_is_advised_below_the_least_grade(raw, tmp_path):
    folder = tmp_path / "out"
    run(config_of(max_iter=1, min_grade=3.5), raw, folder)
    content = json.loads((folder / "run.json").read_text())
    assert any("rescan advised" in w for w in content["warnings"])
    asked, best = content["rescan"], json.loads((folder / "ranking.json").read_text())
    assert (asked["min_grade"], asked["advised"]) == (3.5, True)
    assert asked["grade"] == best["phases"][asked["phase"] - 1]["grade"]
    # this grader has no calibrated confidence: the patches stand in
    assert content["grading"]["uncertainty"] == [None] * 4
    assert asked["uncertainty_from"] == "patches"
    assert asked["probability"] == pytest.approx(1)


def test_files_in_the_configuration_are_written_by_base_name():
    config = load_config(
        overrides={"trajectory": "/secret/place/traj.h5:/a/coord", "model": "/secret/net.safetensors"}
    )
    content = config.as_dict()
    assert content["data"]["trajectory"] == "traj.h5:/a/coord"
    assert content["quality"]["model"] == "net.safetensors"
    assert "secret" not in json.dumps(content)


def slow_checkpoints(monkeypatch, seconds=0.3):
    """Let a checkpoint be written well after the next iteration has begun."""
    write = RunFolder.write_checkpoint

    def slowly(*arguments):
        time.sleep(seconds)
        write(*arguments)

    monkeypatch.setattr(RunFolder, "write_checkpoint", slowly)


@pytest.mark.parametrize("solver", ["pnlcg", "pogm", "bb"])
def test_a_checkpoint_is_of_its_iterate_however_late_it_is_written(raw, tmp_path, monkeypatch, solver):
    small = {"solver": solver, "phases": 2, "coils": 2, "max_iter": 4}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(config_of(**small), raw, whole)
    slow_checkpoints(monkeypatch)
    with pytest.raises(Killed):
        run(config_of(**small), raw, broken, on_event=kill_at(3))
    script = rising(plateau=3).script
    put_grader(monkeypatch, lambda config, device: ScriptedGrader([script[2], *script[3:]]))
    run(config_of(**small), raw, broken, resume=True)
    assert np.array_equal(volumes_of(broken), volumes_of(whole))


def test_a_checkpoint_is_written_beside_the_next_iteration(raw, tmp_path, monkeypatch):
    slow_checkpoints(monkeypatch)
    at = {}

    def on_event(event):
        if event["event"] == "iteration":
            at[event["iteration"]] = (tmp_path / "out" / "checkpoint.h5").exists()

    run(config_of(phases=2, coils=2, max_iter=2), raw, tmp_path / "out", on_event=on_event)
    # the first is not there yet when the next iterate is, the one after waits for it
    assert at == {0: False, 1: False, 2: True}


def test_a_checkpoint_that_cannot_be_written_ends_the_run(raw, tmp_path, monkeypatch):
    def full(self, arrays, attributes):
        raise ResourceError("disk full", file="checkpoint.h5")

    monkeypatch.setattr(RunFolder, "write_checkpoint", full)
    events = []
    with pytest.raises(ResourceError, match="disk full"):
        run(config_of(phases=2, coils=2), raw, tmp_path / "out", on_event=events.append)
    assert [e["iteration"] for e in events if e["event"] == "iteration"] == [0, 1]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"
