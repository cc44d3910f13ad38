"""Signal of tissues in a T2-prepared, fat-saturated, ECG-triggered, transient bSSFP sequence.

In the steady state of bSSFP fat outshines blood and hides the coronaries in it; the preparation of each
heartbeat makes the contrast, and it decays while the burst of spokes is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from csiq.simulate.anatomy.people import Person


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


TISSUES: dict[str, Tissue] = {
    "arterial blood": Tissue(1.55, 0.250, 0.95),
    "venous blood": Tissue(1.55, 0.180, 0.95),
    "myocardium": Tissue(1.03, 0.050, 0.90),
    "fat": Tissue(0.343, 0.058, 0.90, fat=True),
    "muscle": Tissue(1.00, 0.036, 0.90),
    "skin": Tissue(0.90, 0.040, 0.70),
    "gland": Tissue(1.27, 0.058, 0.70),
    "cartilage": Tissue(1.02, 0.030, 0.60),
    "marrow": Tissue(0.55, 0.049, 0.50),
    "cortical bone": Tissue(1.00, 0.010, 0.10),
    "disc": Tissue(1.10, 0.080, 0.75),
    "spinal fluid": Tissue(4.00, 2.000, 1.00),
    "cord": Tissue(0.745, 0.074, 0.80),
    "lung": Tissue(1.20, 0.040, 0.09),
    "air": Tissue(1.00, 0.010, 0.0),
    "liver": Tissue(0.586, 0.046, 0.85),
    "spleen": Tissue(1.06, 0.079, 0.85),
    "viscera": Tissue(0.90, 0.060, 0.75),
    "gastric fluid": Tissue(2.50, 1.000, 0.95),
    "food": Tissue(0.70, 0.060, 0.70),
    "void": Tissue(1.00, 0.010, 0.0),
    "flow void": Tissue(1.55, 0.250, 0.25),
    "turbulent blood": Tissue(1.55, 0.250, 0.55),
    "pile-up": Tissue(1.55, 0.250, 1.15),
}
"""Relaxation times at 1.5 T.

Of two sources, the one in vivo was taken; where they lie far apart, a value between them.

- arterial, venous blood: T2 254 and 181 ms (Barth 1997); T1 1.44 s (Stanisz 2005) to 1.6 s (Piechnik 2013).
- myocardium: T1 1.03 s (Stanisz 2005), T2 52 ms in vivo (Giri 2009), 40 ms ex vivo (Stanisz 2005).
- fat (subcutaneous), liver, spleen, marrow (L4): 343/58, 586/46, 1057/79, 549/49 ms (de Bazelaire 2004).
  The density of marrow is that of its water; its fat is saturated.
- muscle: 1008/44 ms (Stanisz 2005), 856/27 ms (de Bazelaire 2004).
- cartilage 1024/30 ms and spinal cord 745/74 ms (Stanisz 2005).
- gland (of the breast): 1266/58 ms (Rakow-Penner 2006).
- spinal fluid: near pure water.
- lung: T1 1.2 s (Stadler 2005); density is what a T2* of 1-2 ms leaves of the parenchyma at the echo.
- skin, disc, viscera, gastric fluid, food: ours, chosen to look as in such scans; no source is claimed.
- air and void (metal) have no signal; flow void and turbulent blood are blood of which dephasing leaves a
  quarter and a half; pile-up is signal that the field of a metal has shifted onto its neighbours. See
  :mod:`csiq.simulate.anatomy.marks`.

References
----------
Stanisz GJ, et al. Magn Reson Med 2005;54:507-512. de Bazelaire CMJ, et al. Radiology 2004;230:652-659.
Barth M, Moser E. Cell Mol Biol 1997;43:783-791. Piechnik SK, et al. J Cardiovasc Magn Reson 2013;15:13.
Giri S, et al. J Cardiovasc Magn Reson 2009;11:56. Rakow-Penner R, et al. J Magn Reson Imaging
2006;23:87-91. Stadler A, et al. J Magn Reson Imaging 2005;22:760-764.
"""

#: What is kept in every scan: arterial blood over myocardium, and over fat.
BLOOD_MYOCARDIUM, BLOOD_FAT = (2.5, 4.5), 2.0
#: Flip angle in degrees, and the share of fat that saturation leaves.
FLIP, FAT_RESIDUAL = (90.0, 115.0), (0.05, 0.20)
# How far tissues differ between people (SD), where that is more than the usual 5 %.
_SPREAD = {"liver": 0.12, "spleen": 0.12, "marrow": 0.12, "lung": 0.15, "food": 0.2, "viscera": 0.1}


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
    """Return the tissues of one person: T1, T2 and density vary by ``spread`` (SD, within 2 SD).

    Liver, spleen, marrow, lung and food vary more (fat and iron, filling).
    """

    def factor(name: str) -> float:
        own = spread / 0.05 * _SPREAD.get(name, 0.05)
        return float(1 + own * np.clip(rng.standard_normal(), -2, 2))

    return {
        name: replace(t, t1=t.t1 * factor(name), t2=t.t2 * factor(name), density=t.density * factor(name))
        for name, t in TISSUES.items()
    }


def tissues_of(person: Person, rng: np.random.Generator) -> dict[str, Tissue]:
    """Draw the tissues of a person.

    Arterial and venous blood differ in T2 alone. Women have fewer red cells, so that their blood, and the
    myocardium with it, has a T1 3 % longer (Piechnik 2013); marrow turns into fat with age.
    """
    tissues = varied(rng)
    if person.is_woman:
        for name in ("arterial blood", "myocardium"):
            tissues[name] = replace(tissues[name], t1=1.03 * tissues[name].t1)
    arterial, ratio = tissues["arterial blood"], TISSUES["venous blood"].t2 / TISSUES["arterial blood"].t2
    tissues["venous blood"] = replace(arterial, t2=ratio * arterial.t2)
    marrow = tissues["marrow"]
    tissues["marrow"] = replace(marrow, density=marrow.density * (1 - 0.006 * (person.age - 57)))
    return tissues


def scan_contrast(person: Person) -> tuple[dict[str, Tissue], Sequence]:
    """Draw a person's tissues and the settings of the scan.

    Settings that would miss :data:`BLOOD_MYOCARDIUM` or :data:`BLOOD_FAT` are drawn again, as they would be
    changed at the scanner.

    Returns
    -------
    dict of Tissue, Sequence
    """
    rng = person.rng(14)
    while True:
        tissues = tissues_of(person, rng)
        sequence = Sequence(
            flip=float(np.deg2rad(rng.uniform(*FLIP))),
            t2_prep=float(rng.uniform(0.035, 0.045)),
            fat_residual=float(rng.uniform(*FAT_RESIDUAL)),
            rr=60 / person.heart_rate,
        )
        if _is_usual(tissues, sequence):
            return tissues, sequence


def _is_usual(tissues: Mapping[str, Tissue], sequence: Sequence) -> bool:
    three = {name: tissues[name] for name in ("arterial blood", "myocardium", "fat")}
    blood, myocardium, fat = signals(three, sequence).values()
    low, high = BLOOD_MYOCARDIUM
    return 1.01 * low <= blood / myocardium <= high / 1.01 and blood / fat >= 1.01 * BLOOD_FAT
