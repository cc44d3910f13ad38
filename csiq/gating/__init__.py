"""Breathing: from raw data to a signal, and from the signal to phases.

Acquisition --respiratory_signal--> Signal --bin_spokes--> Bins
"""

from csiq.gating.bins import Bins, respiratory_bins
from csiq.gating.orientation import Orientation
from csiq.gating.projections import Projections, si_projections
from csiq.gating.selfnav import correct_shift, si_shift_mm, spoke_shift
from csiq.gating.signal import Signal, bin_spokes, respiration_table, respiratory_signal

__all__ = [
    "Bins",
    "Orientation",
    "Projections",
    "Signal",
    "bin_spokes",
    "correct_shift",
    "respiration_table",
    "respiratory_bins",
    "respiratory_signal",
    "si_projections",
    "si_shift_mm",
    "spoke_shift",
]
