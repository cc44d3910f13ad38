from __future__ import annotations

import numpy as np
import pytest

from csiq.gating.orientation import orient

TIMES = np.arange(300) * 0.9
#: Much time up, short ways down, as breathing with a pause after expiration.
DWELLS_UP = 1 - np.sin(np.pi * TIMES / 4.3) ** 6
#: As much time up as down, and no change of strength.
EVEN, FLAT = np.sin(2 * np.pi * TIMES / 4.3), np.zeros(300)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("values", "total", "shift"), [(DWELLS_UP, FLAT, 0.0), (EVEN, EVEN, 0.0), (EVEN, FLAT, 0.7)]
)
def test_each_cue_alone_finds_the_sign(sign, values, total, shift):
    vote = orient(sign * values, TIMES, total=total, headward_travel=sign * shift)
    assert vote.sign == sign
    assert vote.confidence > 0.2


def test_agreement_adds_and_disagreement_costs_confidence():
    alone = orient(DWELLS_UP, TIMES, total=FLAT, headward_travel=0.5)
    agreed = orient(DWELLS_UP, TIMES, total=DWELLS_UP, headward_travel=0.5)
    against = orient(DWELLS_UP, TIMES, total=FLAT, headward_travel=-0.5)
    assert agreed.confidence > alone.confidence > against.confidence
    assert against.sign == -1  # the shift outvotes the dwell time


def test_cues_that_disagree_and_are_weak_are_not_trusted():
    assert orient(DWELLS_UP, TIMES, total=-DWELLS_UP, headward_travel=0.0).confidence < 0.5
    assert orient(EVEN, TIMES, total=FLAT, headward_travel=0.0).confidence < 0.1


def test_without_a_direction_nobody_is_certain():
    assert orient(DWELLS_UP, TIMES, total=DWELLS_UP).confidence < 0.9


def test_drift_is_no_dwelling():
    drift = 5 * np.maximum(0, TIMES / 100 - 1) ** 2
    assert orient(DWELLS_UP + drift, TIMES, total=FLAT).sign == 1
