"""Coronary arteries, measured on voxels, against the lengths and diameters they were made with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from csiq.simulate.anatomy import Patient, coronary_centrelines, heart_mask, rasterise
from csiq.simulate.anatomy.coronaries import DIAMETERS, LENGTHS
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.patient import packed
from csiq.simulate.anatomy.raster import distances, pack, paint
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.whole_heart import build_heart
from csiq.simulate.motion import MotionState
from tests.simulate.hearts import SEEDS, heart_of

MAIN = ("RCA", "LAD", "LCX", "LM")


def lumen(patient: Patient, name: str, grid: Grid) -> np.ndarray:
    """Return the share of each voxel that one artery fills."""
    tube = next(t for t in patient.organ.arteries if t.name == name)
    return paint(pack([tube]), [1.0], grid)


@pytest.mark.parametrize("seed", SEEDS)
def test_trees_are_human(seed: int) -> None:
    lines = coronary_centrelines(heart_of(seed))
    assert tuple(lines)[:4] == MAIN
    for name, (low, high) in LENGTHS.items():
        assert low <= lines[name].length <= high
        first, last = np.array(DIAMETERS[name]) * heart_of(seed).heart.vessel
        assert 2 * lines[name].radius[[0, -1]] == pytest.approx([first, max(last, 1.2)])
    for name, line in lines.items():
        assert np.all(np.diff(line.radius) < 1e-9)  # they taper
        assert 2 * line.radius[-1] > 1.19
        assert 2 * line.radius[0] < 4.6
        steps = np.linalg.norm(np.diff(line.points, axis=0), axis=1)
        assert 1.2 < steps.min() <= steps.max() < 1.8
        along = np.diff(line.points, axis=0) / steps[:, None]
        # no kinks away from ostia and forks: 1.5 mm later it still goes the same way
        assert (along[6:] * along[5:-1]).sum(axis=1).min(initial=1.0) > np.cos(np.deg2rad(50)), name
    branches = set(lines) - set(MAIN)
    assert (
        {"D1", "OM1", "AM", "PDA"} <= branches <= {"D1", "D2", "D3", "OM1", "OM2", "OM3", "AM", "PDA", "PL"}
    )


@pytest.mark.parametrize("seed", [0, 3])
def test_lengths_and_diameters_on_voxels(seed: int) -> None:
    """The volume of a vessel on voxels, and how far its lumen reaches, give diameter and length back."""
    patient = heart_of(seed)
    for name in ("RCA", "LAD", "LCX"):
        line = coronary_centrelines(patient)[name]
        low, high = line.points.min(axis=0) - 5, line.points.max(axis=0) + 5
        n = np.ceil((high - low) / 0.8).astype(int)
        middle = low + 0.8 * (n // 2)
        grid = Grid((int(n[0]), int(n[1]), int(n[2])), (0.8, 0.8, 0.8), (middle[0], middle[1], middle[2]))
        share = lumen(patient, name, grid)
        inside = map_coordinates(share, grid.index_of(line.points).T, order=1) > 0.4
        spacing = line.length / (len(line.points) - 1)
        assert inside.sum() * spacing == pytest.approx(line.length, rel=0.03)
        section = np.trapezoid(np.pi * line.radius**2, dx=spacing)
        ends = 2 / 3 * np.pi * (line.radius[0] ** 3 + line.radius[-1] ** 3)
        assert share.sum() * 0.8**3 == pytest.approx(section + ends, rel=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_arteries_lie_on_walls_and_in_fat(seed: int) -> None:
    """Myocardium below, at least 1 mm of fat around; none in a wall, but where they leave the aorta."""
    patient = heart_of(seed)
    walls = pack(list(patient.organ.chambers.walls.values()))
    fat = pack([s for s in patient.organ.shapes if s.tissue == "fat"])
    for tube in patient.organ.arteries:
        beyond = slice(6 if tube.name in ("RCA", "LM") else 0, None)
        above = distances(walls, tube.points)[:, beyond].min(axis=0) - tube.radius[beyond]
        assert above.min(initial=9.0) > 0.3, tube.name
        if tube.name != "LM":
            assert np.median(above) < 4, tube.name
        cover = -distances(fat, tube.points).min(axis=0) - tube.radius
        assert cover.min() > 1.0, tube.name


@pytest.mark.parametrize("seed", SEEDS)
def test_courses_are_those_of_anatomy(seed: int) -> None:
    size = heart_of(seed).heart
    lines = {
        name: (line.points - size.base) @ size.frame.T / size.scale
        for name, line in coronary_centrelines(heart_of(seed)).items()
    }  # in u, v, w
    grooves = {"RCA": lines["RCA"][15:90], "LCX": lines["LCX"][8:]}
    for name, course in grooves.items():  # in the plane of the valves
        assert np.abs(course[:, 0] + 5).max() < 14, name
    assert lines["RCA"][:, 1].max() > 50  # round the right side
    assert lines["LCX"][:, 1].min() < -24  # and the left
    assert lines["RCA"][:, 2].min() < -30  # to the back
    assert lines["LAD"][-1, 0] > 60  # to the apex, between the ventricles
    middle = lines["LAD"][(lines["LAD"][:, 0] > 24) & (lines["LAD"][:, 0] < 60)]
    assert np.all((middle[:, 1] > 2) & (middle[:, 1] < 22) & (middle[:, 2] > 15))
    assert lines["PDA"][-1, 0] > 40
    assert np.all(lines["PDA"][:, 2] < -15)
    assert lines["OM1"][-1, 1] < -20
    assert lines["AM"][-1, 1] > 40
    assert np.linalg.norm(lines["LM"][-1] - lines["LAD"][0]) < 1e-6
    assert np.linalg.norm(lines["LCX"][0] - lines["LAD"][0]) < 1e-6


@pytest.mark.parametrize("side", ["right", "left", "balanced"])
def test_dominance_says_who_feeds_the_back(side: str) -> None:
    patient = heart_of(1)
    arteries = {t.name: t for t in build_heart(HeartSize(dominance=side, seed=7), patient.body).arteries}
    crux = HeartSize().place(np.array([-5.0, 10, -40]))
    reach = {name: np.linalg.norm(tube.points - crux, axis=1).min() for name, tube in arteries.items()}
    start = arteries["PDA"].points[0]
    parent = min(
        ("RCA", "PL", "LCX"),
        key=lambda n: np.linalg.norm(arteries[n].points - start, axis=1).min() if n in arteries else np.inf,
    )
    if side == "left":
        assert reach["RCA"] > 20
        assert parent == "PL"
        assert np.linalg.norm(arteries["PL"].points[0] - arteries["LCX"].points[-1]) < 1e-6
    else:
        assert reach["RCA"] < 8
        assert parent == "RCA"
        assert "PL" not in arteries


def test_arteries_are_as_bright_as_blood_and_move_with_the_heart() -> None:
    patient, state = heart_of(0), MotionState(10.0)
    grid = Grid.cube(208, 208)
    image = rasterise(patient, grid, state)
    rest, moved = coronary_centrelines(patient), coronary_centrelines(patient, state)
    move = patient.coupling.heart_map(state)
    mask = heart_mask(patient, grid, state)
    for name in ("RCA", "LAD", "LCX"):
        assert np.allclose(moved[name].points, move(rest[name].points))
        index = np.rint(grid.index_of(moved[name].points)).astype(int)
        assert np.median(image[tuple(index[: len(index) // 2].T)]) > 0.9
        assert mask[tuple(index.T)].all()
    assert len(packed(patient, patient.organ.arteries, state).kinds) == len(rest)
