"""Which weights of the penalty are tried, and how far they may go."""

from __future__ import annotations

import math
from collections.abc import Iterable

from csiq.config import Config
from csiq.errors import ConfigError

#: The default range reaches so far to either side of the configuration's weight, as a factor. Published
#: weights along respiration lie within it (0.02; 0.015 to 0.03 in dynamic contrast studies, Feng 2016).
REACH = 10.0
#: Weights of the default range, three a decade, the configuration's own in the middle.
POINTS = 7
#: Weights closer than this factor are one.
_SAME = 1 + 1e-6


def home_of(config: Config) -> float:
    """Return the weight a sweep starts from and comes back to: the configuration's own.

    Raises
    ------
    ConfigError
        If there is nothing to tune: a single image has no total variation along the phases; or if the
        weight is 0, which no range has a middle at.
    """
    if config.gating.mode == "selfnav" or config.gating.phases == 1:
        raise ConfigError(
            "a single image has no total variation along the phases: lamda does nothing",
            field="gating.mode" if config.gating.mode == "selfnav" else "gating.phases",
            hint="csiq tune needs two or more phases",
        )
    if config.penalty.lamda <= 0:
        raise ConfigError(
            "a sweep needs a weight above 0 to start from", field="penalty.lamda", hint="--preset whole-heart"
        )
    return config.penalty.lamda


def lamda_grid(
    home: float, low: float | None = None, high: float | None = None, points: int = POINTS
) -> tuple[float, ...]:
    """Return weights at equal ratios, rising, ``home`` among them.

    Parameters
    ----------
    home : float
        The weight of the configuration. It is added if no weight of the grid is equal to it.
    low, high : float, optional
        Ends of the range; ``home`` divided and multiplied by :data:`REACH` by default.
    points : int
        Of the grid, ends included.

    Raises
    ------
    ConfigError
        If the range is empty, an end is not above 0, or there are fewer than two points.
    """
    low, high = (home / REACH if low is None else low), (home * REACH if high is None else high)
    if not (math.isfinite(low) and math.isfinite(high) and 0 < low < high):
        raise ConfigError(
            f"expected 0 < low < high, got {low:g} and {high:g}", field="--lamda-min, --lamda-max"
        )
    if points < 2:
        raise ConfigError(f"expected 2 or more, got {points}", field="--points")
    ratio = (high / low) ** (1 / (points - 1))
    between = [low * ratio**k for k in range(1, points - 1)]
    short = {float(f"{lamda:.2g}") for lamda in between}
    # two digits are enough, and easier to type, unless they make two weights one
    inner = short if len({low, high, *short}) == points else between
    return with_home([low, *inner, high], home)


def with_home(lamdas: Iterable[float], home: float) -> tuple[float, ...]:
    """Return weights in rising order, each once and to four digits, ``home`` to the last digit among them.

    Raises
    ------
    ConfigError
        If one is not above 0, or there is none.
    """
    given = list(lamdas)
    if not given or not all(math.isfinite(lamda) and lamda > 0 for lamda in given):
        shown = ", ".join(f"{lamda:g}" for lamda in given) or "none"
        raise ConfigError(f"expected weights above 0, got {shown}", field="--lamda", hint="0.01,0.02,0.05")
    rounded = {float(f"{lamda:.4g}") for lamda in given}
    others = {lamda for lamda in rounded if not _equal(lamda, home, 1 + 1e-3)}
    return tuple(sorted({*others, home}))


def is_home(lamda: float, home: float) -> bool:
    """Return whether a weight is that of the configuration."""
    return _equal(lamda, home, _SAME)


def _equal(a: float, b: float, within: float) -> bool:
    return max(a, b) <= min(a, b) * within
