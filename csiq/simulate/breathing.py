"""Traces of breathing.

A trace is the displacement of the diaphragm in mm over seconds: 0 at the deepest end-expiration, positive
in inspiration, when organs move toward the feet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.errors import ConfigError, RawDataError, nearest
from csiq.io.sniff import check_is_file

DWELLS = ("end-expiration", "end-inspiration")

_BELT_INTERVAL = 2.5e-3  # s between the values of a respiratory belt
_BELT_TRIGGER = 5000  # marks an event among them, is no value
_BELT_BLUR = 0.15  # s: gradients shake the belt, not the diaphragm
_STEP = 0.02  # s between the points of a synthetic trace
_MOST = 60.0  # mm: nobody's diaphragm moves further
_SIGH = 1.6  # depth of a sigh over that of a breath
_PAUSING = 0.2  # share of people who now and then pause


@dataclass(frozen=True)
class Breathing:
    """A breathing trace.

    Attributes
    ----------
    times : float64 array, (n,)
        Seconds, rising.
    displacement : float64 array, (n,)
        mm at the diaphragm.
    source : str
        ``synthetic`` or the base name of a file.
    """

    times: np.ndarray
    displacement: np.ndarray
    source: str = "synthetic"

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return the displacement at given times; a trace that is too short is run back and forth."""
        length = self.times[-1] - self.times[0]
        folded = np.mod(np.asarray(times, dtype=float) - self.times[0], 2 * length)
        folded = np.minimum(folded, 2 * length - folded)
        return np.interp(folded, self.times - self.times[0], self.displacement)


@dataclass(frozen=True)
class BreathingStyle:
    """How somebody breathes, for :func:`synthetic_breathing`.

    Attributes
    ----------
    amplitude : float
        Mean excursion at the diaphragm, mm.
    period : float
        Mean length of a breath, s.
    dwell : str
        Where most time is spent: ``end-expiration`` or ``end-inspiration``.
    sharpness : float
        n of sin^2n, 1 to 4: larger dwells longer.
    irregular : float
        Relative standard deviation of amplitude and period from breath to breath.
    drift : float
        How far the resting position wanders during the trace, mm.
    sighs : float
        Share of breaths that are 1.6 times as deep.
    pauses : float
        Share of breaths after which breathing stops for 3 to 8 s.
    """

    amplitude: float = 12.0
    period: float = 4.2
    dwell: str = "end-expiration"
    sharpness: float = 2.0
    irregular: float = 0.15
    drift: float = 4.0
    sighs: float = 0.03
    pauses: float = 0.0

    def __post_init__(self) -> None:
        if self.dwell not in DWELLS:
            raise ConfigError(
                f"nobody dwells at '{self.dwell}'", field="dwell", hint=nearest(self.dwell, DWELLS)
            )
        if not 0 <= self.amplitude <= _MOST:
            raise ConfigError(f"{self.amplitude} mm is no amplitude of breathing", field="amplitude")

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        dwell: str = "end-expiration",
        *,
        amplitude: float | None = None,
        drift: float | None = None,
    ) -> BreathingStyle:
        """Return one person's way to breathe: what is not given is drawn, an amplitude from 5 to 20 mm."""
        drawn = float(rng.uniform(5, 20))
        amplitude = drawn if amplitude is None else amplitude
        period, wander = float(rng.uniform(3.2, 5.5)), float(rng.uniform(-0.4, 0.4))
        return cls(
            amplitude=amplitude,
            period=period,
            dwell=dwell,
            sharpness=float(rng.uniform(1.0, 4.0)),
            irregular=float(rng.uniform(0.08, 0.2)),
            drift=wander * amplitude if drift is None else drift,
            sighs=float(rng.uniform(0.0, 0.05)),
            pauses=0.015 if rng.random() < _PAUSING else 0.0,
        )


