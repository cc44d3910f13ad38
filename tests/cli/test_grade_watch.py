"""``csiq grade --watch``: other programs' iterates as they come, and when to stop."""

from __future__ import annotations

import json
import threading
import time

import nibabel
import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cli import main
from csiq.cli.grade_watch import Options, watch_folder
from csiq.errors import ConfigError, OutputError, ResourceError
from csiq.io.cfl import write_cfl
from csiq.io.tables import write_json
from csiq.io.volumes import write_volumes
from csiq.quality.assessor import Grade
from tests.report.fake_run import history, run_json


class Brightness:
    """Grades the mean of a volume."""

    name, sha256, card = "brightness", "", {}
    warnings: tuple[str, ...] = ()

    def grade(self, volume, voxel_size) -> Grade:
        mean = float(np.abs(volume).mean())
        return Grade(mean, 0.01, mean < 3, warnings=("too bright",) if mean > 3 else ())

    def side_line(self):
        return None


@pytest.fixture
def grader(monkeypatch):
    monkeypatch.setattr("csiq.quality.grade.Grader.load", lambda name, device: Brightness())


def save_nifti(path, value: float) -> None:
    temporary = path.with_name(f".{path.name}")
    nibabel.save(nibabel.Nifti1Image(np.full((3, 3, 3), value, np.float32), np.eye(4)), temporary)
    temporary.replace(path)


def watched(folder, capsys, **options) -> list[dict]:
    watch_folder(folder, Brightness(), Options(as_json=True, **options), pause=0.02)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


#: Grades that rise, stand still from iteration 4 on, and would go on.
CURVE = [0.5, 1.0, 1.5, 2.0, 2.01, 2.02, 2.02, 2.02]


def test_another_program_is_told_when_to_stop(tmp_path, capsys):
    """It saves an iterate at a time and looks for the file before the next."""
    stop, saved = tmp_path / "STOP", []

    def reconstruct() -> None:
        for k, value in enumerate(CURVE * 3):
            if stop.exists():
                return
            save_nifti(tmp_path / f"img_{k:03d}.nii", value)
            saved.append(k)
            while not graded_upto(k) and not stop.exists():
                time.sleep(0.005)

    seen: list[int] = []

    def graded_upto(k: int) -> bool:
        return len(seen) > k

    class Slow(Brightness):
        def grade(self, volume, voxel_size):
            found = super().grade(volume, voxel_size)
            seen.append(1)
            return found

    other = threading.Thread(target=reconstruct)
    other.start()
    watch_folder(tmp_path, Slow(), Options(as_json=True, stop_file=stop, timeout="20s"), pause=0.02)
    other.join(timeout=20)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["iteration"] for line in lines[:-1]] == list(range(6))
    assert lines[-1] == {
        "event": "stop",
        "iteration": 5,
        "reason": "plateau",
        "rule": "grade_plateau_mean",
        "best_iteration": 5,
    }
    assert json.loads(stop.read_text())["best_iteration"] == 5
    assert saved[-1] <= 6


def test_what_an_iterate_says(tmp_path, capsys):
    for k, value in enumerate((1.0, 3.5)):
        image = np.stack([np.full((3, 3, 3), value), np.full((3, 3, 3), value / 2)])
        write_cfl(tmp_path / f"x{k}", image.reshape(2, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3))
    found = watched(tmp_path, capsys, rule="iterations(1)", voxel_size=(2.0, 2.0, 2.0))
    assert [(f["iteration"], f["phase"], f["volume"], f["grade"]) for f in found[:4]] == [
        (0, 1, "x0.cfl:phase-1", 1.0),
        (0, 2, "x0.cfl:phase-2", 0.5),
        (1, 1, "x1.cfl:phase-1", 3.5),
        (1, 2, "x1.cfl:phase-2", 1.75),
    ]
    assert (found[2]["event"], found[2]["in_domain"], found[2]["uncalibrated"]) == ("iterate", False, True)
    assert found[4] == {"event": "warning", "message": "too bright"}
    assert found[5]["reason"] == "max_iter"


def test_iterations_that_are_skipped_count(tmp_path, capsys):
    """Every fifth is saved, and of these every tenth graded: iterations(20) is iteration 20."""
    for k in range(0, 41, 5):
        save_nifti(tmp_path / f"img-{k}.nii", 1.0 + k)
    found = watched(tmp_path, capsys, rule="iterations(20)", every=10)
    assert [f["iteration"] for f in found if f["event"] == "iterate"] == [0, 10, 20]
    assert found[-1]["iteration"] == 20


def test_it_gives_up_when_nothing_comes(tmp_path, capsys):
    with pytest.raises(ResourceError, match=r"no new iterate came within 0.05 s at all"):
        watched(tmp_path, capsys, timeout="0.05s")
    save_nifti(tmp_path / "img-3.nii", 1.0)
    with pytest.raises(ResourceError, match=r"within 0.1 s after iteration 3; has the other"):
        watched(tmp_path, capsys, timeout="0.1s")
    # what was graded till then is not lost
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"event": "end", "iteration": 3, "best_iteration": 3}


