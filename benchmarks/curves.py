"""Curves of cost and error against seconds: what one program did on one problem; table, file, plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LEVELS = (1e-1, 1e-2, 1e-3)
FOLDER = Path(__file__).resolve().parent / "curves"


@dataclass(frozen=True)
class Point:
    """One image of a program.

    Attributes
    ----------
    iteration : int
        In the program's own count; conjugate gradient steps for BART.
    seconds : float
        From arrays in memory to this image, set-up included.
    cost : float
        Of the objective the program minimises.
    nrmse : float
    """

    iteration: int
    seconds: float
    cost: float
    nrmse: float


@dataclass
class Curve:
    """What a program did.

    Attributes
    ----------
    program : str
    ring : bool
        Whether its objective ties the last phase to the first.
    points : list of Point
        In order of iteration.
    last : complex64 array, optional
        The image of the last point.
    restarted : bool
        Whether each point is a run of its own from the start; times between two points are then
        interpolated (in the logarithm of the gap), in the program's favour.
    """

    program: str
    ring: bool = False
    points: list[Point] = field(default_factory=list)
    last: np.ndarray | None = None
    restarted: bool = False

    @property
    def per_iteration(self) -> float:
        """Seconds of an iteration: the slope between the first point and the last."""
        if len(self.points) < 2:
            return math.nan
        first, last = self.points[0], self.points[-1]
        return (last.seconds - first.seconds) / (last.iteration - first.iteration)


@dataclass(frozen=True)
class Range:
    """The costs between which a gap is measured: gap = (cost - lowest) / (start - lowest)."""

    start: float
    lowest: float

    def gap(self, cost: float) -> float:
        """Return the gap of a cost, at least 1e-12."""
        return max((cost - self.lowest) / (self.start - self.lowest), 1e-12)


def reached(curve: Curve, costs: Range, level: float) -> tuple[float, float] | None:
    """Return (seconds, NRMSE) where the gap first falls to a level; None if it never does."""
    before: Point | None = None
    for point in curve.points:
        gap = costs.gap(point.cost)
        if gap <= level:
            if before is None or not curve.restarted:
                return point.seconds, point.nrmse
            high = costs.gap(before.cost)
            share = math.log(high / level) / math.log(high / gap)
            mixed = before.seconds + share * (point.seconds - before.seconds)
            return mixed, before.nrmse + share * (point.nrmse - before.nrmse)
        before = point
    return None


HEADER = (
    "program",
    "first image s",
    "s / iteration",
    *(f"s to gap {level:.0e}" for level in LEVELS),
    "NRMSE there",
    "last: iteration, s, gap, NRMSE",
)


def rows(curves: Sequence[Curve], ranges: dict[bool, Range]) -> list[tuple[str, ...]]:
    """Return the table's rows, times to a gap with their ratio to the first curve's."""
    out = []
    for curve in curves:
        costs, last = ranges[curve.ring], curve.points[-1]
        times, errors = [], []
        for level in LEVELS:
            here, first = reached(curve, costs, level), reached(curves[0], ranges[curves[0].ring], level)
            ratio = f" ({here[0] / first[0]:.1f}x)" if here and first and curve is not curves[0] else ""
            times.append(f"{here[0]:.2f}{ratio}" if here else "not reached")
            errors.append(f"{here[1]:.3f}" if here else "-")
        slope = curve.per_iteration / curves[0].per_iteration
        per_iteration = f"{curve.per_iteration:.3f}" + (f" ({slope:.1f}x)" if curve is not curves[0] else "")
        end = f"{last.iteration}, {last.seconds:.1f}, {costs.gap(last.cost):.1e}, {last.nrmse:.3f}"
        first_image = f"{curve.points[0].seconds:.2f}"
        out.append((curve.program, first_image, per_iteration, *times, " / ".join(errors), end))
    return out


def write_tsv(name: str, curves: Sequence[Curve], ranges: dict[bool, Range], folder: Path) -> Path:
    """Write all points of all curves; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["program\titeration\tseconds\tcost\tgap\tnrmse"]
    for curve in curves:
        for p in curve.points:
            gap = ranges[curve.ring].gap(p.cost)
            values = f"{p.iteration}\t{p.seconds:.4g}\t{p.cost:.8g}\t{gap:.4g}\t{p.nrmse:.4g}"
            lines.append(f"{curve.program}\t{values}")
    path = folder / f"{name}.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plot(name: str, curves: Sequence[Curve], ranges: dict[bool, Range], folder: Path) -> Path:
    """Plot gap and NRMSE against seconds; return the file."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for curve in curves:
        images = [p for p in curve.points if not math.isnan(p.nrmse)] or curve.points  # SigPy's first is zero
        seconds = [p.seconds for p in images]
        style = {"marker": "o" if curve.restarted else ".", "markersize": 4, "label": curve.program}
        left.loglog(seconds, [ranges[curve.ring].gap(p.cost) for p in images], **style)
        right.semilogx(seconds, [p.nrmse for p in images], **style)
    for level in LEVELS:
        left.axhline(level, color="0.85", linewidth=0.8, zorder=0)
    left.set(ylabel="relative cost gap", ylim=(1e-4, 10))
    right.set(ylabel="NRMSE to the truth")
    for axes in (left, right):
        axes.set_xlabel("seconds, set-up included")
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, fontsize="small")
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=110)
    return path
