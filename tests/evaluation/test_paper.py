"""The paper's numbers, by what they say of each other, and the sentences about them."""

from __future__ import annotations

import math

import pytest

from csiq.evaluation.differences import clear_differences, difference
from csiq.evaluation.merits import MERITS, Estimate
from csiq.evaluation.paper import BLAND_ALTMAN, KAPPA, MAIN, NETWORK, PAIRS, RMSE, SECOND, TEST, Published


@pytest.mark.parametrize("pair", list(RMSE))
def test_tables_2_and_4_agree(pair):
    # RMSE^2 = bias^2 + SD^2 (n - 1) / n, to the two printed digits
    found = BLAND_ALTMAN[pair]
    assert math.sqrt(found.value**2 + found.sd**2 * 99 / 100) == pytest.approx(RMSE[pair].value, abs=0.0105)


def test_numbers_that_stand_twice():
    assert TEST["patients"]["kappa"].value == KAPPA[MAIN, NETWORK].value
    assert TEST["patients"]["bias"].value == BLAND_ALTMAN[MAIN, NETWORK].value
    assert set(PAIRS["sd"]) == set(KAPPA)
    assert PAIRS["sd"][MAIN, SECOND].value == 0.57
    assert all(key in MERITS for level in TEST.values() for key in level)
    assert all(key in MERITS for key in PAIRS)


def test_a_difference_is_clear_outside_the_interval():
    paper = Published(0.67, "Table 3")
    inside = Estimate(0.72, 0.66, 0.78)
    assert difference(inside, paper, "κ", 1) == ""
    outside_by_less_than_the_papers_own = Estimate(0.76, 0.69, 0.83)
    assert difference(outside_by_less_than_the_papers_own, paper, "κ", 1) == ""
    sentence = difference(Estimate(0.80, 0.74, 0.85, 0.79, ceiling=0.86), paper, "κ", 1)
    assert sentence == (
        "κ: 0.80 here (90 % interval 0.74 to 0.85), 0.67 in the paper (Table 3): higher, which is better. "
        "A perfect network would reach 0.86 with these readers."
    )
    assert "lower, which is worse" in difference(Estimate(0.5, 0.4, 0.6), paper, "κ", 1)
    assert "lower, which is better" in difference(Estimate(0.5, 0.4, 0.6), paper, "L1", -1)
    assert difference(Estimate(0.5), paper, "κ", 1) == ""


def test_only_what_is_published_is_compared():
    found = {"r2": Estimate(0.9, 0.85, 0.95), "slope": Estimate(2.0, 1.9, 2.1)}
    sentences = clear_differences(found, TEST["patients"], "network")
    assert len(sentences) == 1
    assert sentences[0].startswith("Pearson R², network: 0.90 here")
