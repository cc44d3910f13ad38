"""A small case for experiments: tubes in fat, scanned by a few spokes."""

from __future__ import annotations

from csiq.quality.features import HeartTruth
from csiq.trust.anatomy_case import ScannedAnatomy
from tests.quality.tubes import heart_of_tubes


def tubes(**conditions: float) -> ScannedAnatomy:
    """Return 64^3 voxels of 1 mm with two vessels and a ball, to be scanned."""
    easy = {"sampling": 0.2, "snr": 40.0, "residual": 0.2} | conditions
    return ScannedAnatomy("tubes", truth(), **easy)


def truth() -> HeartTruth:
    return heart_of_tubes(0.4)
