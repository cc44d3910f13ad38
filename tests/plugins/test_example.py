"""A package that pip installs adds a reader, a grader, a rule and a solver, and the commands use them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.cli import main
from csiq.io.tables import read_table
from csiq.operators import ForwardModel
from csiq.plugins import GROUPS, plugins_of
from csiq.solvers import SOLVERS, solve, solver_named
from csiq.stopping import parse_rule, unregister
from csiq.trajectory import phyllotaxis, radial_coord
from tests.evaluation.small_cohort import make_cohort
from tests.helpers import complex_normal
from tests.monitor.problems import for_csiq

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def scan(rng):
    """Return a blob, seen by three coils along 90 spokes; it does not breathe."""
    shape = (16, 16, 16)
    z, y, x = np.meshgrid(*[np.arange(16) - 8] * 3, indexing="ij")
    blob = np.exp(-(z**2 + (y - 2) ** 2 + x**2) / 12).astype(np.complex64)
    coord = radial_coord(phyllotaxis(15, 6), 16, 32)
    smaps = np.stack([np.exp(1j * a * y / 16) * (1.5 + np.sin(a * x / 16)) for a in (1, 2, 3)])
    kspace = ForwardModel([coord], smaps.astype(np.complex64), threads=1)(blob[None])
    noise = 0.01 * complex_normal(rng, kspace.shape)
    geometry = Geometry(shape, (64.0, 64.0, 64.0))
    beats = np.repeat(np.arange(15), 6)
    return Acquisition(kspace + noise, coord, beats * 0.8, beats, geometry)


@pytest.fixture
def raw(scan, tmp_path):
    from csiq_example.reader import write_scan

    write_scan(tmp_path / "scan.toy", scan)
    return tmp_path / "scan.toy"


@pytest.fixture(autouse=True)
def _forget_the_rule():
    yield
    unregister("little_change")


def test_all_four_are_found_and_named():
    found = {kind: [str(plugin) for plugin in plugins_of(kind)] for kind in GROUPS}
    assert found == {
        "reader": ["reader 'toy' of csiq-example 0.3"],
        "grader": ["grader 'toy-contrast' of csiq-example 0.3"],
        "rule": ["rule 'little-change' of csiq-example 0.3"],
        "solver": ["solver 'ista' of csiq-example 0.3"],
    }


def test_doctor_and_model_list_show_them(capsys):
    assert main(["doctor"]) == 0
    assert "plug-in       reader 'toy' of csiq-example 0.3" in capsys.readouterr().out
    assert main(["model", "list", "--json"]) == 0
    (row,) = [row for row in json.loads(capsys.readouterr().out) if row["name"] == "toy-contrast"]
    assert row["title"] == "grader of csiq-example 0.3"


def test_info_reads_a_file_of_the_package(raw, scan, capsys):
    assert main(["info", str(raw), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_coils"] == 3
    assert found["n_spokes"] == scan.n_spokes
    # what the options say is done by csiq, whoever reads
    assert main(["info", str(raw), "--json", "--exclude-coil", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["n_coils"] == 2


def test_one_reconstruction_with_all_four(raw, tmp_path, capsys):
    folder = tmp_path / "out"
    options = [
        "--solver",
        "ista",
        "--model",
        "toy-contrast",
        "--rule",
        "little-change(most=9) or iterations(5)",
    ]
    assert main(["recon", str(raw), "-o", str(folder), "--phases", "1", "--json", *options]) == 0
    capsys.readouterr()
    run = json.loads((folder / "run.json").read_text())
    assert run["model"]["name"] == "toy-contrast"
    assert run["stop"]["iteration"] == 2
    assert run["stop"]["reason"] == "plateau"
    rows = read_table(folder / "curves.tsv")
    costs = [row["cost"] for row in rows if row["phase"] == 1]
    assert costs == sorted(costs, reverse=True)
    assert all(row["grade_sd"] == 0.05 for row in rows)


def test_grade_with_a_grader_and_an_image_of_the_package(tmp_path, capsys, rng):
    from csiq_example.reader import write_image

    volume = rng.random((6, 6, 6)).astype(np.float32)
    write_image(tmp_path / "image.toy", volume, (2.0, 2.0, 2.0))
    assert main(["grade", str(tmp_path / "image.toy"), "--model", "toy_contrast", "--json"]) == 0
    (graded,) = json.loads(capsys.readouterr().out)
    assert graded["volume"] == "image.toy"
    assert graded["grade"] == pytest.approx(2 * volume.std() / volume.mean(), rel=1e-5)


def test_a_scan_of_the_package_can_be_listed(raw, tmp_path):
    assert main(["cohort", "init", str(tmp_path / "scans.tsv"), str(raw)]) == 0
    assert [row["raw"] for row in read_table(tmp_path / "scans.tsv")] == ["scan.toy"]


def test_a_grader_of_the_package_is_evaluated_against_readers(tmp_path, capsys):
    cohort, out = make_cohort(tmp_path / "cohort", 12), tmp_path / "out"
    assert main(["evaluate", str(cohort), "--model", "toy-contrast", "-o", str(out), "-q", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["config"]["models"]] == ["toy-contrast"]
    assert found["network_against_reader"]["patches"] == {}
    assert len(read_table(out / "predictions.tsv")) == found["n"] > 3
    assert any("grades images as a whole" in note for note in found["notes"])
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    command = "csiq evaluate graded.tsv --model toy-contrast --split test --reader reader1a -o DIR"
    assert f"<pre>{command}</pre>" in page


def test_the_rule_and_the_solver_by_name(rng):
    problem = for_csiq(rng)
    rule = parse_rule("little_change(0.2)")
    assert (rule.most, rule.first) == (0.2, 2)
    assert "ista" not in SOLVERS
    assert solver_named("ista").VOLUME_SETS == 10
    costs = [iterate.cost.total for iterate in solve(problem, "ista", max_iter=60)]
    best = min(iterate.cost.total for iterate in solve(problem, "pnlcg", max_iter=60))
    assert costs == sorted(costs, reverse=True)
    # on its way to the minimum of csiq's own solver: slow, as such a method is
    assert 0 <= costs[-1] - best < 0.1 * (costs[0] - best)
