"""The cases: a simulated patient scanned again and again, and a heart that the simulator did not make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csiq.cohort.images import gridded, scan_of
from csiq.quality import reference
from csiq.quality.features import HeartTruth, measure
from csiq.simulate.imperfections import Imperfections
from csiq.trust.mechanisms import MECHANISMS
from csiq.trust.second_anatomy import CHESTS, FAT, centred, in_chest, render, scaled
from csiq.trust.simulated_case import EASY, SimulatedPatient, of_test_part
from tests.trust.scanned_tubes import truth, tubes

ROW = {"patient": "p002", "seed": 2103381653, "amplitude_mm": 11.95, "drift_mm": 4.43, "split": "test"}
MATRIX = 48


@pytest.fixture(scope="module")
def patient() -> SimulatedPatient:
    return SimulatedPatient.of(ROW, MATRIX)


def test_recipe_is_the_patient_under_an_easy_scan(patient: SimulatedPatient) -> None:
    recipe = patient.recipe
    assert (recipe.seed, recipe.amplitude, recipe.drift) == (2103381653, 11.95, 4.43)
    assert {name: getattr(recipe, name) for name in EASY} == EASY
    assert recipe.imperfections == ()
    assert SimulatedPatient.of(ROW, MATRIX, snr=12.0).recipe.snr == 12.0
    rows = [ROW, ROW | {"split": "train1"}, ROW | {"patient": "p003"}]
    assert [row["patient"] for row in of_test_part(rows, 5)] == ["p002", "p003"]
    assert len(of_test_part(rows, 1)) == 1


@pytest.mark.slow
def test_signal_and_noise_make_the_image_of_the_cohort(patient: SimulatedPatient) -> None:
    """As good as an image of the same recipe that the cohort's own code makes, with other noise."""
    scan = patient.base
    image = np.abs(scan.grid(scan.received()))
    made = gridded(scan_of(patient.recipe), corrected=True)
    assert np.corrcoef(image.ravel(), made.volume.ravel())[0, 1] > 0.995
    expected, found = measure(made.volume, made.truth), measure(image, scan.truth)
    assert reference.latent(found) == pytest.approx(reference.latent(expected), abs=0.03)
    assert found.noise == pytest.approx(expected.noise, rel=0.15)


@pytest.mark.slow
def test_more_motion_changes_nothing_else(patient: SimulatedPatient) -> None:
    base, moved = patient.base, patient.scan(residual=2.5)
    np.testing.assert_array_equal(moved.coord, base.coord)
    # motion correction turns noise, and changes no more
    np.testing.assert_allclose(np.abs(moved.noise), np.abs(base.noise), rtol=1e-4, atol=1e-6)
    images = [(np.abs(scan.grid(scan.received())), scan.truth) for scan in (base, moved)]
    best, worse = (reference.latent(measure(*image)) for image in images)
    assert worse < best - 0.02


def test_levels_of_the_same_case_are_equal_to_the_bit() -> None:
    first, second = (tubes().scan(residual=1.0) for _ in range(2))
    np.testing.assert_array_equal(first.signal, second.signal)
    np.testing.assert_array_equal(first.noise, second.noise)


def test_early_beats_find_the_heart_elsewhere() -> None:
    """As many as asked for; the others stay where they were relative to each other."""
    case = tubes(sampling=0.3)
    base, early = case.base, case.scan(imperfections=Imperfections(arrhythmia=0.25))
    turned = np.angle(early.signal * base.signal.conj())
    bright = np.abs(base.signal) > 0.3 * np.abs(base.signal).max()
    beats = [np.abs(turned[base.heartbeat == b][bright[base.heartbeat == b]]).mean() for b in range(40)]
    common = np.median(beats)
    assert 3 <= sum(b > 2 * common for b in beats) <= 18


def test_centred_and_scaled_keep_vessels_where_the_image_has_them() -> None:
    found = centred(scaled(truth(), 1.1), 80)
    assert found.volume.shape == (80, 80, 80)
    np.testing.assert_allclose(found.voxel_size, 1.1)
    points = found.vessels["LAD"].points / found.voxel_size
    inside = found.volume[tuple(np.rint(points[3:-3]).astype(int).T)]
    assert inside.min() > 0.7
    there = np.argwhere(found.heart)
    np.testing.assert_allclose((there.min(axis=0) + there.max(axis=0)) / 2, 40, atol=1)
    assert found.volume[0, 0, 0] == np.float32(FAT)
    smaller = centred(truth(), 48)
    assert smaller.volume.shape == smaller.heart.shape == (48, 48, 48)


@pytest.fixture(scope="module")
def painted(shared_data: Path) -> HeartTruth:
    folder = shared_data / "anatomy"
    if not (folder / "bp3d_heart_labels.nii.gz").is_file():
        pytest.skip("the second anatomy is not on this machine")
    return centred(render(folder, 2.0), 104)


def test_a_chest_changes_nothing_near_the_heart(shared_data: Path, painted: HeartTruth) -> None:
    file = shared_data / "anatomy" / f"{CHESTS[0]}.nii.gz"
    if not file.is_file():
        pytest.skip("the chest is not on this machine")
    found = in_chest(painted, file)
    changed = np.abs(found.volume - painted.volume) > 1e-6
    vessels = np.concatenate([v.points for v in painted.vessels.values()]) / painted.voxel_size
    assert not changed[tuple(np.rint(vessels).astype(int).T)].any()
    assert changed.mean() > 0.5
    assert found.volume.max() == painted.volume.max()


def test_painted_trunks_are_bright_in_fat(painted: HeartTruth) -> None:
    assert painted.volume[painted.blood].mean() == pytest.approx(1.0, abs=0.01)
    assert painted.volume[painted.myocardium].mean() == pytest.approx(0.30, abs=0.02)
    assert set(painted.vessels) == {"RCA", "LAD", "LCX"}
    assert set(MECHANISMS) >= {"blur", "motion", "undersampling", "noise"}
