"""Files as they come: names, order, half-written ones, phases in files of their own."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.io.cfl import write_cfl
from csiq.watch import Arrivals, numbered

VOXELS = (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "iteration", "phase", "series"),
    [
        ("iter-003.h5", 3, None, "iter-#.h5"),
        ("img_012.nii.gz", 12, None, "img_#.nii.gz"),
        ("x5.cfl", 5, None, "x#.cfl"),
        ("0007.nii", 7, None, "#.nii"),
        ("recon-iter7-phase2.nii", 7, 2, "recon-iter#-phase#.nii"),
        ("phase2_it010.nii", 10, 2, "phase#_it#.nii"),
        ("p1-04.cfl", 4, 1, "p#-#.cfl"),
        ("scan2_iter10.nii", 10, None, "scan2_iter#.nii"),
        ("scan2-10.nii", 10, None, "scan2-#.nii"),
        ("resp3_k2.nii", 2, 3, "resp#_k#.nii"),
        ("Iteration 4.nii", 4, None, "Iteration #.nii"),
        ("step_9.img.nii.gz", 9, None, "step_#.img.nii.gz"),
    ],
)
def test_what_a_name_says(name, iteration, phase, series):
    found = numbered(Path(name))
    assert (found.iteration, found.phase, found.series) == (iteration, phase, series)


@pytest.mark.parametrize("name", ["volumes.h5", "phase-1.nii.gz", "maps.cfl", "kspace.h5"])
def test_names_without_an_iteration(name):
    assert numbered(Path(name)) is None


def save(path: Path, value: float = 1.0, shape=(3, 4, 5)) -> Path:
    """Write a volume that is one value."""
    if path.suffix == ".cfl":
        write_cfl(path, np.full(shape, value))
    else:
        nibabel.save(nibabel.Nifti1Image(np.full(shape[::-1], value, np.float32), np.eye(4)), path)
    return path


def iterations(arrivals: Arrivals) -> list[int]:
    return [iterate.iteration for iterate in arrivals.new()]


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr("csiq.watch.arrivals.time.monotonic", lambda: now[0])
    return now


def test_iterates_come_in_the_order_of_their_numbers(tmp_path):
    for k in (10, 2, 1):
        save(tmp_path / f"x{k}.nii", k)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "reference.nii").write_text("has no number")
    arrivals = Arrivals(tmp_path, settle=0)
    found = list(arrivals.new())
    assert [iterate.iteration for iterate in found] == [1, 2, 10]
    assert [float(iterate.volumes[0].values.mean()) for iterate in found] == [1, 2, 10]
    assert not arrivals.pending
    # one of an earlier iteration is too late, one behind is new
    save(tmp_path / "x5.nii")
    save(tmp_path / "x11.nii")
    assert iterations(arrivals) == [11]


def test_a_file_that_still_changes_is_waited_for(tmp_path, clock):
    path = save(tmp_path / "x1.nii")
    whole = path.read_bytes()
    arrivals = Arrivals(tmp_path, settle=1)
    path.write_bytes(whole[:200])
    assert iterations(arrivals) == []
    clock[0] += 5
    path.write_bytes(whole)
    assert iterations(arrivals) == []
    clock[0] += 0.5
    assert iterations(arrivals) == []
    clock[0] += 0.6
    assert iterations(arrivals) == [1]


def test_a_backlog_settles_at_once(tmp_path, clock):
    for k in range(5):
        save(tmp_path / f"x{k}.nii")
    arrivals = Arrivals(tmp_path, settle=1)
    assert iterations(arrivals) == []
    clock[0] += 1
    assert iterations(arrivals) == [0, 1, 2, 3, 4]


def test_a_truncated_file_holds_up_those_behind_it_and_is_then_left_out(tmp_path, clock):
    path = save(tmp_path / "x1.nii")
    path.write_bytes(path.read_bytes()[:360])
    save(tmp_path / "x2.nii")
    arrivals = Arrivals(tmp_path, settle=0, give_up=30)
    assert iterations(arrivals) == []
    clock[0] += 29
    assert iterations(arrivals) == []
    assert arrivals.pending
    clock[0] += 2
    assert iterations(arrivals) == [2]
    assert len(arrivals.warnings) == 1
    assert arrivals.warnings[0].startswith("iteration 1 is left out: x1.nii: no readable NIfTI image")


def test_what_bart_made_but_did_not_fill_is_waited_for(tmp_path, clock):
    save(tmp_path / "x1.cfl", 0.0)
    (tmp_path / "x2.cfl").write_bytes(bytes(480))  # its header comes later
    arrivals = Arrivals(tmp_path, settle=0, voxel_size=VOXELS)
    assert iterations(arrivals) == []
    save(tmp_path / "x1.cfl", 2.0)
    assert iterations(arrivals) == [1]
    assert iterations(arrivals) == []
    save(tmp_path / "x2.cfl", 2.0)
    assert iterations(arrivals) == [2]


def test_what_waiting_cannot_mend_is_an_error_at_once(tmp_path):
    save(tmp_path / "x1.cfl")
    with pytest.raises(RawDataError, match="no voxel size"):
        list(Arrivals(tmp_path, settle=0).new())
    save(tmp_path / "x1.cfl", shape=(8, 3, 4, 5))
    with pytest.raises(ShapeError, match="8 coils"):
        list(Arrivals(tmp_path, settle=0, voxel_size=VOXELS).new())


def test_phases_in_files_of_their_own(tmp_path):
    """How many there are shows when the second iteration begins; from then on all are waited for."""
    arrivals = Arrivals(tmp_path, settle=0)
    save(tmp_path / "it0-phase1.nii")
    assert iterations(arrivals) == []
    save(tmp_path / "it0-phase2.nii")
    assert iterations(arrivals) == []
    save(tmp_path / "it1-phase2.nii")
    assert iterations(arrivals) == [0]
    save(tmp_path / "it1-phase1.nii", 7.0)
    (found,) = arrivals.new()
    assert [volume.name for volume in found.volumes] == ["it1-phase1.nii", "it1-phase2.nii"]
    assert found.volumes[0].values.mean() == 7


def test_the_number_of_phases_may_be_said(tmp_path):
    arrivals = Arrivals(tmp_path, n_phases=2, settle=0)
    save(tmp_path / "it0-phase1.nii")
    assert iterations(arrivals) == []
    save(tmp_path / "it0-phase2.nii")
    assert iterations(arrivals) == [0]


def test_several_series_need_a_pattern(tmp_path):
    save(tmp_path / "sens1.nii")
    save(tmp_path / "x1.nii")
    with pytest.raises(
        ConfigError, match=r"several series: sens#.nii, x#.nii; say which, for .*'sens\*.nii'"
    ):
        iterations(Arrivals(tmp_path))
    assert iterations(Arrivals(tmp_path, "x*.nii", settle=0)) == [1]


def test_in_a_run_of_csiq_only_its_iterates_are_some(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    save(tmp_path / "half-50.nii")
    assert iterations(Arrivals(tmp_path, settle=0)) == []
    assert iterations(Arrivals(tmp_path, "half*.nii", settle=0)) == [50]
    (tmp_path / "iterates").mkdir()
    save(tmp_path / "iterates" / "iter-003.nii")
    assert iterations(Arrivals(tmp_path, settle=0)) == [3]


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        iterations(Arrivals(tmp_path / "nowhere"))
