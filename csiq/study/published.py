"""What the paper found on quality evolution in compressed sensing, and what here was set from the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from csiq.cohort.raw import N_RAW
from csiq.evaluation.section import Table, plus_minus, shown
from csiq.history import THRESHOLD
from csiq.ranking.preference import SIDE_BY_SIDE
from csiq.study.spread import LEVEL, Share, exact_interval

_SOURCE = "Results, Quality Evolution in Compressed Sensing"
#: Half of a 90 % interval, in standard errors.
_HALF = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class PaperSpread:
    """Mean, SD and range as the paper gives them; nan where it does not.

    Attributes
    ----------
    mean : float
    sd : float
    least, most : float
    p : str
        What it says of a test.
    source : str
    """

    mean: float
    sd: float = math.nan
    least: float = math.nan
    most: float = math.nan
    p: str = ""
    source: str = _SOURCE

    @property
    def reach(self) -> float:
        """Half of the 90 % interval of the mean over the paper's scans; 0 where it gives no SD.

        All phases of a scan count as one, which is wider than the truth rather than narrower.
        """
        return _HALF * self.sd / math.sqrt(N_SCANS) if math.isfinite(self.sd) else 0.0

    def words(self, digits: int = 1) -> str:
        """Return it for people: ``0.4 ± 0.3 (0.1 to 1.4; P < .05)``."""
        range_ = f"{shown(self.least, digits)} to {shown(self.most, digits)}"
        said = "; ".join(filter(None, (range_ if math.isfinite(self.least) else "", self.p)))
        return plus_minus(self.mean, self.sd, digits) + (f" ({said})" if said else "")


@dataclass(frozen=True)
class PaperR2(PaperSpread):
    """A squared correlation over the paper's scans."""

    @property
    def reach(self) -> float:
        """Half of its 90 % interval by Fisher's transformation."""
        z, half = math.atanh(math.sqrt(self.mean)), _HALF / math.sqrt(N_SCANS - 3)
        return (math.tanh(z + half) ** 2 - math.tanh(z - half) ** 2) / 2


#: Grades of all phases of all 69 data sets.
GRIDDED = PaperSpread(0.3, 0.4, 0.0, 2.5)
FINAL = PaperSpread(1.7, 1.1, 0.1, 3.8)
IMPROVEMENT = PaperSpread(1.3, 0.7, 0.1, 2.7)
#: In how many of 69 each phase was the best.
BEST_PHASES, N_SCANS = (17, 39, 11, 2), N_RAW
#: The same in per cent, as it prints them: 39 of 69 are 56.5.
BEST_PERCENT = (25, 56, 16, 3)
PHASES_1_2 = PaperSpread(0.1, 0.1, 0.0, 0.4, "P < .05")
BEST_WORST = PaperSpread(0.4, 0.3, 0.1, 1.4, "P < .05")
PLATEAU = PaperSpread(6, 2)
N_ITERATIONS = 20
#: Squared correlation of the best final grade with that of the gridded and of the self-navigated image.
R2_GRIDDED, R2_SELFNAV = PaperR2(0.69), PaperR2(0.85)
#: Pairs that the reader compared, in so many data sets; in how many the network saw a difference.
E5_SCANS, E5_PAIRS, E5_BEYOND, E5_AGREED = 16, 96, 21, 21


def paper_share(right: int, of: int) -> Share:
    """Return a share of the paper with its exact 90 % interval, as if its cases were independent."""
    return Share(right, of, *exact_interval(right, of))


#: What was taken from the paper, so that finding it again says nothing.
_CALIBRATED: tuple[tuple[str, str, str], ...] = (
    ("Sampling", "around 20 % of Nyquist", "the same mean; the spread over patients is ours"),
    (
        "Pairs that count as different",
        f"{THRESHOLD} of a grade",
        "the same threshold, for verdicts and for the simulated reader",
    ),
    (
        "Noise of the reader who compares pairs",
        f"{E5_AGREED} of {E5_BEYOND} agreed",
        f"SD {SIDE_BY_SIDE.noise:.2f}, the most that this leaves: his agreement beyond {THRESHOLD} is in "
        "part put in",
    ),
    (
        "Readers who grade (half grades)",
        "Tables 2 and 3",
        "their noise and leaning were fitted to these tables; the network learned from them",
    ),
    (
        "Level of the reference quality",
        f"{shown(GRIDDED.mean, 1)} gridded, {shown(FINAL.mean, 1)} at the last iteration",
        "the curve that makes a grade of it was set for about these, on patients who train, at voxels of 1 "
        "mm, and the network learned it: that levels or the improvement are near the paper's proves nothing",
    ),
    (
        "How hard scans are",
        "grades 0 to 4 all occur",
        "difficulties were drawn so that the self-navigated images of the cohort span the scale",
    ),
)


def calibrated_table(scans: int, iterations: int, phases: int) -> Table:
    """Return the table of what was set from the paper, with the numbers of this study."""
    size = (
        "Scans, iterations, phases",
        f"{N_RAW} of 100 test patients, {N_ITERATIONS}, 4",
        f"{scans}, {iterations}, {phases}",
    )
    body = (size, *_CALIBRATED)
    data = [{"what": a, "paper": b, "here": c} for a, b, c in body]
    note = "No number of this table, and no agreement with it, is a result of this study."
    return Table(
        "calibrated",
        "Calibrated to the paper: no result",
        ("", "paper", "here"),
        body,
        data,
        note,
        (1, 2),
    )
