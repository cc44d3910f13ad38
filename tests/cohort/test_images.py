"""Images to grade: what their kinds differ in, where their truth lies, and that a recipe says all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.cohort import images
from csiq.cohort.images import (
    GradedImage,
    OneCoilScan,
    gridded,
    gridded_phase,
    iterates_of,
    make_image,
    scan_of,
)
from csiq.cohort.one_coil import OneCoil
from csiq.cohort.patients import draw_patients
from csiq.cohort.recipe import ImageRecipe
from csiq.errors import ConfigError, RawDataError
from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray

#: 2 mm voxels: enough for the walls of the heart, and a scan of a few seconds.
RECIPE = ImageRecipe(seed=3, matrix=104, sampling=0.2, heartbeats=89, snr=40.0, amplitude=16.0, residual=0.4)


@pytest.fixture(scope="module")
def scan() -> OneCoilScan:
    return scan_of(RECIPE)


@pytest.fixture(scope="module")
def corrected(scan: OneCoilScan) -> GradedImage:
    return gridded(scan, corrected=True)


@pytest.fixture(scope="module")
def uncorrected(scan: OneCoilScan) -> GradedImage:
    return gridded(scan, corrected=False)


def likeness(image: GradedImage, by: tuple[int, int, int] = (0, 0, 0)) -> float:
    """Return the correlation of image and truth in the heart, the truth moved by so many voxels."""
    moved = np.roll(image.truth.volume, by, (0, 1, 2))
    inside = np.roll(image.truth.heart, by, (0, 1, 2))
    return float(np.corrcoef(image.volume[inside], moved[inside])[0, 1])


@pytest.mark.slow
def test_navigation_leaves_less_motion_and_a_better_image(
    scan: OneCoilScan, corrected: GradedImage, uncorrected: GradedImage
) -> None:
    assert corrected.volume.dtype == np.float32
    assert corrected.volume.shape == (104, 104, 104) == corrected.truth.volume.shape
    assert corrected.details["kind"] == "selfnav"
    left = uncorrected
    assert left.details["heart_spread_mm"] > 2 * corrected.details["heart_spread_mm"]
    assert left.details["spokes"] == scan.acquisition.n_spokes == RECIPE.n_spokes
    assert likeness(corrected) > 0.9
    assert likeness(corrected) > likeness(left) + 0.02


@pytest.mark.slow
def test_truth_lies_where_the_image_does(corrected: GradedImage) -> None:
    """Moved by a voxel of 2 mm along any axis it fits less; the formula may move it by 3 mm."""
    here = likeness(corrected)
    for axis in range(3):
        for step in (-1, 1):
            by = [0, 0, 0]
            by[axis] = step
            assert likeness(corrected, (by[0], by[1], by[2])) < here


@pytest.mark.slow
def test_phases_lie_apart_as_breathing_moves_the_heart(scan: OneCoilScan) -> None:
    first, last = (gridded_phase(scan, phase) for phase in (1, 4))
    assert first.details["displacement_mm"] < last.details["displacement_mm"] - 5
    assert first.details["spokes"] + last.details["spokes"] == pytest.approx(RECIPE.n_spokes / 2, rel=0.05)
    heart_z = [np.argwhere(image.truth.heart).mean(axis=0)[0] for image in (first, last)]
    moved = last.details["displacement_mm"] - first.details["displacement_mm"]
    expected = moved * scan.setting.patient.coupling.heart_si / 2.0
    assert heart_z[0] - heart_z[1] == pytest.approx(expected, abs=0.5)
    # a quarter of the spokes: streaks; but where it should be
    assert likeness(first) > 0.6


@pytest.mark.slow
def test_iterates_clear_up(scan: OneCoilScan) -> None:
    first, last = iterates_of(scan, 3, phases=(1,), keep=(0, 3))
    assert (first.details["iteration"], last.details["iteration"]) == (0, 3)
    assert likeness(last) > likeness(first) + 0.02
    assert np.array_equal(first.truth.volume, last.truth.volume)


@pytest.mark.slow
def test_equal_recipes_give_equal_images() -> None:
    """Two scans of a recipe give one image, of a reconstruction and of what is gridded alone."""
    recipe = replace(RECIPE, matrix=32, kind="cs", iteration=2, phase=1)
    scan = scan_of(recipe)
    *_, iterate = iterates_of(scan, 2, phases=(1,), keep=(2,))
    image = gridded(scan, corrected=True)
    for first, again in (
        (iterate, make_image(recipe)),
        (image, make_image(replace(recipe, kind="selfnav"))),
    ):
        assert np.array_equal(again.volume, first.volume)
        assert np.array_equal(again.truth.volume, first.truth.volume)
        assert again.details == first.details
    assert not np.array_equal(image.volume, iterate.volume)


@pytest.mark.slow
def test_navigation_that_fails_leaves_the_image_uncorrected(
    scan: OneCoilScan, uncorrected: GradedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drowned(acquisition: object) -> np.ndarray:
        raise RawDataError("the heart's motion drowns in noise")

    monkeypatch.setattr(images, "spoke_shift", drowned)
    image = gridded(scan, corrected=True)
    assert image.details["kind"] == "selfnav failed"
    assert np.array_equal(image.volume, uncorrected.volume)


def test_one_coil_hears_the_heart_and_little_else() -> None:
    loops = CoilArray.around(Patient.from_seed(3).body, 8, np.random.default_rng(0))
    coil = OneCoil.over_heart(loops)
    assert coil.noise_covariance()[0, 0] == pytest.approx(1.0)
    there = coil.sensitivities(Grid((1, 1, 1), (1.0, 1.0, 1.0)))[0, 0, 0, 0]
    assert abs(np.angle(there)) < 1e-4
    assert 0.8 < there.real < 1.3  # the loops' root sum of squares is 1 there
    heart = np.abs(coil.sensitivities(Grid.cube(9, 90.0)))
    assert heart.min() > 0.35 * heart.max()
    far = np.abs(coil.sensitivities(Grid((1, 1, 2), (1.0, 1.0, 360.0))))[0, 0, 0, 0]
    assert far < 0.5 * abs(there)


def test_recipes_of_patients_and_faults() -> None:
    patient = draw_patients(1, matrix=64)[0]
    recipe = ImageRecipe.of(patient)
    assert (recipe.seed, recipe.matrix, recipe.kind) == (patient.seed, 64, patient.difficulty.kind)
    assert recipe.n_spokes >= recipe.heartbeats
    for wrong in ({"kind": "selfnaw"}, {"phase": 5}, {"sampling": 0.0}, {"snr": -1.0}, {"matrix": 4}):
        with pytest.raises(ConfigError):
            ImageRecipe(seed=1, **wrong)  # type: ignore[arg-type]
