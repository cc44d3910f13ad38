"""What a scan and its truth must hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.density import density_compensation
from csiq.errors import ConfigError
from csiq.nufft import Nufft
from csiq.simulate.anatomy import rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import (
    Setting,
    Truth,
    equal_bins,
    simulate_navigators,
    simulate_scan,
    true_smaps,
    write_simulated,
)
from csiq.simulate.signal import Scene, excitation, moving_kspace, state_levels, state_shares
from csiq.simulate.truth import true_volume, truth_of
from csiq.trajectory import radial_coord

SMALL = ScanConfig(seed=1, matrix=24, n_coils=4)
#: A patient who holds the breath is painted once: for what no breathing changes.
STILL = ScanConfig(seed=1, matrix=16, n_coils=3, n_spokes=96, amplitude=0.0, drift=0.0)


@pytest.fixture(scope="module")
def small() -> tuple[Acquisition, Truth]:
    return simulate_scan(SMALL)


def test_states_are_many_and_share_linearly() -> None:
    moved = np.random.default_rng(0).uniform(0, 14, 200)
    levels = state_levels(moved)
    assert levels.size >= 12
    total, mean = np.zeros(200), np.zeros(200)
    for level, rows, share in state_shares(moved):
        total[rows] += share
        mean[rows] += share * level
    assert np.allclose(total, 1, atol=1e-5)
    assert np.allclose(mean, moved, atol=1e-4)
    assert state_levels(np.full(5, 3.0)).tolist() == [3.0]


def test_equal_seeds_give_equal_bytes_on_any_number_of_threads() -> None:
    # several states of breathing on several threads: tests/simulate/test_signal.py
    config = replace(STILL, seed=5, matrix=12)
    (one, truth), (two, again) = simulate_scan(config, threads=1), simulate_scan(config, threads=3)
    assert np.array_equal(one.kspace, two.kspace)
    assert one.navigators is not None
    assert two.navigators is not None
    assert np.array_equal(one.navigators.kspace, two.navigators.kspace)
    assert truth.volumes is not None
    assert np.array_equal(truth.volumes, again.volumes)


def test_scan_is_a_triggered_phyllotaxis(small: tuple[Acquisition, Truth]) -> None:
    scan, truth = small
    assert scan.triggered
    assert scan.geometry.known
    assert scan.kspace.shape == (4, SMALL.spokes, 48)
    assert scan.nyquist_fraction == pytest.approx(0.2, abs=0.01)
    nav = scan.navigators
    assert nav is not None
    assert nav.coord is not None
    assert np.array_equal(nav.heartbeat, np.arange(34))  # a Fibonacci number, one SI spoke each
    assert np.all(nav.coord[..., 1:] == 0)
    for beat in (0, 7, 33):
        burst = scan.times[scan.heartbeat == beat]
        assert np.allclose(np.diff(np.append(nav.times[beat], burst)), 3.1e-3)
    assert nav.times[0] == 0
    assert 0.5 < np.diff(nav.times).min() < np.diff(nav.times).max() < 1.6
    assert np.allclose(truth.times, scan.times)
    assert truth.breathing.shape == scan.times.shape


def test_paper_ratio_of_the_contract() -> None:
    for matrix, spokes in ((64, 1290), (96, 2900), (128, 5150), (208, 13600)):
        assert ScanConfig(matrix=matrix).spokes == pytest.approx(spokes, rel=3e-3)


def test_truth_bins_are_equal_and_ordered(small: tuple[Acquisition, Truth]) -> None:
    _, truth = small
    counts = np.bincount(truth.bins)[1:]
    assert counts.sum() == SMALL.spokes
    assert np.ptp(counts) <= 1
    for phase in (1, 2, 3):
        assert truth.breathing[truth.bins == phase].max() <= truth.breathing[truth.bins == phase + 1].min()
    assert np.all(np.diff(truth.bin_displacement) > 0)
    assert equal_bins(np.array([3.0, 1.0, 2.0, 0.0]), 2).tolist() == [2, 1, 2, 1]


def test_true_volume_is_what_a_dense_scan_shows() -> None:
    """Many noiseless spokes of one displacement, gridded and combined with the true maps."""
    config = ScanConfig(seed=1, matrix=24, n_coils=4, n_spokes=1500, snr=np.inf)
    setting = Setting.of(config)
    scene = Scene.build(setting.patient, setting.coils, config)
    coord = setting.played.coord[~setting.played.is_navigator]
    level = truth_of(setting, painted=False).bin_displacement[1]
    kspace = moving_kspace(scene, coord, np.full(len(coord), level))
    dcf = density_compensation(coord)
    nufft = Nufft(coord, config.geometry.shape)
    smaps = true_smaps(config)
    assert np.allclose(np.linalg.norm(smaps, axis=0), 1, atol=1e-5)
    image = sum(smaps[c].conj() * nufft.adjoint((kspace[c] * dcf).astype(np.complex64)) for c in range(4))
    volume = true_volume(setting, MotionState(level))
    inside = (slice(3, -3),) * 3  # the rim of the field of view is at low resolution
    seen, true = np.abs(np.asarray(image))[inside].ravel(), volume[inside].ravel()
    seen = seen * (seen @ true) / (seen @ seen)
    assert np.linalg.norm(seen - true) / np.linalg.norm(true) < 0.15  # Gibbs ringing at 8.7 mm
    # real and positive: the maps carry all the phase there is
    assert np.abs(np.angle(np.asarray(image)[12, 12, 12])) < 0.1


def test_amplitude_is_that_of_a_unitary_transform() -> None:
    config = ScanConfig(seed=1, matrix=24, n_coils=4, snr=np.inf, n_spokes=40)
    setting = Setting.of(config)
    scene = Scene.build(setting.patient, setting.coils, config)
    spokes = radial_coord(np.array([[0.0, 0.0, 1.0]]), 24, 48)
    measured = moving_kspace(scene, spokes, np.zeros(1))[:, 0]
    half = 208 / 48  # mm: half a voxel; from arm to arm, nothing is cut off
    grid = Grid((96, 96, 136), (half, half, half))
    image = rasterise(setting.patient, grid) * excitation(grid, config)
    smaps = setting.coils.sensitivities(grid)
    expected = np.array([(image * s).sum() for s in smaps]) / 8 / 24**1.5
    assert np.allclose(measured[:, 24], expected, rtol=0.02)


def test_noise_readouts_and_spokes_have_the_coils_covariance() -> None:
    config = replace(STILL, seed=3, n_coils=4, snr=5.0)
    noisy, _ = simulate_scan(config)
    clean, _ = simulate_scan(replace(config, snr=np.inf))
    assert clean.noise is None
    assert noisy.noise is not None
    expected = Setting.of(config).coils.noise_covariance() / 25
    in_spokes = (noisy.kspace - clean.kspace).reshape(4, -1)
    for samples in (noisy.noise, in_spokes):
        measured = samples @ samples.conj().T / samples.shape[1]
        # of n samples a covariance is known to 1/sqrt(n): 2 % of 2048, five times that at most
        assert np.abs(measured - expected).max() < 5 / np.sqrt(samples.shape[1]) * np.abs(expected).max()
        assert abs(np.mean(samples)) < 0.02
        assert abs(np.mean(samples**2)) < 0.1 * np.mean(np.abs(samples) ** 2)


def test_si_spokes_see_the_breathing(small: tuple[Acquisition, Truth]) -> None:
    scan, truth = small
    assert scan.navigators is not None
    spectrum = np.fft.ifftshift(scan.navigators.kspace, axes=-1)
    profiles = np.abs(np.fft.ifft(spectrum, axis=-1)).transpose(1, 0, 2).reshape(34, -1)
    profiles = profiles - profiles.mean(axis=0)
    component = np.linalg.svd(profiles, full_matrices=False)[0][:, 0]
    assert abs(np.corrcoef(component, truth.navigator_breathing)[0, 1]) > 0.9


def test_navigators_alone_agree_with_the_scan() -> None:
    config = ScanConfig(seed=1, matrix=20, n_coils=3, n_spokes=80, snr=np.inf)
    scan, truth = simulate_scan(config)
    alone, truth_alone = simulate_navigators(config)
    assert scan.navigators is not None
    assert np.array_equal(alone.times, scan.navigators.times)
    assert np.array_equal(truth_alone.breathing, truth.breathing)
    assert truth_alone.volumes is None
    difference = np.linalg.norm(alone.kspace - scan.navigators.kspace)
    assert difference < 0.03 * np.linalg.norm(alone.kspace)  # 7 mm voxels across the body


@pytest.mark.parametrize("name", ["golden2d", "golden3d", "stack-of-stars"])
def test_other_trajectories_go_through_the_same_function(name: str) -> None:
    config = replace(STILL, trajectory=name)
    scan, truth = simulate_scan(config)
    assert not scan.triggered
    assert scan.kspace.shape == (3, 96, 32)
    assert np.allclose(np.diff(scan.times).min(), 3.1e-3)
    assert truth.volumes is not None
    assert truth.volumes.shape == (4, *config.shape)
    assert (scan.navigators is not None) == (name == "golden3d")
    assert scan.is_2d == (name == "golden2d")


def test_a_slice_shows_the_slice() -> None:
    config = ScanConfig(seed=1, matrix=48, n_coils=4, trajectory="golden2d", n_spokes=160)
    scan, truth = simulate_scan(config)
    smaps, nufft = true_smaps(config), Nufft(scan.coord, scan.geometry.shape)
    dcf = density_compensation(scan.coord)
    image = sum(
        smaps[c].conj() * nufft.adjoint((scan.kspace[c] * dcf).astype(np.complex64)) for c in range(4)
    )
    assert truth.volumes is not None
    heart = (0, slice(10, 38), slice(10, 38))
    assert np.corrcoef(np.abs(np.asarray(image))[heart].ravel(), truth.volumes[0][heart].ravel())[0, 1] > 0.95


def test_measured_breathing_drives_a_scan(shared_data: Path) -> None:
    belt = shared_data / "raw" / "resp-belt-NO-LICENCE" / "resp3_full.txt"
    config = ScanConfig(seed=1, matrix=16, n_coils=2, breathing=belt, n_interleaves=144, n_spokes=1000)
    truth = truth_of(Setting.of(config), painted=False)
    assert 8 < np.ptp(truth.breathing) < 30
    assert len(truth.navigator_times) == 144


def test_files_hold_scan_and_truth(small: tuple[Acquisition, Truth], tmp_path: Path) -> None:
    from csiq.io import read_acquisition

    scan, truth = small
    beside = write_simulated(tmp_path / "scan.h5", scan, truth)
    assert beside.name == "scan.truth.h5"
    back = read_acquisition(tmp_path / "scan.h5")
    assert np.array_equal(back.kspace, scan.kspace)
    assert np.allclose(back.coord, scan.coord, atol=1e-5)
    assert np.allclose(back.times, scan.times, atol=2e-6)
    assert np.allclose(back.geometry.affine, scan.geometry.affine)
    with h5py.File(beside) as file:
        assert set(file) >= {"breathing", "times", "bins", "volumes"}
        assert np.array_equal(file["breathing"], truth.breathing)
        assert np.array_equal(file["times"], truth.times)
        assert set(np.unique(file["bins"])) == {1, 2, 3, 4}
        assert file["volumes"].shape == (4, 24, 24, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectory": "phylotaxis"}, "did you mean 'phyllotaxis'"),
        ({"matrix": 4}, "--matrix"),
        ({"n_coils": 0}, "--coils"),
        ({"n_spokes": 0}, "--spokes"),
        ({"seed": -1}, "--seed"),
        ({"snr": 0.0}, "--snr"),
    ],
)
def test_what_cannot_be_simulated(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScanConfig(**options)  # type: ignore[arg-type]
