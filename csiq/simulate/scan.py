"""One simulated scan: patient, breathing, coils and noise of a seed, read out as a scanner would."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.arrays import Device
from csiq.simulate.noise import add_noise
from csiq.simulate.projections import projection_kspace
from csiq.simulate.protocol import READOUT, ScanConfig
from csiq.simulate.setting import Setting
from csiq.simulate.signal import Scene, moving_kspace
from csiq.simulate.truth import (
    N_TRUE_PHASES,
    Truth,
    equal_bins,
    recon_grid,
    true_smaps,
    truth_of,
    truth_path,
    write_truth,
)

__all__ = [
    "N_TRUE_PHASES",
    "ScanConfig",
    "Setting",
    "Truth",
    "equal_bins",
    "recon_grid",
    "simulate_navigators",
    "simulate_scan",
    "true_smaps",
    "truth_path",
    "write_simulated",
]


def simulate_scan(
    config: ScanConfig, *, threads: int | None = None, device: Device | str = "cpu"
) -> tuple[Acquisition, Truth]:
    """Return a scan of a breathing patient and the truth about it.

    Equal configurations give equal scans, to the bit, whatever the number of threads. A triggered scan reads
    the heart in its resting phase, whose place differs a little from beat to beat; in other scans the heart
    does not beat.

    Parameters
    ----------
    config : ScanConfig
    threads : int, optional
        The scan does not depend on it.
    device : Device or str
        Where k-space is transformed; see :func:`csiq.simulate.signal.moving_kspace`. A GPU's differs by the
        accuracy of its transform, 1e-4. It has not run on a GPU yet.
    """
    setting = Setting.of(config)
    played = setting.played
    kspace = read_out(setting, threads=threads, device=device)
    noise = add_noise(kspace, setting.coils.noise_covariance(), config.snr, _noise_rng(config))
    kspace[:, setting.zeroed] = 0
    si, imaging = played.is_navigator, ~played.is_navigator & ~setting.missing
    navigators = None
    if si.any():
        navigators = Navigators(kspace[:, si], played.times[si], played.heartbeat[si], played.coord[si])
    scan = Acquisition(
        kspace=kspace[:, imaging],
        coord=played.coord[imaging],
        times=played.times[imaging],
        heartbeat=played.heartbeat[imaging],
        geometry=config.geometry,
        navigators=navigators,
        noise=noise,
        triggered=config.triggered,
        name=f"simulated-{config.seed}",
        system=_system(setting),
    )
    return scan, truth_of(setting)


def read_out(setting: Setting, *, threads: int | None = None, device: Device | str = "cpu") -> np.ndarray:
    """Return the noiseless k-space of all readouts that are played, navigators among them.

    Returns
    -------
    complex64 array, (n_coils, n_readouts, n_samples)
    """
    config = setting.config
    scene = Scene.build(setting.patient, setting.coils, config)
    moved, offset = setting.displacement, setting.heart_offset
    kspace = moving_kspace(scene, setting.sampled, moved, heart_offset=offset, threads=threads, device=device)
    if config.imperfections.off_resonance:
        kspace *= setting.field.turn(config.since_echo)
    return kspace


def simulate_navigators(config: ScanConfig) -> tuple[Navigators, Truth]:
    """Return the SI spokes of a scan alone, in a fraction of the time, and the truth without volumes.

    The body is painted coarsely across the feet-head axis, and late gradients and a field that is off are
    left out, so samples differ a little from those of :func:`simulate_scan`; breathing, coils and times are
    the same.
    """
    setting = Setting.of(config)
    played, si = setting.played, setting.played.is_navigator
    moved, offset = setting.displacement[si], setting.heart_offset[si]
    kspace = projection_kspace(setting.patient, setting.coils, config, moved, heart_offset=offset)
    add_noise(kspace, setting.coils.noise_covariance(), config.snr, _noise_rng(config))
    found = Navigators(kspace, played.times[si], played.heartbeat[si], played.coord[si])
    return found, truth_of(setting, painted=False)


def write_simulated(path: str | Path, scan: Acquisition, truth: Truth) -> Path:
    """Write a scan as ISMRMRD, and its truth beside it; return the path of the truth."""
    from csiq.io.ismrmrd import write_ismrmrd

    beside = truth_path(path)
    write_ismrmrd(path, scan)
    write_truth(beside, scan, truth)
    return beside


def _noise_rng(config: ScanConfig) -> np.random.Generator:
    return np.random.default_rng([config.seed, 5])


def _system(setting: Setting) -> dict[str, object]:
    sequence = setting.patient.sequence
    return {
        "field_T": 1.5,
        "vendor": "simulated",
        "TR_s": sequence.tr,
        "TE_s": sequence.tr / 2,
        "dwell_s": READOUT / setting.config.n_samples,
        "flip_deg": float(np.rad2deg(sequence.flip)),
    }
