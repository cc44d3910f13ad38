from __future__ import annotations

import numpy as np
import pytest

from csiq.gating.features import Features
from csiq.gating.travel import travel_of

POSITION = np.arange(-120.0, 120.0, 2.0)
SIGNAL = np.sin(np.arange(200) * 0.37) + 0.4 * np.sin(np.arange(200) * 0.11)


def features(projections: np.ndarray) -> Features:
    """Return features of one coil, noise one."""
    deviation = (projections - projections.mean(axis=0))[None]
    return Features(deviation, POSITION, np.ones((1, len(projections))))


def moved(shift: np.ndarray) -> np.ndarray:
    """Return projections of a liver edge at ``shift`` mm."""
    return 40 / (1 + np.exp((POSITION + 20 - shift[:, None]) / 12))


@pytest.mark.parametrize("mm_per_unit", [4.0, -4.0])
def test_direction_and_millimetres(mm_per_unit):
    travel = travel_of(features(moved(mm_per_unit * SIGNAL / SIGNAL.std())), SIGNAL)
    assert travel.likeness * np.sign(mm_per_unit) > 0.9
    assert travel.mm_per_unit == pytest.approx(mm_per_unit, rel=0.1)


def test_what_stands_still_does_not_matter():
    still = 300 * np.sin(POSITION / 9)
    alone = travel_of(features(moved(4 * SIGNAL)), SIGNAL)
    before = travel_of(features(moved(4 * SIGNAL) + still), SIGNAL)
    assert before.mm_per_unit == pytest.approx(alone.mm_per_unit)


def test_the_edge_of_a_slab_feigns_no_direction():
    slab = 1 / (1 + np.exp(-(POSITION + 90) / 3)) / (1 + np.exp((POSITION - 90) / 3))
    body = np.exp(-POSITION / 60)[None] * np.exp(3 * SIGNAL / 60)[:, None]  # wider below, without an edge
    projections = slab * (body + 0.5 * moved(3 * SIGNAL))
    assert travel_of(features(projections), SIGNAL).likeness > 0.2


def test_a_change_of_strength_is_no_travel(rng):
    still = 30 + 20 * np.sin(POSITION / 9)
    louder = still * (1 + 0.1 * SIGNAL[:, None]) + rng.normal(size=(200, 120))
    travel = travel_of(features(louder), SIGNAL)
    assert abs(travel.likeness) < 0.3  # 120 positions of noise: a standard deviation of 0.09
    assert abs(travel.mm_per_unit) < 0.3


def test_noise_and_nothing_have_no_direction(rng):
    assert abs(travel_of(features(rng.normal(size=(200, 120))), SIGNAL).likeness) < 0.15
    nothing = travel_of(features(np.zeros((200, 120))), SIGNAL)
    assert (nothing.likeness, nothing.mm_per_unit) == (0, 0)
    assert travel_of(features(moved(SIGNAL)), np.ones(200)).likeness == 0
