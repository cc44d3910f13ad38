from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.config import Gating
from csiq.gating import respiratory_signal
from csiq.gating.stack import stack_navigators
from tests.gating.moving_body import Body, navigators_of

N_PARTITIONS = 32


@pytest.fixture(scope="module")
def stack(breathing_scan) -> tuple[Acquisition, np.ndarray]:
    """Return a stack-of-stars of the breathing body: angle after angle."""
    navigators, shift = navigators_of(Body(noise=0.0005, period=16.0))
    n_angles, n_samples = len(shift), 16
    middle = navigators.kspace.shape[-1] // 2
    plane = np.array(sorted(range(-N_PARTITIONS // 2, N_PARTITIONS // 2), key=abs))
    angle = np.arange(n_angles) * 1.941
    radius = (np.arange(n_samples) - n_samples // 2) / 2
    coord = np.zeros((n_angles, N_PARTITIONS, n_samples, 3), dtype=np.float32)
    coord[..., 0] = plane[None, :, None]
    coord[..., 1] = np.sin(angle)[:, None, None] * radius
    coord[..., 2] = np.cos(angle)[:, None, None] * radius
    kspace = np.zeros((navigators.kspace.shape[0], n_angles, N_PARTITIONS, n_samples), dtype=np.complex64)
    kspace[..., n_samples // 2] = navigators.kspace[:, :, middle + 2 * plane]
    times = navigators.times[:, None] + 0.006 * np.arange(N_PARTITIONS)
    scan = Acquisition(
        kspace.reshape(kspace.shape[0], -1, n_samples),
        coord.reshape(-1, n_samples, 3),
        times.ravel(),
        np.repeat(np.arange(n_angles), N_PARTITIONS),
        breathing_scan[0].geometry,
    )
    return scan, shift


def test_an_angle_is_an_si_spoke(stack):
    scan, shift = stack
    navigators = stack_navigators(scan)
    assert navigators.kspace.shape == (scan.n_coils, len(shift), N_PARTITIONS)
    assert np.all(np.diff(navigators.coord[..., 0], axis=1) > 0)
    signal = respiratory_signal(scan, Gating())
    assert signal.source == "si"
    assert np.corrcoef(signal.navigator_values, shift)[0, 1] > 0.95


def test_the_centre_of_a_stack_is_that_of_its_middle_partition(stack):
    scan, shift = stack
    signal = respiratory_signal(scan, Gating(source="k0", band=(0.03, 0.5)))
    assert len(signal.navigator_values) == len(shift)
    assert len(signal.values) == scan.n_spokes
    assert abs(np.corrcoef(signal.navigator_values, shift)[0, 1]) > 0.85


def test_other_scans_have_no_stack(stack, breathing_scan):
    assert stack_navigators(breathing_scan[0]) is None
    scan, _ = stack
    mixed = np.random.default_rng(1).permutation(scan.n_spokes)
    shuffled = replace(scan, kspace=scan.kspace[:, mixed], coord=scan.coord[mixed])
    assert stack_navigators(shuffled) is None
    assert stack_navigators(replace_spokes(scan, scan.n_spokes - 1)) is None


def replace_spokes(scan: Acquisition, n: int) -> Acquisition:
    """Return the first spokes alone."""
    return replace(
        scan,
        kspace=scan.kspace[:, :n],
        coord=scan.coord[:n],
        times=scan.times[:n],
        heartbeat=scan.heartbeat[:n],
    )
