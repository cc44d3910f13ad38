"""Chambers and great vessels, measured on voxels, against the numbers they were made from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label, map_coordinates
from scipy.spatial import ConvexHull

from csiq.simulate.anatomy import Patient, blood_mask, chamber_volumes, heart_mask, rasterise
from csiq.simulate.anatomy.chambers import ATRIAL_WALL, RV_WALL
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.lungs import airways
from csiq.simulate.anatomy.patient import packed
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.raster import distances, pack, paint
from csiq.simulate.anatomy.shapes import Grid, Tube
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.motion import MotionState
from tests.simulate.hearts import SEEDS, heart_of, share_of, volume_ml

RANGES = {"LV": (80, 180), "RV": (90, 200), "LA": (40, 90), "RA": (50, 110)}
GRID = Grid.cube(82, 164)


@pytest.mark.parametrize("seed", SEEDS)
def test_chambers_hold_the_volumes_they_were_given(seed: int) -> None:
    patient = heart_of(seed)
    for name, wanted in chamber_volumes(patient).items():
        low, high = RANGES[name]
        found = volume_ml(share_of(patient, (name,), GRID), GRID)
        assert found == pytest.approx(wanted, rel=0.03)
        assert low <= found <= high


def test_hearts_grow_with_people() -> None:
    people = [Person.from_seed(seed) for seed in range(150)]
    hearts = [HeartSize.of(person) for person in people]
    blood = np.array([sum(heart.volumes.values()) for heart in hearts])
    women = np.array([person.is_woman for person in people])
    assert blood[women].mean() < 0.88 * blood[~women].mean()
    assert np.corrcoef(blood, [person.bsa for person in people])[0, 1] > 0.6
    assert all(6 <= heart.wall <= 14 for heart in hearts)
    sides = [heart.dominance for heart in hearts]
    assert 0.75 < sides.count("right") / 150 < 0.94  # 0.85, three standard errors
    assert sides.count("left") > sides.count("balanced") > 0


def along_ray(patient: Patient, names: tuple[str, ...], start: tuple[float, ...], way: int) -> np.ndarray:
    """Return the share of some shapes every 0.1 mm on a ray from (u, v, w) along an axis of the heart."""
    size, grid = patient.heart, Grid.cube(144, 144)
    axis = size.frame[abs(way) - 1] * np.sign(way)
    points = size.place(np.array(start)) + np.arange(0, 80, 0.1)[:, None] * axis
    share = share_of(patient, names, grid)
    return np.asarray(map_coordinates(share, grid.index_of(points).T, order=1))


@pytest.mark.parametrize("seed", [0, 3])
def test_walls_are_as_thick_as_they_should_be(seed: int) -> None:
    patient = heart_of(seed)
    lateral = along_ray(patient, ("LV wall",), (12, 0, 0), -2)
    septum = along_ray(patient, ("LV wall",), (12, 0, 0), 2)
    assert 0.1 * lateral.sum() == pytest.approx(patient.heart.wall, rel=0.05)
    assert 0.1 * septum.sum() == pytest.approx(patient.heart.wall, rel=0.05)
    # the septum belongs to the left ventricle: behind it there is blood of the right at once
    right = along_ray(patient, ("RV",), (12, 0, 0), 2)
    end = np.flatnonzero(septum > 0.5)[-1]
    assert right[end + 10] > 0.9
    free = 0.1 * along_ray(patient, ("RV wall",), (12, 0, 0), 2).sum()
    assert RV_WALL - 0.2 < free < RV_WALL + 1.5  # the ray does not meet it at a right angle
    atrial = 0.1 * along_ray(patient, ("LA wall",), (-28, -13, -6), -2).sum()
    assert ATRIAL_WALL - 0.2 < atrial < ATRIAL_WALL + 2


@pytest.mark.parametrize("seed", [0, 2])
def test_the_right_ventricle_wraps_round_the_left(seed: int) -> None:
    patient, size = heart_of(seed), heart_of(seed).heart
    sides = np.stack(np.meshgrid(np.arange(-75, 75), np.arange(-75, 75)), axis=-1).reshape(-1, 2)
    plane = size.place(np.zeros(3)) + np.hstack([np.full((len(sides), 1), 25.0), sides]) @ size.frame
    index = GRID.index_of(plane).T
    right, left = (map_coordinates(share_of(patient, (n,), GRID), index, order=1) > 0.5 for n in ("RV", "LV"))
    hull, round_hull = (ConvexHull(sides[mask]).volume for mask in (right, left))
    assert right.sum() < 0.85 * hull  # a crescent
    assert left.sum() > 0.95 * round_hull  # a disk
    middle = sides[left].mean(axis=0)
    angle = np.rad2deg(np.arctan2(*(sides[right] - middle).T[::-1]))
    assert 110 < np.ptp(angle) < 200  # it embraces that much of the left ventricle


@pytest.mark.parametrize("seed", [0, 3])
def test_blood_runs_where_it_should(seed: int) -> None:
    """Arterial and venous blood are each of one piece, and walls lie between them."""
    patient, grid = heart_of(seed), Grid.cube(160, 160)
    shapes = patient.organ.shapes
    shown = {
        tissue: paint(
            packed(patient, shapes, MotionState()), [float(s.tissue == tissue) for s in shapes], grid
        )
        > 0.5
        for tissue in ("arterial blood", "venous blood")
    }
    for tissue, places in {
        "arterial blood": [(-28, -13, -6), (30, 0, 0), (-26, 19, 26)],  # LA, LV, ascending aorta
        "venous blood": [(-22, 33, -17), (20, 45, -8), (2, 16, 48)],  # RA, RV, pulmonary trunk
    }.items():
        pieces, _ = label(shown[tissue])
        found = [
            int(pieces[tuple(np.rint(grid.index_of(patient.heart.place(np.array(p)))).astype(int))])
            for p in places
        ]
        assert found[0] > 0
        assert len(set(found)) == 1
    touching = binary_dilation(shown["arterial blood"]) & shown["venous blood"]
    assert touching.sum() < 0.01 * shown["venous blood"].sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_great_vessels_do_not_run_through_each_other(seed: int) -> None:
    patient = heart_of(seed)
    vessels = [*patient.organ.vessels.near, *patient.organ.vessels.far]
    tubes = [v for v in vessels if isinstance(v, Tube) and not v.name.endswith("wall")]
    arterial = [t for t in tubes if t.tissue == "arterial blood"]
    venous = [t for t in tubes if t.tissue == "venous blood"]
    air = [s for s in airways(patient.body) if s.tissue == "air"]
    for tube in arterial:
        apart = distances(pack(venous), tube.points) - tube.radius
        assert apart.min() > -0.5, (tube.name, venous[int(apart.min(axis=1).argmin())].name)
    for tube in tubes:
        assert (distances(pack(air), tube.points) - tube.radius).min() > -2.0, tube.name


@pytest.mark.parametrize("seed", SEEDS)
def test_hearts_fit_and_lie_as_they_do(seed: int) -> None:
    patient = heart_of(seed)
    grid = Grid.cube(90, 180)
    mask = heart_mask(patient, grid)
    assert 450 < mask.sum() * 8 / 1000 < 1200  # with its fat, ml
    for axis in range(3):
        where = grid.axis(axis)[mask.any(axis=tuple(a for a in range(3) if a != axis))]
        assert 85 < np.ptp(where) < 155
        assert abs(where.mean()) < 13
        assert -86 < where[0] < where[-1] < 86
    z, y, x = patient.heart.place(np.array([80.0, 0, 0])) - patient.heart.place(np.zeros(3))
    assert z < -15  # the apex points toward the feet,
    assert y > 15  # the front
    assert x < -25  # and the left


def test_blood_mask_is_blood() -> None:
    patient, grid = heart_of(0), Grid.cube(64, 208)
    share, image = blood_mask(patient, grid), rasterise(patient, grid)
    assert share.max() <= 1.0001
    # venous blood is the darkest blood
    assert image[share > 0.999].min() > 0.95 * patient.signals["venous blood"]


@pytest.mark.parametrize("displacement", [6.0, 15.0])
def test_chambers_follow_breathing_and_far_vessels_do_not(displacement: float) -> None:
    """Each chamber's centre moves as the heart's map says."""
    patient, state = heart_of(1), MotionState(displacement)
    move = patient.coupling.heart_map(state)
    for name in RANGES:
        centres = []
        for moved in (0.0, displacement):
            share = share_of(patient, (name,), GRID, moved)
            centres.append(
                [
                    (share.sum(axis=tuple(a for a in range(3) if a != axis)) @ GRID.axis(axis)) / share.sum()
                    for axis in range(3)
                ]
            )
        assert np.abs(centres[1] - move(np.array(centres[0]))).max() < 0.1
    descending = Grid(
        (9, 40, 40), (1.0, 1.0, 1.0), (0.0, patient.body.spine_at(0.0) + 9, patient.body.spine[1] - 30)
    )
    still = [rasterise(patient, descending, s, parts="body") for s in (MotionState(), state)]
    assert np.array_equal(*still)
    assert still[0].max() == 1.0  # there is an aorta in it


def test_patients_differ_and_seeds_repeat() -> None:
    grid = Grid.cube(32, 208)
    one, again, other = (rasterise(Patient.of(Person.from_seed(s)), grid) for s in (3, 3, 2))
    assert np.array_equal(one, again)
    assert np.abs(one - other).mean() > 0.02


def test_the_truth_shows_what_its_masks_say() -> None:
    patient, grid, state = heart_of(2), Grid.cube(104, 208), MotionState(5.0)
    shading = np.full(grid.shape, 0.5, np.float32)
    truth = heart_truth(patient, grid, state, shading)
    assert np.allclose(truth.volume, 0.5 * rasterise(patient, grid, state))
    assert truth.volume[truth.blood].min() > 0.49
    muscle = 0.5 * patient.signals["myocardium"]
    assert truth.volume[truth.myocardium] == pytest.approx(muscle, rel=1e-4)
    assert truth.blood.sum() * 8 / 1000 > 25
    assert truth.myocardium.sum() * 8 / 1000 > 2
    assert not (truth.blood & truth.myocardium).any()
    for name in ("RCA", "LAD", "LCX"):
        index = np.rint(truth.vessels[name].points / truth.voxel_size).astype(int)
        half = index[: len(index) // 2].T
        assert np.median(truth.volume[tuple(half)]) > 0.37  # vessels of 3.5 mm on voxels of 2 mm


@pytest.mark.parametrize("matrix", [32, 96])
def test_the_truth_on_coarse_voxels_has_blood_and_muscle(matrix: int) -> None:
    """The wall of this heart has no core 2 mm deep on voxels of 2.2 mm, far less of 6.5 mm."""
    patient, grid = heart_of(0), Grid.cube(matrix, 208)
    truth = heart_truth(patient, grid, MotionState(5.0))
    assert truth.blood.any()
    assert truth.myocardium.any()
    assert not (truth.blood & truth.myocardium).any()
    if matrix == 96:
        assert truth.volume[truth.myocardium] == pytest.approx(patient.signals["myocardium"], rel=1e-4)