def synthetic_breathing(style: BreathingStyle, duration: float, rng: np.random.Generator) -> Breathing:
    """Return an irregular trace with drift, and a sigh or a pause now and then.

    Each breath is A sin^2n(pi t / T), with its own A and T; a pause is spent where the style dwells.

    References
    ----------
    Lujan AE, et al. A method for incorporating organ motion due to breathing into 3D dose calculations. Med
    Phys 1999;26:715-720.
    """
    times = np.arange(0, duration + 2 * style.period, _STEP)
    shape = np.zeros_like(times)
    start = -float(rng.uniform(0, style.period))
    while start < times[-1]:
        length, height, rest = _breath(style, rng)
        inside = (times >= start) & (times < start + length)
        wave = np.sin(np.pi * (times[inside] - start) / length) ** (2 * style.sharpness)
        shape[inside] = height * wave
        start += length + rest
    if style.dwell == "end-inspiration":
        shape = style.amplitude - shape
    moved = shape + _drift(times / times[-1], style.drift, rng)
    return Breathing(times, moved - moved.min())


def _breath(style: BreathingStyle, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return length (s) and height (mm) of the next breath, and the pause after it (s)."""
    length = style.period * _factor(rng, style.irregular)
    height = style.amplitude * _factor(rng, style.irregular)
    height *= _SIGH if rng.random() < style.sighs else 1.0
    rest = float(rng.uniform(3, 8)) if rng.random() < style.pauses else 0.0
    return length, height, rest


def read_breathing(path: str | Path, *, amplitude: float = 12.0) -> Breathing:
    """Read a measured trace.

    Parameters
    ----------
    path : path
        Text: either one column, the values of a respiratory belt every 2.5 ms, larger in inspiration
        (5000 marks a trigger and is left out), or two: seconds, and mm at the diaphragm.
    amplitude : float
        mm between the 2nd and 98th percentile of a belt, whose unit is arbitrary.

    Raises
    ------
    RawDataError
        If the file is no such table or too short.
    """
    numbers = _numbers(Path(path))
    name = Path(path).name
    if numbers.ndim == 2 and numbers.shape[1] == 2:
        times, moved = numbers.T
        if np.any(np.diff(times) <= 0):
            raise RawDataError("times do not rise", file=name)
        return Breathing(times, moved - moved.min(), name)
    values = numbers.ravel()
    return _from_belt(values[values != _BELT_TRIGGER], amplitude, name)


def _from_belt(values: np.ndarray, amplitude: float, name: str) -> Breathing:
    from scipy.ndimage import gaussian_filter1d

    if values.size * _BELT_INTERVAL < 10:
        raise RawDataError(
            f"a breathing trace of {values.size} values is shorter than 10 s",
            file=name,
            hint="2.5 ms a value",
        )
    smooth = gaussian_filter1d(values, _BELT_BLUR / _BELT_INTERVAL, mode="nearest")
    low, high = np.percentile(smooth, [2, 98])
    if high <= low:
        raise RawDataError("a breathing trace that does not move", file=name)
    moved = (smooth - smooth.min()) * amplitude / (high - low)
    return Breathing(np.arange(values.size) * _BELT_INTERVAL, moved, name)


def _numbers(path: Path) -> np.ndarray:
    check_is_file(path, "a breathing trace", field="--breathing")
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if len(rows) > 1 and all(len(row) == 2 for row in rows):
            numbers = np.array(rows, dtype=np.float64)
        else:
            numbers = np.array([word for row in rows for word in row], dtype=np.float64)
    except (ValueError, OSError) as error:
        raise RawDataError(f"no breathing trace: {error}", file=path, hint="numbers only") from None
    if numbers.size < 2 or not np.all(np.isfinite(numbers)):
        raise RawDataError("a breathing trace holds finite numbers", file=path)
    return numbers


def _factor(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(spread * np.clip(rng.standard_normal(), -2.5, 2.5)))


def _drift(share: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return a slow trend of ``size`` mm with slow waves on it."""
    waves = sum(rng.normal(0, 0.12) * np.sin(2 * np.pi * (k * share + rng.random())) for k in (1, 2, 3))
    return np.asarray(size * (share + waves))
