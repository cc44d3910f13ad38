"""The flow from a scan to ranked phases, on a small breathing scan whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sigpy

from csiq import pipeline
from csiq.config import load_config
from csiq.errors import ConfigError, ModelError, RawDataError
from csiq.pipeline import gate, phase_dcf, prepare_coils, reconstruct
from tests.fakes import ScriptedGrader, rising


def nrmse(volume, truth):
    """Return the error of a magnitude image against the truth, its scale fitted."""
    magnitude = np.abs(volume).astype(np.float64)
    magnitude *= np.sum(magnitude * truth) / np.sum(magnitude**2)
    return np.linalg.norm(magnitude - truth) / np.linalg.norm(truth)


def config_of(**options):
    return load_config(overrides={"coils": 4, "device": "cpu", **options})


@pytest.fixture
def graded(monkeypatch):
    """Put a scripted grader in the place of the network."""

    def use(grader):
        monkeypatch.setattr(pipeline, "load_grader", lambda config, device: grader)
        return grader

    return use


@pytest.fixture
def ungraded(graded):
    return graded(None)


@pytest.mark.slow
def test_beats_gridding_and_least_squares_of_each_phase(simulated, ungraded):
    """At the paper's sampling ratio, object off the grid, moving within bins, body outside the view."""
    scan, truth = simulated
    errors = {}

    def look(iterate, history, kept):
        errors[iterate.iteration] = [nrmse(v, t) for v, t in zip(iterate.volumes, truth.volumes, strict=True)]

    config = config_of(max_iter=15)
    result = reconstruct(scan, config, on_iterate=look)
    last = [nrmse(v, t) for v, t in zip(result.volumes, truth.volumes, strict=True)]
    assert np.mean(last) < 0.8 * np.mean(errors[0])

    # each phase alone: SigPy's conjugate gradients; both stopped where they are best
    ours = min(np.mean(of_phases) for of_phases in errors.values())
    prepared = prepare_coils(scan, config)
    _, bins = gate(prepared, config)
    problem = pipeline.set_up(
        prepared, bins, pipeline.estimate_smaps(prepared), config, pipeline.Device(), threads=2
    )
    alone = []
    volumes = np.zeros_like(problem.rhs)
    alg = sigpy.alg.ConjugateGradient(problem.normal, problem.rhs, volumes, max_iter=12)
    while not alg.done():
        alg.update()
        alone.append(np.mean([nrmse(v, t) for v, t in zip(volumes, truth.volumes, strict=True)]))
    assert ours < 0.9 * min(alone)


def test_phases_follow_the_true_displacement(simulated):
    scan, truth = simulated
    signal, bins = gate(scan, config_of())
    assert signal is not None
    assert np.corrcoef(signal.values, -truth.breathing)[0, 1] > 0.95
    means = [truth.breathing[indices].mean() for indices in bins.indices]
    assert means == sorted(means)  # phase 1 is end-expiration
    assert sorted(np.concatenate(bins.indices)) == list(range(scan.n_spokes))


def test_density_compensation_has_mean_1_in_each_phase(simulated):
    scan, _ = simulated
    _, bins = gate(scan, config_of())
    dcf = phase_dcf(scan, bins, "analytic")
    parts = np.split(dcf, np.cumsum(bins.counts)[:-1])
    assert all(part.mean() == pytest.approx(1, rel=1e-5) for part in parts)


def test_stops_at_the_plateau_and_says_why(simulated, graded):
    graded(rising(plateau=3))
    result = reconstruct(simulated[0], config_of(stop_on_plateau=True, max_iter=9))
    # grades stand still from iteration 3 on: steps 4 and 5 are the two small ones
    assert (result.stop.iteration, result.stop.reason) == (5, "plateau")
    assert result.history.last.iteration == 5
    assert result.counterfactual["grade_plateau_mean"] == 5
    assert result.ranking is not None
    assert result.ranking.best_phase == 2
    assert result.ranking.top_set == (1, 2, 3)
    assert len(set(result.iterations)) == 1


def test_shadow_goes_on_but_writes_the_stop_down(simulated, graded):
    graded(rising(plateau=2))
    result = reconstruct(simulated[0], config_of(stop_on_plateau=True, shadow=True, max_iter=6))
    assert result.stop.reason == "max_iter"
    assert result.history.last.iteration == 6
    assert result.counterfactual["grade_plateau_mean"] == 4


