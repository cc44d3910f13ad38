"""Loop coils against Biot and Savart, and their noise against what was asked."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.thorax import BodySize
from csiq.simulate.coils import CoilArray


def array(n_coils: int = 8, seed: int = 0) -> CoilArray:
    return CoilArray.around(BodySize(), n_coils, np.random.default_rng(seed))


def biot_savart(coils: CoilArray, coil: int, point: np.ndarray) -> complex:
    """Return B_x - i B_y of a polygon of 4000 wires, up to a constant."""
    normal = coils.normals[coil]
    one = np.cross(normal, [1.0, 0.0, 0.0])
    one /= np.linalg.norm(one)
    two = np.cross(normal, one)
    angle = (np.arange(4000) + 0.5) * 2 * np.pi / 4000
    wire = coils.centres[coil] + coils.radius * (np.outer(np.cos(angle), one) + np.outer(np.sin(angle), two))
    flow = -np.outer(np.sin(angle), one) + np.outer(np.cos(angle), two)
    away = point - wire
    cubed = np.linalg.norm(away, axis=1, keepdims=True) ** 3
    field = (np.cross(flow[:, ::-1], away[:, ::-1]) / cubed).sum(axis=0)  # x y z
    return complex(coils.gains[coil] * (field[0] - 1j * field[1]))


def test_sensitivities_are_the_field_of_a_loop() -> None:
    coils = array()
    points = np.array([[0.0, 0, 0], [40, -60, 70], [-80, 30, -20], [100, 50, -90]])
    ratios = []
    for coil in (0, 3, 6):
        for point in points:
            value = coils.sensitivities(Grid((1, 1, 1), (1.0, 1.0, 1.0), tuple(point)))[coil, 0, 0, 0]
            ratios.append(value / biot_savart(coils, coil, point))
    assert np.allclose(ratios, ratios[0], rtol=1e-4)


def test_the_array_sees_the_heart_evenly() -> None:
    for n_coils in (4, 6, 8, 12):
        coils = array(n_coils)
        maps = coils.sensitivities(Grid.cube(11, 110))
        rss = np.linalg.norm(maps, axis=0)
        assert rss[5, 5, 5] == pytest.approx(1, abs=1e-5)
        assert rss.max() / rss.min() < 6
        turned = np.angle(maps[:, 5, 5, 5])
        assert np.ptp(turned) > 0.5  # coils differ in phase
        spread = np.linalg.svd(maps.reshape(n_coils, -1), compute_uv=False)
        assert spread[3] > 0.05 * spread[0]  # and in place


def test_noise_is_shared_between_neighbours() -> None:
    coils = array()
    covariance = coils.noise_covariance()
    assert np.allclose(covariance, covariance.conj().T)
    assert np.linalg.eigvalsh(covariance).min() > 0.1
    assert np.trace(covariance).real / 8 == pytest.approx(1)
    scale = np.sqrt(np.diag(covariance).real)
    correlation = np.abs(covariance / np.outer(scale, scale)) - np.eye(8)
    apart = np.linalg.norm(coils.centres[:, None] - coils.centres, axis=-1)
    near, far = correlation[(apart > 0) & (apart < 150)], correlation[apart > 250]
    assert near.min() > far.max()
    assert 0.05 < near.max() < 0.6


def test_there_is_no_array_of_none_or_too_many() -> None:
    for number in (0, 65):
        with pytest.raises(ConfigError, match="coils"):
            array(number)


def test_many_loops_are_smaller_and_lie_in_rows() -> None:
    coils = array(30)
    rows = np.round(coils.centres[:, 0] / 80)  # places are off by 6 mm at most
    assert np.bincount((rows + 1).astype(int)).tolist() == [10, 10, 10]
    assert coils.radius < array(12).radius
    apart = np.linalg.norm(coils.centres[:, None] - coils.centres, axis=-1) + 1e9 * np.eye(30)
    assert 0.9 * coils.radius < apart.min() < 2 * coils.radius  # neighbours overlap, none lies on another
    assert np.linalg.eigvalsh(coils.noise_covariance()).min() > 0.1
    fields = coils.sensitivities(Grid.cube(11, 110)).reshape(30, -1)
    fewer = array(8).sensitivities(Grid.cube(11, 110)).reshape(8, -1)
    independent = [int((s > 0.03 * s[0]).sum()) for s in np.linalg.svd(fields)[1:2]]
    assert independent[0] > (np.linalg.svd(fewer)[1] > 0.03 * np.linalg.svd(fewer)[1][0]).sum()
