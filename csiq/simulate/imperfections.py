"""What goes wrong on a real scanner: late gradients, a field that is off, lost readouts, early heartbeats.

The file of a scan tells the nominal trajectory; what follows here is what was really played.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError, nearest

#: What :meth:`Imperfections.drawn` knows.
KINDS = ("gradient-delay", "off-resonance", "dropped-readouts", "arrhythmia")

_FIELD_REACH = 60.0  # mm over which the field changes by as much as it is off in the middle
_MOST_DELAY = 50.0  # us
_MOST_OFF = 500.0  # Hz


@dataclass(frozen=True)
class Imperfections:
    """What is wrong with a scan; nothing by default.

    Attributes
    ----------
    gradient_delay : (float, float, float)
        By how much the gradients of the physical axes z, y and x are late, us. Samples shift along the spoke
        by a share of a sample that depends on its direction.
    off_resonance : float
        Hz by which the middle of the heart is off; the field changes by as much over 60 mm in a direction
        that is drawn. See :class:`LinearField`.
    missing, zeroed : float
        Share of the imaging readouts that are not in the file, and that hold zeros alone.
    arrhythmia : float
        Share of heartbeats that are ectopic.
    """

    gradient_delay: tuple[float, float, float] = (0.0, 0.0, 0.0)
    off_resonance: float = 0.0
    missing: float = 0.0
    zeroed: float = 0.0
    arrhythmia: float = 0.0

    def __post_init__(self) -> None:
        if len(self.gradient_delay) != 3:
            raise ConfigError("one delay for each of z, y and x is expected", field="--gradient-delay")
        for name, value, most in (
            *(("--gradient-delay", abs(delay), _MOST_DELAY) for delay in self.gradient_delay),
            ("--off-resonance", abs(self.off_resonance), _MOST_OFF),
            ("--missing", self.missing, 0.5),
            ("--zeroed", self.zeroed, 0.5),
            ("--arrhythmia", self.arrhythmia, 0.3),
        ):
            if not 0 <= value <= most:
                part = name in ("--missing", "--zeroed", "--arrhythmia")  # typed in percent
                found, end = (
                    (f"{100 * value:g} %", f"{100 * most:g} %")
                    if part
                    else (f"{value:g} either way", f"{most:g}")
                )
                raise ConfigError(f"{found} is not between 0 and {end}", field=name)

    @classmethod
    def drawn(cls, kinds: Collection[str], rng: np.random.Generator) -> Imperfections:
        """Return imperfections of common size: all are drawn, those not among ``kinds`` are then left out.

        Raises
        ------
        ConfigError
            If a kind is not one of :data:`KINDS`.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(f"unknown imperfection '{kind}'", hint=nearest(kind, KINDS))
        delay = [float(d) for d in rng.uniform(-4, 4, 3)]
        off, lost, early = (float(rng.uniform(*span)) for span in ((20, 60), (0.01, 0.06), (0.04, 0.15)))
        return cls(
            gradient_delay=(delay[0], delay[1], delay[2]) if KINDS[0] in kinds else (0.0, 0.0, 0.0),
            off_resonance=off if KINDS[1] in kinds else 0.0,
            missing=lost / 2 if KINDS[2] in kinds else 0.0,
            zeroed=lost / 2 if KINDS[2] in kinds else 0.0,
            arrhythmia=early if KINDS[3] in kinds else 0.0,
        )


@dataclass(frozen=True)
class LinearField:
    """A main field that is off by ``offset + slope . r`` Hz.

    In a balanced sequence the echo refocuses what is off, so phase runs from the middle of a readout: spins
    at r turn by the field times the time t since then. With a linear field that is k-space shifted by
    ``slope * t`` and turned by ``offset * t``, for a moving body too: exact, and for nothing. Dark bands,
    1/(2 TR) = 161 Hz from resonance, and the slight loss of signal before them are not simulated.

    Attributes
    ----------
    offset : float
        Hz, in the middle of the heart.
    slope : float64 array, (3,)
        Hz/mm, z y x.
    """

    offset: float
    slope: np.ndarray

    @classmethod
    def drawn(cls, off_resonance: float, rng: np.random.Generator) -> LinearField:
        """Return a field that is off by ``off_resonance`` Hz, up or down, and slopes in some direction."""
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        return cls(off_resonance * float(rng.choice([-1.0, 1.0])), off_resonance / _FIELD_REACH * direction)

    def shifted(self, coord: np.ndarray, since_echo: np.ndarray, fov: float) -> np.ndarray:
        """Return where k-space is really sampled.

        Parameters
        ----------
        coord : float32 array, (n_readouts, n_samples, 3)
            Cycles per field of view.
        since_echo : float array, (n_samples,)
            Seconds.
        fov : float
            mm.
        """
        return np.asarray(coord + (fov * np.outer(since_echo, self.slope)).astype(np.float32))

    def turn(self, since_echo: np.ndarray) -> np.ndarray:
        """Return what each sample is multiplied by, complex64 (n_samples,)."""
        return np.exp(-2j * np.pi * self.offset * np.asarray(since_echo)).astype(np.complex64)


def delayed(coord: np.ndarray, delay: tuple[float, float, float], dwell: float) -> np.ndarray:
    """Return where late gradients have really brought k-space at each sample.

    Along one axis a spoke moves evenly, so that being late is a shift by ``delay / dwell`` samples of that
    axis' steps. A stack-of-stars has its partition set before the readout: it does not move along z.

    Parameters
    ----------
    coord : float32 array, (n_readouts, n_samples, 3)
        Nominal, z y x.
    delay : (float, float, float)
        us, z y x.
    dwell : float
        Between samples, s.
    """
    steps = (coord[:, -1:] - coord[:, :1]) / np.float32(coord.shape[1] - 1)
    return np.asarray(coord - steps * (np.array(delay) * 1e-6 / dwell).astype(np.float32))


def lost_readouts(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which of ``n`` readouts are lost: a fixed number, anywhere.

    Returns
    -------
    bool array, (n,)
    """
    lost = np.zeros(n, dtype=bool)
    lost[rng.permutation(n)[: round(share * n)]] = True
    return lost
