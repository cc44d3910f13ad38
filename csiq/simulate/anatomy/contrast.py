"""Signal of tissues in a T2-prepared, fat-saturated, ECG-triggered, transient bSSFP sequence.

In the steady state of bSSFP fat outshines blood and hides the coronaries in it; the preparation of each
heartbeat makes the contrast, and it decays while the burst of spokes is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Tissue:
    """Relaxation at 1.5 T.

    Attributes
    ----------
    t1, t2 : float
        Seconds.
    density : float
        Of protons, 1 for water; includes what T2* takes away before the echo.
    fat : bool
        Whether fat saturation acts on it.
    """

    t1: float
    t2: float
    density: float = 1.0
    fat: bool = False


#: After Stanisz 2005, de Bazelaire 2004 and Barth 1997; lung: density is what T2* leaves.
TISSUES: dict[str, Tissue] = {
    "arterial blood": Tissue(1.55, 0.250, 0.95),
    "venous blood": Tissue(1.55, 0.180, 0.95),
    "myocardium": Tissue(1.02, 0.050, 0.90),
    "fat": Tissue(0.28, 0.085, 0.95, fat=True),
    "muscle": Tissue(1.00, 0.036, 0.90),
    "liver": Tissue(0.58, 0.048, 0.85),
    "viscera": Tissue(0.90, 0.060, 0.75),
    "lung": Tissue(1.20, 0.040, 0.09),
    "marrow": Tissue(0.50, 0.055, 0.50),
    "cortical bone": Tissue(1.00, 0.010, 0.10),
    "spinal fluid": Tissue(3.50, 1.500, 1.00),
    "cord": Tissue(0.90, 0.080, 0.75),
}


@dataclass(frozen=True)
class Sequence:
    """What the scanner plays in each heartbeat.

    Attributes
    ----------
    tr : float
        Seconds between spokes of a burst.
    flip : float
        Flip angle in rad.
    t2_prep : float
        Duration of the T2 preparation, s.
    fat_residual : float
        Share of fat magnetisation that saturation leaves.
    n_startup : int
        Pulses before the first spoke that is read.
    rr : float
        Seconds between heartbeats.
    """

    tr: float = 3.1e-3
    flip: float = np.deg2rad(90.0)
    t2_prep: float = 40e-3
    fat_residual: float = 0.05
    n_startup: int = 10
    rr: float = 1.0


def steady_state(tissue: Tissue, sequence: Sequence) -> float:
    """Return the transverse bSSFP steady state on resonance at the echo, without proton density."""
    e1, e2 = np.exp(-sequence.tr / tissue.t1), np.exp(-sequence.tr / tissue.t2)
    a = sequence.flip
    return float(np.sqrt(e2) * np.sin(a) * (1 - e1) / (1 - (e1 - e2) * np.cos(a) - e1 * e2))


def transient(tissue: Tissue, sequence: Sequence, prepared: float, pulse: np.ndarray) -> np.ndarray:
    """Return M_n = M_ss + (M_prep sin(a/2) - M_ss) exp(-n TR / T1*) after ``pulse`` pulses.

    1/T1* = cos^2(a/2) / T1 + sin^2(a/2) / T2.

    References
    ----------
    Scheffler K. On the transient phase of balanced SSFP sequences. Magn Reson Med 2003;49:781-783.
    """
    half = sequence.flip / 2
    rate = np.cos(half) ** 2 / tissue.t1 + np.sin(half) ** 2 / tissue.t2
    final = steady_state(tissue, sequence)
    start = prepared * np.sin(half)
    return np.asarray(final + (start - final) * np.exp(-np.asarray(pulse) * sequence.tr * rate))


def prepared_magnetisation(tissue: Tissue, sequence: Sequence, n_spokes: int) -> float:
    """Return the magnetisation that preparation leaves, in the steady state over heartbeats.

    Between bursts it recovers with T1 from what the burst left along z.
    """
    kept = sequence.fat_residual if tissue.fat else np.exp(-sequence.t2_prep / tissue.t2)
    n_pulses = sequence.n_startup + n_spokes
    recovery = np.exp(-max(sequence.rr - n_pulses * sequence.tr - sequence.t2_prep, 0.0) / tissue.t1)
    half = sequence.flip / 2

    def next_beat(prepared: float) -> float:
        end = float(transient(tissue, sequence, prepared, np.array(n_pulses)))
        return kept * (1 - (1 - end / np.tan(half)) * recovery)

    # the map is affine: its fixed point follows from two values
    offset, at_one = next_beat(0.0), next_beat(1.0)
    return offset / (1 - (at_one - offset))


def burst_signal(tissue: Tissue, sequence: Sequence, n_spokes: int) -> np.ndarray:
    """Return the signal of each spoke of a burst, proton density included.

    Returns
    -------
    float64 array, (n_spokes,)
    """
    prepared = prepared_magnetisation(tissue, sequence, n_spokes)
    pulse = sequence.n_startup + np.arange(n_spokes)
    return tissue.density * transient(tissue, sequence, prepared, pulse)


def signals(tissues: Mapping[str, Tissue], sequence: Sequence, n_spokes: int = 36) -> dict[str, float]:
    """Return the mean signal of each tissue over the burst."""
    return {name: float(burst_signal(t, sequence, n_spokes).mean()) for name, t in tissues.items()}


def varied(rng: np.random.Generator, spread: float = 0.05) -> dict[str, Tissue]:
    """Return the tissues of one person: T1, T2 and density vary by ``spread`` (SD, within 2 SD)."""

    def factor() -> float:
        return float(1 + spread * np.clip(rng.standard_normal(), -2, 2))

    return {
        name: replace(t, t1=t.t1 * factor(), t2=t.t2 * factor(), density=t.density * factor())
        for name, t in TISSUES.items()
    }
