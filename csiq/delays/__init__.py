"""Gradient delays: found in a radial scan, and taken out of its trajectory."""

from csiq.delays.choice import with_delays
from csiq.delays.correct import correct_delays, corrected_coord
from csiq.delays.estimate import estimate_delays
from csiq.delays.tensor import Delays, parse_delays

__all__ = ["Delays", "correct_delays", "corrected_coord", "estimate_delays", "parse_delays", "with_delays"]
