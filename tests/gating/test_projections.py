from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.acquisition import Geometry, Navigators
from csiq.errors import RawDataError, ShapeError
from csiq.gating import si_projections

N, FOV = 48, 240.0
GEOMETRY = Geometry((N, N, N), (FOV, 200.0, 200.0), np.diag([-1.0, -1.0, 1.0, 1.0]))


def spokes_of_a_point(place_mm: float, direction: float = 1.0, first: float = -N / 2) -> Navigators:
    """Return two identical SI spokes of a point at ``place_mm`` along z."""
    k = first + np.arange(2 * N) / 2
    coord = np.zeros((2, 2 * N, 3), dtype=np.float32)
    coord[..., 0] = direction * k
    kspace = np.exp(-2j * np.pi * coord[..., 0] * place_mm / FOV).astype(np.complex64)[None]
    return Navigators(kspace, np.array([0.0, 1.0]), np.arange(2), coord)


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("resolution", [None, 10.0])
def test_a_point_lies_where_it_is(direction, resolution):
    projections = si_projections(spokes_of_a_point(40.0, direction), GEOMETRY, resolution_mm=resolution)
    peak = projections.position[np.abs(projections.values[0, 0]).argmax()]
    pixel = projections.position[1] - projections.position[0]
    assert abs(direction * peak - 40.0) <= pixel
    assert projections.headward == direction
    assert projections.head_known


def test_twice_the_field_of_view_is_seen():
    projections = si_projections(spokes_of_a_point(-200.0), GEOMETRY)
    assert projections.position[np.abs(projections.values[0, 0]).argmax()] == -200.0
    assert np.ptp(projections.position) == pytest.approx(2 * FOV, rel=0.02)


def test_the_head_is_where_the_affine_says():
    upside_down = replace(GEOMETRY, affine=np.diag([-1.0, 1.0, -1.0, 1.0]))
    assert si_projections(spokes_of_a_point(0.0), upside_down).headward == -1
    no_orientation = si_projections(spokes_of_a_point(0.0), replace(GEOMETRY, known=False))
    assert (no_orientation.headward, no_orientation.head_known) == (1, False)


def test_without_a_trajectory_the_spoke_is_taken_to_run_along_z():
    bare = replace(spokes_of_a_point(40.0), coord=None)
    projections = si_projections(bare, GEOMETRY)
    assert projections.position[np.abs(projections.values[0, 0]).argmax()] == 40.0
    assert not projections.head_known


def test_what_is_no_si_spoke_is_refused():
    with pytest.raises(RawDataError, match="do not cross the centre"):
        si_projections(spokes_of_a_point(0.0, first=0.0), GEOMETRY)
    whole = spokes_of_a_point(0.0)
    assert whole.coord is not None
    turned = whole.coord.copy()
    turned[1] = turned[1][:, [1, 0, 2]]
    with pytest.raises(RawDataError, match="one direction"):
        si_projections(replace(whole, coord=turned), GEOMETRY)
    with pytest.raises(RawDataError, match="two SI spokes"):
        si_projections(replace(whole, kspace=whole.kspace[:, :1]), GEOMETRY)
    with pytest.raises(ShapeError, match="trajectory has shape"):
        si_projections(replace(whole, coord=whole.coord[:, 1:]), GEOMETRY)
