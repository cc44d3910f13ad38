from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.config import Gating
from csiq.errors import ConfigError, RawDataError
from csiq.gating import bin_spokes, respiration_table, respiratory_signal
from tests.gating.moving_body import Body, scan_of, with_navigators


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def test_the_signal_is_the_displacement_drift_included(breathing_scan):
    scan, shift = breathing_scan
    signal = respiratory_signal(scan, Gating())
    assert signal.source == "si"
    assert signal.orientation == "end-expiration-up"
    assert correlation(signal.navigator_values, shift) > 0.99
    assert signal.confidence > 0.9
    assert np.array_equal(signal.navigator_times, scan.navigators.times)


def test_every_spoke_of_a_heartbeat_has_the_value_of_its_navigator(breathing_scan):
    scan, _ = breathing_scan
    signal = respiratory_signal(scan, Gating())
    assert np.array_equal(signal.values, np.repeat(signal.navigator_values, 5))


def test_a_heartbeat_that_lost_its_navigator_lies_between_its_neighbours(breathing_scan):
    scan, _ = breathing_scan
    kept = np.delete(np.arange(240), 100)
    nav = scan.navigators
    fewer = replace(
        nav,
        kspace=nav.kspace[:, kept],
        times=nav.times[kept],
        heartbeat=nav.heartbeat[kept],
        coord=nav.coord[kept],
    )
    signal = respiratory_signal(replace(scan, navigators=fewer), Gating())
    here = signal.values[500]
    assert np.all(signal.values[500:505] == here)
    between = sorted((signal.values[499], signal.values[505]))
    assert between[0] <= here <= between[1]


def test_the_picture_rises_to_the_head():
    upright = respiratory_signal(scan_of(Body())[0], Gating())
    upside_down = respiratory_signal(scan_of(Body(head=-1.0))[0], Gating())
    for signal in (upright, upside_down):
        assert signal.projections.dtype == np.float32
        assert signal.projections.shape == (240, len(signal.position))
        assert np.all(np.diff(signal.position) > 0)
        # The liver, below, is brighter than the chest above.
        assert (
            signal.projections[:, signal.position < -80].mean()
            > signal.projections[:, signal.position > 80].mean()
        )


@pytest.mark.parametrize("head", [1.0, -1.0])
@pytest.mark.parametrize("dwell_at_expiration", [True, False])
def test_the_sign_follows_the_moving_edges(head, dwell_at_expiration):
    scan, shift = scan_of(Body(head=head, dwell_at_expiration=dwell_at_expiration))
    signal = respiratory_signal(scan, Gating())
    assert correlation(signal.navigator_values, shift) > 0.99
    assert signal.cues.travel > 2
    assert (signal.cues.dwell > 0) == dwell_at_expiration


def test_a_missing_orientation_costs_confidence(breathing_scan):
    scan, _ = breathing_scan
    unknown = replace(scan, geometry=replace(scan.geometry, known=False))
    assert respiratory_signal(unknown, Gating()).confidence < respiratory_signal(scan, Gating()).confidence


@pytest.mark.parametrize("fault", ["zero", "noise", "loud and unstable", "one navigator corrupt", "one lost"])
def test_a_bad_coil_or_navigator_does_not_hurt(breathing_scan, rng, fault):
    scan, shift = breathing_scan
    kspace = scan.navigators.kspace.copy()
    noise = rng.normal(size=kspace.shape[1:]) + 1j * rng.normal(size=kspace.shape[1:])
    if fault == "zero":
        kspace[2] = 0
    elif fault == "noise":
        kspace[2] = 1e-3 * np.abs(kspace).max() * noise
    elif fault == "loud and unstable":
        kspace[2] *= 1000 * (1 + 0.5 * rng.random((240, 1)))
    elif fault == "one navigator corrupt":
        kspace[:, 50] = np.abs(kspace).max() * noise[0]
    else:
        kspace[:, 50] = 0
    signal = respiratory_signal(with_navigators(scan, kspace), Gating())
    kept = np.arange(240) != 50
    assert correlation(signal.navigator_values[kept], shift[kept]) > 0.98


def test_only_noise_is_refused_with_its_snr(breathing_scan, rng):
    scan, _ = breathing_scan
    shape = scan.navigators.kspace.shape
    noise = with_navigators(scan, rng.normal(size=shape) + 1j * rng.normal(size=shape))
    with pytest.raises(RawDataError, match=r"no breathing signal: SNR [01]\.\d.*--phases 1"):
        respiratory_signal(noise, Gating())


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_body_that_does_not_breathe_is_refused(noise):
    with pytest.raises(RawDataError, match="no breathing signal"):
        respiratory_signal(scan_of(Body(amplitude=0.0, noise=noise))[0], Gating())


def test_zero_navigators_are_refused(breathing_scan):
    scan, _ = breathing_scan
    with pytest.raises(RawDataError, match="every SI spoke is zero"):
        respiratory_signal(with_navigators(scan, 0 * scan.navigators.kspace), Gating())


def test_si_spokes_that_are_not_there_are_missed(breathing_scan):
    scan = replace(breathing_scan[0], navigators=None)
    with pytest.raises(RawDataError, match="no SI spokes"):
        respiratory_signal(scan, Gating(source="si"))
    assert respiratory_signal(scan, Gating()).source == "k0"


def test_a_triggered_scan_allows_no_high_pass(breathing_scan):
    scan, shift = breathing_scan
    with pytest.raises(ConfigError, match="does not suit a triggered scan"):
        respiratory_signal(scan, Gating(band=(0.1, 0.5)))
    with pytest.raises(ConfigError, match=r"below 0\.5"):
        respiratory_signal(scan, Gating(band=(0.0, 0.8)))
    low_passed = respiratory_signal(scan, Gating(band=(0.0, 0.5)))
    assert correlation(low_passed.navigator_values, shift) > 0.97


def test_a_continuous_scan_is_interpolated_and_binned_by_spokes():
    scan, shift = scan_of(Body(triggered=False))
    signal = respiratory_signal(scan, Gating())
    assert signal.heartbeat is None
    assert correlation(signal.values, np.interp(scan.times, scan.navigators.times, shift)) > 0.98
    bins = bin_spokes(signal, 7)
    assert max(bins.counts) - min(bins.counts) <= 1


def test_phase_1_is_end_expiration(breathing_scan):
    scan, shift = breathing_scan
    bins = bin_spokes(respiratory_signal(scan, Gating()), 4)
    means = [np.repeat(shift, 5)[index].mean() for index in bins.indices]
    assert means == sorted(means, reverse=True)


def test_the_respiration_table_has_a_row_a_spoke(breathing_scan):
    scan, _ = breathing_scan
    signal = respiratory_signal(scan, Gating())
    bins = bin_spokes(signal, 4)
    rows = respiration_table(signal, bins)
    assert [row[0] for row in rows] == list(range(scan.n_spokes))
    assert rows[7] == (7, scan.times[7], signal.values[7], bins.phase_of_spoke[7])
    assert {row[3] for row in rows} == {1, 2, 3, 4}


def test_a_scan_of_one_breath_is_too_short():
    scan, _ = scan_of(Body(n_heartbeats=6, noise=0.0))
    with pytest.raises(RawDataError, match=r"periods in 4\.\d s; --phases 1"):
        respiratory_signal(scan, Gating())


def test_a_slow_drift_is_kept_but_is_not_the_breathing_rate(breathing_scan):
    scan, _ = breathing_scan
    assert respiratory_signal(scan, Gating()).frequency == pytest.approx(1 / 4.1, abs=0.03)
