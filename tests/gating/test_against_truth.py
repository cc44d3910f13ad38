"""The gating signal of simulated patients against the displacement that made it.

Patients, coils, breathing and noise differ from seed to seed; the simulator knows nothing of the gating.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Navigators
from csiq.config import Gating
from csiq.gating import Signal, bin_spokes, respiratory_bins, respiratory_signal
from csiq.simulate.scan import ScanConfig, simulate_navigators, simulate_scan

N_HEARTBEATS, PER_HEARTBEAT, N_PHASES = 377, 4, 4
BELTS = ("resp3_full.txt", "resp4_full.txt")
#: Of the seeds 0 to 19 those found hardest (lowest correlation, widest phases), and some that are not.
SEEDS = (0, 2, 4, 7, 8, 9, 10)
#: Two breathe as the measured belts did.
MEASURED = dict(zip((4, 9), BELTS, strict=True))
#: Spread of the displacement within phases over that of the best phases, at most. The heart, which the signal
#: is from as well, lies up to 1.5 mm elsewhere from beat to beat: 1.22 for seed 8, without that 1.00.
MOST_SPREAD = 1.25


def simulated(seed: int, **options: object) -> tuple[Acquisition, np.ndarray]:
    """Return a triggered scan with SI spokes, its imaging spokes empty, and the displacement to the head."""
    config = ScanConfig(
        seed=seed, matrix=96, n_spokes=PER_HEARTBEAT * N_HEARTBEATS, n_interleaves=N_HEARTBEATS, **options
    )
    navigators, truth = simulate_navigators(config)
    return scan_around(navigators, config), -truth.navigator_breathing


def scan_around(navigators: Navigators, config: ScanConfig) -> Acquisition:
    """Return a scan of four imaging spokes a heartbeat behind given navigators."""
    n = len(navigators.times) * PER_HEARTBEAT
    coord = np.zeros((n, 2, 3), dtype=np.float32)
    coord[:, 1, 0] = 1
    times = navigators.times[:, None] + 0.003 * np.arange(1, PER_HEARTBEAT + 1)
    return Acquisition(
        np.ones((navigators.kspace.shape[0], n, 2), dtype=np.complex64),
        coord,
        times.ravel(),
        np.repeat(navigators.heartbeat, PER_HEARTBEAT),
        config.geometry,
        navigators=navigators,
        triggered=True,
    )


def correlation(signal: Signal, displacement: np.ndarray) -> float:
    return float(np.corrcoef(signal.navigator_values, displacement)[0, 1])


def spread_within_bins(indices: tuple[np.ndarray, ...], displacement: np.ndarray) -> float:
    """Return the standard deviation of the displacement within phases, pooled."""
    return float(np.sqrt(np.mean([displacement[index].var() for index in indices])))


def assert_bins_as_good_as_true(scan: Acquisition, signal: Signal, displacement: np.ndarray) -> None:
    of_spokes = np.repeat(displacement, PER_HEARTBEAT)
    found = bin_spokes(signal, N_PHASES)
    best = respiratory_bins(of_spokes, N_PHASES, scan.heartbeat)
    assert sum(found.counts) == scan.n_spokes
    assert max(found.counts) - min(found.counts) <= PER_HEARTBEAT
    limit = MOST_SPREAD * spread_within_bins(best.indices, of_spokes)
    assert spread_within_bins(found.indices, of_spokes) <= limit


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_signal_is_the_displacement(seed, request):
    options = {}
    if seed in MEASURED:
        folder = request.getfixturevalue("shared_data") / "raw" / "resp-belt-NO-LICENCE"
        options["breathing"] = folder / MEASURED[seed]
    scan, displacement = simulated(seed, **options)
    signal = respiratory_signal(scan, Gating())
    assert correlation(signal, displacement) >= 0.95
    assert signal.confidence >= 0.5
    assert_bins_as_good_as_true(scan, signal, displacement)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, 103])
def test_who_dwells_at_end_inspiration_is_oriented_or_doubted(seed):
    scan, displacement = simulated(seed, dwell="end-inspiration")
    signal = respiratory_signal(scan, Gating())
    assert abs(correlation(signal, displacement)) >= 0.95
    assert correlation(signal, displacement) > 0 or signal.confidence < 0.5


def test_what_a_scanner_adds_is_not_taken_for_breathing(rng):
    """Heartbeats of unequal strength, a drifting frequency, much noise, an unstable coil: all at once."""
    scan, displacement = simulated(31)
    kspace = scan.navigators.kspace.astype(np.complex128)
    kspace *= rng.normal(1, 0.1, (1, N_HEARTBEATS, 1))
    kspace *= np.exp(1j * np.linspace(0, 6, N_HEARTBEATS))[:, None]
    kspace[3] *= 30 * (1 + 0.8 * rng.random((N_HEARTBEATS, 1)))
    level = 0.002 * np.abs(kspace).max(axis=(1, 2), keepdims=True)
    kspace += level * (rng.normal(size=kspace.shape) + 1j * rng.normal(size=kspace.shape))
    navigators = replace(scan.navigators, kspace=kspace.astype(np.complex64))
    signal = respiratory_signal(replace(scan, navigators=navigators), Gating())
    assert correlation(signal, displacement) >= 0.95
    assert_bins_as_good_as_true(scan, signal, displacement)


@pytest.mark.slow
@pytest.mark.parametrize(("trajectory", "n_spokes"), [("golden3d", 8000), ("stack-of-stars", 16 * 600)])
def test_continuous_scans(trajectory, n_spokes):
    config = ScanConfig(seed=1, matrix=16, n_coils=4, n_spokes=n_spokes, trajectory=trajectory)
    scan, truth = simulate_scan(config)
    signal = respiratory_signal(scan, Gating())
    assert signal.source == "si"
    assert np.corrcoef(signal.values, -truth.breathing)[0, 1] >= 0.95
    assert max(bin_spokes(signal, 4).counts) - min(bin_spokes(signal, 4).counts) <= 1


@pytest.mark.slow
def test_the_centre_of_k_space_of_a_triggered_scan():
    config = ScanConfig(seed=1, matrix=16, n_coils=4, n_spokes=89 * 8, n_interleaves=89)
    scan, truth = simulate_scan(config)
    signal = respiratory_signal(scan, Gating(source="k0"))
    assert signal.source == "k0"
    assert np.corrcoef(signal.values, -truth.breathing)[0, 1] >= 0.95
