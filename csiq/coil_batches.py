"""Fewer coils at a time where memory is short: before a run by its estimate, and while it is set up.

For the CPU; a GPU's plan does the same in :mod:`csiq.cuda.memory`. Coils in flight change no number of the
result, only memory and time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from csiq.acquisition import Acquisition
from csiq.arrays import Device, return_free_memory
from csiq.config import Config
from csiq.errors import ResourceError
from csiq.failures import with_less
from csiq.plan import Estimate, check_memory, estimate, sizes_of

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor

T = TypeVar("T")

_HINT = "try --coils 4, --matrix or --phases 2"
_log = logging.getLogger("csiq")


def fitted(
    scan: Acquisition, config: Config, device: Device, grader: Assessor | None = None
) -> tuple[Config, Estimate, str | None]:
    """Return the configuration with as many coils at a time as memory allows, what it needs, and a warning.

    Parameters
    ----------
    scan : Acquisition
    config : Config
    device : Device
    grader : Assessor, optional
        To time a grade with.

    Raises
    ------
    ResourceError
        If one coil at a time is too much as well (unless ``force``).
    """
    need = estimate(scan, config, device, grader)
    most = batch = sizes_of(scan, config).threads
    while True:
        try:
            check_memory(need, config)
            break
        except ResourceError:
            if device.is_gpu or batch == 1:
                raise
        batch = _half(batch)
        config = replace(config, run=replace(config.run, coil_batch=batch))
        need = estimate(scan, config, device, grader)
    if batch == most:
        return config, need, None
    return (
        config,
        need,
        f"memory is short: {batch} coil images at a time instead of {most}, which takes longer",
    )


def with_fewer_coils(run: Callable[[int], T], most: int) -> T:
    """Return ``run(most)``; where memory runs out, with half as many coils at a time, and so on.

    Parameters
    ----------
    run : callable
        Called with the number of coil images in flight; it must start from nothing each time.
    most : int

    Raises
    ------
    ResourceError
        If one at a time does not fit either.
    """

    def between(before: int, batch: int) -> None:
        """Say how many there are now, and give freed memory back to the system."""
        _log.warning("memory ran out: %d coil images at a time", batch)
        return_free_memory()

    refusal = ResourceError("memory ran out", field="memory", hint=_HINT)
    return with_less(run, most, lambda batch: _half(batch) if batch > 1 else None, between, refusal)


def _half(batch: int) -> int:
    return -(-batch // 2)