def test_returns_the_best_iteration_not_the_last(simulated, graded):
    script = [[0.2] * 4, [1.0] * 4, [2.0] * 4, [1.2] * 4, [1.1] * 4]
    seen = {}
    graded(ScriptedGrader(script))
    result = reconstruct(
        simulated[0],
        config_of(max_iter=4),
        on_iterate=lambda i, h, k: seen.update({i.iteration: i.volumes.copy()}),
    )
    assert result.iterations == (2, 2, 2, 2)
    assert np.array_equal(result.volumes, seen[2])
    assert [g.grade for g in result.grades] == [2.0] * 4
    graded(ScriptedGrader(script))
    last = reconstruct(simulated[0], config_of(max_iter=4, **{"return": "last"}))
    assert last.iterations == (4, 4, 4, 4)
    assert np.array_equal(last.volumes, seen[4])


def test_best_per_phase_has_no_ranking(simulated, graded):
    script = [[0.2, 0.2, 0.2, 0.2], [3.0, 1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 2.0]]
    seen = {}
    graded(ScriptedGrader(script))
    result = reconstruct(
        simulated[0],
        config_of(max_iter=2, **{"return": "best-per-phase"}),
        on_iterate=lambda i, h, k: seen.update({i.iteration: i.volumes.copy()}),
    )
    assert result.iterations == (1, 2, 2, 2)
    assert result.ranking is None
    assert np.array_equal(result.volumes[0], seen[1][0])
    assert np.array_equal(result.volumes[1:], seen[2][1:])


def test_a_grade_that_is_no_number_never_stops_a_run(simulated, graded):
    graded(ScriptedGrader([[1.0] * 4, [1.0, float("nan"), 1.0, 1.0], [1.0] * 4]))
    result = reconstruct(simulated[0], config_of(stop_on_plateau=True, max_iter=5))
    assert result.stop.reason == "max_iter"
    assert any("no grade at iteration 1" in warning for warning in result.warnings)


def test_events_tell_the_whole_story(simulated, graded):
    graded(rising())
    events = []
    reconstruct(simulated[0], config_of(max_iter=2), on_event=events.append)
    kinds = [event["event"] for event in events]
    assert kinds.count("iteration") == 3
    assert kinds.index("start") < kinds.index("iteration")
    assert [event["stage"] for event in events if event["event"] == "stage"] == ["coils", "gating", "setup"]
    start = next(event for event in events if event["event"] == "start")
    assert (start["n_phases"], start["n_coils"], start["max_iter"]) == (4, 4, 2)


def test_a_time_limit_stops_between_iterations(simulated, ungraded):
    result = reconstruct(simulated[0], config_of(max_iter=5, time_limit="0.001s"))
    assert (result.stop.iteration, result.stop.reason) == (1, "time_limit")


def test_one_phase_needs_no_breathing(simulated, ungraded):
    result = reconstruct(simulated[0], config_of(phases=1, max_iter=1))
    assert result.signal is None
    assert result.volumes.shape == (1, 48, 48, 48)


def test_selfnav_takes_the_shift_of_the_heart_out(simulated, ungraded):
    """One image of all spokes; within the heart it is nearer to end-expiration than without correction."""
    scan, _ = simulated
    result = reconstruct(scan, config_of(mode="selfnav", max_iter=1))
    assert result.volumes.shape[0] == 1
    with pytest.raises(ConfigError, match="no SI spokes"):
        reconstruct(replace(scan, navigators=None), config_of(mode="selfnav"))


def test_equal_input_gives_equal_bits(simulated, ungraded):
    first, second = (reconstruct(simulated[0], config_of(max_iter=2)) for _ in range(2))
    assert np.array_equal(first.volumes, second.volumes)
    assert [s.cost for s in first.history.steps] == [s.cost for s in second.history.steps]


def test_a_missing_model_matters_only_where_it_is_needed(simulated, monkeypatch, tmp_path):
    def missing(name, device):
        raise ModelError("no model installed")

    monkeypatch.setattr("csiq.quality.grade.Grader.load", missing)
    result = reconstruct(simulated[0], config_of(max_iter=1))
    assert result.ranking is None
    assert result.model == {}
    with pytest.raises(ModelError):
        reconstruct(simulated[0], config_of(stop_on_plateau=True, max_iter=1))


def test_pure_noise_has_no_breathing(simulated, ungraded, rng):
    scan, _ = simulated
    shape = scan.navigators.kspace.shape
    noise = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    quiet = replace(scan, navigators=replace(scan.navigators, kspace=noise))
    with pytest.raises(RawDataError, match="--phases 1"):
        reconstruct(quiet, config_of())
