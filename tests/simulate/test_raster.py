"""The painter against volumes in closed form and against brute-force supersampling."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError, ShapeError
from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.patient import packed
from csiq.simulate.anatomy.raster import distances, pack, paint
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Envelope, Grid, Plane, Shape, Tube
from csiq.simulate.motion import Affine, MotionState


def painted(shapes: list[Shape], values: list[float], grid: Grid) -> np.ndarray:
    return paint(pack(shapes), values, grid)


def ball(radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Ellipsoid:
    return Ellipsoid("x", np.array(centre), np.full(4, radius))


def egg() -> Ellipsoid:
    turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    return Ellipsoid("x", np.array([1.3, -0.7, 0.4]), np.array([30.0, 18.0, 12.0, 20.0]), turn)


def wavy_tube(radius: np.ndarray) -> Tube:
    along = np.linspace(-20, 20, len(radius))
    points = np.stack([along, 3 * np.sin(along / 8), 0.37 * along], axis=1)
    zero = np.zeros(len(radius))
    return Tube("x", points, radius, zero, zero)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient.from_seed(0)


def test_ellipsoids_have_their_volume_on_any_grid() -> None:
    exact = 4 / 3 * np.pi * 25 * 18 * 12  # two halves of lengths 30 and 20
    for voxel in (1.3, 2.6):
        image = painted([egg()], [1.0], Grid.cube(round(80 / voxel), 80, (0.2, 0.1, 0.3)))
        assert image.sum() * (80 / round(80 / voxel)) ** 3 == pytest.approx(exact, rel=1e-2)


def test_columns_have_their_cross_section() -> None:
    image = painted([Column("x", (2.0, -3.0), (30.0, 40.0))], [1.0], Grid.cube(50, 100))
    area = image[25].sum() * 4
    assert area == pytest.approx(np.pi * 30 * 40, rel=5e-3)
    assert np.array_equal(image[0], image[-1])


@pytest.mark.parametrize("voxel", [0.5, 1.0, 1.6, 2.2])
@pytest.mark.parametrize("diameter", [1.2, 2.0, 4.0])
def test_tubes_thinner_than_a_voxel_keep_their_cross_section(voxel: float, diameter: float) -> None:
    n = round(64 / voxel)
    tube = wavy_tube(np.full(41, diameter / 2))
    image = painted([tube], [1.0], Grid.cube(n, 64, (0.21, 0.13, 0.33)))
    length = np.linalg.norm(np.diff(tube.points, axis=0), axis=1).sum()
    exact = np.pi * diameter**2 / 4 * length + np.pi * diameter**3 / 6  # the ends are round
    # a voxel is taken for a disk of its area across the tube, and the ends smear by half a voxel
    assert image.sum() * (64 / n) ** 3 == pytest.approx(exact, rel=0.03 + 0.5 * voxel / length)


def test_cut_bodies_and_sheets_have_their_volume() -> None:
    grid = Grid.cube(64, 64, (0.3, -0.2, 0.1))
    tilted = np.array([2.0, 1.0, -1.0]) / np.sqrt(6)
    cut = Plane(8.0 * tilted, tilted)
    cap = np.pi * (20 - 8) ** 2 * (3 * 20 - 12) / 3
    clipped = painted([Envelope("x", (ball(20.0),), planes=(cut,))], [1.0], grid)
    assert clipped.sum() == pytest.approx(4 / 3 * np.pi * 20**3 - cap, rel=5e-3)
    for thickness in (0.4, 1.2, 3.0):  # thinner than a voxel, and thicker
        sheet = painted([Envelope("x", (ball(20.0),), planes=(cut,), sheet=thickness)], [1.0], grid)
        zone = 2 * np.pi * 20 * (20 + 8)
        assert sheet.sum() == pytest.approx(zone * thickness, rel=0.02)


def test_envelopes_keep_their_distance_and_fill_grooves() -> None:
    pair = (ball(12.0, (0.0, 0.0, -9.0)), ball(12.0, (0.0, 0.0, 9.0)))
    points = np.array([[0.0, 0.0, -26.0], [0.0, 14.0, -9.0], [0.0, 0.0, 0.0], [0.0, 12.0, 0.0]])
    plain = distances(pack([Envelope("x", pair, 2.0)]), points)[0]
    filled = distances(pack([Envelope("x", pair, 2.0, blend=10.0)]), points)[0]
    assert plain[:2] == pytest.approx([3.0, 0.0])  # 17 mm from a ball of 12, the layer 2 off it
    assert filled[0] == pytest.approx(plain[0])
    assert filled[3] == pytest.approx(plain[3] - 2.5)  # a quarter of the reach where both are as near
    with pytest.raises(ShapeError, match="column"):
        distances(pack([Column("x", (0.0, 0.0), (3.0, 3.0))]), points)


def supersampled(shapes: list[Shape], values: list[float], grid: Grid, n: int) -> np.ndarray:
    """Return the mean over n^3 points of each voxel of what shows there: the last shape that holds it."""
    offsets = (np.arange(n) + 0.5) / n - 0.5
    fine = [(grid.axis(a)[:, None] + grid.voxel_size[a] * offsets).ravel() for a in range(3)]
    points = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1).reshape(-1, 3)
    shown = np.zeros(len(points))
    for inside, value in zip(distances(pack(shapes), points) < 0, values, strict=True):
        shown[inside] = value
    split = [size for count in grid.shape for size in (count, n)]
    return shown.reshape(split).mean(axis=(1, 3, 5))


def test_painting_is_better_than_supersampling_by_eight() -> None:
    """Against 216 points a voxel: smooth, cut and melted bodies, and a tapering vessel in fat."""
    egg_like = Ellipsoid("x", np.array([1.3, -0.7, 0.4]), np.array([11.0, 9.0, 7.0, 8.0]), egg().axes)
    wall = Envelope("x", (egg_like,), planes=(Plane(np.array([0.0, 0.0, 4.0]), np.array([0.0, 0.6, 0.8])),))
    cavity = Envelope("x", (ball(5.0), ball(4.0, (4.0, 3.0, -2.0))), blend=4.0)
    shapes: list[Shape] = [wall, cavity, wavy_tube(np.linspace(2.2, 0.6, 41))]
    grid = Grid.cube(22, 22, (0.2, 0.4, 0.1))
    exact = supersampled(shapes, [0.4, 0.9, 0.1], grid, 6)
    error = painted(shapes, [0.4, 0.9, 0.1], grid) - exact
    by_eight = supersampled(shapes, [0.4, 0.9, 0.1], grid, 2) - exact
    at_edges = (np.abs(exact[..., None] - [0, 0.4, 0.9, 0.1]) > 1e-9).all(axis=-1)
    assert np.sqrt((error[at_edges] ** 2).mean()) < 0.9 * np.sqrt((by_eight[at_edges] ** 2).mean())
    assert np.sqrt((error**2).mean()) < 0.01
    assert abs(error.mean()) < 1e-3


def test_shapes_move_as_points_do() -> None:
    """A moved shape holds exactly the moved points that the shape held: shear, squeeze and shift."""
    rng = np.random.default_rng(5)
    move = Affine(np.eye(3) + 0.06 * rng.standard_normal((3, 3)), np.array([-7.0, 2.0, 1.0]))
    cut = Plane(np.array([3.0, 0.0, 0.0]), np.array([0.8, 0.6, 0.0]))
    part = Ellipsoid("x", np.array([1.0, 2.0, 3.0]), np.array([14.0, 9, 11, 8]), egg().axes, follow_heart=1.0)
    body = Envelope("x", (part,), planes=(cut,))
    points = rng.uniform(-14, 18, (4000, 3))
    for shape in (part, body):
        before, after = distances(pack([shape]), points), distances(pack([shape], move), move(points))
        assert np.array_equal(before < 0, after < 0)
        assert 200 < (before < 0).sum() < 3000


def test_parts_of_a_patient_add_up(patient: Patient) -> None:
    grid, state = Grid.cube(52, 208), MotionState(7.0)
    both, body = rasterise(patient, grid, state), rasterise(patient, grid, state, parts="body")
    assert np.array_equal(rasterise(patient, grid, state, parts="heart", over=body), both)
    rest = Grid.cube(52, 208)
    changed = np.abs(rasterise(patient, rest) - rasterise(patient, rest, parts="body")) > 0
    for axis in range(3):
        where = rest.axis(axis)[changed.any(axis=tuple(a for a in range(3) if a != axis))]
        assert -90 < where[0] < where[-1] < 90  # 88 mm, and half a voxel of smear
    still = rasterise(patient, grid, MotionState(9.0), parts="static")
    assert np.array_equal(still, rasterise(patient, grid, parts="static"))
    with pytest.raises(ConfigError, match="no part"):
        rasterise(patient, grid, parts="legs")
    with pytest.raises(ShapeError, match="cannot be painted"):
        rasterise(patient, grid, over=np.zeros((4, 4, 4), np.float32))


def test_threads_do_not_change_the_image(patient: Patient) -> None:
    grid = Grid.cube(48, 208)
    assert np.array_equal(rasterise(patient, grid, threads=1), rasterise(patient, grid, threads=3))


def test_cusps_have_both_sides_wherever_blocks_begin(patient: Patient) -> None:
    cusps = tuple(s for s in patient.organ.shapes if isinstance(s, Envelope) and s.sheet > 0)
    assert len(cusps) >= 5
    here, grid = packed(patient, cusps, MotionState(3.0)), Grid.cube(208, 208)
    whole = paint(here, [1.0] * len(cusps), grid, threads=1)
    assert np.array_equal(whole, paint(here, [1.0] * len(cusps), grid, threads=5))


def test_blocks_leave_no_trace(patient: Patient) -> None:
    """A part of a grid is painted as it is within the whole: what blocks leave out would show."""
    whole = Grid.cube(64, 160)
    part = Grid(
        (21, 30, 17), whole.voxel_size, tuple(whole.axis(a)[[12 + 10, 9 + 15, 30 + 8][a]] for a in range(3))
    )
    got = rasterise(patient, part)
    assert np.allclose(got, rasterise(patient, whole)[12:33, 9:39, 30:47], atol=1e-5)


def test_a_grid_needs_voxels() -> None:
    with pytest.raises(ShapeError, match="no grid"):
        Grid((0, 4, 4), (1.0, 1.0, 1.0))
    grid = Grid((4, 4, 4), (2.0, 2.0, 2.0), (1.0, 0.0, 0.0))
    assert grid.axis(0)[2] == 1.0
    assert np.allclose(grid.index_of(np.array([1.0, 0.0, -2.0])), [2, 2, 1])
