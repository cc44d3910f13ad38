"""How the heart and the organs below it follow the diaphragm: in law, in points, and in painted images."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.simulate.anatomy import Patient, coronary_centrelines, heart_mask, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import Affine, Coupling, MotionState
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.setting import Setting

DEEP = MotionState(20.0)


def couplings(n: int = 400) -> list[Coupling]:
    rng = np.random.default_rng(0)
    return [Coupling.drawn(rng) for _ in range(n)]


def test_people_differ_within_what_was_measured() -> None:
    drawn = couplings()
    si, ap = (np.array([getattr(c, name) for c in drawn]) for name in ("heart_si", "heart_ap"))
    assert 0.4 <= si.min() < 0.42
    assert 0.68 < si.max() <= 0.7
    assert si.mean() == pytest.approx(0.55, abs=0.015)  # SD of the mean 0.004
    assert 0.2 <= ap.min() < ap.max() <= 0.3
    assert ap.mean() == pytest.approx(0.25, abs=0.005)
    assert abs(np.corrcoef(si, ap)[0, 1]) < 0.2


def test_deep_inspiration_turns_the_heart_by_degrees_and_shortens_it_by_percents() -> None:
    for coupling in couplings(50):
        moved = coupling.heart_map(DEEP)
        assert np.linalg.det(moved.matrix) == pytest.approx(1, abs=1e-9)  # muscle and blood keep their volume
        turn, stretch = polar(moved.matrix)
        angle = np.degrees(np.arccos((np.trace(turn) - 1) / 2))
        assert 0.5 < angle < 5
        shortest = np.linalg.eigvalsh(stretch).min()
        assert shortest == pytest.approx(1 - 20 * coupling.heart_squeeze, abs=1e-9)
        assert 0.96 <= shortest <= 0.99


def polar(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation and the stretch a matrix is made of, by singular values."""
    u, s, v = np.linalg.svd(matrix)
    return u @ v, v.T @ np.diag(s) @ v


def test_the_middle_of_the_heart_goes_down_forward_and_in_proportion() -> None:
    for coupling in couplings(20):
        z, y, x = coupling.heart_map(MotionState(10.0))(np.zeros(3))
        assert z == pytest.approx(-10 * coupling.heart_si)
        assert y == pytest.approx(-z * coupling.heart_ap)
        assert abs(x) <= 0.1 * abs(z)
        assert np.allclose(coupling.heart_map(DEEP)(np.zeros(3)), 2 * np.array([z, y, x]))


def test_apex_and_base_move_as_a_turned_and_flattened_body() -> None:
    """Small angles by hand: rotation vector times lever, and the squeeze along z."""
    coupling = Coupling(0.5, 0.25, 0.1, heart_tilt=0.004, heart_roll=0.002, heart_squeeze=0.001)
    tilt, roll = 0.004 * 10, 0.002 * 10  # 10 mm of the heart
    for z, y, x in ((40.0, -20.0, 5.0), (-45.0, 40.0, -50.0)):
        got = coupling.heart_map(DEEP)(np.array([z, y, x])) - np.array([z, y, x])
        by_hand = np.array([-10 - tilt * y - roll * x, 2.5 + tilt * z, 1.0 + roll * z])
        by_hand += np.array([-0.02 * z, 0.0102 * y, 0.0102 * x])
        assert np.allclose(got, by_hand, atol=0.12)  # second order: 0.045^2 / 2 of 60 mm


def test_the_dome_follows_the_diaphragm_and_flattens() -> None:
    coupling = Coupling(liver_squeeze=0.002)
    moved = coupling.liver_map(DEEP)
    top, below = np.array([-46.0, 10.0, 30.0]), np.array([-146.0, 10.0, 30.0])
    assert np.allclose(moved(top), top - [20, 0, 0])
    assert moved(below)[0] == pytest.approx(below[0] - 20 + 0.002 * 20 * 100)  # pressed together by 4 %
    still = coupling.liver_map(MotionState(0.0))
    assert np.allclose(still(below), below)


