"""What an evaluation leaves in the card of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from csiq.cli import main
from csiq.errors import ConfigError, ModelError
from csiq.evaluation.card_entry import ALL, check_has_card, entry_of, into_card
from csiq.quality.model_file import DEFAULT_MODEL, encode_tensors, open_model, save_model

FIGURES = ("r2", "spearman", "slope", "bias", "sd", "anti_bias_l1", "kappa", "alpha", "mae")


def _record(redraws: int = 200, *, truth: bool = True, sha256: str = "") -> dict[str, Any]:
    """What ``evaluation.json`` holds, each number its own."""
    merits = {
        key: {"single": number + 0.1, "mean": number + 0.2, "ceiling": number + 0.3}
        for number, key in enumerate(FIGURES)
    }
    against = {"r2": 0.95, "spearman": 0.97, "slope": 0.93, "bias": 0.01, "sd": 0.271234}
    return {
        "n": 120,
        "n_patients": 100,
        "redraws": redraws,
        "config": {
            "manifest": "graded.tsv",
            "manifest_sha256": "a" * 64,
            "split": "test",
            "reader": "reader1a",
            "models": [{"name": "ours", "sha256": sha256}, {"name": "model-00", "sha256": "b" * 64}],
        },
        "network_against_reader": {"patients": merits},
        "reference": {"against_reference": against if truth else None},
        "confidence": {"coverage": {"coverage": 0.91}},
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ours.safetensors"
    save_model(path, encode_tensors({"w": torch.zeros(3)}, {}), {"use": "Research use only", "title": "ours"})
    return path


def test_the_noise_free_reference_goes_first_and_the_reader_beside() -> None:
    found = entry_of(_record())
    assert (found["against"], found["r2"], found["sd"]) == ("reference", 0.95, 0.2712)
    assert found["reader"]["name"] == "reader1a"
    assert found["reader"]["kappa"] == 6.2
    assert found["ceiling"]["kappa"] == 6.3
    assert found["coverage"] == 0.91


def test_without_reference_and_redraws_it_is_the_reader_on_one_day() -> None:
    found = entry_of(_record(0, truth=False))
    assert (found["against"], found["r2"]) == ("reader1a", 0.1)
    assert found["ceiling"] is None


def test_kinds_stand_beside_the_whole_in_any_order(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sha256 = open_model(model).sha256
    into_card(model, _record(0, sha256=sha256), "iterates")
    into_card(model, _record(sha256=sha256))
    card = open_model(model).card
    assert card is not None
    assert card["evaluation"]["patients"] == 100
    assert set(card["evaluation"]["by_kind"]) == {"iterates"}
    assert card["title"] == "ours"
    assert main(["model", "show", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "100 patients never trained on: n 120 against the noise-free reference, R2 0.95" in shown
    assert "weighted kappa 6.20 (at most 6.30" in shown
    assert "  iterates" in shown


def test_what_has_no_card_to_write_to(tmp_path: Path, model: Path) -> None:
    assert check_has_card(model) == model
    with pytest.raises(ConfigError, match="is no file"):
        check_has_card(DEFAULT_MODEL)
    sha256 = open_model(model).sha256
    model.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"no model card to write to.*no model card beside it"):
        check_has_card(model)
    with pytest.raises(ModelError, match="no model card"):
        into_card(model, _record(sha256=sha256), ALL)


def test_a_model_without_a_card_is_refused_before_anything_is_graded(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.with_suffix(".json").unlink()
    out = tmp_path / "out"
    # there is no such cohort: it was not even looked for
    asked = ["evaluate", str(tmp_path / "cohort"), "--model", str(model), "--into-card", "all"]
    assert main([*asked, "-o", str(out)]) == 4
    assert "ours.safetensors: has no model card to write to" in capsys.readouterr().err
    assert not out.exists()


def test_figures_of_another_file_are_not_written(model: Path) -> None:
    card = open_model(model).card
    with pytest.raises(ModelError, match="not the model that was evaluated") as refused:
        into_card(model, _record(sha256="b" * 64))
    assert refused.value.exit_code == 4
    assert open_model(model).card == card
