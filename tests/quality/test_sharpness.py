"""Vessels whose blur is known exactly: widths, diameters, lengths, and where they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.errors import ShapeError
from csiq.quality.centreline import LARGEST_SHIFT, Field, Vessel, centreline, refine
from csiq.quality.features import measure
from csiq.quality.sharpness import ALPHA, REACH, Surroundings, Windows, deriche, edges_of
from tests.quality.tubes import FAT, heart_of_tubes, lumen, profile, straight


def exact(radius: float, sigma: float) -> tuple[float, float, float]:
    """Return edge width, sharpness and diameter of a cylinder under a Gaussian, on the fine exact profile."""
    r = np.arange(0, radius + 4, 1e-3)
    p = FAT + (1 - FAT) * profile(r, radius, sigma)
    high, half, low = (p[-1] + share * (p[0] - p[-1]) for share in (0.8, 0.5, 0.2))
    at_high, at_half, at_low = (np.interp(-level, -p, r) for level in (high, half, low))
    width = at_low - at_high
    return width, 60 / width * (1 - p[-1] / p[0]), 2 * at_half


def test_planar_edge_has_the_width_of_the_error_function() -> None:
    # 20 and 80 % of a Gaussian's integral lie 2 x 0.8416 SD apart; the wall of a wide vessel is nearly plane
    width, _, diameter = exact(2.5, 0.5)
    assert width == pytest.approx(2 * 0.8416 * 0.5, rel=0.02)
    assert diameter == pytest.approx(5.0, rel=0.03)


@pytest.mark.parametrize(("radius", "sigma"), [(1.5, 1.0), (1.5, 1.5), (2.5, 1.0), (2.5, 2.0)])
def test_tube_under_a_gaussian(radius: float, sigma: float) -> None:
    found = measure(heart_of_tubes(sigma, radius).volume, heart_of_tubes(0.5, radius))
    width, sharpness, diameter = exact(radius, sigma)
    # splines through voxels of 1 mm follow a Gaussian of SD 1 mm or more to 4 %
    assert found.edge_width == pytest.approx(width, rel=0.04)
    assert found.edge_sharpness == pytest.approx(sharpness, rel=0.04)
    assert found.diameter == pytest.approx(diameter, rel=0.02)


def test_etienne_percentage_against_quadrature() -> None:
    truth = heart_of_tubes(1.0, 2.0)
    line = centreline(truth.vessels["RCA"])
    found = deriche(Windows.of(Field.cubic(truth.volume, truth.voxel_size), line))
    r = np.arange(-16, 16, 0.01)
    p = FAT + (1 - FAT) * profile(np.abs(r), 2.0, 1.0)
    places = np.arange(0.5, 3.5, 0.01)
    away = places[:, None] - r
    response = 0.01 * np.sum(ALPHA**2 * away * np.exp(-ALPHA * np.abs(away)) * p, axis=1)
    inner = np.abs(r) <= 1.0
    # the sum over samples 0.2 mm apart is within 3 % of the integral
    assert found.mean() == pytest.approx(100 * response.max() / p[inner].mean(), rel=0.03)


def test_a_step_to_nothing_is_one_hundred_percent() -> None:
    step = np.where(REACH < 2.5, 1.0, 0.0)
    window = Windows(np.broadcast_to(step, (1, 8, len(REACH))), np.array([2.5]), np.array([True]))
    # the other wall is 5 mm away, where the filter has 5e-4 of its weight; the step lies between samples
    assert deriche(window).mean() == pytest.approx(100, abs=0.5)


def test_no_edge_is_no_sharpness() -> None:
    truth = heart_of_tubes(0.5)
    line = centreline(truth.vessels["RCA"])
    edges = Surroundings.of(Windows.of(Field.cubic(truth.volume, truth.voxel_size), line))
    flat = Windows.of(Field.cubic(np.ones_like(truth.volume), truth.voxel_size), line)
    found = edges_of(flat, edges)
    assert np.abs(found.sharpness).max() < 1e-3


def test_visible_length_is_that_of_the_part_that_is_there() -> None:
    truth = heart_of_tubes(0.5, 2.0)
    rca = truth.vessels["RCA"]
    half = rca.length / 2
    missing = lumen(rca, 0.5, 1.0) - lumen(rca, 0.5, 1.0, length=half)
    found = measure(truth.volume - (1 - FAT) * missing.astype(np.float32), truth)
    # to a window of 8 mm: one of them is cut in two
    assert found.vessels["RCA"].visible_length == pytest.approx(half, abs=8)
    assert found.vessels["LAD"].visible_length == pytest.approx(truth.vessels["LAD"].length, abs=8)


def test_vessels_are_found_where_they_went() -> None:
    truth = heart_of_tubes(0.7)
    still = Field(truth.volume, truth.voxel_size, 1)
    moved = Field(np.roll(truth.volume, (2, -1), (1, 2)), truth.voxel_size, 1)
    line = centreline(truth.vessels["RCA"])
    axis = line.points[-1] - line.points[0]
    axis /= np.linalg.norm(axis)
    off = refine(moved, still, line).points - line.points - [0, 2, -1]
    # a straight vessel does not tell how far along it one is
    assert np.linalg.norm(off - (off @ axis)[:, None] * axis, axis=1).max() < 0.3
    far = Field(np.roll(truth.volume, 6, 1), truth.voxel_size, 1)
    longest = np.linalg.norm(refine(far, still, line).points - line.points, axis=1).max()
    assert longest <= LARGEST_SHIFT + 1e-9


def test_centreline_is_even_and_its_frame_does_not_twist() -> None:
    angle = np.linspace(0, 1.5 * np.pi, 300)
    arc = np.stack([20 * np.sin(angle), 20 * np.cos(angle), 3 * angle], axis=1) + 40
    vessel = Vessel(arc, np.linspace(2, 1, 300))
    line = centreline(vessel)
    assert vessel.length == pytest.approx(1.5 * np.pi * np.hypot(20, 3), rel=1e-3)
    steps = np.linalg.norm(np.diff(line.points, axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=0.01)
    tangent = np.gradient(line.points, axis=0)
    assert np.abs(np.einsum("nkx,nx->nk", line.directions, tangent)).max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(line.directions, axis=-1), 1)
    # 1 mm along a curve of radius 20 mm turns the frame by 1/20 rad and no more
    turn = np.einsum("nkx,nkx->nk", line.directions[1:], line.directions[:-1])
    assert turn.min() > np.cos(0.06)


def test_vessels_outside_the_volume_do_not_count() -> None:
    truth = heart_of_tubes(0.5)
    outside = straight((-40, 5, 5), (-10, 5, 5), 1.5)
    both = measure(truth.volume, replace(truth, vessels=truth.vessels | {"LCX": outside}))
    assert set(both.vessels) == {"RCA", "LAD"}
    with pytest.raises(ShapeError, match="edge of its own"):
        measure(truth.volume, replace(truth, vessels={"LCX": outside}))


def test_impossible_vessels() -> None:
    with pytest.raises(ShapeError, match="make no vessel"):
        Vessel(np.zeros((1, 3)), np.ones(1))
    with pytest.raises(ShapeError, match="make no vessel"):
        Vessel(np.zeros((4, 3)), np.ones(3))
    with pytest.raises(ShapeError, match="positive"):
        Vessel(np.zeros((4, 3)), np.zeros(4))
