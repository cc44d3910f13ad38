"""``csiq train`` from graded slices to a model that ``csiq model verify`` accepts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from csiq.cli.model import model
from csiq.cli.train import train
from csiq.quality.grade import Grader
from csiq.quality.training_set import GradedImage, finish_patient, store_slices


def _graded(folder: Path) -> None:
    rng = np.random.default_rng(3)
    z, y, x = np.mgrid[:52, :52, :52] - 26
    ball = (z**2 + y**2 + x**2 < 300).astype(np.float32)
    for patient, split in enumerate(["train", "train", "validation", "test"]):
        images = []
        for grade in (0.5, 1.5, 2.5, 3.5):
            noise = rng.standard_normal(ball.shape, dtype=np.float32) * (4 - grade) / 3
            entry = GradedImage(f"{patient}-{grade}", patient, split, "full", grade, 4.0, {})
            images.append(store_slices(folder, ball + noise, entry))
        finish_patient(folder, patient, images)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    data = folder / "data"
    data.mkdir()
    _graded(data)
    arguments = ["-o", str(folder / "out"), "--name", "tiny", "--data", str(data)]
    done = CliRunner().invoke(
        train, [*arguments, "--patients", "0", "--iterations", "2", "--threads", "1"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "on 1 patients never trained on R2" in done.output
    return folder / "out" / "tiny.safetensors"


def test_model_loads_with_its_card(trained: Path) -> None:
    grader = Grader.load(trained)
    sets = grader.card["training"]["sets"]
    assert [sets[s]["patients"] for s in ("train", "validation", "test")] == [2, 1, 1]
    assert sets["train"]["images_per_half_grade"] == [0, 2, 0, 2, 0, 2, 0, 2, 0]
    assert grader.card["evaluation"]["all"]["n"] == 4
    assert grader.card["voxel_size_mm"] == {"min": 4.0, "max": 4.0, "trained": [4.0]}


def test_verify_accepts_it_and_refuses_it_damaged(trained: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(model, ["verify", str(trained), "--json"], catch_exceptions=False)
    assert json.loads(done.output)["certified"] is True
    bad = tmp_path / "bad.safetensors"
    data = bytearray(trained.read_bytes())
    data[-1] ^= 4
    bad.write_bytes(bytes(data))
    bad.with_suffix(".json").write_bytes(trained.with_suffix(".json").read_bytes())
    refused = runner.invoke(model, ["verify", str(bad)])
    assert refused.exit_code != 0
    assert "SHA-256 differs" in str(refused.exception)


def test_verify_says_when_there_is_no_card(trained: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(trained.read_bytes())
    done = CliRunner().invoke(model, ["verify", str(alone)], catch_exceptions=False)
    assert "no card to hold it against" in done.output


def test_start_of_the_commands_is_light() -> None:
    import subprocess
    import sys

    heavy = "[m for m in ('numpy', 'torch') if m in sys.modules]"
    code = f"import sys, csiq.cli.train, csiq.cli.model; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
