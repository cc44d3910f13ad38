"""Figures of merit against other packages and explicit loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from csiq.agreement import interval_over_redraws, pearson_r2
from csiq.evaluation.merits import MERITS, N_RESAMPLES_REDRAWS, PATCH_MERITS, Rater, estimates, over_patches


@pytest.fixture
def readings(rng):
    """Return a reference, three redraws of a reader, the reader and a network."""
    truth = rng.uniform(0, 4, 40)
    draws = np.clip(np.round(2 * (truth + 0.4 * rng.standard_normal((4, 40)))) / 2, 0, 4)
    network = truth + 0.3 * rng.standard_normal(40)
    return truth, Rater("main", "Observer 1a", draws[0], draws[1:]), Rater("network", "IQ-DCNN", network)


def test_single_draw(readings):
    _, reader, network = readings
    found = {key: estimate.single for key, estimate in estimates(reader, network).items()}
    a, b = reader.grades, network.grades
    assert found["r2"] == pytest.approx(np.corrcoef(a, b)[0, 1] ** 2)
    assert [found["slope"], found["intercept"]] == pytest.approx(np.polyfit(a, b, 1))
    codes = [np.clip(np.round(2 * x), 0, 8).astype(int) for x in (a, b)]
    assert found["kappa"] == pytest.approx(cohen_kappa_score(*codes, weights="linear", labels=range(9)))
    assert found["bias"] == pytest.approx(np.mean(a - b))
    assert found["rmse"] ** 2 == pytest.approx(found["bias"] ** 2 + found["sd"] ** 2 * 39 / 40)
    by_grade = [np.abs(b - a)[a == grade].mean() for grade in np.unique(a)]
    assert found["anti_bias_l1"] == pytest.approx(np.mean(by_grade))


def test_means_over_redraws_and_ceilings(readings):
    truth, reader, network = readings
    found = estimates(reader, network, reference=truth)
    for key, merit in MERITS.items():
        ours = np.mean([merit.of(day, network.grades) for day in reader.draws])
        best = np.mean([merit.of(day, truth) for day in reader.draws])
        assert (found[key].mean, found[key].ceiling) == pytest.approx((ours, best))
        assert found[key].best == found[key].mean
        assert found[key].low <= found[key].single <= found[key].high
        assert found[key].mean_low <= found[key].mean <= found[key].mean_high
    assert found["r2"].ceiling > found["r2"].mean


def test_the_interval_of_a_mean_over_redraws(readings):
    _, reader, network = readings
    found = estimates(reader, network, keys=("r2",))["r2"]
    draws = np.concatenate([reader.grades[None], reader.draws])
    expected = interval_over_redraws(pearson_r2, draws, network.grades, n=N_RESAMPLES_REDRAWS)
    assert (found.mean_low, found.mean_high) == pytest.approx(expected)


def test_two_readers_are_redrawn_together(readings, rng):
    _, reader, _ = readings
    again = Rater("again", "Observer 1b", reader.grades, rng.permuted(reader.draws, axis=1))
    found = estimates(reader, again, keys=("mae",))["mae"]
    assert found.mean == pytest.approx(np.abs(reader.draws - again.draws).mean())
    assert math.isnan(found.ceiling)


def test_without_redraws_there_is_no_mean(readings):
    _, reader, network = readings
    found = estimates(Rater("main", "", reader.grades), network, keys=("r2",))["r2"]
    assert math.isnan(found.mean)
    assert math.isnan(found.ceiling)
    assert found.best == found.single


def test_each_patch_has_the_grade_of_its_image(readings, rng):
    _, reader, network = readings
    patches = network.grades + 0.5 * rng.standard_normal((7, 40))
    found = estimates(reader, Rater("network", "", patches), keys=PATCH_MERITS)
    wide = np.tile(reader.grades, 7)
    for key in PATCH_MERITS:
        assert found[key].single == pytest.approx(MERITS[key].of(wide, patches.ravel()))
    stacked = over_patches(MERITS["mae"].of)(reader.draws, np.broadcast_to(patches, (3, 7, 40)))
    assert stacked == pytest.approx([np.abs(patches - day).mean() for day in reader.draws])
    # more patches of the same images are no more images: the interval is that of images
    finer = estimates(reader, Rater("network", "", np.repeat(patches, 3, axis=0)), keys=("mae",))["mae"]
    assert finer.high - finer.low == pytest.approx(found["mae"].high - found["mae"].low, rel=1e-9)


def test_a_missing_grade_is_left_out(readings):
    _, reader, network = readings
    holes = np.where(np.arange(40) < 5, np.nan, reader.grades)
    found = estimates(Rater("main", "", holes), network, keys=("mae",))["mae"].single
    assert found == pytest.approx(np.abs(reader.grades - network.grades)[5:].mean())
