"""A sweep is so many reconstructions, to the bit, with one set-up; graders that game it meet its bounds."""

from __future__ import annotations

import numpy as np
import pytest

from csiq import pipeline
from csiq.config import load_config
from csiq.errors import ConfigError
from csiq.pipeline import reconstruct
from csiq.tuning import choose, phase_difference, sweep
from tests.fakes import rising


def config_of(**options):
    return load_config(overrides={"coils": 3, "device": "cpu", "max_iter": 3, "threads": 2, **options})


def likes_no_streaks(volume, voxel_size):
    """Grade an image by how dark its dark parts are: averaging all phases removes most streaks."""
    dark, bright = np.percentile(volume, (10, 99))
    return 4.0 - 90.0 * float(dark / bright), 0.1


@pytest.fixture(scope="module")
def tempted(scan):
    """Return a sweep whose grader likes what the penalty does to streaks, and does not see its price."""
    return sweep(scan, config_of(max_iter=5), [0.002, 0.2, 2.0, 20.0], grader=likes_no_streaks)


def test_each_weight_is_the_reconstruction_of_that_weight_to_the_bit(scan):
    results = {}
    found = sweep(
        scan,
        config_of(stop_on_plateau=True, max_iter=6),
        [0.05, 0.005],
        grader=lambda volume, voxel_size: 1.5,
        on_point=lambda point, result: results.update({point.lamda: result}),
    )
    assert found.lamdas == (0.005, 0.02, 0.05)
    config = config_of(stop_on_plateau=True, max_iter=6, lamda=0.05)
    alone = reconstruct(scan, config, grader=lambda volume, voxel_size: 1.5)
    assert np.array_equal(results[0.05].volumes, alone.volumes)
    assert results[0.05].lamda_abs == alone.lamda_abs
    assert results[0.05].stop == alone.stop
    point, last = found.at(0.05), alone.history.steps[max(alone.iterations)]
    assert (point.cost_data, point.cost_penalty) == (last.cost_data, last.cost_penalty)
    assert point.iterations == alone.history.last.iteration
    assert not np.array_equal(results[0.05].volumes, results[0.02].volumes)


def counted(function, calls):
    def spy(*args, **options):
        calls.append(function.__name__)
        return function(*args, **options)

    return spy


def test_what_comes_before_the_first_iteration_is_done_once(scan, monkeypatch):
    calls = []
    steps = ["estimate_smaps", "gate", "prepare_coils", "set_up_where_it_fits"]
    for name in steps:
        monkeypatch.setattr(pipeline, name, counted(getattr(pipeline, name), calls))
    sweep(scan, config_of(max_iter=1), [0.01, 0.04], grader=lambda volume, voxel_size: 1.5)
    assert sorted(calls) == steps


def test_finished_weights_are_not_computed_again(scan, monkeypatch):
    grader, events = (lambda volume, voxel_size: 1.5), []
    first = sweep(scan, config_of(max_iter=1), [0.01], grader=grader)
    again = sweep(scan, config_of(), [0.01, 0.05], grader=grader, done=first.points, on_event=events.append)
    assert [e["lamda"] for e in events if e["event"] == "lamda"] == [0.05]
    assert again.points[:2] == first.points
    monkeypatch.setattr("csiq.tuning.sweeping.prepare", None)  # whatever is finished needs no set-up
    assert sweep(scan, config_of(), [0.01], grader=grader, done=again.points).points == first.points


def test_each_event_says_which_weight_it_is_of(scan):
    events = []
    sweep(scan, config_of(max_iter=1), [0.01], grader=rising(), on_event=events.append)
    assert [e["lamda"] for e in events if e["event"] == "iteration"] == [0.01, 0.01, 0.02, 0.02]
    points = [e for e in events if e["event"] == "point"]
    assert [(e["lamda"], e["iterations"], len(e["grades"])) for e in points] == [(0.01, 1, 4), (0.02, 1, 4)]


def test_a_grader_that_likes_smooth_images_is_held_at_the_bound(tempted):
    """The largest weights make one image of all phases: that is left out, and the rest is called a bound."""
    grades = [point.grade for point in tempted.points]
    assert grades == sorted(grades)
    assert grades[-1] > grades[2] + 0.25 > grades[1] + 0.5
    choice = choose(tempted)
    assert set(choice.excluded) == {2.0, 20.0}
    assert all("one image" in why for why in choice.excluded.values())
    assert (choice.lamda, choice.at_edge) == (0.2, "high")
    assert "a bound, not an optimum" in choice.warnings[0]


def test_more_weight_leaves_less_difference_and_more_misfit(tempted):
    differences = [point.phase_difference for point in tempted.points[:4]]
    assert differences == sorted(differences, reverse=True)
    misfits = [point.cost_data for point in tempted.points[:4]]
    assert misfits == sorted(misfits)


def test_a_flat_grader_leaves_the_weight_of_the_configuration(scan):
    found = sweep(
        scan, config_of(lamda=0.03, max_iter=1), [0.003, 0.3], grader=lambda volume, voxel_size: (1.5, 0.2)
    )
    choice = choose(found)
    assert (choice.lamda, choice.warnings) == (0.03, ())


def test_the_difference_of_phases_is_that_of_their_magnitudes():
    one = np.full((2, 4, 4, 4), 1j, np.complex64)
    one[1] = 1
    assert phase_difference(one) == 0
    one[1] = 2
    # |2 - 1| over the root mean square of 1 and 2
    assert np.isclose(phase_difference(one), 1 / np.sqrt(2.5))
    assert np.isnan(phase_difference(one[:1]))
    assert np.isnan(phase_difference(np.zeros((2, 2, 2, 2))))


def test_a_single_image_is_refused_before_any_work(scan):
    with pytest.raises(ConfigError, match="lamda does nothing"):
        sweep(scan, config_of(phases=1))
