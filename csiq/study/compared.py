"""Numbers of this study beside the paper's, and what a difference comes from as far as the numbers say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from csiq.evaluation.section import Table, plus_minus, shown, span
from csiq.study.published import PaperSpread
from csiq.study.spread import Share, Spread

#: What counts as clear, for the reader of the page.
RULE = (
    "A difference is called clear where it is more than the 90 % bootstrap interval over scans and that of "
    "the paper's own scans leave open together: the root of the sum of their squares."
)
_NOTE = (
    "Mean ± SD (range) over all phases of all scans where nothing else is said. Reference: quality by a "
    "stated formula against the simulation's truth, which no network made."
)


@dataclass(frozen=True)
class Compared:
    """One quantity here and in the paper.

    Attributes
    ----------
    what : str
    grade : Spread
        By the network.
    reference : Spread, optional
        By reference quality.
    paper : PaperSpread, optional
    because : str
        What else is known of a difference; a sentence.
    digits : int
        Of the paper's numbers.
    """

    what: str
    grade: Spread
    reference: Spread | None = None
    paper: PaperSpread | None = None
    because: str = ""
    digits: int = 1


def spread_words(found: Spread | None, digits: int = 2) -> str:
    """Return ``1.72 ± 1.10 (0.10 to 3.81)``."""
    if found is None or not found.n:
        return "–"
    text = plus_minus(found.mean, found.sd, digits)
    return f"{text} ({shown(found.least, digits)} to {shown(found.most, digits)})"


def compared_table(name: str, caption: str, rows: Sequence[Compared]) -> Table:
    """Return the table of some quantities beside the paper's."""
    body = [
        (
            row.what,
            spread_words(row.grade),
            spread_words(row.reference),
            row.paper.words(row.digits) if row.paper is not None else "–",
        )
        for row in rows
    ]
    data = []
    for row in rows:
        cells: dict[str, str | float | int] = {"what": row.what}
        for by, found in (("grade", row.grade), ("reference", row.reference or Spread(0, *[math.nan] * 4))):
            cells |= {f"{by}_{key}": value for key, value in vars(found).items()}
        paper = row.paper or PaperSpread(math.nan)
        cells |= {f"paper_{key}": getattr(paper, key) for key in ("mean", "sd", "least", "most")}
        data.append(cells)
    return Table(name, caption, ("", "grade", "reference quality", "paper"), body, data, _NOTE)


def differences(rows: Sequence[Compared]) -> tuple[str, ...]:
    """Return a sentence for each quantity that clearly differs from the paper's, with what it comes from."""
    return tuple(sentence for row in rows if (sentence := _difference(row)))


def _difference(row: Compared) -> str:
    found, paper = row.grade, row.paper
    if paper is None or not all(map(math.isfinite, (found.low, found.high, paper.mean))):
        return ""
    half = 0.5 * 10.0**-row.digits  # half of the last digit that the paper prints is no difference
    if not _is_clear(found, paper, half):
        return ""
    side = "higher" if found.mean > paper.mean else "lower"
    said = (
        f"{row.what}: {shown(found.mean)} here (90 % interval {span(found.low, found.high)}), "
        f"{shown(paper.mean, row.digits)} in the paper: {side}."
    )
    return " ".join(filter(None, (said, _why(row), row.because.strip())))


def _is_clear(found: Spread, paper: PaperSpread, half: float = 0.0) -> bool:
    """Whether two means are further apart than both intervals leave open, and by more than ``half``."""
    own = found.high - found.mean if paper.mean > found.mean else found.mean - found.low
    return abs(paper.mean - found.mean) > math.hypot(own, paper.reach) + half


def is_clear_share(here: Share, paper: Share) -> bool:
    """Whether two shares are further apart than both of their intervals leave open; not if one is of none."""
    lower, upper = sorted((here, paper), key=lambda one: one.share)
    apart, open_ = upper.share - lower.share, math.hypot(lower.high - lower.share, upper.share - upper.low)
    return apart > open_


def _why(row: Compared) -> str:
    """Say whether images or network differ: reference quality is made by no network."""
    paper, reference = row.paper, row.reference
    if paper is None or reference is None or not math.isfinite(reference.low):
        return ""
    said = f"The reference quality of the same images gives {shown(reference.mean)}"
    above = [value > paper.mean for value in (row.grade.mean, reference.mean)]
    if above[0] == above[1] and _is_clear(reference, paper):
        return (
            f"{said}, on the same side: the simulated images differ from the paper's, not only their grades."
        )
    return f"{said}, so that the network's grades make the difference rather than the images."
