"""What a rule would have saved and lost, by hand and by brute force; and the run that writes it."""

from __future__ import annotations

import importlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq import pipeline
from csiq.config import load_config
from csiq.errors import ConfigError, RawDataError
from csiq.history import History
from csiq.io.tables import read_table
from csiq.run_scan import run
from csiq.shadow import TRUTH_COLUMNS, Losses, TruthCurve, shadow_table
from csiq.stopping import (
    CostGap,
    CostPlateau,
    GradePlateau,
    MaxIter,
    hindsight_rules,
    returned_iteration,
    standard_rules,
    stop_iteration,
)
from tests.fakes import rising
from tests.stopping.curves import NAN, curves, history_of

run_module = importlib.import_module("csiq.run_scan")
GRADES = [[0.2, 0.4], [1.0, 1.2], [1.8, 2.0], [2.0, 2.2], [2.0, 2.1], [1.8, 2.0]]
REFERENCE = [[0.0, 0.0], [0.5, 0.7], [1.0, 1.2], [1.1, 1.5], [1.3, 1.5], [1.2, 1.4]]
NRMSE = [[0.5, 0.4], [0.4, 0.3], [0.3, 0.2], [0.2, 0.2], [0.1, 0.1], [0.125, 0.125]]


def close(value: float) -> object:
    return pytest.approx(value, nan_ok=True)


def test_worked_by_hand():
    history = history_of(GRADES)
    truth = TruthCurve(REFERENCE, NRMSE)
    (row,) = shadow_table(history, [MaxIter(2)], truth)
    assert (row.rule, row.iteration, row.returned_iteration) == ("max_iter", 2, 2)
    assert row.sentence == "all 2 iterations were done"
    assert (row.uses_grades, row.hindsight) == (False, False)
    # 1 s to reconstruct and 0.5 s to grade each of the iterations 3, 4 and 5
    assert (row.seconds_saved, row.recon_s_saved, row.grading_s_saved) == (4.5, 3.0, 1.5)
    # means: grades .3 1.1 1.9 2.1 2.05 1.9; references 0 .6 1.1 1.3 1.4 1.3; NRMSE .45 .35 .25 .2 .1 .125
    assert row.losses == Losses(
        grade=close(1.9), grade_lost_last=close(0.0), grade_lost_best=close(0.2),
        reference=close(1.1), reference_lost_last=close(0.2), reference_lost_best=close(0.3),
        nrmse=close(0.25), nrmse_lost_last=close(1.0), nrmse_lost_best=close(1.5),
    )  # fmt: skip
    # the best images are iterations 3, 4 and 4 for every phase, though phase 2 has 1.5 at 3, too
    assert row.phases[1] == Losses(
        grade=close(2.0), grade_lost_last=close(0.0), grade_lost_best=close(0.2),
        reference=close(1.2), reference_lost_last=close(0.2), reference_lost_best=close(0.3),
        nrmse=close(0.2), nrmse_lost_last=close(0.6), nrmse_lost_best=close(1.0),
    )  # fmt: skip
    assert row.phases[0].nrmse_lost_last == close(0.3 / 0.125 - 1)


def test_what_is_handed_out_counts_and_not_where_it_stops():
    history = history_of(GRADES)
    best, last, each = (
        shadow_table(history, [MaxIter(5)], how=how)[0] for how in ("best", "last", "best-per-phase")
    )
    assert (best.returned_iteration, last.returned_iteration, each.returned_iteration) == (3, 5, (4, 3))
    assert best.losses.grade_lost_last == close(-0.2)
    assert last.losses.grade_lost_best == close(0.2)
    assert [p.grade for p in each.phases] == [2.0, 2.2]
    assert each.losses.grade == close(2.1)


def test_a_rule_that_never_fires_saves_nothing():
    (row,) = shadow_table(history_of(GRADES), [MaxIter(9)])
    assert (row.iteration, row.returned_iteration, row.seconds_saved) == (None, 3, 0.0)
    assert row.losses.grade_lost_best == 0.0
    assert math.isnan(row.losses.reference_lost_last)
    assert shadow_table(History(), [MaxIter(9)]) == []


def test_hindsight_and_grades_are_told():
    history = history_of(GRADES)
    rows = shadow_table(history, {"gap": CostGap(), "mine": GradePlateau(tol=0.03, patience=1)})
    assert [(r.rule, r.hindsight, r.uses_grades) for r in rows] == [
        ("gap", True, False),
        ("mine", False, True),
    ]
    assert rows[0].iteration == stop_iteration(history, CostGap())
    assert rows[1].iteration == 4


def test_records_and_cells():
    row = shadow_table(history_of(GRADES), [MaxIter(2)], TruthCurve(REFERENCE, NRMSE))[0]
    content = row.as_json()
    assert list(content) == [
        "rule", "sentence", "uses_grades", "hindsight", "iteration", "returned_iteration", "seconds_saved",
        "recon_s_saved", "grading_s_saved", *Losses.__dataclass_fields__, "phases",
    ]  # fmt: skip
    assert [p["phase"] for p in content["phases"]] == [1, 2]
    assert set(content["phases"][0]) == {"phase", *Losses.__dataclass_fields__}
    assert set(row.as_cells()) == set(content) - {"sentence", "phases"}
    mixed = shadow_table(history_of(GRADES), [MaxIter(5)], how="best-per-phase")[0]
    assert mixed.as_cells()["returned_iteration"] is None
    assert mixed.as_json()["returned_iteration"] == (4, 3)


