from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.config import Gating
from csiq.errors import RawDataError
from csiq.gating import bin_spokes, respiratory_signal
from csiq.gating.filters import dominant_frequency
from tests.gating.moving_body import Body, scan_of

HEART_BAND = (0.7, 2.0)


@pytest.fixture(scope="module")
def xenon(shared_data):
    """Return a maker of measured 129Xe scans: "gas" or "dissolved", centre-out, one coil, a breath hold."""

    def make(name: str) -> Acquisition:
        with h5py.File(shared_data / "raw" / "xe-lung-3d-radial" / "xe_lung_3d_radial.h5") as file:
            return Acquisition(
                file[f"ksp_{name}"][()],
                file["coord"][()],
                file[f"time_{name}_s"][()],
                np.arange(1000),
                Geometry((64, 64, 64), (400.0, 400.0, 400.0)),
            )

    return make


def test_the_heartbeat_of_the_dissolved_xenon(xenon):
    signal = respiratory_signal(xenon("dissolved"), Gating(band=HEART_BAND, orient=False))
    assert signal.source == "k0"
    assert signal.orientation == "not applicable"
    assert signal.frequency == pytest.approx(1.18, abs=0.05)
    # The line is there from the first second to the last, although the signal decays sixfold.
    for part in (slice(0, 300), slice(350, 650), slice(700, 1000)):
        assert dominant_frequency(signal.values[part], signal.times[part]) == pytest.approx(1.18, abs=0.15)
        assert 0.5 < signal.values[part].std() < 1.5


def test_four_phases_of_the_xenon_run_from_low_to_high(xenon):
    scan = xenon("dissolved")
    bins = bin_spokes(respiratory_signal(scan, Gating(band=HEART_BAND, orient=False)), 4)
    assert bins.counts == (250, 250, 250, 250)
    strength = np.abs(scan.kspace[0, :, 0])
    relative = strength / np.exp(
        np.convolve(np.log(np.pad(strength, 50, mode="edge")), np.ones(101) / 101, "valid")
    )
    # Away from the steep start, which a running mean of 101 spokes does not follow.
    means = [relative[index[index > 100]].mean() for index in bins.indices]
    assert means == sorted(means)
    assert means[3] - means[0] > 0.02


def test_the_gas_has_no_heartbeat(xenon):
    with pytest.raises(RawDataError, match="no periodic signal"):
        respiratory_signal(xenon("gas"), Gating(band=HEART_BAND, orient=False))


def test_breathing_from_the_centre_of_a_triggered_scan(breathing_scan):
    scan, shift = breathing_scan
    signal = respiratory_signal(scan, Gating(source="k0"))
    assert signal.source == "k0"
    assert np.all(np.ptp(signal.values.reshape(240, 5), axis=1) == 0)
    assert len(signal.navigator_values) == 240
    assert np.corrcoef(signal.navigator_values, shift)[0, 1] > 0.9
    assert signal.cues.travel == 0
    assert signal.confidence < 0.9


def test_one_fixed_readout_of_each_heartbeat_is_taken(breathing_scan):
    scan, _ = breathing_scan
    uneven = scan.kspace * np.tile([1.0, 3.0, 1.0, 1.0, 7.0], 240).astype(np.float32)[None, :, None]
    plain = respiratory_signal(scan, Gating(source="k0"))
    other = respiratory_signal(replace(scan, kspace=uneven), Gating(source="k0"))
    np.testing.assert_allclose(plain.values, other.values)


def test_breathing_from_the_centre_of_a_continuous_scan(rng):
    scan, shift = scan_of(Body(triggered=False, n_heartbeats=120))
    times = np.linspace(0, scan.times[-1], scan.n_spokes)
    at = np.interp(times, scan.navigators.times, np.arange(120.0)).round().astype(int) * 5
    steady = replace(
        scan, kspace=scan.kspace[:, at], times=times, heartbeat=np.arange(len(times)), navigators=None
    )
    signal = respiratory_signal(steady, Gating(band=(0.1, 1.0)))
    displacement = np.interp(times, scan.navigators.times, shift)
    assert abs(np.corrcoef(signal.values, displacement)[0, 1]) > 0.85
    assert signal.frequency == pytest.approx(1 / 4.1, abs=0.05)


def test_a_dead_coil_does_not_hurt(breathing_scan):
    scan, _ = breathing_scan
    dead = scan.kspace.copy()
    dead[1] = 0
    signal = respiratory_signal(replace(scan, kspace=dead), Gating(source="k0"))
    assert abs(np.corrcoef(signal.values, respiratory_signal(scan, Gating(source="k0")).values)[0, 1]) > 0.98


def test_the_centre_without_signal_is_refused(breathing_scan):
    scan, _ = breathing_scan
    empty = scan.kspace.copy()
    empty[:, :, 8] = 0
    with pytest.raises(RawDataError, match="no signal at the centre"):
        respiratory_signal(replace(scan, kspace=empty), Gating(source="k0"))
