"""Iterates held against a simulated truth: the same numbers as from the patient itself."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.quality import reference
from csiq.quality.features import measure
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.setting import Setting
from csiq.simulate.truth import recon_grid, truth_of, write_truth
from csiq.truth import RIM, KnownTruth, nrmse

CONFIG = ScanConfig(matrix=40, seed=3, n_coils=3, n_spokes=200)


@pytest.fixture(scope="module")
def setting():
    return Setting.of(CONFIG)


@pytest.fixture(scope="module")
def truth(setting):
    return truth_of(setting)


@pytest.fixture
def path(tmp_path, truth):
    class Scan:
        geometry = CONFIG.geometry

    write_truth(tmp_path / "scan.truth.h5", Scan(), truth)
    return tmp_path / "scan.truth.h5"


def test_the_reference_is_that_of_the_patient_itself(setting, truth, path, rng):
    """The file's masks and centrelines against the truth painted anew: other code, the same grade."""
    known = KnownTruth.open(path, CONFIG.geometry, 4)
    assert known.has_reference
    noisy = truth.volumes * np.exp(0.3j) + rng.normal(0, 0.05 * truth.volumes.max(), truth.volumes.shape)
    grid = recon_grid(CONFIG)
    shading = np.linalg.norm(setting.coils.sensitivities(grid), axis=0)
    for phase, (graded, error) in enumerate(known.measure(noisy[:2].astype(np.complex64))):
        painted = heart_truth(setting.patient, grid, truth.states[phase], shading)
        assert graded == pytest.approx(reference.grade(measure(noisy[phase].astype(np.complex64), painted)))
        assert 0.1 < error < 0.6
    perfect = known.measure(truth.volumes[:1])
    assert all(graded > 1 and error < 1e-6 for graded, error in perfect)


def test_masks_lie_in_the_heart_and_apart(truth):
    assert truth.blood_masks.any(axis=(1, 2, 3)).all()
    assert truth.myocardium_masks.any(axis=(1, 2, 3)).all()
    assert not (truth.blood_masks & truth.myocardium_masks).any()
    assert not (truth.myocardium_masks & ~truth.heart_masks).any()
    mean = [float(truth.volumes[m].mean()) for m in (truth.blood_masks, truth.myocardium_masks)]
    assert mean[0] > 1.5 * mean[1]


def test_an_image_that_shows_nothing_has_an_error_and_no_reference(path, truth):
    known = KnownTruth.open(path, CONFIG.geometry, 4)
    volumes = truth.volumes[:2].copy()
    volumes[1] = 0
    measured = known.measure(volumes)
    assert all(math.isnan(v) for v in measured[1])
    assert measured[0][0] > 1
    volumes[1] = 1.0
    graded, error = known.measure(volumes)[1]
    assert math.isnan(graded)
    assert 0 < error < 1


def test_nrmse_by_its_definition(rng):
    true = rng.uniform(1, 2, (6, 7, 8))
    image = 3.0 * (true + 0.1 * rng.standard_normal(true.shape)) * np.exp(1j * rng.uniform(0, 6, true.shape))
    scales = np.linspace(0.2, 0.5, 3001)
    brute = min(np.linalg.norm(s * np.abs(image) - true) / np.linalg.norm(true) for s in scales)
    assert nrmse(image, true) == pytest.approx(brute, rel=1e-4)
    assert nrmse(-5j * image, true) == pytest.approx(nrmse(image, true))
    assert math.isnan(nrmse(np.zeros_like(true), true))
    assert math.isnan(nrmse(true, np.zeros_like(true)))


def test_nrmse_leaves_the_rim_out_where_there_is_one(rng):
    true = rng.uniform(1, 2, (1, 30, 30))
    image = true.copy()
    image[:, :5], image[:, :, -5:] = 9.0, 9.0
    assert RIM == 10.0
    assert nrmse(image, true, (8.0, 2.0, 2.0)) == 0.0
    assert nrmse(image, true, (8.0, 2.5, 2.0)) > 0.01  # 4 of the 5 spoilt rows are left out
    assert nrmse(image, true) > 0.5


def test_a_truth_of_another_scan_is_refused(path):
    with pytest.raises(RawDataError, match=r"is 4 x 40 x 40 x 40, the reconstruction 3 x 40"):
        KnownTruth.open(path, CONFIG.geometry, 3)
    with pytest.raises(RawDataError, match="the reconstruction 4 x 32 x 32 x 32"):
        KnownTruth.open(path, Geometry((32, 32, 32), (208.0,) * 3), 4)


@pytest.mark.parametrize(
    "lost", ["heart_masks", "blood_masks", "myocardium_masks", "centrelines/phase-3/LCX"]
)
def test_an_older_truth_has_an_error_only(path, truth, lost):
    with h5py.File(path, "r+") as file:
        del file[lost]
    known = KnownTruth.open(path, CONFIG.geometry, 4)
    assert not known.has_reference
    graded, error = known.measure(truth.volumes[:1])[0]
    assert math.isnan(graded)
    assert error < 1e-6


def test_what_is_no_truth_is_refused(path, tmp_path):
    with h5py.File(path, "r+") as file:
        del file["volumes"]
    with pytest.raises(RawDataError, match="holds no true volumes"):
        KnownTruth.open(path, CONFIG.geometry, 4)
    with h5py.File(path, "r+") as file:
        file["volumes"] = h5py.ExternalLink("elsewhere.h5", "/volumes")
    with pytest.raises(RawDataError, match="links are not followed"):
        KnownTruth.open(path, CONFIG.geometry, 4)
    (tmp_path / "no.h5").write_text("nothing")
    with pytest.raises(RawDataError, match="is a text file; expected HDF5"):
        KnownTruth.open(tmp_path / "no.h5", CONFIG.geometry, 4)
