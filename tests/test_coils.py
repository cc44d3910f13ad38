"""Whitening, compression and maps against what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.coils import compress, drop_dead_coils, estimate_smaps, take_coils, whiten
from csiq.errors import RawDataError
from csiq.nufft import Nufft
from csiq.trajectory import golden_means_3d, radial_coord
from tests.helpers import complex_normal


def covariance(noise):
    noise = noise.astype(np.complex128)
    return noise @ noise.conj().T / noise.shape[1]


@pytest.fixture(scope="module")
def known():
    """Return a scan of a ball under smooth coils of known maps, the ball partly outside the field of view."""
    rng = np.random.default_rng(5)
    n = 24
    shape = (n, n, n)
    grids = np.meshgrid(*[(np.arange(2 * n) - n) / n for _ in range(3)], indexing="ij")  # fields of view
    z, y, x = grids
    ball = ((z / 0.35) ** 2 + (y / 0.55) ** 2 + (x / 0.8) ** 2 < 1).astype(float)
    centres = rng.uniform(-1, 1, (5, 3))
    maps = np.stack(
        [
            np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 1.5 + 1j * (a * x + b * z))
            for a, b, c in centres
        ]
    )
    coord = radial_coord(golden_means_3d(700), n, 2 * n)
    # the body reaches beyond the field of view: sample it on a grid of twice the field of view
    wide = Nufft(2 * coord, (2 * n, 2 * n, 2 * n))
    kspace = np.stack([wide.forward((m * ball).astype(np.complex64)) for m in maps])
    noise = 1e-3 * complex_normal(rng, (5, 4000))
    scan = Acquisition(
        kspace + 1e-3 * complex_normal(rng, kspace.shape),
        coord,
        np.arange(700) * 0.003,
        np.zeros(700, int),
        Geometry(shape, (208.0, 208.0, 208.0)),
        noise=noise,
    )
    inside = slice(n // 2, n // 2 + n)
    box = (inside, inside, inside)
    return scan, maps[(slice(None), *box)], ball[box] > 0.5


def test_maps_point_where_the_truth_does(known):
    """The local coil vector, up to its angle, within the object; the body outside does not fold in."""
    scan, truth, body = known
    maps = estimate_smaps(scan)
    assert maps.shape == truth.shape
    assert maps.dtype == np.complex64
    assert np.allclose(np.sum(np.abs(maps) ** 2, axis=0), 1, atol=1e-5)
    unit = truth / np.sqrt(np.sum(np.abs(truth) ** 2, axis=0))
    alignment = np.abs(np.sum(unit.conj() * maps, axis=0))[body]
    assert np.median(alignment) > 0.998
    assert np.quantile(alignment, 0.02) > 0.98


def test_maps_do_not_depend_on_the_threads(known):
    scan = known[0]
    assert np.array_equal(estimate_smaps(scan, threads=1), estimate_smaps(scan, threads=3))


def test_one_coil_has_a_map_of_ones(known):
    assert np.array_equal(estimate_smaps(take_coils(known[0], np.array([2]))), np.ones((1, 24, 24, 24)))


def test_whitened_noise_is_white(simulated):
    scan = simulated[0]
    before = covariance(scan.noise)
    assert np.abs(before - np.diag(np.diag(before))).max() > 0.01 * np.abs(before).max()  # it was not
    after = covariance(whiten(scan).noise)
    # an estimate from 64 readouts' samples of itself: exact but for the mean that was taken out
    assert np.allclose(after, np.eye(scan.n_coils), atol=0.01)


def test_without_noise_a_warning_says_so(known):
    scan = whiten(replace(known[0], noise=None))
    assert "not whitened" in scan.warnings[-1]
    assert np.array_equal(scan.kspace, known[0].kspace)


def test_singular_noise_is_an_error(known):
    scan = known[0]
    with pytest.raises(RawDataError, match="singular"):
        whiten(replace(scan, noise=np.zeros_like(scan.noise)))


def test_compression_keeps_the_strongest_part(known):
    scan = known[0]
    energies = [np.sum(np.abs(compress(scan, n).kspace.astype(np.complex128)) ** 2) for n in (1, 3, 5)]
    whole = np.sum(np.abs(scan.kspace.astype(np.complex128)) ** 2)
    assert energies[0] < energies[1] < energies[2]
    assert energies[2] == pytest.approx(whole, rel=1e-5)
    flat = scan.kspace.reshape(5, -1).astype(np.complex128)
    singular = np.linalg.svd(flat @ flat.conj().T, compute_uv=False)
    assert energies[1] == pytest.approx(singular[:3].sum(), rel=1e-5)


def test_compression_repeats_to_the_bit(known):
    assert np.array_equal(compress(known[0], 3).kspace, compress(known[0], 3).kspace)


def test_a_dead_coil_is_left_out_with_a_warning(known):
    scan = known[0]
    kspace, noise = scan.kspace.copy(), scan.noise.copy()
    kspace[3], noise[3] = 0, 0
    left = drop_dead_coils(replace(scan, kspace=kspace, noise=noise))
    assert left.n_coils == 4
    assert left.noise.shape[0] == 4
    assert left.warnings == ("coil 3 carries no signal: left out",)


def test_a_coil_with_nothing_but_noise_is_dead(known, rng):
    scan = known[0]
    kspace = scan.kspace.copy()
    kspace[1] = 1e-3 * complex_normal(rng, kspace[1].shape)
    assert drop_dead_coils(replace(scan, kspace=kspace)).n_coils == 4


def test_a_healthy_scan_stays_as_it_is(known):
    assert drop_dead_coils(known[0]) is known[0]
