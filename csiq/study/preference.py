"""Figure E5: pairs of phases by the network and by a simulated reader who sees both side by side.

The reader sees q_a - q_b + e. q is the reference quality with what observer 1 leans to
(:mod:`csiq.cohort.readers`), e is normal with the noise of
:data:`csiq.ranking.preference.SIDE_BY_SIDE`, which was set from the paper's own Figure E5. He prefers a where
he sees 0.25 or more, b where -0.25 or less, and calls the pair equal in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from csiq.cohort.readers import LEAN, PREFERENCE, uncertainty
from csiq.evaluation.drawing import BLUE, PAGE, RED, blank, plain, styled
from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.history import THRESHOLD
from csiq.ranking.preference import SIDE_BY_SIDE
from csiq.report.figures import MUTED
from csiq.study.compared import is_clear_share
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.published import E5_AGREED, E5_BEYOND, E5_PAIRS, E5_SCANS, paper_share
from csiq.study.ranked import pair_differences
from csiq.study.spread import Share, share

_STREAM = 9  # of a patient's random numbers
#: What the reader may say.
A, EQUAL, B = 1, 0, -1


def reader_says(curves: Curves, seed: int) -> np.ndarray:
    """Return what the reader says of every pair at the last iteration: 1 (a), 0 (equal) or -1 (b).

    Parameters
    ----------
    curves : Curves
    seed : int
        Of the cohort. What is said of a patient depends on no other patient.

    Returns
    -------
    float64 array, (n_scans, n_pairs)
        nan where the reference quality is not known.
    """
    quality = curves.reference[:, -1]
    lean = PREFERENCE.leaning(curves.images["sharpness"][:, -1], curves.images["cleanliness"][:, -1])
    seen = pair_differences(quality + uncertainty(quality) * LEAN * lean)
    noise = [
        np.random.default_rng([seed, number, _STREAM]).standard_normal(seen.shape[1])
        for number in curves.numbers
    ]
    seen = seen + SIDE_BY_SIDE.noise * np.array(noise)
    said = np.where(seen >= SIDE_BY_SIDE.threshold, A, np.where(seen <= -SIDE_BY_SIDE.threshold, B, EQUAL))
    return np.where(np.isfinite(seen), said, np.nan)


@dataclass(frozen=True)
class Agreement:
    """The network's differences against what the reader says.

    Attributes
    ----------
    scans, pairs : int
    beyond : Share
        Pairs whose grades differ by more than 0.25.
    agreed : Share
        Of these, those in which the reader prefers the same phase.
    opposite, equal : Share
        Of these, those in which he prefers the other one, and those he calls equal.
    within_equal : Share
        Of the pairs within 0.25, those he calls equal.
    """

    scans: int
    pairs: int
    beyond: Share
    agreed: Share
    opposite: Share
    equal: Share
    within_equal: Share


def agreement(differences: np.ndarray, said: np.ndarray) -> Agreement:
    """Return how network and reader agree.

    Parameters
    ----------
    differences : float array, (n_scans, n_pairs)
        Of the grades, a - b.
    said : float array, (n_scans, n_pairs)
        1, 0 or -1.
    """
    known = np.isfinite(differences) & np.isfinite(said)
    seen, told = np.where(known, differences, 0.0), np.where(known, said, 0.0)
    # beyond, as in the paper; a verdict is given from exactly 0.25 on, which grades never are
    beyond = known & (np.abs(seen) > THRESHOLD)
    return Agreement(
        scans=len(seen),
        pairs=int(known.sum()),
        beyond=share(beyond, known),
        agreed=share(np.sign(seen) == told, beyond),
        opposite=share(np.sign(seen) == -told, beyond),
        equal=share(told == EQUAL, beyond),
        within_equal=share(told == EQUAL, known & ~beyond),
    )


def section(study: Material) -> Section:
    """Return the part on the readers' preference."""
    found: dict[str, Any] = {}
    items: list[Table | Picture] = []
    apart: list[str] = []
    for solver, curves in study.test.items():
        differences, said = pair_differences(curves.grade[:, -1]), reader_says(curves, study.seed)
        found[solver] = {
            "first": agreement(differences[:E5_SCANS], said[:E5_SCANS]),
            "all": agreement(differences, said),
        }
        items.append(_picture(study, solver, differences[:E5_SCANS], said[:E5_SCANS]))
        true = pair_differences(curves.reference[:E5_SCANS, -1])
        apart += _differences(study.label(solver), found[solver]["first"], differences[:E5_SCANS], true)
    items.insert(0, _table(study, found))
    lead = (
        f"As Figure E5: the first {E5_SCANS} scans by number, six pairs of phases each. The reader is "
        "simulated: he sees the difference of the reference qualities, leans as observer 1, and is off by "
        f"{SIDE_BY_SIDE.noise:.2f} (SD). That noise was set from the paper's 21 of 21, so that agreement "
        "beyond 0.25 is in part put in: what this part can show is whether the network's differences are "
        "those of the images.",
    )
    return Section("Pairs against the reader", lead, items, tuple(apart), found, "preference")


