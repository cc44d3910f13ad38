"""What the heart's own beat does to a triggered scan: when its bursts come, and where they find the heart.

A burst of readouts falls into the heart's resting phase. That phase is not the same in each heartbeat, nor is
the heart quite at rest in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.breathing import Breathing

_JITTER = 0.03  # SD of an RR interval, a share of the mean
_SINUS_ARRHYTHMIA = 0.05  # an RR interval lengthens so much from inspiration to expiration
_EARLY, _PAUSE = 0.65, 1.35  # RR intervals before and after an ectopic beat, over the mean
_APEX = np.array([-0.53, 0.58, -0.62])  # from base to apex; the base moves along it in systole
_SPREAD = np.array([0.7, 0.5, 0.5])  # z y x: shares of the residual motion; their squares sum to 1


@dataclass(frozen=True)
class Rhythm:
    """When a scan's heartbeats come.

    Attributes
    ----------
    times : float64 array, (n_beats,)
        Start of each burst, s; the first is 0.
    ectopic : bool array, (n_beats,)
        Beats that came early: their burst finds the heart still contracted.
    """

    times: np.ndarray
    ectopic: np.ndarray


@dataclass(frozen=True)
class CardiacMotion:
    """How the heart's position in its resting phase differs from burst to burst.

    Attributes
    ----------
    residual : float
        Root mean square length of the offset of a heartbeat, mm.
    speed : float
        Along the axis from base to apex during a burst, mm/s.
    contracted : float
        How far an ectopic beat's burst finds the heart along that axis, mm.

    References
    ----------
    Wang Y, Vidan E, Bergman GW. Cardiac motion of coronary arteries: variability in the rest period and
    implications for coronary MR angiography. Radiology 1999;213:751-758.
    """

    residual: float = 0.0
    speed: float = 0.0
    contracted: float = 7.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, residual: float | None = None) -> CardiacMotion:
        """Return one person's motion; ``residual`` is drawn from 0.3 to 1.5 mm if not given."""
        drawn = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
        drawn = drawn if residual is None else residual
        return cls(drawn, drawn * float(rng.uniform(-8, 8)), float(rng.uniform(4, 9)))

    def offsets(
        self, heartbeat: np.ndarray, since: np.ndarray, ectopic: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return where each readout finds the heart, relative to its usual place.

        Parameters
        ----------
        heartbeat : int array, (n_readouts,)
        since : float array, (n_readouts,)
            Seconds from the middle of the readout's burst.
        ectopic : bool array, (n_beats,)

        Returns
        -------
        float64 array, (n_readouts, 3)
            mm, z y x.
        """
        apex = _APEX / np.linalg.norm(_APEX)
        of_beat = self.residual * rng.standard_normal((len(ectopic), 3)) * (_SPREAD / np.linalg.norm(_SPREAD))
        of_beat += (self.contracted * ectopic)[:, None] * apex
        return np.asarray(of_beat[heartbeat] + self.speed * np.asarray(since)[:, None] * apex)


def heartbeats(
    n_beats: int, rr: float, breathing: Breathing, rng: np.random.Generator, *, arrhythmia: float = 0.0
) -> Rhythm:
    """Return when each heartbeat's burst begins.

    RR intervals jitter by 3 % and lengthen in expiration by 5 % (respiratory sinus arrhythmia). An ectopic
    beat comes early, and a pause makes up for it.

    Parameters
    ----------
    rr : float
        Mean RR interval, s.
    arrhythmia : float
        Share of beats that are ectopic.
    """
    times = np.empty(n_beats)
    now = 0.0
    spread = max(float(np.ptp(breathing.displacement)), 1e-9)
    usual = float(breathing.displacement.mean()) / spread
    jitter = rng.standard_normal(n_beats)
    ectopic = _ectopic_beats(n_beats, arrhythmia, rng)
    # the interval before an ectopic beat is short, the one after it long
    length = np.ones(n_beats)
    length[:-1][ectopic[1:]] = _EARLY
    length[ectopic] = _PAUSE
    for beat in range(n_beats):
        times[beat] = now
        inspired = float(breathing.at(np.array(now))) / spread
        sinus = _JITTER * jitter[beat] + _SINUS_ARRHYTHMIA * (usual - inspired)
        now += rr * max(length[beat] * (1 + sinus), 0.5)
    return Rhythm(times, ectopic)


def _ectopic_beats(n_beats: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return which beats are ectopic: a fixed number, never the first, never two in a row."""
    ectopic = np.zeros(n_beats, dtype=bool)
    if share == 0:
        return ectopic
    wanted = round(share * n_beats)
    for beat in rng.permutation(np.arange(1, n_beats)):
        if ectopic.sum() >= wanted:
            break
        if not ectopic[max(beat - 1, 0) : beat + 2].any():
            ectopic[beat] = True
    return ectopic
