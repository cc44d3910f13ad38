"""K-space layer by layer: against a dense sum of what each layer holds, and the patient as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.errors import ShapeError
from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.extents import excitation
from csiq.simulate.layers import Detail, Layer, Layers, shift_of
from csiq.simulate.motion import MotionState
from csiq.simulate.projections import projection_kspace
from csiq.simulate.protocol import ScanConfig, si_coord
from csiq.simulate.sensitivity import Maps
from csiq.simulate.signal import Scene, moving_kspace, state_levels, state_shares
from csiq.trajectory import radial_coord

CONFIG = ScanConfig(seed=4, matrix=32, n_coils=2)
DIRECTIONS = np.array([[1.0, 0, 0], [0, 0.6, 0.8], [0.48, -0.64, 0.6], [-0.8, 0, 0.6]])
COORD = radial_coord(DIRECTIONS, 32, 16)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient.from_seed(4)


@pytest.fixture(scope="module")
def coils(patient: Patient) -> CoilArray:
    return CoilArray.around(patient.body, 2, np.random.default_rng(1))


@pytest.fixture(scope="module")
def layers(patient: Patient, coils: CoilArray) -> Layers:
    return Layers.of(patient, coils, CONFIG, Detail(), (0.0, 15.0))


def dense(layer: Layer, image: np.ndarray, coord: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return the first coil's sum over a layer's voxels, moved by so many mm, their average undone."""
    grid = layer.grid
    seen = layer.maps.times(0, image).astype(np.complex128)
    k = coord.reshape(-1, 3).astype(np.float64) / CONFIG.fov
    z, y, x = (np.exp(-2j * np.pi * np.outer(k[:, a], grid.axis(a) + moved[a])) for a in range(3))
    total = np.einsum("zys,sz,sy->s", seen @ x.T, z, y, optimize=True)
    cell = np.prod(grid.voxel_size) / (CONFIG.fov / 32) ** 3 / 32**1.5
    size = np.array(grid.voxel_size)
    radius = np.linalg.norm(k * size, axis=1)
    fade = np.where(radius < 0.41, 1.0, 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - 0.41) / 0.08, 0, 1)))
    return (total * cell * fade / np.sinc(k * size).prod(axis=1)).reshape(coord.shape[:2])


def test_layers_add_up_to_the_patient(patient: Patient, layers: Layers) -> None:
    """At the lowest frequencies, which every layer reaches, and a coarse voxel as well as a fine one."""
    grid = Grid((128, 84, 160), (3.3, 3.3, 3.3), (0.0, *patient.body.middle))
    low = (COORD[:, 6:11] * np.float32(0.5)).reshape(-1, 1, 3)  # up to 1 / 104 mm
    whole = rasterise(patient, grid, MotionState(9.0)) * excitation(grid, CONFIG)
    one = Layer("nothing", grid, np.ones((1, 1, 1)), Maps.of(_Even(), grid), np.zeros(1))
    expected = dense(one, whole.astype(np.float32), low, np.zeros(3))
    parts = [*layers.still, *layers.moving(9.0)]
    assert len(parts) == 4
    even = [(replace(layer, maps=Maps.of(_Even(), layer.grid)), image) for layer, image in parts]
    total = sum(dense(layer, image, low, np.zeros(3)) for layer, image in even)
    # painted on 3 mm and on 3.3 mm
    assert np.abs(total - expected).max() < 0.004 * np.abs(expected).max()
    without = sum(dense(layer, image, low, np.zeros(3)) for layer, image in even if layer.follows != "heart")
    assert np.abs(without - expected).max() > 0.03 * np.abs(expected).max()


def test_kspace_is_the_dense_sum_of_moved_layers(patient: Patient, coils: CoilArray, layers: Layers) -> None:
    """One readout at a painted state, one between two, with the heart elsewhere: sums written out.

    And the same to the bit on any number of threads.
    """
    moved = np.array([0.0, 4.3, 15.0, 6.0])
    offset = np.array([[0.0, 0, 0], [1.5, -0.5, 0.7], [0, 0, 0], [-3.0, 2.0, 0.0]])
    scene = Scene.build(patient, coils, CONFIG)
    ours = moving_kspace(scene, COORD, moved, heart_offset=offset, threads=1)
    assert np.array_equal(ours, moving_kspace(scene, COORD, moved, heart_offset=offset, threads=3))
    assert scene.states == (pytest.approx(2.5 * 6.5 / 2.2), 6)  # voxels of 6.5 mm, beyond 2.2 mm
    levels = np.linspace(0, 15, 6)
    assert np.array_equal(state_levels(moved, *scene.states), levels)
    expected = np.zeros(COORD.shape[:2], np.complex128)
    for layer, image in layers.still:
        expected += dense(layer, image, COORD, np.zeros(3))
    for readout, displacement in enumerate(moved):
        low = min(int(displacement / levels[1]), 4)
        part = displacement / levels[1] - low
        for level, share in ((levels[low], 1 - part), (levels[low + 1], part)):
            for layer, image in layers.moving(level):
                heart = layer.follows == "heart"
                goal, here = (_place(patient, heart, d) for d in (displacement, level))
                apart = goal - here + (offset[readout] if heart else 0)
                spoke = dense(layer, image, COORD[readout : readout + 1], apart)
                expected[readout] += share * spoke[0]
    # the transform's own 1e-4
    assert np.linalg.norm(ours[0] - expected) < 2e-4 * np.linalg.norm(expected)