def test_what_is_not_known_is_nan_and_the_rest_is_told():
    truth = TruthCurve([[NAN, NAN]] * 6, NRMSE[:4])  # NRMSE of the last two is missing
    losses = shadow_table(history_of(GRADES), [MaxIter(2)], truth)[0].losses
    assert math.isnan(losses.reference)
    assert losses.nrmse == close(0.25)
    assert math.isnan(losses.nrmse_lost_last)
    assert losses.nrmse_lost_best == close(0.25)
    ungraded = shadow_table(history_of([[NAN, NAN]] * 6), [CostPlateau(0.5)], TruthCurve(REFERENCE, NRMSE))[0]
    assert ungraded.iteration == 3
    assert math.isnan(ungraded.losses.grade_lost_best)
    assert ungraded.losses.reference_lost_best == close(0.1)
    perfect = TruthCurve((), [[0.0, 0.0]] * 6)
    assert math.isnan(shadow_table(history_of(GRADES), [MaxIter(2)], perfect)[0].losses.nrmse_lost_last)


def test_the_curve_of_the_truth_comes_from_rows_in_any_order():
    rows = [
        {"iteration": k, "phase": p + 1, "reference": REFERENCE[k][p], "nrmse": NRMSE[k][p]}
        for k in range(6)
        for p in range(2)
        if (k, p) != (3, 1)
    ]
    curve = TruthCurve.from_rows(reversed(rows))
    assert curve.reference[2] == REFERENCE[2]
    assert curve.nrmse[3][0] == NRMSE[3][0]
    assert math.isnan(curve.nrmse[3][1])
    assert TruthCurve.from_rows([]) == TruthCurve([], [])
    with pytest.raises(RawDataError, match="row 1 lacks nrmse"):
        TruthCurve.from_rows([{"iteration": 0, "phase": 1, "reference": 1.0}])


