"""Figures of merit against other packages and explicit loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from csiq.agreement import interval_over_redraws, pearson_r2
from csiq.evaluation import estimating
from csiq.evaluation.estimating import N_RESAMPLES_REDRAWS, Rater
from csiq.evaluation.merits import GAINS, MERITS, estimates, gains, patch_estimates
from csiq.evaluation.patch_sums import PATCH_MERITS, PatchSums, levels_of
from csiq.evaluation.retrainings import spread_of_images, spread_of_patches


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


@pytest.fixture
def _few_resamples(monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 60)
    monkeypatch.setattr(estimating, "N_RESAMPLES_REDRAWS", 40)


@pytest.mark.usefixtures("_few_resamples")
def test_each_patch_has_the_grade_of_its_image(readings, rng):
    truth, reader, network = readings
    patches = network.grades[:, None] + 0.5 * rng.standard_normal((40, 7))
    patches[3, 2] = np.nan
    found = patch_estimates(reader, patches, reference=truth)
    wide, flat = np.repeat(reader.grades, 7), patches.ravel()
    days = np.repeat(reader.draws, 7, axis=1)
    chosen = np.random.default_rng(0).integers(40, size=(60, 40))
    for key in PATCH_MERITS:
        of = MERITS[key].of
        assert found[key].single == pytest.approx(of(wide, flat), abs=1e-12)
        assert found[key].mean == pytest.approx(np.mean([of(day, flat) for day in days]), abs=1e-12)
        assert found[key].ceiling == pytest.approx(np.mean([of(day, truth) for day in reader.draws]))
        values = [of(np.repeat(reader.grades[rows], 7), patches[rows].ravel()) for rows in chosen]
        assert (found[key].low, found[key].high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
        values = [
            np.mean([of(np.repeat(d[r], 7), patches[r].ravel()) for d in reader.draws]) for r in chosen[:40]
        ]
        limits = tuple(np.quantile(values, [0.05, 0.95]))
        assert (found[key].mean_low, found[key].mean_high) == pytest.approx(limits)
    # more patches of the same images are no more images: the interval is that of images
    finer = patch_estimates(reader, np.repeat(patches, 3, axis=1))["mae"]
    assert finer.high - finer.low == pytest.approx(found["mae"].high - found["mae"].low, rel=1e-9)


def test_patches_that_say_nothing(rng):
    grades = np.array([1.0, 1.0, 1.0])
    sums = PatchSums.of(rng.uniform(size=(3, 4)), levels_of(grades))
    found = dict(zip(PATCH_MERITS, sums.merits(grades, sums.sums), strict=True))
    assert np.isnan([found[key] for key in ("r2", "slope", "intercept")]).all()
    level = PatchSums.of(np.full((3, 4), 1.3), levels_of(np.arange(3.0)))
    flat = dict(zip(PATCH_MERITS, level.merits(np.arange(3.0), level.sums), strict=True))
    assert np.isnan(flat["r2"])
    assert (flat["slope"], flat["intercept"]) == pytest.approx((0, 1.3), abs=1e-12)
    none = level.merits(np.full(3, np.nan), level.sums)
    assert np.isnan(none).all()


@pytest.mark.usefixtures("_few_resamples")
def test_what_is_gained_from_patches_to_images_meets_the_same_patients(readings, rng):
    _, reader, network = readings
    patches = network.grades[:, None] + 0.5 * rng.standard_normal((40, 7))
    patients = np.repeat(np.arange(10), 4)
    found = gains(reader, network.grades, patches, patients=patients)
    images = estimates(reader, network, keys=GAINS, patients=patients)
    parts = patch_estimates(reader, patches, patients=patients)
    chosen = np.random.default_rng(0).integers(10, size=(60, 10))
    for key in GAINS:
        of = MERITS[key].of
        assert found[key].single == pytest.approx(images[key].single - parts[key].single)
        assert found[key].mean == pytest.approx(images[key].mean - parts[key].mean)
        values = []
        for one in chosen:
            rows = (4 * one[:, None] + np.arange(4)).ravel()
            whole = of(reader.grades[rows], network.grades[rows])
            values.append(whole - of(np.repeat(reader.grades[rows], 7), patches[rows].ravel()))
        assert (found[key].low, found[key].high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
        assert math.isnan(found[key].ceiling)


@pytest.mark.usefixtures("_few_resamples")
def test_retrained_networks_are_redrawn_too(readings, rng):
    truth, reader, network = readings
    networks = network.grades + 0.2 * rng.standard_normal((3, 40))
    patches = networks[..., None] + 0.5 * rng.standard_normal((3, 40, 7))
    images = spread_of_images(reader, networks, truth=truth)
    parts = spread_of_patches(reader, patches, truth=truth)
    chosen = np.random.default_rng(0).integers(40, size=(60, 40))
    for key, merit in MERITS.items():
        per_day = np.array([[merit.of(day, one) for one in networks] for day in reader.draws])
        found = images[key]
        assert (found.redrawn, found.redrawn_sd) == pytest.approx(
            (per_day.mean(), per_day.mean(axis=0).std(ddof=1))
        )
        single = [merit.of(reader.grades, one) for one in networks]
        assert (found.mean, found.sd, found.n) == pytest.approx((np.mean(single), np.std(single, ddof=1), 3))
        assert found.ceiling == pytest.approx(np.mean([merit.of(day, truth) for day in reader.draws]))
        values = [np.mean([merit.of(reader.grades[r], one[r]) for one in networks]) for r in chosen]
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
        assert found.redrawn_low < found.redrawn < found.redrawn_high
    for key in PATCH_MERITS:
        of = MERITS[key].of
        days = np.repeat(reader.draws, 7, axis=1)
        per_day = np.array([[of(day, one.ravel()) for one in patches] for day in days])
        assert parts[key].redrawn_sd == pytest.approx(per_day.mean(axis=0).std(ddof=1))
        assert parts[key].ceiling == pytest.approx(images[key].ceiling)
    alone = spread_of_images(Rater("main", "", reader.grades), networks)
    assert math.isnan(alone["r2"].redrawn)
    assert alone["r2"].mean == images["r2"].mean


def test_a_missing_grade_is_left_out(readings):
    _, reader, network = readings
    holes = np.where(np.arange(40) < 5, np.nan, reader.grades)
    found = estimates(Rater("main", "", holes), network, keys=("mae",))["mae"].single
    assert found == pytest.approx(np.abs(reader.grades - network.grades)[5:].mean())
