"""A rule that waits for a better image, and gives up."""

from __future__ import annotations

from dataclasses import dataclass

from csiq.stopping.grade_rule import GradeRule, Scope, Track
from csiq.stopping.rule import check_at_least, check_count


@dataclass(frozen=True)
class BestSoFar(GradeRule):
    """No better image for ``patience`` iterations.

    A grade is a new best if it exceeds the best so far by more than ``gain`` and by more than ``noise`` times
    its own noise floor: what noise could have made is no better image. A slow rise counts once it adds up to
    that. The rule fires where the best is ``patience`` iterations old, a falling grade included.

    Parameters
    ----------
    patience : int
        Iterations without a new best.
    gain : float
        What a new best must exceed the old one by, at least.
    noise : float
        Noise floors (:func:`csiq.history.noise_floor`) it must exceed the old one by, at least.
    min_iter, scope
        As of :class:`csiq.stopping.GradePlateau`.
    """

    patience: int = 3
    gain: float = 0.02
    noise: float = 1.0
    min_iter: int = 3
    scope: Scope = "mean"
    key = "grade_best_so_far"

    def __post_init__(self) -> None:
        self._check()
        check_count("patience", self.patience)
        check_at_least("gain", self.gain, 0)
        check_at_least("noise", self.noise, 0)

    @property
    def earliest(self) -> int:
        """First iteration at which iteration 0 is old enough."""
        return self.patience

    def stands_still(self, track: Track) -> bool:
        """Whether the best of a track is ``patience`` iterations old."""
        best, at = track.grades[0], 0
        for k, (grade, noise) in enumerate(zip(track.grades, track.noise, strict=True)):
            if grade - best > max(self.gain, self.noise * noise):
                best, at = grade, k
        return len(track.grades) - 1 - at >= self.patience

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the {self._whose()} brought no new best in {self.patience} iterations, by more than "
            f"{self.gain:.3g} and {self.noise:g} x its noise"
        )
