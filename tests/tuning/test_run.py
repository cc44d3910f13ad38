"""The folder of a sweep: complete, honest however it ends, resumed with at most one weight lost."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from csiq.config import load_config
from csiq.errors import ConfigError, OutputError, RawDataError
from csiq.io.ismrmrd import write_ismrmrd
from csiq.io.tables import read_table
from csiq.simulate.truth import truth_path, write_truth
from csiq.tuning import run as tuning_run
from csiq.tuning.folder import OWN_FILES
from csiq.tuning.run import tune
from tests.fakes import ScriptedGrader

FILES = {"tune.json", "tune.tsv", "tune.png", "tune.svg", "tune.html"}
COLUMNS = {
    "lamda", "lamda_abs", "iterations", "stop_reason", "grade", "grade_1", "grade_4", "grade_sd", "cost_data",
    "cost_penalty", "nrmse", "reference", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(scan, tmp_path_factory):
    """Return a raw file of the scan."""
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_ismrmrd(path, scan)
    return path


@pytest.fixture(autouse=True)
def grader(monkeypatch):
    """Put a grader in the place of the network that finds everything equal."""
    monkeypatch.setattr(tuning_run, "load_assessor", lambda name, device: ScriptedGrader([[1.5] * 4]))


def config_of(**options):
    defaults = {"coils": 3, "device": "cpu", "max_iter": 1, "threads": 2}
    return load_config(overrides={**defaults, **options})


def record_of(folder):
    return json.loads((folder / "tune.json").read_text())


class Killed(BaseException):
    """Stands for a signal in the middle of a sweep."""


def kill_at(number):
    def on_event(event):
        if event["event"] == "lamda" and event["number"] == number:
            raise Killed

    return on_event


@pytest.fixture(scope="module")
def whole(raw, tmp_path_factory):
    """Return a finished folder, its events and its choice."""
    folder, events = tmp_path_factory.mktemp("whole") / "scan.tune", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning_run, "load_assessor", lambda name, device: ScriptedGrader([[1.5] * 4]))
        choice = tune(config_of(), raw, folder, lamdas=(0.01, 0.04), on_event=events.append)
    return folder, events, choice


def test_a_finished_folder_has_everything(whole):
    folder, events, choice = whole
    assert {p.name for p in folder.iterdir() if p.is_file()} - {".csiq.lock"} == FILES
    points = {f"lamda-{lamda}.{kind}" for lamda in (0.01, 0.02, 0.04) for kind in ("json", "png")}
    assert {p.name for p in (folder / "points").iterdir()} == points
    content = record_of(folder)
    assert (content["schema_version"], content["status"]) == (1, "complete")
    assert (content["lamda"], content["bounds"], content["home"]) == (0.02, [0.01, 0.04], 0.02)
    assert content["command"].startswith("csiq recon scan.h5 ")
    assert "--lamda 0.02" in content["command"]
    assert choice.lamda == 0.02
    assert events[-1]["event"] == "done"
    assert events[-1]["lamda"] == 0.02


def test_the_table_says_what_the_record_says(whole):
    folder, _, _ = whole
    rows = read_table(folder / "tune.tsv")
    assert [row["lamda"] for row in rows] == [0.01, 0.02, 0.04]
    assert set(rows[0]) >= COLUMNS
    for row, point in zip(rows, record_of(folder)["points"], strict=True):
        assert {k: v for k, v in point.items() if v is not None} == {
            k: v for k, v in row.items() if not (isinstance(v, float) and np.isnan(v))
        }


def test_the_page_stands_alone_and_names_no_place(whole):
    folder, _, _ = whole
    page = (folder / "tune.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "Research use only. The grades come from" in page
    for name in FILES - {"tune.png"}:
        assert str(folder.parent) not in (folder / name).read_text()
    assert page.count("data:image/png") == 3


def test_the_images_show_two_phases_in_one_window(whole):
    folder, _, _ = whole
    shown = [np.asarray(Image.open(folder / "points" / f"lamda-{lamda}.png")) for lamda in (0.01, 0.04)]
    assert shown[0].shape == shown[1].shape
    height, width = shown[0].shape
    assert width == 2 * height + 4
    halves = shown[0][:, :height], shown[0][:, -height:]
    assert all(half.max() > 200 for half in halves)
    assert not np.array_equal(*halves)


def test_a_killed_sweep_goes_on_and_loses_one_weight_at_most(raw, whole, tmp_path):
    folder = tmp_path / "broken"
    with pytest.raises(Killed):
        tune(config_of(), raw, folder, lamdas=(0.01, 0.04), on_event=kill_at(3))
    content = record_of(folder)
    assert (content["status"], content["lamda"]) == ("interrupted", None)
    assert [point["lamda"] for point in content["points"]] == [0.01, 0.02]
    events = []
    tune(config_of(), raw, folder, lamdas=(0.01, 0.04), on_event=events.append, resume=True)
    assert [e["lamda"] for e in events if e["event"] == "lamda"] == [0.04]
    timeless = [
        [{k: v for k, v in point.items() if k != "seconds"} for point in record_of(each)["points"]]
        for each in (folder, whole[0])
    ]
    assert timeless[0] == timeless[1]
    for name in ("lamda-0.01.png", "lamda-0.04.png"):
        assert (folder / "points" / name).read_bytes() == (whole[0] / "points" / name).read_bytes()


@pytest.mark.slow
def test_weights_are_added_and_a_damaged_one_is_done_again(raw, whole, tmp_path):
    folder = tmp_path / "more"
    shutil.copytree(whole[0], folder)
    (folder / "points" / "lamda-0.01.json").write_text('{"lamda": 0.01}')
    events = []
    tune(config_of(), raw, folder, lamdas=(0.01, 0.03), on_event=events.append, resume=True)
    assert [e["lamda"] for e in events if e["event"] == "lamda"] == [0.01, 0.03]
    assert record_of(folder)["lamdas"] == [0.01, 0.02, 0.03]


def test_nothing_is_prepared_where_nothing_is_left_to_do(raw, whole, monkeypatch):
    monkeypatch.setattr("csiq.tuning.sweeping.prepare", None)
    choice = tune(config_of(), raw, whole[0], lamdas=(0.01, 0.04), resume=True)
    assert choice.lamda == 0.02
    assert record_of(whole[0])["status"] == "complete"


def test_a_sweep_of_something_else_is_not_taken_up(raw, whole):
    folder = whole[0]
    before = record_of(folder)
    for options, what in (({"coils": 2}, "configuration"), ({"max_iter": 2}, "max_iter")):
        with pytest.raises(OutputError, match=f"another {what}"):
            tune(config_of(**options), raw, folder, resume=True)
    with pytest.raises(OutputError, match=r"not empty \(a complete sweep\)") as error:
        tune(config_of(), raw, folder)
    assert error.value.exit_code == 7
    assert record_of(folder) == before


@pytest.mark.slow
def test_only_its_own_files_are_replaced(raw, whole, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(whole[0], folder)
    (folder / "notes.txt").write_text("mine")
    tune(config_of(), raw, folder, lamdas=(0.05,), overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert {p.name for p in (folder / "points").glob("*.json")} == {"lamda-0.02.json", "lamda-0.05.json"}
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "tune.tsv").write_text("mine")
    with pytest.raises(OutputError, match="csiq did not make it"):
        tune(config_of(), raw, foreign, overwrite=True)
    assert (foreign / "tune.tsv").read_text() == "mine"
    assert OWN_FILES.fullmatch("points/lamda-1e-05.png")


def test_a_missing_file_or_a_wrong_option_leaves_no_folder(raw, tmp_path):
    for path, options in ((tmp_path / "none.h5", {}), (raw, {"phases": 1}), (raw, {"solver": "nope"})):
        with pytest.raises(ConfigError):
            tune(config_of(**options), path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_truth_beside_the_scan_is_measured(raw, small, tmp_path):
    """It is of 32^3 and four phases; the one that was named and does not fit is an error."""
    here = tmp_path / "scan.h5"
    shutil.copyfile(raw, here)
    write_truth(truth_path(here), *small)
    tune(config_of(), here, tmp_path / "out", lamdas=(0.2,))
    content = record_of(tmp_path / "out")
    errors = [point["nrmse"] for point in content["points"]]
    assert all(0.05 < error < 1 for error in errors)
    best = content["points"][int(np.argmin(errors))]["lamda"]
    assert content["truth"]["nrmse_best_lamda"] == best
    assert "was not used to choose" in (tmp_path / "out" / "tune.html").read_text()
    with pytest.raises(RawDataError, match=r"the reconstruction 3 x"):
        tune(config_of(truth=str(truth_path(here)), phases=3), here, tmp_path / "three", lamdas=(0.2,))
    assert record_of(tmp_path / "three")["status"] == "failed"
