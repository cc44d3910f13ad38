"""The people of a cohort: who they are, and how hard their scan is.

Everything about patient ``number`` follows from the cohort's seed and that number: a larger cohort has the
same first patients. Age, sex, size, anatomy, heart rate, coils and noise follow in turn from the patient's
own seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError
from csiq.simulate.anatomy.people import MEN, Person

#: Patients of the paper, and how many of them are for testing.
N_PATIENTS, N_TEST = 424, 100
#: What a graded image may be, and how often: the paper's database is self-navigated; a navigation that did
#: not work leaves the motion in.
KINDS = {"selfnav": 0.85, "uncorrected": 0.15}
#: Heartbeats of a scan (Fibonacci numbers, for the sake of eddy currents), and how often.
HEARTBEATS = {377: 0.75, 610: 0.25}
#: Imperfections of a scan, and how often each occurs.
IMPERFECTIONS = {"gradient-delay": 0.15, "off-resonance": 0.15, "dropped-readouts": 0.10, "arrhythmia": 0.15}
#: Correlation of what makes a scan hard.
TOGETHER = 0.5
#: One patient in so many may be used to calibrate the reference formula; see :func:`may_calibrate`.
CALIBRATION_STEP = 4
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Difficulty:
    """How hard a patient's scan is.

    Attributes
    ----------
    heartbeats : int
        Interleaves of the scan.
    sampling : float
        Imaging spokes over Nyquist's, (pi / 2) N^2.
    snr : float
        Blood in the heart over the noise of a k-space sample, as ``ScanConfig.snr``.
    amplitude : float
        Mean breathing excursion of the diaphragm, mm.
    drift : float
        How far the resting position wanders, mm.
    residual : float
        What triggering leaves of the heart's own motion, root mean square, mm.
    imperfections : tuple of str
        Names of :data:`IMPERFECTIONS`.
    kind : str
        Which image is graded, a key of :data:`KINDS`.
    """

    heartbeats: int
    sampling: float
    snr: float
    amplitude: float
    drift: float
    residual: float
    imperfections: tuple[str, ...]
    kind: str

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Difficulty:
        """Return the difficulty of one scan.

        Sampling, SNR and residual motion are log-uniform, breathing uniform. Together they are correlated
        (a Gaussian copula, :data:`TOGETHER`): who is ill and heavy breathes deeply, gives less signal and
        interrupts the scan. So a cohort has hopeless and excellent images, though no single fault is extreme.
        """
        ease = np.sqrt(TOGETHER) * rng.standard_normal() + np.sqrt(1 - TOGETHER) * rng.standard_normal(5)
        sampling, snr, breathing, residual, navigation = (0.5 * math.erfc(-e / math.sqrt(2)) for e in ease)
        return cls(
            heartbeats=int(rng.choice(list(HEARTBEATS), p=list(HEARTBEATS.values()))),
            sampling=round(_log_between(0.10, 0.30, sampling), 4),
            snr=round(_log_between(8.0, 60.0, snr), 2),
            amplitude=round(20 - 15 * breathing, 2),
            drift=round(float(rng.uniform(-6, 6)), 2),
            residual=round(_log_between(1.6, 0.2, residual), 2),
            imperfections=tuple(name for name, share in IMPERFECTIONS.items() if rng.random() < share),
            kind="uncorrected" if navigation < KINDS["uncorrected"] else "selfnav",
        )


@dataclass(frozen=True)
class CohortPatient:
    """One patient of a cohort.

    Attributes
    ----------
    number : int
        From 1.
    seed : int
        Of anatomy, heart rate, breathing, coils and noise.
    age : int
        Years.
    sex : str
        ``M`` or ``F``.
    matrix : int
        Voxels along each axis of the graded image.
    difficulty : Difficulty
    """

    number: int
    seed: int
    age: int
    sex: str
    matrix: int
    difficulty: Difficulty

    @property
    def name(self) -> str:
        """Name in tables and of files: ``p001``."""
        return f"p{self.number:03d}"

    def as_row(self) -> dict[str, str | int | float]:
        """Return what was drawn, as ``patients.tsv`` has it: no image is needed to know it."""
        hard = self.difficulty
        return {
            "patient": self.name,
            "number": self.number,
            "seed": self.seed,
            "age": self.age,
            "sex": self.sex,
            "calibration": int(may_calibrate(self.number)),
            "kind": hard.kind,
            "heartbeats": hard.heartbeats,
            "sampling": hard.sampling,
            "snr": hard.snr,
            "amplitude_mm": hard.amplitude,
            "drift_mm": hard.drift,
            "residual_mm": hard.residual,
            "imperfections": ",".join(hard.imperfections) or "none",
        }

    def n_spokes(self, matrix: int) -> int:
        """Return the imaging spokes of this patient's scan at a matrix."""
        return round(self.difficulty.sampling * np.pi / 2 * matrix**2)


def draw_patients(n_patients: int = N_PATIENTS, *, seed: int = 0, matrix: int = 208) -> list[CohortPatient]:
    """Draw the patients of a cohort.

    Parameters
    ----------
    n_patients : int
    seed : int
        Of the cohort.
    matrix : int
        Of the graded images.

    Returns
    -------
    list of CohortPatient
        The first ones are the same whatever ``n_patients``.

    Raises
    ------
    ConfigError
        If there are no patients, or the seed is negative.
    """
    if n_patients < 1:
        raise ConfigError(f"a cohort of {n_patients} patients", field="--patients", hint="1 or more")
    if seed < 0:
        raise ConfigError(f"{seed} is negative", field="--seed")
    return [_drawn(number, seed, matrix) for number in range(1, n_patients + 1)]


def may_calibrate(number: int) -> bool:
    """Return whether a patient may be used to calibrate the reference formula.

    Grades decide the split, and the formula decides grades; so who may calibrate has to be settled before
    either: every fourth patient by number, which no quality depends on. They are always in a training part.
    """
    return number % CALIBRATION_STEP == 1


def _drawn(number: int, cohort_seed: int, matrix: int) -> CohortPatient:
    rng = np.random.default_rng([cohort_seed, number, 1])
    person = _person(number, cohort_seed)
    return CohortPatient(number, person.seed, person.age, person.sex, matrix, Difficulty.drawn(rng))


def _person(number: int, cohort_seed: int) -> Person:
    """Return the first person with this number's sex.

    Men are spread over the numbers by multiples of the golden ratio, so that their share is right in a part
    of the cohort, too; a draw for each would leave it 2 % off in 424.
    """
    start = np.random.default_rng([cohort_seed]).random()
    sex = "M" if (start + number * _GOLDEN) % 1.0 < MEN else "F"
    seeds = np.random.default_rng([cohort_seed, number, 0])
    while True:
        person = Person.from_seed(int(seeds.integers(2**31)))
        if person.sex == sex:
            return person


def _log_between(first: float, last: float, share: float) -> float:
    return float(first * (last / first) ** share)