def test_a_program_that_ends_before_a_plateau_says_so_by_a_file(tmp_path, capsys):
    for k, value in enumerate((0.5, 1.0, 2.0)):
        save_nifti(tmp_path / f"img-{k}.nii", value)
    (tmp_path / "DONE").write_text("")
    found = watched(tmp_path, capsys, end_file=tmp_path / "DONE")
    assert [f["iteration"] for f in found if f["event"] == "iterate"] == [
        0,
        1,
        2,
    ]  # what is there is graded first
    assert found[-1] == {"event": "end", "iteration": 2, "best_iteration": 2}


def test_a_single_iteration_in_files_of_its_phases_needs_none_behind_it_at_the_end(tmp_path, capsys):
    for phase in (1, 2):
        save_nifti(tmp_path / f"it0-phase{phase}.nii", float(phase))
    (tmp_path / "DONE").write_text("")
    found = watched(tmp_path, capsys, end_file=tmp_path / "DONE", timeout="20s")
    assert [(f["iteration"], f["phase"]) for f in found[:-1]] == [(0, 1), (0, 2)]


def test_a_stop_file_of_yesterday_is_refused(tmp_path, capsys):
    save_nifti(tmp_path / "img-0.nii", 1.0)
    (tmp_path / "STOP").write_text("{}")
    with pytest.raises(OutputError, match="is there already"):
        watched(tmp_path, capsys, stop_file=tmp_path / "STOP")


def test_whoever_interrupts_it_is_told_which_iteration_to_take(tmp_path, capsys):
    class Interrupted(Brightness):
        def grade(self, volume, voxel_size):
            if np.abs(volume).mean() > 1.5:
                raise KeyboardInterrupt
            return super().grade(volume, voxel_size)

    for k, value in enumerate((0.5, 1.0, 2.0)):
        save_nifti(tmp_path / f"img-{k}.nii", value)
    with pytest.raises(KeyboardInterrupt):
        watch_folder(tmp_path, Interrupted(), Options(), pause=0.02)
    end = capsys.readouterr().out.splitlines()[-1]
    assert end.endswith("no plateau was seen; the image to take is of iteration 1")


def test_iterates_of_another_shape_are_refused(tmp_path, capsys):
    save_nifti(tmp_path / "img-0.nii", 1.0)
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 4), np.float32), np.eye(4)), tmp_path / "img-1.nii")
    with pytest.raises(Exception, match=r"img-1.nii: differs from the first iterate"):
        watched(tmp_path, capsys)


def save_iterate(folder, k: int, grade: float) -> None:
    (folder / "iterates").mkdir(exist_ok=True)
    volumes = np.full((1, 4, 4, 4), grade, np.complex64)
    write_volumes(folder / "iterates" / f"iter-{k:03d}.h5", volumes, Geometry((4, 4, 4), (8.0, 8.0, 8.0)), k)


def test_a_run_of_csiq_is_watched_until_it_ends(tmp_path, capsys):
    content = run_json(history(4))
    write_json(tmp_path / "run.json", {**content, "status": "running"})
    save_iterate(tmp_path, 0, 0.5)

    def go_on() -> None:
        save_iterate(tmp_path, 1, 1.0)
        write_json(tmp_path / "run.json", content)

    later = threading.Timer(0.2, go_on)
    later.start()
    found = watched(tmp_path, capsys)
    later.join()
    assert [f.get("volume") for f in found] == ["iter-000.h5", "iter-001.h5", None]
    assert found[-1] == {"event": "end", "iteration": 1, "best_iteration": 1}


@pytest.mark.usefixtures("grader")
def test_the_command_in_words(tmp_path, capsys):
    for k, value in enumerate(CURVE):
        save_nifti(tmp_path / f"img-{k}.nii", value)
    assert main(["grade", "--run", str(tmp_path), "--watch", "--rule", "plateau(patience=1)"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("img-0.nii  0.50 (sd 0.01)")
    assert out[-1] == (
        "stop at iteration 4: the mean grade changed by less than 0.02 x max(grade, 1) in 1 consecutive "
        "iterations; the image to take is of iteration 4"
    )
    assert main(["grade", "--run", str(tmp_path), "--json"]) == 0
    assert [one["grade"] for one in json.loads(capsys.readouterr().out)] == pytest.approx(CURVE)


@pytest.mark.usefixtures("grader")
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--watch", "x.nii"], 2, "--watch: needs --run DIR"),
        (["--pattern", "*", "x.nii"], 2, "--pattern: needs --run DIR"),
        (["--run", ".", "--rule", "plateau"], 2, "--rule: needs --watch"),
        (["--run", ".", "--stop-file", "a"], 2, "--stop-file: needs --watch"),
        (["--run", ".", "--watch", "--rule", "plato"], 2, "no rule 'plato'"),
        (["--run", ".", "--watch", "--timeout", "soon"], 2, "--timeout: cannot read 'soon'"),
        (["--run", "nowhere", "--watch"], 2, "nowhere: no such folder"),
        (["--run", ".", "--watch", "--timeout", "0.1s"], 5, "no new iterate came within 0.1 s at all"),
        (["x.nii", "--voxel-size", "1", "0", "1"], 2, "voxel-size"),
    ],
)
def test_what_cannot_be_watched(options, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grade", *options]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_rule_on_scatter_refuses_gaps(tmp_path, capsys):
    for k in (0, 2, 4):
        save_nifti(tmp_path / f"img-{k}.nii", 1.0 + k)
    with pytest.raises(ConfigError, match="goes by the scatter"):
        watched(tmp_path, capsys, rule="resolved")