def _differences(label: str, found: Agreement, seen: np.ndarray, true: np.ndarray) -> list[str]:
    """Return a sentence for each share of Figure E5 that is clearly another than in the paper.

    Parameters
    ----------
    label : str
    found : Agreement
    seen, true : float array, (n_scans, n_pairs)
        Differences of grades, and of reference qualities.
    """
    known = np.isfinite(seen) & np.isfinite(true)
    far, close = known & (np.abs(seen) > THRESHOLD), known & (np.abs(true) <= THRESHOLD)
    beyond, agreed = paper_share(E5_BEYOND, E5_PAIRS), paper_share(E5_AGREED, E5_BEYOND)
    said = []
    if is_clear_share(found.beyond, beyond):
        said.append(
            f"{label}: {_interval_words(found.beyond)} of the pairs are more than {THRESHOLD} apart, in the "
            f"paper {share_words(beyond)}. By the reference quality of the same images it is "
            f"{share_words(share(known & ~close, known))}."
        )
    if is_clear_share(found.agreed, agreed):
        said.append(
            f"{label}: of pairs more than {THRESHOLD} apart the reader prefers the same phase in "
            f"{_interval_words(found.agreed)}, in the paper in {share_words(agreed)}. In "
            f"{int((far & close).sum())} of these {int(far.sum())} the reference qualities are no more than "
            f"{THRESHOLD} apart, where he mostly sees no difference."
        )
    return said


def _interval_words(one: Share) -> str:
    """Return a share with its interval."""
    interval = span(100 * one.low, 100 * one.high, 0)
    return f"{share_words(one)[:-1]}, 90\u00a0% interval {interval})"


def _table(study: Material, found: dict[str, Any]) -> Table:
    rows = (
        (
            "Grades more than 0.25 apart",
            "beyond",
            share_words(paper_share(E5_BEYOND, E5_PAIRS)),
        ),
        (
            "of these: the reader prefers the same phase",
            "agreed",
            share_words(paper_share(E5_AGREED, E5_BEYOND)),
        ),
        ("of these: he prefers the other phase", "opposite", "0"),
        ("of these: he calls them equal", "equal", "0"),
        ("Within 0.25: he calls them equal", "within_equal", "–"),
    )
    body, data = [], []
    for what, key, paper in rows:
        cells, row = [what], {"what": what}
        for solver in study.solvers:
            for which in ("first", "all"):
                one = getattr(found[solver][which], key)
                cells.append(share_words(one))
                row |= {f"{solver}_{which}_n": one.right, f"{solver}_{which}_of": one.of}
        body.append((*cells, paper))
        data.append(row)
    head = [""]
    for solver in study.solvers:
        head += [
            f"{study.label(solver)}, {found[solver]['first'].scans} scans",
            f"all {len(study.test[solver])}",
        ]
    return Table("figure-e5", "Network and simulated reader, pairs of phases", (*head, "paper"), body, data)


def share_words(one: Share) -> str:
    """Return ``20 of 96 (21 %)``."""
    return f"{one.right} of {one.of} ({shown(100 * one.share, 0)}\u00a0%)" if one.of else "–"


def _picture(study: Material, solver: str, differences: np.ndarray, said: np.ndarray) -> Picture:
    curves = study.test[solver]
    names = [f"{a}-{b}" for a, b in combinations(range(1, curves.n_phases + 1), 2)]
    data = [
        {"scan": scan, "pair": pair, "difference": float(d), "reader": float(s)}
        for scan, row, words in zip(curves.scans, differences, said, strict=False)
        for pair, d, s in zip(names, row, words, strict=True)
    ]
    caption = (
        f"Figure E5. Difference of the grades of every pair of phases, {study.label(solver)}, and what the "
        "simulated reader says: blue, he prefers the first phase of the pair; orange, the second; grey, "
        "equal. Between the dashed lines a reader is taken to see no difference."
    )
    alt = "Differences of grades of pairs of phases scan by scan, coloured by the reader's preference"
    figure = e5_figure(list(curves.scans[: len(differences)]), differences, said)
    return Picture(f"figure-e5-{solver}", figure, alt, caption, data)


@styled
def e5_figure(scans: list[str], differences: np.ndarray, said: np.ndarray) -> Figure:
    """Draw differences of grades, scan by scan, coloured by the reader's preference."""
    figure = blank(PAGE, 2.6)
    axes = figure.add_subplot()
    plain(axes)
    n_pairs = differences.shape[1]
    x = np.arange(len(scans))[:, None] + (np.arange(n_pairs)[None] - (n_pairs - 1) / 2) * 0.12
    looks = (
        (A, BLUE, "^", "prefers the first"),
        (EQUAL, MUTED, "o", "equal"),
        (B, RED, "v", "prefers the second"),
    )
    for says, colour, marker, label in looks:
        at = said == says
        axes.scatter(x[at], differences[at], s=13, color=colour, marker=marker, label=label, lw=0, zorder=3)
    for edge in (-THRESHOLD, THRESHOLD):
        axes.axhline(edge, color=MUTED, ls=(0, (4, 3)), lw=0.8)
    axes.set_xticks(range(len(scans)), scans, rotation=60)
    axes.set_ylabel("difference of grades")
    figure.legend(loc="outside upper left", ncols=3)
    return figure
