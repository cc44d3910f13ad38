"""The patient against human sizes, the painter against volumes, motion against its law."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ShapeError
from csiq.simulate.anatomy import Patient, blood_mask, coronary_centrelines, heart_mask, rasterise
from csiq.simulate.anatomy.heart import chambers, heart_shapes
from csiq.simulate.anatomy.raster import pack, paint
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Grid, Shape, Tube
from csiq.simulate.motion import MotionState


def painted(shapes: list[Shape], values: list[float], grid: Grid) -> np.ndarray:
    return paint(pack(shapes), values, grid)


def visible_ml(patient: Patient, wanted: int, grid: Grid) -> float:
    """Return the volume of one shape of the heart that later shapes leave visible."""
    shapes = heart_shapes(patient.heart)
    share = painted(shapes, [float(i == wanted) for i in range(len(shapes))], grid)
    return float(share.sum() * np.prod(grid.voxel_size) / 1000)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient.from_seed(0)


def test_ellipsoids_have_their_volume_on_any_grid() -> None:
    egg = Ellipsoid("x", np.array([1.3, -0.7, 0.4]), np.array([30.0, 18.0, 12.0, 20.0]))
    exact = 4 / 3 * np.pi * 25 * 18 * 12  # two halves of lengths 30 and 20
    for voxel in (1.3, 2.6):
        image = painted([egg], [1.0], Grid.cube(round(80 / voxel), 80, (0.2, 0.1, 0.3)))
        assert image.sum() * (80 / round(80 / voxel)) ** 3 == pytest.approx(exact, rel=1e-2)


def test_columns_have_their_cross_section() -> None:
    image = painted([Column("x", (2.0, -3.0), (30.0, 40.0))], [1.0], Grid.cube(50, 100))
    area = image[25].sum() * 4
    assert area == pytest.approx(np.pi * 30 * 40, rel=5e-3)
    assert np.array_equal(image[0], image[-1])


@pytest.mark.parametrize("voxel", [0.5, 1.0, 1.6, 2.2])
@pytest.mark.parametrize("diameter", [1.2, 2.0, 4.0])
def test_tubes_thinner_than_a_voxel_keep_their_cross_section(voxel: float, diameter: float) -> None:
    along = np.linspace(-20, 20, 41)
    points = np.stack([along, 3 * np.sin(along / 8), 0.37 * along], axis=1)
    zero = np.zeros(41)
    n = round(64 / voxel)
    tube = Tube("x", points, np.full(41, diameter / 2), zero, zero)
    image = painted([tube], [1.0], Grid.cube(n, 64, (0.21, 0.13, 0.33)))
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    exact = np.pi * diameter**2 / 4 * length + np.pi * diameter**3 / 6  # the ends are round
    # a voxel is taken for a disk of its area across the tube, and the ends smear by half a voxel
    assert image.sum() * (64 / n) ** 3 == pytest.approx(exact, rel=0.03 + 0.5 * voxel / length)


def test_chambers_and_walls_are_of_human_size() -> None:
    grid = Grid.cube(84, 168)
    for seed in range(6):
        patient = Patient.from_seed(seed)
        names = [s.tissue for s in heart_shapes(patient.heart)]
        assert names[:9] == [
            "fat", "myocardium", "venous blood", "myocardium", "arterial blood",
            "myocardium", "venous blood", "venous blood", "myocardium",
        ]  # fmt: skip
        right_atrium, left_atrium = (visible_ml(patient, i, grid) for i in (2, 4))
        right, left, left_wall = (visible_ml(patient, i, grid) for i in (6, 9, 8))
        assert 20 < right_atrium < 110  # what valves and vessels leave of 60-110 ml
        assert 15 < left_atrium < 100
        assert 60 < right < 190
        assert 50 < left < 150
        assert 60 < left_wall * 1.05 < 200  # g
        mask = heart_mask(patient, grid)
        assert 450 < mask.sum() * 8 / 1000 < 1050  # the whole heart with its fat, ml
        for axis in range(3):
            span = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            assert 85 < 2 * np.ptp(span) < 155
            assert span[0] > 0  # inside 168 mm, so inside the field of view
            assert span[-1] < 83


def test_the_apex_is_left_front_and_down() -> None:
    for seed in range(10):
        size = Patient.from_seed(seed).heart
        z, y, x = size.place(np.array([80.0, 0, 0])) - size.place(np.zeros(3))
        assert z < -15
        assert y > 15
        assert x < -25


def test_the_body_is_of_human_size_and_hollow(patient: Patient) -> None:
    grid = Grid.cube(104, 416, (0.0, *patient.body.middle))
    image = rasterise(patient, grid)
    row = image[52].max(axis=0) > 0.1
    assert 300 <= row.sum() * 4 <= 400  # mm wide
    assert 200 <= (image[52].max(axis=1) > 0.1).sum() * 4 <= 300
    inside = image[52, 30:74, 20:84]
    assert (inside < 0.1).mean() > 0.15  # lungs
    # the highest signal of fat lies under the skin: its ring at the right height
    fat = patient.signals["fat"]
    first = image[52, 52, np.flatnonzero(image[52, 52] > 0.1)[0] + 1]
    assert first == pytest.approx(fat, rel=0.05)


def test_coronaries_are_where_they_belong(patient: Patient) -> None:
    rows = pack(chambers(patient.heart)).rows
    grid = Grid.cube(208, 208)
    image = rasterise(patient, grid)
    from csiq.simulate.anatomy.raster import union_gap

    lines = coronary_centrelines(patient)
    assert list(lines) == ["RCA", "LAD", "LCX"]
    for name, line in lines.items():
        length = np.linalg.norm(np.diff(line.points, axis=0), axis=1).sum()
        assert {"RCA": 120, "LAD": 85, "LCX": 45}[name] < length < 230
        assert 2 * line.radius[0] == pytest.approx(4.0 * patient.heart.vessel, rel=0.11)
        assert 1.0 < 2 * line.radius[-1] < 1.7
        beyond = slice(len(line.points) // 6, None)
        above = union_gap(rows, 0.0, line.points[beyond]) - line.radius[beyond]
        assert np.percentile(above, 10) > -0.5  # on the muscle, not in it
        filled = union_gap(rows, 22.0, line.points[beyond]) + line.radius[beyond]
        assert np.percentile(filled, 90) < patient.heart.fat  # in the fat, not beside it
        index = np.rint(grid.index_of(line.points)).astype(int)
        lumen = image[tuple(index[: len(index) // 2].T)]
        assert np.median(lumen) > 0.9  # bright as blood where it is wider than a voxel
    assert lines["LAD"].points[-1, 0] < lines["LAD"].points[0, 0] - 30  # runs down to the apex


def test_blood_mask_is_blood(patient: Patient) -> None:
    grid = Grid.cube(64, 208)
    share, image = blood_mask(patient, grid), rasterise(patient, grid)
    assert share.max() <= 1.0001
    # venous blood is the darkest blood
    assert image[share > 0.999].min() > 0.95 * patient.signals["venous blood"]


@pytest.mark.parametrize("displacement", [6.0, 15.0])
def test_breathing_moves_each_organ_by_its_law(patient: Patient, displacement: float) -> None:
    """Seen from a grid that moves with an organ, the organ stands still."""
    state = MotionState(displacement)
    heart, liver = patient.coupling.heart_shift(state), patient.coupling.liver_map(state).shift
    assert liver[0] == -displacement
    assert 0.4 <= heart[0] / liver[0] <= 0.7
    assert 0.2 <= heart[1] / -heart[0] <= 0.3
    grid = Grid.cube(104, 208)
    rest, moved = rasterise(patient, grid), rasterise(patient, grid, state)

    def following(shift: np.ndarray) -> np.ndarray:
        return rasterise(patient, Grid.cube(104, 208, (shift[0], shift[1], shift[2])), state)

    left = np.array(Grid.cube(104, 208).index_of(patient.heart.place(np.array([40.0, 0, 0])))).astype(int)
    apex = tuple(slice(i - 8, i + 9) for i in left)
    assert np.abs(following(heart)[apex] - rest[apex]).max() < 1e-3
    assert np.abs(moved[apex] - rest[apex]).max() > 0.3
    dome = (slice(22, 36), slice(40, 52), slice(76, 92))  # right dome, below the heart
    assert np.abs(following(liver)[dome] - rest[dome]).max() < 1e-3
    assert np.ptp(rest[dome]) > 0.2  # lung and liver both are in it
    front = (
        slice(None),
        slice(int(grid.index_of([0, patient.body.middle[0] + patient.body.cage[0] + 1, 0])[1]), 104),
    )
    assert rest[front].max() > 0.2  # chest wall: fat, muscle, ribs
    assert np.array_equal(moved[front], rest[front])


def test_patients_differ_and_seeds_repeat() -> None:
    grid = Grid.cube(32, 208)
    one, again, other = (rasterise(Patient.from_seed(s), grid) for s in (3, 3, 4))
    assert np.array_equal(one, again)
    assert np.abs(one - other).mean() > 0.02


def test_threads_do_not_change_the_image(patient: Patient) -> None:
    grid = Grid.cube(48, 208)
    assert np.array_equal(rasterise(patient, grid, threads=1), rasterise(patient, grid, threads=3))


def test_a_grid_needs_voxels() -> None:
    with pytest.raises(ShapeError, match="no grid"):
        Grid((0, 4, 4), (1.0, 1.0, 1.0))
    grid = Grid((4, 4, 4), (2.0, 2.0, 2.0), (1.0, 0.0, 0.0))
    assert grid.axis(0)[2] == 1.0
    assert np.allclose(grid.index_of(np.array([1.0, 0.0, -2.0])), [2, 2, 1])
