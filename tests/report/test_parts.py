"""What the page shows when a run has more to say: patches, heat map, shadow, fractions, health."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from csiq.errors import ModelError, RawDataError
from csiq.heatmap import Mask
from csiq.io.nifti import read_volume
from csiq.io.tables import write_table
from csiq.quality.model_file import open_model
from csiq.report import ReportOptions
from csiq.report.acquired import acquired_of
from csiq.report.health import checks_of
from csiq.report.page import render
from csiq.report.patches import grader_of, patch_grades, patches_of
from csiq.report.record import Record, read_record
from csiq.report.shadow import shadow_of, truth_of
from csiq.shadow import TruthCurve, shadow_table
from csiq.stopping import GradePlateau, counterfactual, hindsight_rules, standard_rules
from tests.report.drawn import Drawn
from tests.report.fake_run import history, run_json, write_run_folder


def record_of(tmp_path, **more) -> Record:
    return read_record(write_run_folder(tmp_path / "run", n=8, **more))


# ---------------------------------------------------------------- patches, heat map


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Record:
    """A run that says it was graded by the shipped network."""
    model = {"name": "default", "sha256": open_model("default").sha256}
    return read_record(
        write_run_folder(tmp_path_factory.mktemp("graded") / "run", n=20, n_phases=2, model=model)
    )


def test_patch_grades_are_those_whose_mean_is_the_grade(graded):
    grader = grader_of(graded)
    found = patch_grades(graded, grader)
    assert set(found) == {1, 2}
    volume, voxel_size, _ = read_volume(graded.folder / "phase-2.nii.gz")
    assert found[2].mean() == pytest.approx(grader.grade(volume, voxel_size).grade, abs=1e-4)
    shown = patches_of(graded, found)
    assert shown["n"] == 648
    assert shown["other"]  # the curves of this folder are made of formulas
    counts = [re.search(r": (\d+) patches", t).group(1) for t in _tips(shown["phases"][1]["chart"])]
    assert sum(map(int, counts)) == 648


def _tips(chart) -> list[str]:
    return [e.findtext("title") or "" for e in Drawn.of(chart).all("rect", "bars")]


def test_another_network_is_not_asked(tmp_path):
    record = record_of(tmp_path, model={"name": "default", "sha256": "0" * 64})
    assert grader_of(record) is None
    with pytest.raises(ModelError, match="not the model that graded"):
        grader_of(record, must=True)
    with pytest.raises(ModelError, match="not the model that graded"):
        grader_of(record, "default")
    assert (
        grader_of(record_of(tmp_path / "b", model={"name": "gone.safetensors", "sha256": "0" * 64})) is None
    )
    assert grader_of(record_of(tmp_path / "c", model=None)) is None
    with pytest.raises(ModelError, match="no image of this run was graded"):
        render(record_of(tmp_path / "d", model=None), ReportOptions(heatmap=True))


def test_many_phases_have_no_histograms(tmp_path):
    grades = {p: np.full(648, 2.0) for p in range(1, 20)}
    assert patches_of(record_of(tmp_path), grades) is None
    assert patches_of(record_of(tmp_path / "b"), {1: np.full(648, np.nan)}) is None


@pytest.mark.slow
def test_a_heat_map_is_laid_on_the_slices_that_it_is_of(graded, monkeypatch):
    from csiq.report import heat

    monkeypatch.setattr(heat, "_MASK", Mask(52, 52))  # a few positions in place of thousands
    found = heat.heat_of(graded, grader_of(graded))
    assert found["phase"] == 2
    assert [plane["plane"] for plane in found["planes"]] == ["axial", "coronal", "sagittal"]
    alts = [p["alt"] for plane in found["planes"] for p in plane["pictures"]]
    assert alts[:2] == ["phase 2, axial, heat map", "phase 2, axial, relevance"]
    assert found["planes"][0]["pictures"][0]["letters"]["left"] == "R"


def test_a_map_is_turned_as_its_slice_is():
    from csiq.report.heat import _Given

    rng = np.random.default_rng(4)
    volume = rng.random((10, 12, 14)).astype(np.float32)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    given = _Given(volume, (2.0, 2.0, 2.0), affine, True)
    assert given.axes() == ["axial", "coronal", "sagittal"]
    for axis in range(3):
        plane = volume.take(volume.shape[axis] // 2, axis=axis)
        signed = given.shown(plane - 0.5, axis)
        np.testing.assert_allclose(signed.pixels, given.shown(plane, axis).pixels - 0.5, atol=1e-6)


# ---------------------------------------------------------------- shadow


def shadowed(tmp_path) -> Record:
    made = history(4, n_iterations=20)
    rules = standard_rules(GradePlateau())
    truth = TruthCurve(
        [[2 * g for g in s.grades] for s in made.steps], [[0.5 / (1 + s.iteration)] * 4 for s in made.steps]
    )
    rows = shadow_table(made, (*rules, *hindsight_rules()), truth)
    run = run_json(made)
    run["config"]["stop"]["shadow"] = True
    folder = write_run_folder(
        tmp_path / "run", n=8, made=made, config=run["config"],
        shadow=[row.as_json() for row in rows], counterfactual=counterfactual(made, rules),
        rules={rule.name: rule.sentence() for rule in rules},
    )  # fmt: skip
    columns = ("iteration", "phase", "reference", "nrmse")
    table = [
        dict(zip(columns, (k, p + 1, truth.reference[k][p], truth.nrmse[k][p]), strict=True))
        for k in range(21)
        for p in range(4)
    ]
    write_table(folder / "truth.tsv", table, columns)
    return read_record(folder)


def test_a_shadow_run_has_a_table_of_what_each_rule_saves_and_loses(tmp_path):
    record = shadowed(tmp_path)
    shown = shadow_of(record)
    assert shown["columns"][:3] == ["rule", "iteration", "saved"]
    assert shown["truth"]
    own = next(r for r in record.run["shadow"] if r["rule"] == "grade_plateau_mean")
    row = next(r for r in shown["rows"] if r["letter"] == "a")
    assert row["cells"][0].startswith("The mean grade changed by less than 0.02")
    assert row["cells"][1] == str(own["iteration"]) == "8"
    assert row["cells"][2] == f"{own['seconds_saved']:.0f} s"
    assert row["cells"][3] == f"{own['grade_lost_last']:.2f}"
    assert row["cells"][-2:] == [
        f"{100 * own[f'nrmse_lost_{to}']:+.1f}\N{NO-BREAK SPACE}%" for to in ("last", "best")
    ]
    assert len(row["cells"]) == len(shown["columns"]) == len(shown["names"])
    late = [r["cells"][0] for r in shown["rows"] if "known afterwards" in r["cells"][0]]
    assert len(late) == 1
    page = render(record)
    assert "What each rule would have saved, and lost" in page
    assert "Where each rule stops" not in page  # the same, with less in it
    assert ">NRMSE</th>" in page


def test_a_truth_is_a_mean_over_the_phases(tmp_path):
    record = shadowed(tmp_path)
    step = record.history.steps[5]
    assert truth_of(record)[5] == [f"{2 * step.mean_grade:.2f}", f"{0.5 / 6:.4f}"]
    (record.folder / "truth.tsv").write_text("iteration\tphase\n1\t1\n")
    with pytest.raises(RawDataError, match=r"truth\.tsv"):
        truth_of(record)


def test_runs_without_such_things_have_no_such_tables(tmp_path):
    record = record_of(tmp_path)
    assert shadow_of(record) is None
    assert truth_of(record) == {}
    assert acquired_of(record) is None


# ---------------------------------------------------------------- fractions


def test_grades_of_the_first_heartbeats_are_drawn_where_they_belong(tmp_path):
    record = record_of(tmp_path, n_phases=2)
    rows = [
        {"fraction": f, "heartbeats": int(100 * f), "spokes": int(5000 * f), "phase": p, "grade": g}
        for f, p, g in ((0.5, 1, 1.0), (0.5, 2, math.nan), (1.0, 1, 2.0), (1.0, 2, 3.0))
    ]
    write_table(record.folder / "fractions.tsv", rows)
    shown = acquired_of(record)
    assert shown["rows"] == [
        ["50\u00a0%", "50", "2500", "1.00", "–"],
        ["100\u00a0%", "100", "5000", "2.00", "3.00"],
    ]
    drawn = Drawn.of(shown["wide"])
    assert len(drawn.all("path", "mark")) == 3
    assert "Grade against the acquired part" in render(record)
    (record.folder / "fractions.tsv").write_text("fraction\n0.5\n")
    with pytest.raises(RawDataError, match=r"fractions\.tsv"):
        acquired_of(record)


# ---------------------------------------------------------------- health


def levels(record: Record) -> dict[str, str]:
    return {check.name: check.level for check in checks_of(record)}


def test_a_sound_scan_is_said_to_be_so(tmp_path):
    scan = run_json(history(4))["scan"] | {"orientation_known": True, "n_noise_samples": 4096}
    assert set(levels(record_of(tmp_path, scan=scan)).values()) == {"ok"}


def test_what_is_odd_stands_out(tmp_path):
    scan = {"nyquist_fraction": 0.04, "orientation_known": False, "n_coils": 8, "n_noise_samples": 0}
    run = run_json(history(4))
    run["config"]["data"]["exclude_coil"] = [3, 7]
    record = record_of(
        tmp_path, scan=scan, config=run["config"],
        gating={"confidence": 0.4}, grading={"in_domain": [True, False, True, True]},
    )  # fmt: skip
    assert levels(record) == {
        "sampling": "look",
        "coils": "note",
        "noise": "note",
        "breathing": "look",
        "orientation": "look",
        "grading": "look",
    }
    page = render(record)
    assert "left out: 3 and 7" in page
    assert "left and right are not known" in page


def test_what_is_not_known_is_left_out(tmp_path):
    record = record_of(tmp_path, scan={}, gating={}, grading={})
    assert checks_of(record) == []
