"""Commands on finished runs: rank, curves, report and grade."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cli import main
from csiq.io.tables import read_table, write_json
from csiq.io.volumes import write_volumes
from csiq.quality.assessor import Grade
from tests.report.fake_run import history, run_json, write_run_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_run_folder(tmp_path_factory.mktemp("runs") / "scan.csiq", n=8)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "scan.csiq")


@pytest.fixture
def grader(monkeypatch):
    """Replace the network by one that grades the mean of a volume."""
    import csiq.quality.grade

    class Grader:
        name, sha256, card = "ours", "a9" * 32, {"use": "research use only: means of a test"}

        @classmethod
        def load(cls, name, device):
            return cls()

        def grade(self, volume, voxel_size):
            mean = float(np.abs(volume).mean())
            return Grade(mean, 0.1, mean < 3)

    monkeypatch.setattr(csiq.quality.grade, "Grader", Grader)


def save_iterate(folder, k: int, grades: list[float]) -> None:
    (folder / "iterates").mkdir(exist_ok=True)
    volumes = np.ones((len(grades), 4, 4, 4), np.complex64) * np.array(grades)[:, None, None, None]
    write_volumes(folder / "iterates" / f"iter-{k:03d}.h5", volumes, Geometry((4, 4, 4), (8.0, 8.0, 8.0)), k)


# ---------------------------------------------------------------- rank


def test_rank_prints_and_rewrites_what_it_derives(folder, capsys):
    before = json.loads((folder / "ranking.json").read_text())
    (folder / "ranking.json").unlink()
    assert main(["rank", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "scan.csiq, iteration 8" in out
    assert "best  between 'moderate blurring" in out
    assert json.loads((folder / "ranking.json").read_text()) == before
    rows = read_table(folder / "ranking.tsv")
    assert [row["rank"] for row in rows] == [2, 1, 2, 4]
    assert [row["indistinguishable_from_best"] for row in rows] == [0, 1, 0, 0]


def test_rank_of_several_runs_is_one_object_a_line(folder, capsys):
    assert main(["rank", str(folder), str(folder), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["run"] for line in lines] == ["scan.csiq"] * 2
    assert lines[0]["best_phase"] == 2
    assert len(lines[0]["pairs"]) == 6


def test_there_is_no_ranking_of_phases_from_different_iterations(folder, capsys):
    write_json(folder / "run.json", {**run_json(history(4)), "returned_iteration": [8, 7, 8, 8]})
    assert main(["rank", str(folder)]) == 3
    assert "different iterations" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["rank", "curves", "report"])
def test_a_folder_that_is_no_run(command, tmp_path, capsys):
    assert main([command, str(tmp_path / "nothing")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main([command, str(tmp_path)]) == 3
    assert "no run.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["rank", "curves", "report"])
@pytest.mark.parametrize("damage", ["iteration\tphase\n1\n", "", "iteration\tphase\n0\t1\n", "\xff"])
def test_damaged_curves_are_named(command, damage, folder, capsys):
    (folder / "curves.tsv").write_bytes(damage.encode("latin1"))
    assert main([command, str(folder)]) == 3
    assert "curves.tsv" in capsys.readouterr().err


# ---------------------------------------------------------------- curves, report


def test_curves_prints_the_table_and_plots(folder, capsys):
    assert main(["curves", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "8  8251.8" in out
    assert "plateau, returned" in out
    assert out.splitlines()[-1].startswith("graded by ")
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_as_json_are_the_rows_of_the_table(folder, capsys):
    assert main(["curves", str(folder), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 9 * 4
    assert lines[0]["grade"] == 0.35


def test_report_is_written_anew(folder, capsys):
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip().endswith("report.html")
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == (folder / "report.html").stat().st_size


# ---------------------------------------------------------------- grade


def test_grade_of_saved_iterates(folder, grader, capsys):
    save_iterate(folder, 0, [0.5, 1.0])
    save_iterate(folder, 1, [1.5, 3.5])
    assert main(["grade", "--run", str(folder), "--json"]) == 0
    graded = json.loads(capsys.readouterr().out)
    assert [(g["volume"], g["grade"], g["in_domain"]) for g in graded] == [
        ("iter-000.h5:phase-1", 0.5, True),
        ("iter-000.h5:phase-2", 1.0, True),
        ("iter-001.h5:phase-1", 1.5, True),
        ("iter-001.h5:phase-2", 3.5, False),
    ]
    assert main(["grade", str(folder / "iterates" / "iter-001.h5")]) == 0
    said = capsys.readouterr()
    assert "iter-001.h5:phase-2  3.50 (sd 0.10)" in said.out
    assert "outside the training domain" in said.out
    closing = "graded by ours (a9a9a9a9), by its card: means of a test; research use only"
    assert said.err.splitlines()[-1] == closing


def test_grade_of_the_phases_where_no_iterate_was_saved(folder, grader, capsys):
    assert main(["grade", "--run", str(folder), "--json"]) == 0
    assert [g["volume"] for g in json.loads(capsys.readouterr().out)] == [
        f"phase-{p}.nii.gz" for p in (1, 2, 3, 4)
    ]


def test_what_cannot_be_graded(folder, grader, tmp_path, capsys):
    assert main(["grade"]) == 2
    assert main(["grade", "x.nii", "--watch"]) == 2
    assert main(["grade", "nothing.nii"]) == 2
    assert main(["grade", "--run", str(tmp_path)]) == 3
    assert main(["grade", str(folder / "run.json")]) == 3
    (tmp_path / "text.h5").write_text("no HDF5")
    assert main(["grade", str(tmp_path / "text.h5")]) == 3
    assert capsys.readouterr().err.count("\n") == 6
    assert main(["grade", str(folder)]) == 2
    assert f"--run {folder.name}" in capsys.readouterr().err
