"""Density compensation against volumes and integrals."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.density import analytic_method, density_compensation
from csiq.errors import ConfigError, ShapeError
from csiq.trajectory import (
    golden_angle_2d,
    golden_means_3d,
    named_trajectory,
    radial_coord,
)


@pytest.mark.parametrize("name", ["phyllotaxis", "golden3d"])
def test_compensation_integrates_a_direction_dependent_function(name: str) -> None:
    """Weighted sums over the samples are integrals over the ball, also of what varies with angle."""
    n = 32
    coord = named_trajectory(name, 2000, 2 * n, (n, n, n))
    dcf = density_compensation(coord)
    assert dcf.mean() == pytest.approx(1, abs=1e-5)
    k2 = (coord.astype(np.float64) ** 2).sum(-1)
    inside = np.exp(-k2 / (2 * 4.0**2))  # vanishes well within the ball
    along_z = coord[..., 0] ** 2 * inside
    # of a Gaussian of variance s^2, <kz^2> is s^2 = 16 whatever the density of the spokes
    ratio = (dcf * along_z).sum() / (dcf * inside).sum()
    assert ratio == pytest.approx(16, rel=0.01)


def test_without_the_angular_factor_a_phyllotaxis_integral_is_off() -> None:
    coord = named_trajectory("phyllotaxis", 2000, 64, (32, 32, 32))
    inside = np.exp(-(coord.astype(np.float64) ** 2).sum(-1) / 32)
    wrong = density_compensation(coord, "uniform")
    ratio = (wrong * coord[..., 0] ** 2 * inside).sum() / (wrong * inside).sum()
    assert abs(ratio / 16 - 1) > 0.05


def test_the_centre_has_the_weight_of_its_ball() -> None:
    coord = radial_coord(golden_means_3d(10), 8, 16)
    dcf = density_compensation(coord, "uniform")
    centre, next_to_it = dcf[:, 8], dcf[:, 9]
    # ball of radius d/2 seen once by each diameter, shell d/2..3d/2 twice: (1/12) against 1 + 1/12
    assert np.allclose(centre / next_to_it, (1 / 12) / (13 / 12), rtol=1e-4)
    ring = density_compensation(radial_coord(golden_angle_2d(10), 8, 16))
    assert np.allclose(ring[:, 8] / ring[:, 9], 0.25, rtol=1e-4)


def test_half_spokes_get_shell_volumes_too() -> None:
    coord = radial_coord(golden_means_3d(40), 16, 32, centre_out=True)
    dcf = density_compensation(coord, "uniform").astype(np.float64)
    edges = np.concatenate([[0], np.arange(32) + 0.5])
    volumes = np.diff(edges**3)
    assert np.allclose(dcf[0], volumes / volumes.mean(), rtol=1e-4)


def test_the_fitting_method_is_found_from_the_spokes() -> None:
    assert analytic_method(named_trajectory("phyllotaxis", 900, 8, (32, 32, 32))) == "phyllotaxis"
    assert analytic_method(named_trajectory("golden3d", 900, 8, (32, 32, 32))) == "uniform"
    assert analytic_method(named_trajectory("golden2d", 9, 8, (1, 32, 32))) == "ramp"
    assert analytic_method(named_trajectory("stack-of-stars", 64, 8, (8, 32, 32))) == "ramp"


def test_stack_of_stars_weighs_partitions_alike() -> None:
    stack = named_trajectory("stack-of-stars", 80, 64, (8, 32, 32))
    dcf = density_compensation(stack)
    assert np.allclose(dcf, dcf[:1], rtol=1e-3)


def test_pipe_menon_agrees_with_the_ramp_where_sampling_is_dense() -> None:
    coord = named_trajectory("golden2d", 89, 64, (1, 32, 32))
    iterative = density_compensation(coord, "pipe-menon", shape=(1, 32, 32))
    assert iterative.mean() == pytest.approx(1, abs=1e-5)
    ramp = density_compensation(coord, "ramp")
    inner = slice(16, 49)  # the rim has no neighbours outside, there the two differ by design
    correlation = np.corrcoef(iterative[:, inner].ravel(), ramp[:, inner].ravel())[0, 1]
    assert correlation > 0.95


def test_what_compensation_refuses() -> None:
    coord = named_trajectory("golden2d", 9, 8, (1, 8, 8))
    with pytest.raises(ConfigError, match="did you mean 'pipe-menon'"):
        density_compensation(coord, "pipemenon")
    with pytest.raises(ShapeError, match="matrix"):
        density_compensation(coord, "pipe-menon")
    with pytest.raises(ShapeError, match="n_spokes"):
        density_compensation(coord[0])
    assert np.all(density_compensation(coord, "none") == 1)
