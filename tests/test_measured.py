"""Measured scans, where they are on the machine: both lungs, and a phantom, against independent gridding."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.ndimage
import sigpy

from csiq.acquisition import Acquisition, Geometry
from csiq.coils import compress, estimate_smaps
from csiq.config import load_config
from csiq.pipeline import Result, reconstruct
from csiq.scan_file import read_scan


@pytest.fixture
def xenon(shared_data):
    """Return the folder of the measured 129Xe scan."""
    return shared_data / "raw" / "xe-lung-3d-radial"


def config_of(**options):
    return load_config(overrides={"device": "cpu", "model": "default", **options})


def smooth(volume):
    return scipy.ndimage.gaussian_filter(np.abs(volume), 1.5)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def independent_gridding(kspace, coord, directions_shells):
    """Return SigPy's adjoint NUFFT of one coil with weights |k|^2: no code of ours."""
    return sigpy.nufft_adjoint(kspace * directions_shells, coord, oshape=(64, 64, 64), oversamp=2, width=6)


def lungs(volume):
    """Return the sizes of the two largest bright bodies in a smoothed image, in voxels.

    At 0.35 of the brightest voxels the trachea and main bronchi no longer join them.
    """
    image = smooth(volume)
    labels, _ = scipy.ndimage.label(image > 0.35 * np.quantile(image, 0.999))
    return sorted(np.bincount(labels.ravel())[1:])[-2:]


@pytest.mark.slow
def test_gas_from_the_twix_file_itself(xenon):
    """129Xe gas, one phase, surplus readouts left out and said."""
    config = config_of(trajectory=f"{xenon / 'xe_lung_3d_radial.h5'}:/coord", echo=0, phases=1, max_iter=6)
    scan = read_scan(config, xenon / "xe_dixon_twix.dat")
    assert scan.n_spokes == 1000
    assert any("30" in warning for warning in scan.warnings)
    result: Result = reconstruct(scan, config)
    with h5py.File(xenon / "xe_lung_3d_radial.h5") as file:
        kspace, coord = file["ksp_gas"][0], file["coord"][()]
    theirs = independent_gridding(kspace, coord, np.linalg.norm(coord, axis=-1) ** 2)
    assert correlation(smooth(result.volumes[0]), smooth(theirs)) >= 0.85
    smaller, larger = lungs(result.volumes[0])
    # the bright part of a lung holds half a litre at least: 2000 voxels of 6.25 mm
    assert 2000 < smaller <= larger < 2.5 * smaller
    # grades of lungs mean nothing, and the run says so
    assert result.grades[0] is not None
    assert not result.grades[0].in_domain
    assert any("outside" in warning for warning in result.warnings)


@pytest.mark.slow
def test_dissolved_phases_follow_the_heartbeat(xenon):
    """The 1.18 Hz line of the k-space centre, binned by the same code as breathing."""
    config = load_config(
        preset="xenon-lung",
        overrides={"trajectory": f"{xenon / 'xe_lung_3d_radial.h5'}:/coord", "echo": 1, "max_iter": 6},
    )
    scan = read_scan(config, xenon / "xe_dixon_twix.dat")
    result = reconstruct(scan, config)
    assert result.signal is not None
    assert result.signal.frequency == pytest.approx(1.18, abs=0.05)
    assert result.signal.orientation == "not applicable"
    assert result.bins.counts == (250, 250, 250, 250)
    with h5py.File(xenon / "xe_lung_3d_radial.h5") as file:
        kspace, coord = file["ksp_dissolved"][0], file["coord"][()]
    theirs = smooth(independent_gridding(kspace, coord, np.linalg.norm(coord, axis=-1) ** 2))
    for volume in result.volumes:
        assert correlation(smooth(volume), theirs) >= 0.85


def test_shuffled_directions_destroy_the_image(xenon, rng):
    """The check above can fail: with the wrong trajectory it does."""
    with h5py.File(xenon / "xe_lung_3d_radial.h5") as file:
        kspace, coord = file["ksp_gas"][()], file["coord"][()].astype(np.float32)
    weights = np.linalg.norm(coord, axis=-1) ** 2
    right = independent_gridding(kspace[0], coord, weights)
    wrong = independent_gridding(kspace[0], coord[rng.permutation(len(coord))], weights)
    assert correlation(smooth(right), smooth(wrong)) < 0.5


@pytest.fixture
def phantom(shared_data):
    """Return the measured 2D radial phantom with its nominal and its corrected trajectory."""
    path = shared_data / "raw" / "radial-phantom-16ch-NO-LICENCE" / "radial_phantom_16ch.h5"

    def scan(which):
        with h5py.File(path) as file:
            kspace, plane = file["ksp"][()], file[which][()].astype(np.float32)
        # the dataset's axes are in the order of the array's: y x
        coord = np.concatenate([np.zeros((*plane.shape[:2], 1), np.float32), plane], axis=-1)
        n_spokes = kspace.shape[1]
        geometry = Geometry((1, 192, 192), (5.0, 250.0, 250.0), known=False)
        return Acquisition(kspace, coord, np.arange(n_spokes) * 0.003, np.zeros(n_spokes, int), geometry)

    return scan


def entropy(image):
    """Return the entropy of the energy of an image: lower is sharper."""
    share = np.abs(image).astype(np.float64) ** 2
    share /= share.sum()
    return float(-np.sum(share[share > 0] * np.log(share[share > 0])))


def test_the_given_gradient_delay_sharpens_the_phantom(phantom):
    """16 coils, maps, one phase, with and without the measured delay."""
    config = config_of(phases=1, max_iter=4, coils=8)
    images = {which: reconstruct(phantom(which), config).volumes[0, 0] for which in
              ("coord_nominal", "coord_delay_corrected")}  # fmt: skip
    assert entropy(images["coord_delay_corrected"]) < entropy(images["coord_nominal"])
    # a solid object against the empty rim of the field of view
    corrected = np.abs(images["coord_delay_corrected"])
    rim = np.concatenate([corrected[:8].ravel(), corrected[-8:].ravel()])
    assert np.quantile(corrected[60:132, 60:132], 0.75) > 8 * np.median(rim)


def test_maps_of_the_phantom_combine_its_coils(phantom):
    """With the maps, the combined image holds nearly all the energy of the 16 coil images."""
    from csiq.density import density_compensation
    from csiq.nufft import Nufft

    scan = compress(phantom("coord_delay_corrected"), None)
    maps = estimate_smaps(scan)
    weights = density_compensation(scan.coord)
    nufft = Nufft(scan.coord, scan.geometry.shape)
    images = np.stack([nufft.adjoint(weights * coil) for coil in scan.kspace])
    combined = np.abs(np.sum(maps.conj() * images, axis=0))
    rss = np.sqrt(np.sum(np.abs(images) ** 2, axis=0))
    body = rss > 0.3 * rss.max()
    assert np.median(combined[body] / rss[body]) > 0.95
