"""Which weights are tried: equal ratios about the configuration's own, never 0, each once."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from csiq.config import load_config
from csiq.errors import ConfigError
from csiq.tuning.lamdas import home_of, lamda_grid, with_home


def test_the_default_range_reaches_a_decade_to_either_side():
    assert lamda_grid(0.02) == (0.002, 0.0043, 0.0093, 0.02, 0.043, 0.093, 0.2)


def test_ratios_are_equal_to_two_digits_and_the_ends_exact():
    grid = lamda_grid(0.0333, 0.01234, 0.3217, 5)
    assert 0.0333 in grid
    others = [lamda for lamda in grid if lamda != 0.0333]
    assert (others[0], others[-1]) == (0.01234, 0.3217)
    ratio = (0.3217 / 0.01234) ** 0.25
    for a, b in pairwise(others):
        # rounded to two digits: at most 5 % to either side
        assert math.isclose(b / a, ratio, rel_tol=0.1)


def test_a_narrow_range_keeps_its_points_apart():
    grid = lamda_grid(0.02, 0.0196, 0.0204, 9)
    assert len(grid) == 9
    assert grid == tuple(sorted(set(grid)))


def test_the_weight_of_the_configuration_is_always_among_them():
    assert with_home([0.1, 0.01], 0.02) == (0.01, 0.02, 0.1)
    # equal but for the last digits: the configuration's own is kept, so that hashes and commands agree
    assert with_home([0.0200000001, 0.05], 0.02) == (0.02, 0.05)


@pytest.mark.parametrize("lamdas", [[], [0.0], [-1.0, 0.1], [math.nan], [math.inf]])
def test_what_is_no_weight_is_refused(lamdas):
    with pytest.raises(ConfigError, match="above 0"):
        with_home(lamdas, 0.02)


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.01), (0.0, 0.1), (0.02, 0.02), (0.01, math.inf)])
def test_an_empty_range_is_refused(low, high):
    with pytest.raises(ConfigError, match="0 < low < high"):
        lamda_grid(0.02, low, high)


def test_one_point_is_no_sweep():
    with pytest.raises(ConfigError, match="2 or more"):
        lamda_grid(0.02, points=1)


@pytest.mark.parametrize("options", [{"phases": 1}, {"mode": "selfnav"}])
def test_a_single_image_has_nothing_to_tune(options):
    with pytest.raises(ConfigError, match="lamda does nothing"):
        home_of(load_config(overrides=options))


def test_a_weight_of_zero_has_no_range_about_it():
    with pytest.raises(ConfigError, match="above 0"):
        home_of(load_config(overrides={"lamda": 0.0}))
