"""Which volumes are found, and what is said of a table that is wrong."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from csiq.cohort.checked_table import ManifestError
from csiq.errors import ConfigError, RawDataError
from csiq.reading.sources import find_sources
from tests.reading.volumes_to_read import blob, write_volume


def write_h5(path, n_phases, *, voxel=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["volumes"] = np.ones((n_phases, 4, 4, 4), np.complex64)
        if voxel:
            file["volumes"].attrs["voxel_size_mm"] = [1.0, 1.0, 1.0]


def test_a_folder_is_searched_below_in_natural_order(tmp_path):
    for name in ("p10.nii", "p2.nii.gz", "sub/p1.nii", ".hidden.nii", "notes.txt"):
        write_volume(tmp_path / name, blob(4, 1)) if "nii" in name else (tmp_path / name).write_text("x")
    found = find_sources(tmp_path)
    assert [s.name for s in found] == ["p2.nii.gz", "p10.nii", "sub/p1.nii"]
    assert [s.group for s in found] == [".", ".", "sub"]


def test_of_a_run_only_its_phases_and_of_hdf5_only_volumes(tmp_path):
    run = tmp_path / "scan.csiq"
    write_volume(run / "phase-1.nii.gz", blob(4, 1))
    write_h5(run / "volumes.h5", 4)
    write_h5(run / "iterates" / "iter-001.h5", 4)
    (run / "run.json").write_text("{}")
    write_h5(tmp_path / "other" / "volumes.h5", 2)
    write_h5(tmp_path / "other" / "single.h5", 1)
    write_h5(tmp_path / "other" / "scan.truth.h5", 2)
    write_h5(tmp_path / "other" / "bare.h5", 2, voxel=False)
    found = find_sources(tmp_path)
    assert [(s.name, s.group, s.phase) for s in found] == [
        ("other/single.h5", "other", 0),
        ("other/volumes.h5:phase-1", "other/volumes.h5", 0),
        ("other/volumes.h5:phase-2", "other/volumes.h5", 1),
        ("scan.csiq/phase-1.nii.gz", "scan.csiq", 0),
    ]
    # asked for by name, the iterates can be read
    assert len(find_sources(run / "iterates")) == 4


def test_one_file_is_read_and_a_folder_that_links_to_itself(tmp_path):
    write_h5(tmp_path / "in" / "volumes.h5", 3)
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    for path in (tmp_path / "in" / "volumes.h5", tmp_path / "in"):
        found = find_sources(path)
        assert [s.name for s in found] == [f"volumes.h5:phase-{i}" for i in (1, 2, 3)]
        assert len({s.group for s in found}) == 1


def test_a_name_that_breaks_a_table_is_refused(tmp_path):
    write_volume(tmp_path / "a\tb.nii", blob(4, 1))
    with pytest.raises(RawDataError, match="tab or line break"):
        find_sources(tmp_path)


def test_a_cohort_is_read_as_its_table_says(tmp_path):
    for i in range(3):
        write_volume(tmp_path / "volumes" / f"p{i}.nii", blob(4, i))
    rows = "volumes/p0.nii\tA\ttest\t1.0\nvolumes/p1.nii\tA\ttrain1\t2.0\nvolumes/p2.nii\tnan\ttest\t3\n"
    (tmp_path / "graded.tsv").write_text("volume\tpatient\tsplit\treader1a\n" + rows)
    assert [(s.name, s.group) for s in find_sources(tmp_path)] == [
        ("volumes/p0.nii", "A"),
        ("volumes/p1.nii", "A"),
        ("volumes/p2.nii", "volumes"),
    ]
    test = find_sources(tmp_path / "graded.tsv", split="test")
    assert [s.name for s in test] == ["volumes/p0.nii", "volumes/p2.nii"]
    with pytest.raises(ConfigError, match="no volume has the split 'tset'"):
        find_sources(tmp_path, split="tset")


def test_everything_wrong_with_a_table_is_said_at_once(tmp_path):
    write_volume(tmp_path / "a.nii", blob(4, 1))
    (tmp_path / "b.png").write_bytes(b"x")
    (tmp_path / "list.tsv").write_text("volume\na.nii\ngone.nii\nb.png\na.nii\n")
    with pytest.raises(ManifestError) as error:
        find_sources(tmp_path / "list.tsv")
    assert error.value.problems == (
        "line 3: volume 'gone.nii': is not there",
        "line 4: volume 'b.png': expected NIfTI (.nii, .nii.gz), HDF5 (.h5) or folders of a DICOM series",
        "line 5: volume 'a.nii' is listed before, in line 2",
    )


def test_a_table_may_name_phases_and_runs(tmp_path):
    run = tmp_path / "scan.csiq"
    write_h5(run / "volumes.h5", 4)
    (run / "ranking.json").write_text('{"best_phase": 3}')
    (tmp_path / "list.tsv").write_text("volume\nscan.csiq\nscan.csiq:2\nscan.csiq/volumes.h5:phase-4\n")
    found = find_sources(tmp_path / "list.tsv")
    assert [(s.name, s.phase) for s in found] == [
        ("scan.csiq", 2),
        ("scan.csiq/volumes.h5:phase-4", 3),
        ("scan.csiq:2", 1),
    ]
    (run / "ranking.json").unlink()
    (tmp_path / "list.tsv").write_text("volume\nscan.csiq\nscan.csiq:5\nnan\n")
    with pytest.raises(ManifestError) as error:
        find_sources(tmp_path / "list.tsv")
    assert error.value.problems == (
        "line 2: volume 'scan.csiq': which phase? name one: scan.csiq:1",
        "line 3: volume 'scan.csiq:5': has no phase 5",
        "line 4: no volume",
    )


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        find_sources(tmp_path / "gone")
    with pytest.raises(RawDataError, match="no volume"):
        find_sources(tmp_path)
    with pytest.raises(ConfigError, match="needs a table"):
        find_sources(tmp_path, split="test")
    (tmp_path / "list.tsv").write_text("volume\na.nii\n")
    with pytest.raises(ConfigError, match="no column 'split'"):
        find_sources(tmp_path / "list.tsv", split="test")
