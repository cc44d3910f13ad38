"""A raw file read as a configuration says."""

from __future__ import annotations

from pathlib import Path

from csiq.acquisition import Acquisition
from csiq.arrays import use_threads
from csiq.config import Config
from csiq.io import ReadOptions, read_acquisition
from csiq.quantities import bytes_of


def read_options(config: Config) -> ReadOptions:
    """Return what a configuration says about reading."""
    data = config.data
    return ReadOptions(
        trajectory=data.trajectory,
        traj_units=data.traj_units,
        echo=data.echo,
        group=data.group,
        matrix=data.matrix,
        drop_bad=data.drop_bad,
        exclude_coil=data.exclude_coil,
        strict=data.strict,
        force=data.force,
        keep_identifiers=data.keep_identifiers,
        fov=data.fov,
        tr=data.tr,
        noise=data.noise,
        interleaves=data.interleaves,
        si_spokes=data.si_spokes,
        max_memory_bytes=bytes_of(config.run.max_memory) if config.run.max_memory else None,
    )


def read_scan(config: Config, raw: Path) -> Acquisition:
    """Read a raw file as a configuration says, decay and gradient delays corrected if it asks for that."""
    if config.run.threads is not None:
        use_threads(config.run.threads)
    scan = read_acquisition(raw, read_options(config))
    return corrected(scan, decay=config.data.decay_correction, delays=config.data.delays)


def corrected(scan: Acquisition, *, decay: bool, delays: str) -> Acquisition:
    """Return a scan with its decay divided out, and its gradient delays corrected or looked for.

    Parameters
    ----------
    scan : Acquisition
    decay : bool
    delays : str
        As ``--delays`` has it.
    """
    if decay:
        from csiq.decay import correct_decay

        scan = correct_decay(scan)
    if delays != "off":
        from csiq.delays import with_delays

        scan = with_delays(scan, delays)
    return scan
