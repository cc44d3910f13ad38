"""Trajectories against the laws they are named after."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.trajectory import (
    default_interleaves,
    golden_angle_2d,
    golden_means_3d,
    interleave_sizes,
    is_fibonacci,
    named_trajectory,
    phyllotaxis,
    phyllotaxis_order,
    radial_coord,
    stack_of_stars,
)


def near_pole(directions: np.ndarray, degrees: float) -> float:
    return float(np.mean(np.abs(directions[:, 0]) > np.cos(np.deg2rad(degrees))))


def test_phyllotaxis_is_piccini_s_law_and_not_the_even_lattice() -> None:
    directions = phyllotaxis(144, 36)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    assert np.all(directions[:, 0] >= -1e-12)  # one hemisphere, full diameters
    assert near_pole(directions, 30) == pytest.approx(1 / 9, abs=2e-3)  # 13.4 % for an even lattice
    assert near_pole(golden_means_3d(5184), 30) == pytest.approx(1 - np.cos(np.pi / 6), abs=2e-3)


def test_phyllotaxis_equals_the_formula_spoke_by_spoke() -> None:
    n_interleaves, n_per = 5, 4
    directions = phyllotaxis(n_interleaves, n_per)
    total = n_interleaves * n_per
    for j in range(1, n_interleaves + 1):
        for i in range(2, n_per + 2):  # readout 1 is the SI spoke
            n = (i - 2) * n_interleaves + j
            theta, phi = np.pi / 2 * np.sqrt(n / total), np.deg2rad(n * 137.50776405)
            expected = [np.cos(theta), np.sin(theta) * np.sin(phi), np.sin(theta) * np.cos(phi)]
            assert np.allclose(directions[(j - 1) * n_per + i - 2], expected, atol=1e-7)


@pytest.mark.parametrize(("interleaves", "degrees"), [(377, 0.4), (610, 0.3), (400, 77.0), (420, 153.0)])
def test_azimuth_steps_within_an_interleave(interleaves: int, degrees: float) -> None:
    first = phyllotaxis(interleaves, 30)[:30]
    azimuth = np.arctan2(first[:, 1], first[:, 2])
    steps = np.abs(np.rad2deg(np.angle(np.exp(1j * np.diff(azimuth)))))
    assert np.allclose(steps, degrees, atol=0.6 if degrees > 1 else 0.06)


def test_default_interleaves_are_fibonacci_and_give_the_paper_s_heartbeats() -> None:
    for n_spokes in (322, 1287, 2895, 5147, 13592):
        count = default_interleaves(n_spokes)
        assert is_fibonacci(count)
        assert count >= 34
    assert default_interleaves(5147) == 144
    assert default_interleaves(13592) == 377  # 400-500 heartbeats in the paper
    assert not is_fibonacci(400)


def test_uneven_interleaves_hold_each_rank_once() -> None:
    order = phyllotaxis_order(100, 13)
    assert sorted(order) == list(range(1, 101))
    sizes = interleave_sizes(100, 13)
    assert sizes.sum() == 100
    assert np.ptp(sizes) == 1
    with pytest.raises(ConfigError, match="interleaves"):
        interleave_sizes(5, 6)


def test_golden_angle_covers_the_circle_evenly() -> None:
    angles = np.sort(np.mod(np.arctan2(*golden_angle_2d(89)[:, 1:].T), np.pi))
    gaps = np.diff(np.append(angles, angles[0] + np.pi))
    assert gaps.max() < 2.7 * gaps.min()  # three-gap theorem at a Fibonacci number: two sizes, golden ratio^2
    assert np.rad2deg(np.pi * (np.sqrt(5) - 1) / 2) == pytest.approx(111.246, abs=1e-3)


def test_golden_means_do_not_repeat() -> None:
    directions = golden_means_3d(15000)
    product = directions[:1000] @ directions.T
    product[np.arange(1000), np.arange(1000)] = 0
    assert np.rad2deg(np.arccos(np.abs(product).max())) > 0.1


def test_radial_coord_runs_from_minus_half_and_hits_the_centre() -> None:
    coord = radial_coord(np.array([[1.0, 0, 0], [0, 0, 1.0]]), 32, 64)
    assert coord.shape == (2, 64, 3)
    assert coord.dtype == np.float32
    assert np.allclose(coord[0, :, 0], -16 + 0.5 * np.arange(64))
    assert np.all(coord[:, 32] == 0)
    assert np.allclose(coord[1, :, :2], 0)
    half = radial_coord(np.array([[0, 1.0, 0]]), 32, 64, centre_out=True)
    assert half[0, 0, 1] == 0
    assert half[0, -1, 1] == pytest.approx(16 - 0.25)
    flat = radial_coord(np.array([[0, 0.6, 0.8]]), (1, 40, 20), 10)
    assert np.allclose(flat[0, 0], [0, -12, -8])


def test_names_make_coordinates_and_a_wrong_one_names_the_nearest() -> None:
    assert named_trajectory("phyllotaxis", 340, 64, (32, 32, 32)).shape == (340, 64, 3)
    assert named_trajectory("golden3d", 50, 64, (32, 32, 32)).shape == (50, 64, 3)
    plane = named_trajectory("golden2d", 50, 64, (1, 32, 32))
    assert np.all(plane[..., 0] == 0)
    stack = named_trajectory("stack-of-stars", 80, 64, (8, 32, 32))
    assert sorted(set(stack[..., 0].ravel())) == list(range(-4, 4))
    directions, kz = stack_of_stars(10, 8)
    assert np.allclose(stack[:, -1] - stack[:, 0], directions * 32 * 63 / 64, atol=1e-5)
    assert np.all(stack[:, 0, 0] == kz)
    with pytest.raises(ConfigError, match="did you mean 'phyllotaxis'"):
        named_trajectory("philotaxis", 50, 64, (32, 32, 32))
    with pytest.raises(ConfigError, match="72 or 80"):
        named_trajectory("stack-of-stars", 75, 64, (8, 32, 32))