@settings(max_examples=30, deadline=None)
@given(curves(), st.integers(0, 2**32 - 1))
def test_losses_are_those_of_the_images_by_brute_force(history, seed):
    rng = np.random.default_rng(seed)
    shape = (len(history), history.n_phases)
    reference, nrmse = rng.uniform(0, 4, shape), rng.uniform(0.05, 0.5, shape)
    rules = (*standard_rules(GradePlateau()), *hindsight_rules())
    for rule, row in zip(rules, shadow_table(history, rules, TruthCurve(reference, nrmse)), strict=True):
        stop = stop_iteration(history, rule)
        end = len(history) - 1
        k = returned_iteration(history.upto(end if stop is None else stop))
        assert (row.iteration, row.returned_iteration) == (stop, k)
        assert row.seconds_saved == close(1.5 * (end - (end if stop is None else stop)))
        good = int(reference.mean(axis=1).argmax())
        near = int(nrmse.mean(axis=1).argmin())
        assert row.losses.reference_lost_last == close((reference[end] - reference[k]).mean())
        assert row.losses.reference_lost_best == close((reference[good] - reference[k]).mean())
        assert row.losses.reference_lost_best >= -1e-12
        assert row.losses.nrmse_lost_last == close(nrmse[k].mean() / nrmse[end].mean() - 1)
        assert [p.reference_lost_best for p in row.phases] == [
            close(v) for v in reference[good] - reference[k]
        ]
        assert [p.nrmse_lost_best for p in row.phases] == [close(v) for v in nrmse[k] / nrmse[near] - 1]
        grades = np.array([s.grades for s in history.steps])
        if np.isfinite(grades).all():
            assert row.losses.grade_lost_best == close(grades.mean(axis=1).max() - grades[k].mean())


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Return a simulated raw file of 32^3, its truth beside it."""
    from csiq.simulate.scan import write_simulated
    from tests.scans import TINY, scan_and_truth

    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_simulated(path, *scan_and_truth(TINY))
    return path


@pytest.fixture(autouse=True)
def grader(monkeypatch):
    for module in (pipeline, run_module):
        monkeypatch.setattr(module, "load_grader", lambda config, device: rising(plateau=2))
    # pages are the report's own business
    monkeypatch.setattr(run_module._Run, "_write_pages", lambda *args: None)


@pytest.fixture
def quick_reference(monkeypatch):
    """Stand in for the reference quality, which takes a quarter of a second a volume."""
    monkeypatch.setattr("csiq.truth.measure", lambda volume, truth: volume)
    monkeypatch.setattr("csiq.truth.reference.grade", lambda volume: float(np.abs(volume).std()) % 4)


def config_of(**options):
    return load_config(overrides={"coils": 2, "device": "cpu", "max_iter": 6, "threads": 1, **options})


@pytest.mark.usefixtures("quick_reference")
def test_a_shadow_run_goes_on_and_says_what_stopping_would_have_cost(raw, tmp_path):
    folder = tmp_path / "out"
    result = run(config_of(stop_on_plateau=True, rule="slope or time(9h)", shadow=True), raw, folder)
    content = json.loads((folder / "run.json").read_text())
    assert content["stop"] == {"iteration": 6, "reason": "max_iter", "rule": "max_iter"}
    assert content["counterfactual"]["grade_plateau_mean"] == 4
    assert set(content["rules"]) == set(content["counterfactual"])
    records = {record["rule"]: record for record in content["shadow"]}
    assert set(records) == {*content["counterfactual"], "cost_gap"}
    assert {name: r["iteration"] for name, r in records.items() if name != "cost_gap"} == content[
        "counterfactual"
    ]
    assert "slope or time(seconds=32400s)" in records
    plateau = records["grade_plateau_mean"]
    assert plateau["seconds_saved"] > 0
    assert 0 <= plateau["reference"] <= 4
    assert len(plateau["phases"]) == 4
    rows = read_table(folder / "truth.tsv")
    assert tuple(rows[0]) == TRUTH_COLUMNS
    assert len(rows) == 7 * 4
    assert plateau["nrmse"] == pytest.approx(
        np.mean([row["nrmse"] for row in rows if row["iteration"] == plateau["returned_iteration"]])
    )
    assert content["seconds"]["truth"] > 0
    table = {row["rule"]: row for row in read_table(folder / "shadow.tsv")}
    assert table["grade_plateau_mean"]["nrmse_lost_last"] == plateau["nrmse_lost_last"]
    assert result.counterfactual == content["counterfactual"]


def test_a_usual_run_measures_no_truth_and_records_the_rules(raw, tmp_path):
    folder = tmp_path / "out"
    run(config_of(rule="scale(0.1)"), raw, folder)
    content = json.loads((folder / "run.json").read_text())
    assert content["stop"]["rule"] == "grade_scale_plateau_mean"
    assert content["counterfactual"]["grade_scale_plateau_mean"] == content["stop"]["iteration"] < 6
    assert content["rules"]["grade_scale_plateau_mean"].startswith("the mean grade changed by less than 0.4")
    assert "shadow" not in content
    assert not (folder / "truth.tsv").exists()
    assert not (folder / "shadow.tsv").exists()
    assert "truth" not in content["seconds"]


def test_a_truth_that_is_named_is_measured_in_any_run(raw, tmp_path):
    truth = raw.with_name("scan.truth.h5")
    run(config_of(max_iter=1, truth=str(truth)), raw, tmp_path / "out")
    rows = read_table(tmp_path / "out" / "truth.tsv")
    assert len(rows) == 2 * 4
    assert all(0 <= row["reference"] <= 4 and 0 < row["nrmse"] < 1 for row in rows)
    content = json.loads((tmp_path / "out" / "run.json").read_text())
    assert content["config"]["stop"]["truth"] == "scan.truth.h5"
    assert config_of(truth="a.h5").sha256() == config_of().sha256()


def test_a_truth_that_does_not_fit_is_an_error_if_named_and_a_warning_if_found(raw, tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.h5: --truth: no such file"):
        run(config_of(truth="gone.h5"), raw, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(RawDataError, match="is 4 x 32 x 32 x 32, the reconstruction 2 x 32"):
        run(config_of(truth=str(raw.with_name("scan.truth.h5")), phases=2), raw, tmp_path / "b")
    run(config_of(shadow=True, phases=2, max_iter=1), raw, tmp_path / "c")
    content = json.loads((tmp_path / "c" / "run.json").read_text())
    assert any("truth beside the scan is left out" in warning for warning in content["warnings"])
    assert content["shadow"][0]["nrmse"] is None


@pytest.mark.usefixtures("quick_reference")
def test_a_resumed_run_keeps_the_truth_of_the_iterates_before(raw, tmp_path, monkeypatch):
    folder, config = tmp_path / "out", config_of(shadow=True, max_iter=3)
    save, seen = run_module._Run._save, []

    def save_until(self, iterate, history, kept):
        save(self, iterate, history, kept)
        seen.append(iterate.iteration)
        if iterate.iteration == 2 and len(seen) == 3:
            self.beside.wait()
            raise KeyboardInterrupt

    monkeypatch.setattr(run_module._Run, "_save", save_until)
    with pytest.raises(KeyboardInterrupt):
        run(config, raw, folder)
    interrupted = json.loads((folder / "run.json").read_text())
    assert interrupted["status"] == "interrupted"
    assert "grade_slope_mean" in interrupted["counterfactual"]
    run(config, raw, folder, resume=True)
    assert seen == [0, 1, 2, 3]
    resumed = read_table(folder / "truth.tsv")
    assert [(r["iteration"], r["phase"]) for r in resumed] == [(k, p) for k in range(4) for p in range(1, 5)]
    run(config, raw, tmp_path / "straight")
    assert read_table(tmp_path / "straight" / "truth.tsv") == resumed