def test_what_follows_by_half_goes_half_the_way() -> None:
    whole = Coupling(heart_tilt=0.004).heart_map(DEEP)
    point = np.array([30.0, -10.0, 20.0])
    assert np.allclose(whole.shared(0.5)(point), (point + whole(point)) / 2)
    assert np.allclose(whole.shared(0.0)(point), point)
    assert np.allclose(Affine.identity()(point), point)


@pytest.mark.parametrize("seed", [1, 4])
def test_painted_landmarks_move_by_the_law(seed: int) -> None:
    """The heart's centroid in images of 2.5 mm, and the coronaries' axes."""
    patient = Patient.from_seed(seed)
    grid = Grid.cube(72, 180.0)
    masks = [heart_mask(patient, grid, state) for state in (MotionState(), DEEP)]
    where = np.stack(np.meshgrid(*(grid.axis(a) for a in range(3)), indexing="ij"), axis=-1)
    centres = [where[mask].mean(axis=0) for mask in masks]
    law = patient.coupling.heart_map(DEEP)(centres[0])
    assert np.allclose(centres[1], law, atol=0.3)  # an affine map takes the centroid along
    for name, line in coronary_centrelines(patient).items():
        moved = coronary_centrelines(patient, DEEP)[name]
        assert np.allclose(moved.points, patient.coupling.heart_map(DEEP)(line.points), atol=1e-6)


@pytest.mark.parametrize("seed", [1, 4])
def test_the_painted_dome_goes_down_with_the_diaphragm(seed: int) -> None:
    """A column above the right liver lobe: which shift of one profile gives the other."""
    patient = Patient.from_seed(seed)
    still, deep = (liver_profile(patient, state) for state in (MotionState(), DEEP))
    shifts = np.arange(0, 40)  # mm
    # from the head down; below the dome all is liver, so only its edge matters
    misfit = [np.abs(still[40 + s : 180 + s] - deep[40:180]).sum() for s in shifts]
    assert shifts[int(np.argmin(misfit))] == pytest.approx(20, abs=2)


def liver_profile(patient: Patient, state: MotionState) -> np.ndarray:
    """Return the mean signal of slices 1 mm apart in a column of 30 mm through what breathing moves."""
    y, x = patient.body.middle
    column = Grid((260, 15, 15), (1.0, 2.0, 2.0), (-60.0, y + 5, x + 75.0))  # +x is the patient's right
    moved = rasterise(patient, column, state, parts="body") - rasterise(patient, column, parts="static")
    return np.asarray(moved.mean(axis=(1, 2)))


def test_the_chest_wall_stays() -> None:
    patient = Patient.from_seed(2)
    slab = Grid((1, 200, 200), (2.0, 2.0, 2.0), (20.0, *patient.body.middle))
    still, deep = (rasterise(patient, slab, state)[0] for state in (MotionState(), DEEP))
    half_depth, half_width = patient.body.cage
    y, x = (slab.axis(a) - patient.body.middle[a - 1] for a in (1, 2))
    outside = (np.abs(y / half_depth)[:, None] ** 2 + np.abs(x / half_width)[None] ** 2) > 1.35
    assert still[outside].max() > 0.1
    assert np.abs(still - deep)[outside].max() < 1e-6


def test_the_heart_takes_two_paths_when_it_lags() -> None:
    """Inspiration finds it higher than expiration at the same displacement; without lag there is one path."""
    setting = Setting.of(ScanConfig(seed=1, matrix=16, n_coils=1, cardiac=0.0, amplitude=15.0))
    played, moved = setting.played, setting.displacement
    rising = setting.breathing.at(played.times + 0.05) > setting.breathing.at(played.times - 0.05)
    lag = setting.patient.coupling.lag
    steep = np.abs(moved - setting.breathing.at(played.times - 0.1)) > 0.3
    assert lag > 0.01
    head = setting.heart_offset[:, 0]
    assert np.mean(head[rising & steep] > 0) > 0.97
    assert np.mean(head[~rising & steep] < 0) > 0.97
    assert np.abs(head).max() < 3
    speed = np.gradient(setting.breathing.displacement, setting.breathing.times)
    assert np.abs(head).max() <= lag * 0.7 * np.abs(speed).max()