def _place(patient: Patient, heart: bool, displacement: float) -> np.ndarray:
    """Return where the middle of the heart or the dome is."""
    coupling, state = patient.coupling, MotionState(displacement)
    dome = np.array([patient.body.dome, 0.0, 0.0])
    return coupling.heart_map(state)(np.zeros(3)) if heart else coupling.liver_map(state)(dome)


def test_a_rigid_heart_is_translated_exactly_between_states(patient: Patient, coils: CoilArray) -> None:
    """An offset of the heart alone is a phase ramp on what the heart adds, however far it is."""
    scene = Scene.build(patient, coils, CONFIG)
    level, offset = np.zeros(4), np.array([3.0, -2.0, 1.0])
    resting, moved = (
        moving_kspace(scene, COORD, level, heart_offset=np.tile(o, (4, 1))) for o in (0 * offset, offset)
    )
    layers = Layers.of(patient, coils, CONFIG, scene.detail, (0.0, 0.0))
    layer, image = layers.moving(0.0)[0]
    assert layer.follows == "heart"
    added = dense(layer, image, COORD, np.zeros(3))
    ramp = np.exp(-2j * np.pi * (COORD / CONFIG.fov) @ offset)
    error = np.linalg.norm((moved - resting)[0] - added * (ramp - 1))
    assert error < 2e-3 * np.linalg.norm(added * (ramp - 1))


def test_translation_does_not_blur_between_states(patient: Patient, layers: Layers) -> None:
    """Half-way between two states the heart is as sharp as in one; a mixture of both places would not be."""
    apart = 5.0  # mm of the diaphragm, twice as far as in any scan

    def heart(level: float, moved: np.ndarray) -> np.ndarray:
        layer, image = layers.moving(level)[0]
        assert layer.follows == "heart"
        return dense(layer, image, COORD[:3], moved)

    def shift(to: float, since: float) -> np.ndarray:
        return _place(patient, True, to) - _place(patient, True, since)

    high = np.linalg.norm(COORD[:3], axis=-1) > 6
    there = heart(7.5, np.zeros(3))[high]
    ends = (5.0, 5.0 + apart)
    moved = 0.5 * sum(heart(end, shift(7.5, end)) for end in ends)[high]
    mixed = 0.5 * sum(heart(end, np.zeros(3)) for end in ends)[high]
    assert np.linalg.norm(moved - there) < 0.06 * np.linalg.norm(there)
    assert np.linalg.norm(moved - there) < 0.6 * np.linalg.norm(mixed - there)


def test_states_are_many_and_shares_linear() -> None:
    moved = np.random.default_rng(0).uniform(0, 14, 200)
    total, mean = np.zeros(200), np.zeros(200)
    for level, rows, share in state_shares(moved):
        total[rows] += share
        mean[rows] += share * level
    assert np.allclose(total, 1, atol=1e-5)
    assert np.allclose(mean, moved, atol=1e-4)
    assert state_levels(moved).size == 12
    assert state_levels(np.array([0.0, 40.0])).size == 17
    assert state_levels(np.full(5, 3.0)).tolist() == [3.0]


def test_what_moves_as_a_whole_is_the_law(patient: Patient) -> None:
    at = np.array([0.0, 3.3, 17.9])
    for follows, heart in (("heart", True), ("diaphragm", False)):
        rest = _place(patient, heart, 0.0)
        expected = [_place(patient, heart, float(d)) - rest for d in at]
        assert np.allclose(shift_of(patient, follows, at), expected, atol=1e-3)
    assert not shift_of(patient, "nothing", at).any()


def test_si_spokes_alone_are_those_of_a_scan(patient: Patient, coils: CoilArray) -> None:
    """With the heart elsewhere: painted coarsely across, the profile along the spoke is nearly the same."""
    moved = np.array([0.0, 5.0, 12.0])
    offset = np.array([[0.0, 0, 0], [4.0, 0, 0], [-2.0, 1.0, 0]])
    coord = np.repeat(si_coord(CONFIG)[None], 3, axis=0)
    whole = moving_kspace(Scene.build(patient, coils, CONFIG), coord, moved, heart_offset=offset)
    alone = projection_kspace(patient, coils, CONFIG, moved, heart_offset=offset)
    assert np.linalg.norm(whole - alone) < 0.03 * np.linalg.norm(whole)
    unmoved = projection_kspace(patient, coils, CONFIG, moved)
    change, expected = (
        alone - unmoved,
        whole - moving_kspace(Scene.build(patient, coils, CONFIG), coord, moved),
    )
    assert np.linalg.norm(change - expected) < 0.15 * np.linalg.norm(expected)


def test_maps_are_interpolated_to_a_thousandth(coils: CoilArray) -> None:
    grid = Grid((40, 30, 50), (1.1, 1.1, 1.1), (3.0, -7.0, 11.0))
    exact = coils.sensitivities(grid)
    maps = Maps.of(coils, grid)
    assert maps.coarse.size < exact.size / 15
    for coil in range(2):
        found = maps.times(coil, np.ones(grid.shape, np.float32))
        assert np.abs(found - exact[coil]).max() < 1e-3 * np.abs(exact[coil]).max()


def test_what_does_not_fit_is_refused(patient: Patient, coils: CoilArray) -> None:
    scene = Scene.build(patient, coils, CONFIG)
    with pytest.raises(ShapeError, match="4 readouts"):
        moving_kspace(scene, COORD, np.zeros(3))
    with pytest.raises(ShapeError, match="offsets"):
        moving_kspace(scene, COORD, np.zeros(4), heart_offset=np.zeros(4))


class _Even:
    """A coil that hears everything alike."""

    n_coils = 1

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        return np.ones((1, *grid.shape), np.complex64)
