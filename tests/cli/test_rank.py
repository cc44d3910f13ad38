"""``csiq rank``: phases of each run, and runs and volumes compared with each other."""

from __future__ import annotations

import json
import shutil
from typing import ClassVar

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cli import main
from csiq.io.tables import read_table, write_json
from csiq.io.volumes import write_volumes
from csiq.quality.assessor import Grade
from tests.report.fake_run import history, write_run_folder

SHA = "a9" * 32


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of one scan, with other weights."""
    folder = tmp_path_factory.mktemp("runs")
    write_run_folder(folder / "weak.csiq", n=8)
    write_run_folder(folder / "strong.csiq", n=8, made=history(4, final=(2.4, 2.9, 2.0, 1.0)))
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graded_by(monkeypatch, name: str = "ours", sha256: str = SHA) -> list[str]:
    """Replace the network by one that grades the mean of a volume; return what it was asked for."""
    import csiq.quality.grade

    asked = []

    class Grader:
        card: ClassVar = {}

        @classmethod
        def load(cls, name, device):
            asked.append(name)
            return cls()

        def grade(self, volume, voxel_size):
            return Grade(float(np.abs(volume).mean()), 0.1, True, uncertainty=0.2)

    Grader.name, Grader.sha256 = name, sha256
    monkeypatch.setattr(csiq.quality.grade, "Grader", Grader)
    return asked


def volumes(path, *grades: float):
    values = np.ones((len(grades), 4, 4, 4), np.complex64) * np.array(grades)[:, None, None, None]
    write_volumes(path, values, Geometry((4, 4, 4), (8.0, 8.0, 8.0)), 0)
    return path


def edit_run(folder, **changes):
    content = json.loads((folder / "run.json").read_text())
    write_json(folder / "run.json", {**content, **changes})


# ---------------------------------------------------------------- phases of each run


def test_runs_of_one_scan_are_compared_with_each_other_as_well(runs, capsys):
    """The paper's "select the image with the best quality" by the shortest of command lines."""
    assert main(["rank", "weak.csiq", "strong.csiq", "--json"]) == 0
    *each, across = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["run"] for one in each] == ["weak.csiq", "strong.csiq"]
    assert across["across"]["best"] == "strong phase 2"
    assert main(["rank", "weak.csiq", "strong.csiq"]) == 0
    said = capsys.readouterr().out
    assert "all 2 runs, one scan" in said
    assert main(["rank", "--across", "weak.csiq", "strong.csiq"]) == 0
    assert said.endswith(capsys.readouterr().out)


@pytest.mark.parametrize(
    "changes", [{"input": {"sha256": "4e" * 32}}, {"model": {"name": "x", "sha256": ""}}]
)
def test_runs_of_several_scans_or_models_are_ranked_each_by_itself(changes, runs, capsys):
    edit_run(runs / "strong.csiq", **changes)
    assert main(["rank", "weak.csiq", "strong.csiq", "--json"]) == 0
    assert ["run" in json.loads(line) for line in capsys.readouterr().out.splitlines()] == [True, True]


