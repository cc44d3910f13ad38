"""Bootstrap intervals over patients, and statistics over redraws of the readers."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from csiq.agreement import (
    anti_bias_l1,
    bland_altman,
    bootstrap_interval,
    bootstrap_values,
    by_rows,
    consensus_error,
    errors_at_ends,
    interval_over_redraws,
    linear_fit,
    mae,
    over_redraws,
    pair_alpha,
    pearson_r2,
    rmse,
    round_to_halves,
    spearman,
    variability_per_grade,
    weighted_kappa,
)
from csiq.errors import ConfigError, ShapeError


def mean(x):
    return x.mean(axis=-1)


@pytest.fixture
def study(rng):
    """Return reference, prediction and 201 draws of three readers, 100 patients."""
    truth = 4 * rng.beta(1.1, 1.5, 100)
    draws = round_to_halves(truth[None, :, None] + 0.4 * rng.standard_normal((201, 100, 3)))
    return truth, truth + 0.2 * rng.standard_normal(100), draws


def test_90_percent_hold_the_truth_nine_times_in_ten(rng):
    inside = 0
    for seed in range(300):
        low, high = bootstrap_interval(mean, rng.standard_normal(50), seed=seed, n=400)
        inside += low <= 0 <= high
    assert 0.85 <= inside / 300 <= 0.95


def test_the_spread_of_a_mean_is_its_standard_error(rng):
    x = rng.standard_normal(200)
    values = bootstrap_values(mean, [x], n=4000)
    assert values.std() == pytest.approx(x.std() / math.sqrt(200), rel=0.05)  # 4000 resamples: 1 %
    assert values.mean() == pytest.approx(x.mean(), abs=3 * x.std() / math.sqrt(200 * 4000))


def test_equal_seeds_give_equal_intervals(study):
    _, predicted, draws = study
    first = bootstrap_interval(weighted_kappa, predicted, draws[0, :, 0], seed=4)
    assert first == bootstrap_interval(weighted_kappa, predicted, draws[0, :, 0], seed=4)
    assert first != bootstrap_interval(weighted_kappa, predicted, draws[0, :, 0], seed=5)


def plain_loop(statistic, columns, patients, *, seed, n):
    """Resample patients one by one, image by image; what the fast way has to give."""
    names = list(dict.fromkeys(patients))
    chosen = np.random.default_rng(seed).integers(len(names), size=(n, len(names)))
    values = []
    for draw in chosen:
        rows = [i for one in draw for i, patient in enumerate(patients) if patient == names[one]]
        values.append(statistic(*(np.asarray(column)[..., rows] for column in columns)))
    return np.array(values)


@pytest.mark.parametrize("copies", [(1,), (3,), (1, 2, 5), (8, 1)])
def test_patients_bring_all_their_images(study, rng, copies):
    _, predicted, draws = study
    many = np.resize(copies, 20)
    patients = [f"p{number:02d}" for number in rng.permutation(np.repeat(np.arange(20), many))]
    one, network = draws[0, : len(patients), 0].copy(), predicted[: len(patients)]
    one[3] = np.nan  # a reading that is missing
    days = draws[1:4, : len(patients), 1]
    for statistic in (weighted_kappa, rmse, spearman, lambda a, b: linear_fit(a, b).slope):
        found = bootstrap_values(statistic, (one, network), seed=7, n=60, patients=patients)
        expected = plain_loop(statistic, (one, network), patients, seed=7, n=60)
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def over_days(days, network):
        return np.mean(mae(days, np.broadcast_to(network[..., None, :], days.shape)), axis=-1)

    found = bootstrap_values(over_days, (days, network), seed=7, n=60, patients=patients)
    np.testing.assert_allclose(found, plain_loop(over_days, (days, network), patients, seed=7, n=60))
    slope = by_rows(lambda a, b: np.polyfit(a, b, 1)[0])
    found = bootstrap_values(slope, (predicted[: len(patients)], days[0]), n=20, patients=patients)
    expected = plain_loop(slope, (predicted[: len(patients)], days[0]), patients, seed=0, n=20)
    np.testing.assert_allclose(found, expected)


def test_one_image_a_patient_is_drawn_to_the_bit_as_before(study):
    _, predicted, draws = study
    columns = (predicted, draws[0, :, 0])
    names = [f"p{i}" for i in range(100)][::-1]  # the order of names is no matter
    plain = bootstrap_values(weighted_kappa, columns, seed=3, n=300)
    chosen = np.random.default_rng(3).integers(100, size=(300, 100))
    by_index = weighted_kappa(*(column[chosen] for column in columns))
    np.testing.assert_array_equal(plain, by_index)
    np.testing.assert_array_equal(
        bootstrap_values(weighted_kappa, columns, seed=3, n=300, patients=names), plain
    )


@pytest.mark.parametrize("copies", [4, 9])
def test_copies_of_images_do_not_narrow_an_interval(study, copies):
    _, predicted, draws = study
    one, other = draws[0, :, 0], draws[0, :, 1]
    wide, patients = (
        [np.repeat(x, copies) for x in (predicted, one, other)],
        np.repeat(np.arange(100), copies),
    )

    def width(*columns, **more):
        low, high = bootstrap_interval(rmse, *columns, n=1000, **more)
        return high - low

    single = width(predicted, one)
    assert width(wide[0], wide[1], patients=patients) == pytest.approx(single, rel=1e-9)
    assert width(wide[0], wide[1]) == pytest.approx(single / math.sqrt(copies), rel=0.1)
    apart = width(predicted, one, paired=(other, one))
    paired = (wide[2], wide[1])
    assert width(*wide[:2], paired=paired, patients=patients) == pytest.approx(apart, rel=1e-9)
    assert width(*wide[:2], paired=paired) == pytest.approx(apart / math.sqrt(copies), rel=0.1)
    days = np.repeat(draws[:11], copies, axis=1)[..., 0]
    low, high = interval_over_redraws(rmse, days, wide[0], n=200, patients=patients)
    assert (low, high) == pytest.approx(interval_over_redraws(rmse, draws[:11, :, 0], predicted, n=200))


def test_intervals_over_patients_hold_the_truth_nine_times_in_ten(rng):
    many = np.resize([1, 4, 7], 30)
    patients = np.repeat(np.arange(30), many)
    inside = {True: 0, False: 0}
    for seed in range(300):
        # what is common to the images of a patient outweighs what is not
        x = np.repeat(rng.standard_normal(30), many) + 0.3 * rng.standard_normal(len(patients))
        for known in inside:
            low, high = bootstrap_interval(
                lambda x: np.nanmean(x, axis=-1), x, seed=seed, n=400, patients=patients if known else None
            )
            inside[known] += low <= 0 <= high
    assert 0.82 <= inside[True] / 300 <= 0.95
    assert inside[False] / 300 < 0.65


def test_one_patient_has_no_interval(study):
    """Every resample would be the same: an interval without width, which anything differs from."""
    _, predicted, draws = study
    columns = (predicted[:7], draws[0, :7, 0])
    assert np.isnan(bootstrap_interval(rmse, *columns, patients=["p"] * 7)).all()
    assert np.isnan(bootstrap_values(rmse, columns, n=9, patients=["p"] * 7, shape=(2,))).all()
    low, high = bootstrap_interval(rmse, *columns, patients=["p"] * 6 + ["q"])
    assert low < high


def test_a_statistic_may_be_several_numbers(study):
    _, predicted, draws = study
    one = draws[0, :, 0]

    def both(a, b):
        return np.stack([rmse(a, b), mae(a, b)], axis=-1)

    found = bootstrap_values(both, (predicted, one), n=50, shape=(2,))
    np.testing.assert_array_equal(found[:, 0], bootstrap_values(rmse, (predicted, one), n=50))
    np.testing.assert_array_equal(found[:, 1], bootstrap_values(mae, (predicted, one), n=50))
    with pytest.raises(ShapeError, match="by_rows"):
        bootstrap_values(both, (predicted, one), n=50)


def test_two_pairs_meet_the_same_resamples(study):
    _, predicted, draws = study
    one, other = draws[0, :, 0], draws[0, :, 1]
    assert bootstrap_interval(rmse, predicted, one, paired=(predicted, one)) == (0, 0)
    found = bootstrap_interval(weighted_kappa, predicted, one, paired=(other, one))
    by_hand = bootstrap_values(
        lambda p, a, b: weighted_kappa(p, a) - weighted_kappa(b, a), (predicted, one, other)
    )
    assert found == pytest.approx(np.quantile(by_hand, [0.05, 0.95]))
    # what is common to both pairs cancels
    alone = bootstrap_interval(weighted_kappa, predicted, one)
    assert alone[1] - alone[0] > 0
    assert found[0] < weighted_kappa(predicted, one) - weighted_kappa(other, one) < found[1]


def test_patches_of_a_patient_stay_together(rng):
    patches = np.arange(12.0)[None, :] + np.zeros((5, 1))  # (n_patches, n_patients)

    def spread(stack):
        assert stack.shape[1:] == (5, 12)
        assert (np.ptp(stack, axis=1) == 0).all()
        return stack.mean(axis=(1, 2))

    values = bootstrap_values(spread, [patches], n=50)
    assert values == pytest.approx(bootstrap_values(mean, [np.arange(12.0)], n=50))


def test_statistics_of_single_columns_are_wrapped(study):
    _, predicted, draws = study
    column = draws[0, :, 0]

    def slope(a, b):
        return float(np.polyfit(a, b, 1)[0])

    with pytest.raises(ShapeError, match="by_rows"):
        bootstrap_interval(lambda a, b: np.sum(a * b), predicted, column, n=20)
    assert bootstrap_interval(by_rows(slope), predicted, column, n=50) == pytest.approx(
        bootstrap_interval(lambda a, b: linear_fit(a, b).slope, predicted, column, n=50)
    )


def test_what_is_undefined_on_most_resamples_has_no_interval():
    assert np.isnan(bootstrap_interval(spearman, [1, 1, 1], [1, 2, 3], n=20)).all()
    # of 0 and 1 an eighth of the resamples is constant
    low, high = bootstrap_interval(spearman, [0, 1, 2, 3], [0, 1, 2, 3], n=200)
    assert (low, high) == pytest.approx((1, 1))


def test_redraws_have_a_ceiling_and_a_single_draw_beside(study):
    truth, predicted, draws = study
    one = draws[..., 0]
    found = over_redraws(weighted_kappa, one, predicted, truth)
    each = [weighted_kappa(predicted, row) for row in one[1:]]
    assert found.mean == pytest.approx(np.mean(each), abs=1e-12)
    assert found.sd == pytest.approx(np.std(each, ddof=1), abs=1e-12)
    assert found.ceiling == pytest.approx(np.mean([weighted_kappa(truth, row) for row in one[1:]]))
    assert found.share == pytest.approx(found.mean / found.ceiling)
    assert 0.8 < found.share < 1
    assert (found.single, found.n_draws) == (weighted_kappa(predicted, one[0]), 200)
    assert found.single_ceiling == weighted_kappa(truth, one[0])
    assert over_redraws(weighted_kappa, one, truth, truth).share == 1
    assert list(found.as_dict())[:4] == ["mean", "sd", "ceiling", "share"]


def test_redraws_of_several_readers_are_arguments(study):
    truth, predicted, draws = study

    def over_the_reader(p, a, b, c):
        return weighted_kappa(p, a) - weighted_kappa(b, a)

    found = over_redraws(over_the_reader, draws, predicted, truth)
    expected = [weighted_kappa(predicted, d[:, 0]) - weighted_kappa(d[:, 1], d[:, 0]) for d in draws[1:]]
    assert found.mean == pytest.approx(np.mean(expected), abs=1e-12)


def test_an_interval_of_the_mean_over_redraws(study):
    truth, predicted, draws = study
    one = draws[:21, :, 0]
    found = over_redraws(rmse, one, predicted, truth)
    low, high = interval_over_redraws(rmse, one, predicted, n=200)
    assert low < found.mean < high
    # the readers' noise is averaged out: narrower than with one draw of them
    single = bootstrap_interval(rmse, predicted, one[0], n=200)
    assert high - low < single[1] - single[0]


def test_redraws_of_all_statistics_take_under_two_seconds(study):
    truth, predicted, draws = study
    statistics = (
        weighted_kappa,
        pair_alpha,
        spearman,
        pearson_r2,
        anti_bias_l1,
        mae,
        rmse,
        lambda p, a: bland_altman(p, a).bias,
        lambda p, a: bland_altman(p, a).sd,
        lambda p, a: linear_fit(a, p).slope,
        lambda p, a: errors_at_ends(p, a).low,
        lambda p, a: errors_at_ends(p, a).high,
        lambda p, a: variability_per_grade(p, a).mean[..., 4],
    )
    begin = time.process_time()
    for statistic in statistics:
        assert over_redraws(statistic, draws[..., 0], predicted, truth).n_draws == 200
    over_redraws(lambda p, a, b, c: consensus_error(p, a, c).spearman, draws, predicted, truth)
    assert time.process_time() - begin < 2


def test_what_is_refused(study):
    truth, predicted, draws = study
    with pytest.raises(ConfigError, match="between 0 and 1"):
        bootstrap_interval(rmse, [1, 2], [1, 2], level=90)
    with pytest.raises(ShapeError, match="same patients"):
        bootstrap_interval(rmse, [1, 2], [1, 2, 3])
    with pytest.raises(ShapeError, match="same patients"):
        bootstrap_interval(rmse, [], [])
    with pytest.raises(ShapeError, match="a patient for each of 2 images, got 3"):
        bootstrap_interval(rmse, [1, 2], [1, 2], patients="abc")
    with pytest.raises(ShapeError, match="n_draws"):
        over_redraws(rmse, draws[0, :, 0], predicted, truth)
    with pytest.raises(ShapeError, match="at least one redraw"):
        over_redraws(rmse, draws[:1, :, 0], predicted, truth)
    with pytest.raises(ShapeError, match="reference"):
        over_redraws(rmse, draws[..., 0], predicted, truth[:5])
    with pytest.raises(ShapeError, match="by_rows"):
        over_redraws(lambda p, a: 1.0, draws[..., 0], predicted, truth)
