"""The whole of ``csiq evaluate``: its folder, its page, its numbers, its manners."""

from __future__ import annotations

import json
import re

import pytest

from csiq.cli import main
from csiq.errors import ConfigError, OutputError
from csiq.evaluation import estimating, models, regression, study
from csiq.evaluation.drawing import blank
from csiq.evaluation.folder import OWN_FILES
from csiq.evaluation.models import retrained_models
from csiq.evaluation.page import SIMULATED
from csiq.evaluation.section import Section, Table
from csiq.evaluation.study import Request, evaluate
from csiq.io.tables import read_table, write_table
from tests.evaluation.small_cohort import Brightness, make_cohort


@pytest.fixture
def _quick(monkeypatch):
    """Show one part with small figures, of a grader that needs no network."""
    monkeypatch.setattr(study, "PARTS", (regression.section,))
    monkeypatch.setattr(regression, "boxes_figure", lambda *_, **__: blank(1, 1))
    monkeypatch.setattr(estimating, "N_RESAMPLES", 100)
    monkeypatch.setattr(models, "load_graders", lambda models, retrained, device: [Brightness()])


@pytest.mark.slow
def test_everything_is_written(tmp_path, monkeypatch):
    for name in ("N_RESAMPLES", "N_RESAMPLES_REDRAWS"):
        monkeypatch.setattr(estimating, name, 50)  # no interval is looked at
    folder, out = make_cohort(tmp_path / "cohort"), tmp_path / "out"
    graders = [Brightness(), Brightness("model-00", 0.2, "1" * 64), Brightness("model-01", 0.1, "2" * 64)]
    record = evaluate(Request(folder), graders, out)
    assert record["status"] == "complete"
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8")) == record

    figures = {path.name for path in (out / "figures").iterdir()}
    for name in ("2a", "2b", "3a", "3b", "4a", "4b", "4c", "E2", "E3a", "E3b", "E3c", "E3d", "E4"):
        assert {f"figure-{name}.{kind}" for kind in ("png", "svg", "tsv")} <= figures
    tables = {path.name for path in (out / "tables").iterdir()}
    assert {f"table-{n}.tsv" for n in (1, 2, 3, 4)} | {"merits-patients.tsv", "retrained.tsv"} <= tables
    for path in out.rglob("*"):
        assert path.is_dir() or OWN_FILES.fullmatch(path.relative_to(out).as_posix())

    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert len(page) < 5e6
    assert page.count(SIMULATED) == 2
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    for number in ("0.44", "0.01 ± 0.50", "0.39", "0.45 ± 0.01"):  # of the paper
        assert number in page
    assert len(re.findall("<caption>", page)) == len(re.findall("<table>", page))

    # to the byte, from grades that are there
    again = evaluate(Request(folder, resume=True), graders, out)
    assert again == record
    assert (out / "evaluation.html").read_text(encoding="utf-8") == page
    assert sum(grader.calls for grader in graders) == 3 * record["n"]


@pytest.mark.usefixtures("_quick")
def test_the_command(tmp_path, capsys):
    folder, out = make_cohort(tmp_path / "cohort", 9), tmp_path / "out"
    call = ["evaluate", str(folder), "-o", str(out)]
    assert main([*call, "-q", "--json"]) == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out)
    assert (record["n"], record["redraws"], record["status"]) == (6, 200, "complete")
    assert record["config"]["models"] == [{"name": "brightness", "sha256": "0" * 64}]
    assert shown.err == ""

    assert main(call) == 7
    assert "--resume or --overwrite" in capsys.readouterr().err
    assert main([*call, "--resume", "--reader", "reader2"]) == 7
    assert "made of another reader" in capsys.readouterr().err
    (out / "mine.txt").write_text("kept", encoding="utf-8")
    assert main([*call, "--overwrite"]) == 0
    shown = capsys.readouterr()
    assert "graded: volumes/p001.nii, 1 of 6" in shown.err
    assert re.search(r"weighted kappa +\d\.\d\d +\d\.\d\d +\d\.\d\d", shown.out)
    assert shown.out.rstrip().endswith("evaluation.html")
    assert (out / "mine.txt").read_text(encoding="utf-8") == "kept"
    assert main([*call, "--resume", "--split", "tset"]) == 2
    assert main(["evaluate", str(tmp_path / "none"), "-o", str(out)]) == 2


def test_names_are_escaped(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 9, known=False)
    rows = read_table(folder / "graded.tsv")
    rows[0]["patient"] = "<img src=x onerror=alert(1)>"
    write_table(folder / "graded.tsv", rows)

    def part(comparison):
        name = comparison.cases.patients[0]
        return Section(name, (name,), [Table("t", name, (name, "n"), [(name, name)], [])], (name,))

    evaluate(Request(folder), [Brightness("<b>model</b>")], tmp_path / "out", parts=(part,))
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "&lt;img src=x onerror" in page
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert "Simulated readers" not in page.split("<main>")[0]


def test_a_strange_folder_is_left_alone(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 6)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="csiq did not make it"):
        evaluate(Request(folder, overwrite=True), [Brightness()], tmp_path / "out", parts=())


def test_retrained_networks_are_found(tmp_path):
    with pytest.raises(ConfigError, match="holds no retrained network"):
        retrained_models(tmp_path)
    for name in ("model-01", "model-00"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.safetensors").touch()
    assert [name for name, _ in retrained_models(tmp_path)] == ["model-00", "model-01"]
    (tmp_path / "model-00" / "other.safetensors").touch()
    with pytest.raises(ConfigError, match="2 networks, expected one"):
        retrained_models(tmp_path)


@pytest.mark.usefixtures("_quick")
def test_peers_are_asked_for(tmp_path, monkeypatch):
    folder = make_cohort(tmp_path / "cohort")
    table = Table("peers", "", ("", "R2"), [("Tenengrad", "0.5")], [{"grader": "Tenengrad", "r2": 0.5}])
    monkeypatch.setattr(study.peers_of, "section", lambda _: Section("Peers", items=[table]))
    monkeypatch.setattr(study, "PARTS", (regression.section, regression.section))
    assert main(["evaluate", str(folder), "-o", str(tmp_path / "plain"), "-q"]) == 0
    assert main(["evaluate", str(folder), "--peers", "-o", str(tmp_path / "out"), "-q"]) == 0
    assert not (tmp_path / "plain" / "tables" / "peers.tsv").exists()
    assert read_table(tmp_path / "out" / "tables" / "peers.tsv") == [{"grader": "Tenengrad", "r2": 0.5}]
