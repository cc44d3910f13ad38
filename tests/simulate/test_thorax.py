"""The body around the heart, measured on voxels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from csiq.simulate.anatomy import Patient, heart_mask, rasterise
from csiq.simulate.anatomy.abdomen import abdomen_shapes
from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.lungs import carina
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.raster import pack, paint
from csiq.simulate.anatomy.shapes import Envelope, Grid, Tube
from csiq.simulate.anatomy.skeleton import front_wall
from csiq.simulate.anatomy.thorax import thorax_shapes
from csiq.simulate.motion import MotionState

SEEDS = (5, 9, 35)  # a lean man, a woman, a heavy man


@pytest.fixture(scope="module", params=SEEDS)
def patient(request: pytest.FixtureRequest) -> Patient:
    return Patient.from_seed(request.param)


def share(body: BodySize, tissues: set[str], grid: Grid) -> np.ndarray:
    """Return the share of tissues in each voxel, of the body alone."""
    shapes = thorax_shapes(body)
    return paint(pack(shapes), [float(shape.tissue in tissues) for shape in shapes], grid)


def test_the_trunk_is_as_wide_and_deep_as_drawn(patient: Patient) -> None:
    body = patient.body
    assert 300 <= body.width <= 400
    y, x = body.middle
    across = share(body, {"air"}, Grid((1, 1, 450), (1.0, 1.0, 1.0), (0.0, y, x)))
    assert across.max() == 0  # no gas at this height: what is dark outside is no shape at all
    image = rasterise(patient, Grid((1, 1, 450), (1.0, 1.0, 1.0), (0.0, y, x)), parts="body")[0, 0]
    assert measured_run(image) == pytest.approx(body.width, abs=2.0)
    image = rasterise(patient, Grid((1, 450, 1), (1.0, 1.0, 1.0), (-30.0, y, x)), parts="body")[0, :, 0]
    assert measured_run(image) == pytest.approx(body.depth, abs=2.0)


def measured_run(line: np.ndarray) -> float:
    """Return the length of the bright run through the middle of a line; lung counts as bright."""
    labels, _ = ndimage.label(line > 0.001)
    return float((labels == labels[line.size // 2]).sum())


def test_fat_under_the_skin_is_as_thick_as_drawn(patient: Patient) -> None:
    body = patient.body
    y, x = body.middle
    ray = share(body, {"fat"}, Grid((1, 1, 100), (1.0, 0.5, 0.5), (60.0, y, x - body.width / 2 + 20)))[0, 0]
    first = int(np.flatnonzero(ray > 0.5)[0])
    thick = 0.5 * (np.flatnonzero(ray[first:] < 0.5)[0])
    assert thick == pytest.approx(body.fat - 1.8, abs=1.0)  # less the skin


def test_lungs_hold_a_human_volume(patient: Patient) -> None:
    """At end-expiration 2 to 5 l of gas in upright people, and about 0.8 l of tissue and blood."""
    grid = Grid.cube(104, 416, (0.0, *patient.body.middle))
    lung = share(patient.body, {"lung"}, grid) * (1 - heart_mask(patient, grid))
    litres = lung.sum() * 0.064 / 1000
    assert 2.0 <= litres <= 5.8
    # two lungs of about equal size, apart behind the breastbone
    right = np.arange(104) > grid.index_of([0, 0, patient.body.middle[1]])[2]
    assert 0.42 <= lung[:, :, right].sum() / lung.sum() <= 0.62
    assert lung[60:75, :, np.flatnonzero(right)[0]].max() < 0.05


def test_vessels_of_the_lungs_stay_in_them(patient: Patient) -> None:
    body = patient.body
    shapes = thorax_shapes(body)
    first = next(n for n, s in enumerate(shapes) if s.tissue == "lung")
    tubes = [s for s in shapes[first : first + 500] if isinstance(s, Tube) and "blood" in s.tissue]
    thin = [
        t for t in tubes if t.follow_liver.max() > 0 and t.follow_liver.max() < 1 and t.radius.max() < 3.5
    ]
    assert len(thin) > 80
    ends = np.array([t.points[-1] for t in thin])
    (deep, wide), (y, x) = body.cage, body.cage_middle
    inside = np.hypot((ends[:, 1] - y) / deep, (ends[:, 2] - x) / wide)
    assert inside.max() < 0.99
    radii = np.array([t.radius[-1] for t in thin])
    assert radii.min() > 0.4
    assert radii.min() < 1.2  # thinner than a voxel at the end of the tree


def test_the_windpipe_is_dark_and_forks(patient: Patient) -> None:
    fork = carina(patient.body)
    line = rasterise(patient, Grid((61, 1, 1), (1.0, 1.0, 1.0), (fork[0] + 31, fork[1] - 3, fork[2])))
    assert np.median(line) < 0.02
    beside = rasterise(patient, Grid((1, 1, 1), (1.0, 1.0, 1.0), (fork[0] + 40, fork[1] - 4, fork[2] + 9.2)))
    assert beside.max() > 0.02  # its wall


def test_spine_with_cord_lies_behind_and_in_the_middle(patient: Patient) -> None:
    body = patient.body
    grid = Grid((41, 60, 60), (5.0, 1.0, 1.0), (0.0, body.spine[0] - 20, body.middle[1]))
    fluid, cord, bone = (share(body, {t}, grid) for t in ("spinal fluid", "cord", "marrow"))
    for layer in (20, 30):
        z = grid.axis(0)[layer]
        places = [np.array(ndimage.center_of_mass(part[layer])) for part in (fluid, cord)]
        y, x = (grid.axis(a + 1)[0] + places[1][a] for a in range(2))
        assert x == pytest.approx(body.middle[1], abs=0.7)
        assert y == pytest.approx(body.spine_at(z) - 24.5, abs=1.5)
        assert np.linalg.norm(places[0] - places[1]) < 1.5  # the cord swims in its fluid
        assert 60 < cord[layer].sum() < 85  # mm2
    # along the spine, bodies and discs take turns every 25 mm
    column = share(body, {"disc"}, Grid((400, 60, 1), (1.0, 1.0, 1.0), (0.0, *body.spine)))
    _, count = ndimage.label(column[:, :, 0].max(axis=1) > 0.5)
    assert 14 <= count <= 16
    assert bone.max() > 0.99


def test_ten_pairs_of_ribs_with_marrow(patient: Patient) -> None:
    body = patient.body
    wide = body.cage[1]
    for side in (-1, 1):
        x = body.middle[1] + side * 0.8 * wide
        grid = Grid((400, 240, 1), (1.0, 1.0, 1.0), (0.0, body.cage_middle[0], x))
        marrow = share(body, {"marrow"}, grid)[:, :, 0]
        _, count = ndimage.label(marrow > 0.4)
        assert 15 <= count <= 21  # each rib behind and in front, and the shoulder blade
    cortex = share(body, {"cortical bone"}, Grid.cube(104, 416, (0.0, *body.middle)))
    assert 100 < cortex.sum() * 0.064 < 700  # ml


def test_breathing_moves_the_diaphragm_and_not_the_chest_wall(patient: Patient) -> None:
    body = patient.body
    grid = Grid.cube(104, 416, (0.0, *body.middle))
    rest, deep = (rasterise(patient, grid, MotionState(d), parts="body") for d in (0.0, 16.0))
    (half_depth, half_width), (y0, x0) = body.cage, body.cage_middle
    z, y, x = np.meshgrid(*(grid.axis(a) for a in range(3)), indexing="ij", sparse=True)
    outside = ((y - y0) / (half_depth + 6)) ** 2 + ((x - x0) / (half_width + 6)) ** 2 > 1
    wall = np.broadcast_to(outside & (z > -1e9), grid.shape)
    assert (rest[wall] > 0.1).sum() > 20000
    assert np.array_equal(rest[wall], deep[wall])
    assert dome_height(patient, 16.0) - dome_height(patient, 0.0) == pytest.approx(-16, abs=1.0)


def dome_height(patient: Patient, displacement: float, side: float = 1.0) -> float:
    """Return the height of a dome of the diaphragm."""
    body, coupling, state = patient.body, patient.coupling, MotionState(displacement)
    diaphragm = [s for s in abdomen_shapes(body) if isinstance(s, Envelope) and s.tissue == "muscle"]
    (y, x), wide = body.cage_middle, body.cage[1]
    grid = Grid((160, 60, 1), (0.5, 2.0, 1.0), (-60.0, y, x + side * 0.42 * wide))
    moved = pack(diaphragm, coupling.heart_map(state), coupling.liver_map(state))
    filled = paint(moved, [1.0] * len(diaphragm), grid)
    return float(grid.axis(0)[np.flatnonzero((filled > 0.5).any(axis=(1, 2)))[-1]])


def test_the_right_dome_is_higher(patient: Patient) -> None:
    right, left = dome_height(patient, 0.0), dome_height(patient, 0.0, -1.0)
    assert right == pytest.approx(patient.body.dome, abs=4)
    assert 5 < right - left < 20


@pytest.mark.parametrize("seed", [3, 10, 50, 120])
def test_the_heart_has_room_between_breastbone_and_spine(seed: int) -> None:
    patient = Patient.from_seed(seed)
    grid = Grid.cube(60, 180)
    heart = np.argwhere(heart_mask(patient, grid))
    z, y, x = (grid.origin + 3.0 * heart).T
    assert y.max() < front_wall(patient.body, 0.0) + 3  # half a voxel and the estimate's error
    middle = np.abs(x - patient.body.middle[1]) < 15
    assert np.all(y[middle] > patient.body.spine_at(z[middle]) + 17)
    # and rests on the diaphragm
    assert -35 < z.min() - patient.body.dome < -10


def test_men_and_women_differ() -> None:
    man, woman = (Patient.from_seed(s).body for s in (2, 9))
    kinds = {shape.tissue for shape in thorax_shapes(woman)}
    assert "gland" in kinds
    assert "gland" not in {shape.tissue for shape in thorax_shapes(man)}


def test_arms_lie_beside_the_body_or_above_it() -> None:
    bodies = [BodySize.of(Person.from_seed(seed)) for seed in range(60)]
    up = [body for body in bodies if body.arms_up]
    assert 3 <= len(up) <= 18
    for body, outside in ((up[0], 0.0), (next(b for b in bodies if not b.arms_up), 0.5)):
        x = body.middle[1] - body.width / 2 - 47
        line = share(
            body,
            {"marrow", "muscle", "fat"},
            Grid((1, 1, 9), (1.0, 1.0, 1.0), (-60.0, body.middle[0] - 16, x)),
        )
        assert (line.max() > 0.5) == (outside > 0)
        # the field of view of the heart does not reach it
        assert abs(x) > 104 + 30
