"""``csiq cohort`` as somebody types it, on stand-in images."""

from __future__ import annotations

import json

import pytest

from csiq.cli import cohort as cohort_module
from csiq.cli import main
from tests.cohort import fake_images

SMALL = ["--patients", "4", "--matrix", "16", "--workers", "1", "--no-raw"]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(cohort_module, "image_maker", lambda: fake_images.make_image)


def test_init_and_status(tmp_path, capsys):
    folder = tmp_path / "cohort"
    assert main(["cohort", "init", str(folder), *SMALL]) == 0
    shown = capsys.readouterr()
    assert "volumes    4 of 4" in shown.out
    assert "grades of reader 1a" in shown.out
    assert "reader1a - reader2" in shown.out
    assert "volumes: p004, 4 of 4" in shown.err
    assert "test has fewer than 4 of grade" in shown.err
    assert main(["cohort", "status", str(folder), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["status"], state["volumes"], state["scans"]) == (
        "complete",
        {"done": 4, "of": 4},
        {"done": 0, "of": 0},
    )
    assert main(["cohort", "status", str(folder)]) == 0
    assert "mean" in capsys.readouterr().out

    # what is there is neither replaced nor mixed with something else
    assert main(["cohort", "init", str(folder), *SMALL]) == 7
    assert "--resume or --overwrite" in capsys.readouterr().err
    assert main(["cohort", "init", str(folder), *SMALL, "--resume", "--seed", "1"]) == 7
    assert "seed 0, now 1" in capsys.readouterr().err
    assert main(["cohort", "init", str(folder), *SMALL, "--resume", "--json", "-q"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["summary"]["patients"] == 4
    assert "volumes:" not in shown.err


def test_wrong_options(tmp_path, capsys):
    assert main(["cohort", "init", str(tmp_path / "a"), "--study", "papr"]) == 2
    assert "did you mean 'paper'" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert main(["cohort", "status", str(tmp_path / "a")]) == 2
    assert main(["cohort", "init", str(tmp_path / "a"), "--patients", "0"]) == 2


def test_a_failed_patient_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cohort_module, "image_maker", lambda: fake_images.fail_at_three)
    assert main(["cohort", "init", str(tmp_path / "a"), *SMALL, "-q"]) == 6
    shown = capsys.readouterr().err
    assert "warning: p003: no heart" in shown
    assert "1 of 4 volumes failed" in shown
    assert "--resume" in shown
