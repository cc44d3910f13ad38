"""``csiq report``: what is asked for by an option is on the page, or said not to be possible."""

from __future__ import annotations

import json

import numpy as np
import pytest

from csiq.cli import main
from csiq.errors import ConfigError, ModelError, RawDataError
from tests.report.fake_run import write_run_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run_folder(tmp_path_factory.mktemp("runs") / "scan.csiq", n=24, n_phases=2)


def line(path, n: int = 30):
    """Write a centreline in front of the heart, as a table, and return its path."""
    angle = np.linspace(-0.6, 0.6, n)
    rows = [f"LAD\t{60 * np.sin(a):.2f}\t{60 * np.cos(a):.2f}\t{20 * a:.2f}" for a in angle]
    path.write_text("\n".join(["vessel\tx_mm\ty_mm\tz_mm", *rows]) + "\n")
    return path


def test_coronaries_come_with_their_lines_and_go_without(folder, tmp_path, capsys):
    path = line(tmp_path / "lines.tsv")
    assert main(["report", str(folder), "--centrelines", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == "report.html"
    assert "Coronary arteries</h2>" in (folder / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(folder)]) == 0
    assert "Coronary arteries</h2>" not in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--centrelines", "{}/gone.tsv"], ConfigError.exit_code, "gone.tsv"),
        (["--centrelines", "{}/bad.tsv"], RawDataError.exit_code, "lacks the columns"),
        (
            ["--heatmap"],
            ModelError.exit_code,
            "model: was graded by 'ours', which cannot be loaded",
        ),
        (["--model", "{}/gone.safetensors"], ModelError.exit_code, "gone.safetensors"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_the_old_page_stays(
    folder, tmp_path, capsys, options, code, words
):
    assert main(["report", str(folder)]) == 0
    before = (folder / "report.html").read_bytes()
    (tmp_path / "bad.tsv").write_text("a\tb\n1\t2\n")
    capsys.readouterr()
    assert main(["report", str(folder), *(o.format(tmp_path) for o in options)]) == code
    said = capsys.readouterr().err.strip()
    assert words in said
    assert len(said.splitlines()) == 1
    assert (folder / "report.html").read_bytes() == before
