"""Every notebook runs, in an empty folder, with warnings as errors, and keeps no outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from csiq.io.ismrmrd_write import write_ismrmrd
from csiq.self_test import breathing_ellipsoids

FOLDER = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = {path.stem: path for path in sorted(FOLDER.glob("[0-9]*.ipynb"))}


def run_notebook(path: Path) -> dict[str, Any]:
    """Run the code cells of a notebook, one after the other, in this process; return what they made."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
            exec(code, names)
    return names


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """Work in an empty folder, drawing for no screen."""
    monkeypatch.chdir(tmp_path)
    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield tmp_path
    from matplotlib import pyplot

    pyplot.close("all")
    matplotlib.use(backend)


def test_notebook_of_arrays_runs(somewhere):
    made = run_notebook(NOTEBOOKS["06_arrays"])
    assert made["errors"][-1] < made["errors"][0]
    assert len(made["axes"].flat) == 8


def test_notebook_that_grades_runs(somewhere):
    made = run_notebook(NOTEBOOKS["07_grade_nifti"])
    assert set(made["grades"]) == {"as it is", "blurred", "noisy"}
    assert (somewhere / "patient.nii.gz").exists()


def test_notebook_that_ranks_runs_runs(somewhere, capsys):
    # a scan that costs nothing, in place of the simulated one
    write_ismrmrd("scan.h5", breathing_ellipsoids())
    made = run_notebook(NOTEBOOKS["08_rank_runs"])
    weak, strong = made["results"].values()
    assert weak.history.steps[-1].cost != strong.history.steps[-1].cost
    assert (somewhere / "lamda-0.05.csiq" / "report.html").exists()
    assert len(made["found"].pairs) == 6
    said = capsys.readouterr().out
    assert said.count("best phase") == 2
    assert "not told from it" in said
    assert len(made["axis"].lines) == 2


@pytest.mark.parametrize("path", NOTEBOOKS.values(), ids=list(NOTEBOOKS))
def test_notebooks_keep_no_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["nbformat"] == 4
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
