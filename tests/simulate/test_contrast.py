"""The contrast against the equation of the sequence, written out anew."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.contrast import TISSUES, Sequence, Tissue, burst_signal, signals, steady_state


def bloch_steady_state(tissue: Tissue, sequence: Sequence) -> float:
    """Return |Mxy| at the echo after very many alternating pulses, by rotations and relaxation."""
    c, s = np.cos(sequence.flip), np.sin(sequence.flip)
    m = np.array([0.0, 0.0, 1.0])
    for pulse in range(20000):
        sign = 1 if pulse % 2 else -1
        m = np.array([[1, 0, 0], [0, c, sign * s], [0, -sign * s, c]]) @ m
        last = m
        decay = np.array([np.exp(-sequence.tr / tissue.t2)] * 2 + [np.exp(-sequence.tr / tissue.t1)])
        m = m * decay + [0, 0, 1 - decay[2]]
    return float(np.hypot(last[0], last[1]) * np.exp(-sequence.tr / 2 / tissue.t2))


@pytest.mark.parametrize("name", ["arterial blood", "fat"])
def test_steady_state_equals_bloch_simulation(name: str) -> None:
    sequence = Sequence()
    assert steady_state(TISSUES[name], sequence) == pytest.approx(
        bloch_steady_state(TISSUES[name], sequence), rel=2e-3
    )


def test_without_preparation_fat_outshines_blood() -> None:
    sequence = Sequence()
    levels = {name: steady_state(tissue, sequence) for name, tissue in TISSUES.items()}
    assert levels["fat"] > levels["arterial blood"] > levels["myocardium"]


def test_burst_equals_the_transient_equation_term_by_term() -> None:
    """M_n = M_ss + (M_prep sin(a/2) - M_ss) exp(-n TR / T1*), M_prep periodic over heartbeats."""
    tissue, sequence, n_spokes = TISSUES["myocardium"], Sequence(flip=np.deg2rad(95), rr=0.95), 30
    a = sequence.flip
    rate = np.cos(a / 2) ** 2 / tissue.t1 + np.sin(a / 2) ** 2 / tissue.t2
    final = steady_state(tissue, sequence)
    n = np.arange(10 + n_spokes + 1)
    prepared = 0.3
    for _ in range(60):  # heartbeats
        course = final + (prepared * np.sin(a / 2) - final) * np.exp(-n * sequence.tr * rate)
        along = course[-1] / np.tan(a / 2)
        wait = sequence.rr - n[-1] * sequence.tr - sequence.t2_prep
        recovered = 1 - (1 - along) * np.exp(-wait / tissue.t1)
        prepared = recovered * np.exp(-sequence.t2_prep / tissue.t2)
    expected = tissue.density * course[10:-1]
    assert np.allclose(burst_signal(tissue, sequence, n_spokes), expected, rtol=1e-6)


def test_ratios_are_those_of_coronary_scans_in_every_patient() -> None:
    for seed in range(40):
        level = Patient.from_seed(seed).signals
        assert 2.5 <= level["arterial blood"] / level["myocardium"] <= 4.5
        assert level["arterial blood"] / level["fat"] >= 2
        assert level["lung"] < 0.05


def test_ratios_hold_for_the_table_itself() -> None:
    level = signals(TISSUES, Sequence())
    assert 2.5 <= level["arterial blood"] / level["myocardium"] <= 4.5
    assert level["arterial blood"] / level["fat"] >= 2