def test_the_pairs_are_drawn_when_asked(runs, capsys):
    assert main(["rank", "weak.csiq", "--figure", "--svg"]) == 0
    assert (runs / "weak.csiq" / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert (runs / "weak.csiq" / "ranking.svg").read_text().startswith("<?xml")
    assert not (runs / "strong.csiq" / "ranking.png").exists()


def test_the_table_says_how_often_the_best_is_preferred(runs, capsys):
    assert main(["rank", "weak.csiq"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "best preferred" in lines[1]
    assert "100 %" in lines[-3]  # phase 4 is worse by 0.9
    assert "patches only" in lines[-2]
    assert lines[-1].startswith("graded by ours (")
    assert lines[-1].endswith("; research use only")


def test_a_phase_outside_the_domain_is_not_put_into_the_readers_words(runs, capsys):
    edit_run(runs / "weak.csiq", grading={"in_domain": [True, True, False, True]})
    assert main(["rank", "weak.csiq"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "outside the training domain" in line]
    assert [line.split()[1] for line in lines] == ["3"]


def test_the_ranking_is_made_anew_from_tables_and_run(runs):
    # an uncertainty that ranking.json does not know yet
    edit_run(runs / "weak.csiq", grading={"in_domain": [True] * 4, "uncertainty": [0.2] * 4})
    assert main(["rank", "weak.csiq"]) == 0
    said = json.loads((runs / "weak.csiq" / "ranking.json").read_text())["preference"]
    assert said["uncertainty"] == [0.2] * 4
    assert said["uncertainty_from"] == ["calibration"] * 4


@pytest.mark.parametrize(
    "option",
    [
        ("--model", "x"),
        ("--phase", "1"),
        ("-o", "x.json"),
        ("--device", "cpu"),
        ("--voxel-size", "1", "1", "1"),
    ],
    ids=lambda o: o[0],
)
def test_options_of_a_comparison_are_refused_elsewhere(option, runs, capsys):
    assert main(["rank", "weak.csiq", *option]) == 2
    assert "--across" in capsys.readouterr().err


# ---------------------------------------------------------------- across runs


def test_phases_of_two_runs_are_compared(runs, capsys):
    before = {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()}
    assert main(["rank", "--across", "weak.csiq", "strong.csiq", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["best"] == "strong phase 2"
    assert content["model"] == {"name": "ours", "sha256": SHA}
    labels = [image["label"] for image in content["images"]]
    assert labels == [f"{run} phase {p}" for run in ("weak", "strong") for p in (1, 2, 3, 4)]
    assert len(content["pairs"]) == 28
    own = json.loads((runs / "weak.csiq" / "ranking.json").read_text())["phases"]
    assert [image["grade"] for image in content["images"]][:4] == [phase["grade"] for phase in own]
    assert all(pair["same_scan"] for pair in content["preference"]["pairs"])
    assert before == {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()}  # nothing is touched


def test_runs_of_two_scans_are_known_by_their_hash(runs, capsys):
    edit_run(runs / "strong.csiq", input={"name": "other.h5", "sha256": "4e" * 32})
    assert main(["rank", "--across", "weak.csiq", "strong.csiq", "--phase", "best", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [image["phase"] for image in content["images"]] == [2, 2]
    assert [pair["same_scan"] for pair in content["preference"]["pairs"]] == [False]


def test_what_is_written_goes_by_its_suffix(runs, capsys):
    assert main(["rank", "a=weak.csiq", "b=strong.csiq", "--phase", "2", "-o", "out", "-o", "pairs.svg"]) == 0
    assert "a phase 2" in capsys.readouterr().out
    content = json.loads((runs / "out.json").read_text())
    rows = read_table(runs / "out.tsv")
    assert [row["label"] for row in rows] == ["a phase 2", "b phase 2"]
    assert [row["rank"] for row in rows] == [image["rank"] for image in content["images"]] == [2, 1]
    assert (runs / "out.png").read_bytes().startswith(b"\x89PNG")
    assert (runs / "pairs.svg").exists()


def test_nothing_is_overwritten_unasked(runs, capsys):
    (runs / "out.tsv").write_text("mine")
    assert main(["rank", "--across", "weak.csiq", "-o", "out.tsv"]) == 7
    assert (runs / "out.tsv").read_text() == "mine"
    assert main(["rank", "--across", "weak.csiq", "-o", "out.tsv", "--overwrite"]) == 0
    assert main(["rank", "--across", "weak.csiq", "-o", "out.pdf"]) == 2


def test_who_graded_is_said_by_the_model_that_did(runs, capsys):
    assert main(["rank", "--across", "weak.csiq", "strong.csiq", "-o", "x.json"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "graded by ours (a9a9a9a9), by its card: after one site's readers; research use only"
    assert "after one site's readers" in json.loads((runs / "x.json").read_text())["note"]
    for run in ("weak.csiq", "strong.csiq"):
        edit_run(runs / run, model={"name": "ours", "sha256": SHA})
    assert main(["rank", "--across", "weak.csiq", "strong.csiq"]) == 0
    assert "unknown provenance; research use only" in capsys.readouterr().out


def test_volumes_are_graded_by_the_model_of_the_runs(runs, monkeypatch, capsys):
    asked = graded_by(monkeypatch)
    volumes(runs / "bart.h5", 3.5)
    volumes(runs / "riesling.h5", 1.0, 1.5)
    assert main(["rank", "weak.csiq", "bart=bart.h5", "riesling.h5", "--phase", "best", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert asked == ["ours"]
    found = {image["label"]: image["grade"] for image in content["images"]}
    assert list(found) == ["weak phase 2", "bart", "riesling.h5 phase 1", "riesling.h5 phase 2"]
    assert found["bart"] == pytest.approx(3.5)
    assert content["best"] == "bart"


def test_grades_of_different_models_are_refused_and_both_are_named(runs, monkeypatch, capsys):
    edit_run(runs / "strong.csiq", model={"name": "theirs", "sha256": "be" * 32})
    assert main(["rank", "--across", "weak.csiq", "strong.csiq"]) == 2
    said = capsys.readouterr().err
    assert "ours (a9a9a9a9)" in said
    assert "theirs (bebebebe)" in said
    graded_by(monkeypatch, "another", "77" * 32)
    volumes(runs / "bart.h5", 3.5)
    assert main(["rank", "--across", "weak.csiq", "bart.h5"]) == 2
    assert "another (77777777)" in capsys.readouterr().err


def test_voxels_are_told_of_files_that_do_not_say_them(runs, monkeypatch, capsys):
    from csiq.io.cfl import write_cfl

    graded_by(monkeypatch)
    write_cfl(runs / "bart.cfl", np.full((4, 4, 4), 3.5, np.complex64))
    assert main(["rank", "weak.csiq", "bart=bart.cfl", "--phase", "best"]) == 3
    assert "voxel" in capsys.readouterr().err
    arguments = ["rank", "weak.csiq", "bart=bart.cfl", "--phase", "best", "--voxel-size", "2", "2", "2"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == "bart"


def test_graders_without_weights_are_told_apart_by_their_names(runs, capsys):
    for run, name in (("weak", "mine"), ("strong", "theirs")):
        edit_run(runs / f"{run}.csiq", model={"name": name, "sha256": ""})
    assert main(["rank", "--across", "weak.csiq", "strong.csiq"]) == 2
    assert "mine and theirs" in capsys.readouterr().err


def test_a_model_that_is_asked_for_grades_what_it_did_not(runs, monkeypatch, capsys):
    edit_run(runs / "strong.csiq", model={"name": "theirs", "sha256": "be" * 32})
    graded_by(monkeypatch)
    arguments = ["rank", "--across", "weak.csiq", "strong.csiq", "--model", "ours", "--json"]
    assert main(arguments) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    returned = history(4).steps[
        json.loads((runs / "weak.csiq" / "run.json").read_text())["returned_iteration"]
    ]
    assert [i["grade"] for i in images[:4]] == list(returned.grades)  # its own
    assert all(i["grade"] < 1 for i in images[4:])  # the mean of each volume
    assert [i["uncertainty"] for i in images[4:]] == [0.2] * 4


def test_a_run_without_grades_needs_a_model(runs, capsys):
    (runs / "weak.csiq" / "curves.tsv").unlink()
    assert main(["rank", "--across", "weak.csiq"]) == 3
    assert "--model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["weak.csiq", "weak.csiq"], "is there twice"),
        (["weak.csiq", "--phase", "9"], "there is no phase 9"),
        (["weak.csiq", "--figure"], "-o comparison.png"),
        (["a=nothing.nii"], "nothing.nii"),
    ],
)
def test_what_cannot_be_compared(arguments, what, runs, monkeypatch, capsys):
    graded_by(monkeypatch)
    assert main(["rank", "--across", *arguments]) == 2
    assert what in capsys.readouterr().err


def test_a_path_with_an_equals_sign_is_a_path(runs, capsys):
    (runs / "weak.csiq").rename(runs / "lamda=0.02.csiq")
    assert main(["rank", "--across", "lamda=0.02.csiq", "--phase", "1"]) == 0
    assert "lamda=0.02 phase 1" in capsys.readouterr().out
