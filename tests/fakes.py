"""A grader whose grades are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from csiq.cuda.stream import SideLine
from csiq.quality.grade import Grade


class ScriptedGrader:
    """Gives each phase of each iteration the grade of a script; the last row goes on for ever.

    Parameters
    ----------
    script : sequence of sequences of float
        A row an iteration, an entry a phase.
    """

    name, sha256 = "scripted", "0" * 64
    warnings: tuple[str, ...] = ()
    card: ClassVar[dict[str, Any]] = {}

    def __init__(self, script: Sequence[Sequence[float]], grade_sd: float = 0.1) -> None:
        self.script = script
        self.grade_sd = grade_sd
        self.calls = 0

    def side_line(self) -> SideLine | None:
        """Return None: it grades at once, as on a CPU."""
        return None

    def grade(self, volume: Any, voxel_size: tuple[float, float, float]) -> Grade:
        """Return the next grade of the script."""
        n_phases = len(self.script[0])
        row = self.script[min(self.calls // n_phases, len(self.script) - 1)]
        grade = row[self.calls % n_phases]
        self.calls += 1
        return Grade(grade=grade, grade_sd=self.grade_sd, in_domain=True)


def rising(n_phases: int = 4, plateau: int = 5, top: float = 2.0) -> ScriptedGrader:
    """Return a grader whose grades rise to ``plateau`` and stay; phase 2 is best, phase 4 worst."""
    offsets = [0.0, 0.1, -0.1, -0.6][:n_phases]
    return ScriptedGrader([[top * min(k / plateau, 1) + d for d in offsets] for k in range(plateau + 1)])
