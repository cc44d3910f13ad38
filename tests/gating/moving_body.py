"""A body of two dimensions, time and the head-foot axis, that breathes in a known way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.acquisition import Acquisition, Geometry, Navigators

N, FOV = 64, 208.0


@dataclass(frozen=True)
class Body:
    """What a test may change of the body and the scan."""

    n_heartbeats: int = 240
    n_coils: int = 6
    amplitude: float = 14.0
    period: float = 4.1
    noise: float = 0.002
    head: float = 1.0
    seed: int = 5
    dwell_at_expiration: bool = True
    triggered: bool = True


def breathing(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Return times of the heartbeats and displacement in mm, up to the head."""
    rng = np.random.default_rng(body.seed)
    times = np.cumsum(rng.normal(0.9, 0.04, body.n_heartbeats))
    breath = np.sin(np.pi * (times / body.period + 0.3 * np.sin(times / 31))) ** 4
    drift = 0.2 * np.sin(times / 70)
    return times, -body.amplitude * ((breath if body.dwell_at_expiration else 1 - breath) + drift)


def navigators_of(body: Body) -> tuple[Navigators, np.ndarray]:
    """Return SI spokes and the displacement: a liver edge and a heart that move, a chest wall that stays."""
    rng = np.random.default_rng(body.seed + 1)
    times, shift = breathing(body)
    z = np.arange(-250.0, 250.0, 1.0)
    up = body.head * z[None, :]
    liver = 3.0 / (1 + np.exp((up + 60 - shift[:, None]) / 8))
    heart = 2.5 * np.exp(-(((up - 10 - 0.5 * shift[:, None]) / 35) ** 2))
    still = 2 + np.sin(z / 6) * np.exp(-((z / 150) ** 4))
    place = rng.uniform(-120, 120, body.n_coils)
    coils = np.exp(-(((z - place[:, None]) / 130) ** 2)) * np.exp(2j * np.pi * rng.random((body.n_coils, 1)))
    k = (np.arange(2 * N) - N) / 2
    kspace = np.einsum(
        "cz,tz,zk->ctk",
        coils,
        liver + heart + still,
        np.exp(-2j * np.pi * z[:, None] * k / FOV),
        optimize=True,
    )
    scale = np.abs(kspace).max() * body.noise
    kspace += scale * (rng.normal(size=kspace.shape) + 1j * rng.normal(size=kspace.shape))
    coord = np.zeros((len(times), 2 * N, 3), dtype=np.float32)
    coord[..., 0] = k
    heartbeat = np.arange(len(times)) + 7
    return Navigators(kspace.astype(np.complex64), times, heartbeat, coord), shift


def scan_of(body: Body, per_heartbeat: int = 5) -> tuple[Acquisition, np.ndarray]:
    """Return a scan whose imaging spokes follow the navigators, and the displacement of each navigator.

    The centre of every spoke has the sum of the body, the spokes hold nothing else.
    """
    navigators, shift = navigators_of(body)
    rng = np.random.default_rng(body.seed + 2)
    n = per_heartbeat * len(shift)
    times = (navigators.times[:, None] + 0.004 * np.arange(1, per_heartbeat + 1)).ravel()
    direction = rng.normal(size=(n, 1, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    coord = (direction * (np.arange(16) - 8)[:, None] / 2).astype(np.float32)
    kspace = np.zeros((body.n_coils, n, 16), dtype=np.complex64)
    kspace[:, :, 8] = np.repeat(navigators.kspace[:, :, N], per_heartbeat, axis=1)
    scale = np.abs(kspace).max() * body.noise
    kspace += (scale * (rng.normal(size=kspace.shape) + 1j * rng.normal(size=kspace.shape))).astype(
        np.complex64
    )
    affine = np.diag([-1.0, -1.0, body.head, 1.0])
    scan = Acquisition(
        kspace,
        coord,
        times,
        np.repeat(navigators.heartbeat, per_heartbeat),
        Geometry((N, N, N), (FOV, FOV, FOV), affine),
        navigators=navigators,
        triggered=body.triggered,
    )
    return scan, shift


def with_navigators(scan: Acquisition, kspace: np.ndarray) -> Acquisition:
    """Return a scan with other SI spokes."""
    assert scan.navigators is not None
    return replace(scan, navigators=replace(scan.navigators, kspace=kspace.astype(np.complex64)))
