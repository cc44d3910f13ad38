"""``csiq train`` from a table of graded volumes to a model that ``csiq model verify`` accepts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from csiq.cli.entry import main
from csiq.cli.model import model
from csiq.cli.train import train
from csiq.io.tables import read_json, read_table, write_json
from csiq.quality.grade import Grader
from tests.training.graded_folder import make_graded

TINY = ["--iterations", "3", "--threads", "1", "--keep", "0.9", "--precision", "float32", "--device", "cpu"]
TINY += [
    part for text in ("widths=4,4,4,4", "hidden=8,4", "batch=4", "window=128") for part in ("--set", text)
]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(train, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "out"
    done = _run(
        manifest, "-o", out, "--name", "tiny", "--splits", "train1,train2", "--validate", "train3", *TINY
    )
    assert done.exit_code == 0
    assert "3 iterations" in done.output
    assert "on 4 held-out patients" in done.output
    return out


def test_card(trained: Path, manifest: Path) -> None:
    from csiq.io.sniff import sha256_of

    card = Grader.load(trained / "tiny.safetensors").card
    training = card["training"]
    assert training["reader"] == "reader1a"
    assert training["manifest"] == {"name": "graded.tsv", "sha256": sha256_of(manifest)}
    assert training["sets"]["train"]["patients"] == 8
    assert training["sets"]["train"]["splits"] == {"train1": 4, "train2": 4}
    assert training["sets"]["train"]["images_per_half_grade"] == [0, 2, 0, 2, 0, 2, 0, 2, 0]
    assert training["sets"]["validation"]["patients"] == 4
    assert training["seed"] == 0
    assert card["voxel_size_mm"] == {"min": 4.0, "max": 4.0, "trained": [4.0]}
    assert card["input"]["half_edge"] == 40
    assert card["validation"]["patients"] == 4
    assert card["formula"] is None
    assert "one site" in card["use"]
    text = (trained / "tiny.json").read_text()
    assert "train1-0" not in text, "no patient is named"
    assert str(manifest.parent) not in text


def test_model_is_whole_and_grades(trained: Path, manifest: Path) -> None:
    from csiq.training import GradedSet

    file = trained / "tiny.safetensors"
    done = CliRunner().invoke(model, ["verify", str(file), "--json"], catch_exceptions=False)
    assert json.loads(done.output)["certified"] is True
    image = GradedSet.open(manifest).images[0]
    grade = Grader.load(file).grade(image.volume, image.voxel_size)
    assert grade.n_patches == 648
    assert grade.in_domain


def test_folder(trained: Path, manifest: Path) -> None:
    names = {file.name for file in trained.iterdir()}
    assert {"log.jsonl", "loss.png", "result.json", "training.json", "tiny.json", "tiny.safetensors"} <= names
    assert "checkpoint.pt" not in names
    again = ("--name", "tiny", "--splits", "train1,train2", "--validate", "train3", *TINY)
    before = (trained / "tiny.safetensors").stat().st_mtime_ns
    assert _run(manifest, "-o", trained, *again, "--resume").exit_code == 0
    assert (trained / "tiny.safetensors").stat().st_mtime_ns == before


def test_folder_that_is_in_use(
    trained: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(manifest), "-o", str(trained), *TINY]) == 7
    assert "is not empty; --overwrite or --resume" in capsys.readouterr().err
    assert (
        main(["train", str(manifest), "-o", str(trained), "--name", "tiny", "--seed", "1", *TINY, "--resume"])
        == 2
    )
    assert "was made with another" in capsys.readouterr().err
    (tmp_path / "precious.txt").write_text("keep me")
    assert main(["train", str(manifest), "-o", str(tmp_path), "--overwrite", *TINY]) == 7
    assert (tmp_path / "precious.txt").exists()


def test_overwrite_removes_its_own_files_only(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = _run(manifest, "-o", out, "--splits", "train1", *TINY, "--json")
    (out / "notes.txt").write_text("mine")
    second = _run(manifest, "-o", out, "--splits", "train1", *TINY, "--json", "--overwrite", "--seed", "1")
    one, two = (json.loads(done.output) for done in (first, second))
    assert one["sha256"] != two["sha256"]
    assert (out / "notes.txt").read_text() == "mine"
    assert read_json(out / "result.json")["seed"] == 1


def test_a_cohort_says_simulated(tmp_path: Path) -> None:
    path = make_graded(tmp_path / "cohort", ("train1",))
    write_json(path.parent / "cohort.json", {"config": {"study": "paper", "seed": 4, "n_patients": 4}})
    rows = ["patient\tseed\tkind"] + [f"train1-{i}\t{100 + i}\tselfnav" for i in range(4)]
    (path.parent / "patients.tsv").write_text("\n".join(rows) + "\n")
    for number, folder in ((2, "coarse"), (3, "iterates")):
        (path.parent / folder).mkdir()
        (path.parent / f"train1-{number}.nii").rename(path.parent / folder / f"train1-{number}.nii")
        path.write_text(path.read_text().replace(f"train1-{number}.nii", f"{folder}/train1-{number}.nii"))
    out = tmp_path / "out"
    assert _run(path.parent, "-o", out, *TINY, "-q").output == ""
    card = read_json(out / "iq-dcnn.json")
    assert card["use"].startswith("Research use only, simulated readers")
    assert card["training"]["cohort"]["seed"] == 4
    assert card["training"]["sets"]["train"]["seeds"] == [100, 101, 102, 103]
    assert card["training"]["sets"]["train"]["images"] == {"coarse": 1, "iterate": 1, "selfnav": 2}
    assert len(card["formula"]["sha256"]) == 64
    assert "logistic curve of the latent quality" in card["formula"]["statement"]


def test_retraining(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    arguments = (manifest, "-o", out, "--splits", "train1", "--retrain", "2", *TINY, "--seed", "7")
    done = _run(*arguments)
    assert done.exit_code == 0
    rows = read_table(out / "retrainings.tsv")
    assert [(row["model"], row["seed"]) for row in rows] == [("model-00", 7), ("model-01", 8)]
    assert rows[0]["sha256"] != rows[1]["sha256"]
    assert Grader.load(out / "model-01" / "iq-dcnn.safetensors").card["training"]["seed"] == 8
    (out / "model-01" / "result.json").unlink()
    (out / "retrainings.tsv").unlink()
    assert _run(*arguments, "--resume").exit_code == 0
    assert [row["sha256"] for row in read_table(out / "retrainings.tsv")] == [row["sha256"] for row in rows]


def test_wrong_options(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        ("--set", "widht=3"): "no setting 'widht'",
        ("--set", "batch=x"): "expected a whole number, got 'x'",
        ("--set", "widths=3"): "expected 4 numbers",
        ("--grid", "keep=0.5"): "needs --cross-validate",
        ("--retrain", "2", "--cross-validate"): "one of the two",
        ("--scheduler", "tcp://x"): "needs --cross-validate, --retrain or --confidence",
        ("--name", "a/b"): "is no name of a file",
        ("--half-edge", "24", "--set", "window=192"): "at a half edge of 24",
        ("--reader", "reader9"): "no reader 'reader9'",
        ("--validate", "train1"): "12 patients",
        ("--keep", "1.5"): "keep probability",
    }
    for number, (arguments, words) in enumerate(wrong.items()):
        code = main(["train", str(manifest), "-o", str(tmp_path / str(number)), *arguments])
        error = capsys.readouterr().err
        assert code in (2, 4), error
        assert words in error or "4 patients are both" in error, error
    assert main(["train", str(tmp_path / "none.tsv")]) == 2


def test_start_of_the_command_is_light() -> None:
    code = "import sys, csiq.cli.train; print([m for m in ('numpy', 'torch', 'h5py') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(manifest: Path, tmp_path: Path) -> None:
    rest = ("--splits", "train1", *TINY, "--iterations", "120", "--set", "check_every=10", "--json")
    whole = json.loads(_run(manifest, "-o", tmp_path / "whole", *rest).output)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "csiq", "train", str(manifest), "-o", str(out), *rest]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    log = out / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 25):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "result.json").exists(), "it was too fast to be killed"
    again = json.loads(_run(manifest, "-o", out, *rest, "--resume").output)
    assert again["sha256"] == whole["sha256"]
    assert log.read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
