"""What ``--delays`` asks for, done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from csiq.acquisition import Acquisition
from csiq.delays.correct import correct_delays
from csiq.delays.estimate import estimate_delays
from csiq.delays.tensor import Delays, parse_delays
from csiq.errors import ConfigError

#: Samples below which a delay is not worth a warning: it hardly changes an image (docs/delays.md).
NOTEWORTHY = 0.1


def with_delays(scan: Acquisition, choice: str) -> Acquisition:
    """Return the scan as ``--delays`` wants it: told, corrected by an estimate, or by given delays.

    Parameters
    ----------
    scan : Acquisition
    choice : str
        See :func:`csiq.delays.parse_delays`. ``estimate`` leaves the trajectory as it is, with a warning,
        where the estimate is not to be trusted.

    Raises
    ------
    ConfigError
        If it cannot be read, or has delays across the plane of a scan that has nothing across it.
    """
    asked = parse_delays(choice)
    if isinstance(asked, Delays):
        _check_plane(scan, asked)
        return correct_delays(scan, asked)
    if asked == "off":
        return scan
    found = estimate_delays(scan)
    if asked == "estimate" and found.trusted:
        return correct_delays(scan, found)
    return replace(scan, delays=found).with_warnings(*_warnings(found, asked))


def _warnings(found: Delays, asked: str) -> list[str]:
    if not found.trusted:
        return [f"gradient delays could not be estimated: {found.reason}; the trajectory is left as it was"]
    if asked == "warn" and found.largest > NOTEWORTHY:
        return [f"gradient delays of {found.sentence()}: --delays estimate corrects them"]
    return []


def _check_plane(scan: Acquisition, asked: Delays) -> None:
    if scan.is_2d and np.any(asked.tensor[0]):
        raise ConfigError(
            "a 2D scan has no delay along z",
            file=scan.name,
            field="--delays",
            hint="X,Y,0 or, as bart estdelay prints, x:y:xy",
        )
