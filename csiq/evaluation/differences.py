"""Sentences on where a study clearly differs from the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping

from csiq.evaluation.comparison import Merits
from csiq.evaluation.estimating import Estimate
from csiq.evaluation.merits import MERITS
from csiq.evaluation.paper import Published
from csiq.evaluation.section import shown, span

#: What counts as clear, for the reader of the page.
RULE = (
    "A difference is called clear where the paper's number lies outside the 90 % bootstrap interval of the "
    "single draw, made wider by a factor of 1.4: the paper's own 100 patients leave about as much open."
)
#: Two intervals of equal width, of a difference.
_WIDER = math.sqrt(2)


def clear_differences(found: Merits, published: Mapping[str, Published], what: str) -> tuple[str, ...]:
    """Return a sentence for each figure of merit that clearly differs.

    Parameters
    ----------
    found : dict of str to Estimate
    published : dict of str to Published
        By the same keys.
    what : str
        Whom it compares: "IQ-DCNN against Observer 1a".
    """
    sentences = (
        difference(found[key], paper, f"{MERITS[key].label}, {what}", MERITS[key].better)
        for key, paper in published.items()
        if key in found
    )
    return tuple(sentence for sentence in sentences if sentence)


def difference(estimate: Estimate, paper: Published, what: str, better: int = 0) -> str:
    """Return how an estimate differs from the paper's, empty if it does not clearly or cannot be said."""
    if not all(map(math.isfinite, (estimate.low, estimate.high, estimate.single))):
        return ""
    higher = estimate.single > paper.value
    towards = estimate.low if higher else estimate.high
    # the paper prints two digits: half of the last one is no difference
    if abs(estimate.single - paper.value) <= _WIDER * abs(estimate.single - towards) + 0.005:
        return ""
    verdict = "higher" if higher else "lower"
    if better:
        verdict += ", which is better" if higher == (better > 0) else ", which is worse"
    sentence = (
        f"{what}: {shown(estimate.single)} here (90 % interval {span(estimate.low, estimate.high)}), "
        f"{shown(paper.value)} in the paper ({paper.source}): {verdict}."
    )
    if math.isfinite(estimate.ceiling):
        sentence += f" A perfect network would reach {shown(estimate.ceiling)} with these readers."
    return sentence
