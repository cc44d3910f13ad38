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
        max_memory_bytes=bytes_of(config.run.max_memory) if config.run.max_memory else None,
    )


def read_scan(config: Config, raw: Path) -> Acquisition:
    """Read a raw file as a configuration says, decay and gradient delays corrected if it asks for that."""
    if config.run.threads is not None:
        use_threads(config.run.threads)
    scan = read_acquisition(raw, read_options(config))
    if config.data.decay_correction:
        from csiq.decay import correct_decay

        scan = correct_decay(scan)
    if config.data.delays != "off":
        from csiq.delays import with_delays

        scan = with_delays(scan, config.data.delays)
    return scan
