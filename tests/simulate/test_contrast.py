"""The contrast against the equation of the sequence, written out anew, and against the Bloch equations."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.simulate.anatomy.contrast import (
    FAT_RESIDUAL,
    FLIP,
    TISSUES,
    Sequence,
    Tissue,
    burst_signal,
    scan_contrast,
    signals,
    steady_state,
    tissues_of,
)
from csiq.simulate.anatomy.people import Person


def turned(m: np.ndarray, angle: float) -> np.ndarray:
    """Return magnetisation turned by a pulse about x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) @ m


def relaxed(m: np.ndarray, tissue: Tissue, seconds: float) -> np.ndarray:
    """Return magnetisation after free relaxation toward 1 along z."""
    e1, e2 = np.exp(-seconds / tissue.t1), np.exp(-seconds / tissue.t2)
    return m * [e2, e2, e1] + [0, 0, 1 - e1]


def bloch_burst(tissue: Tissue, sequence: Sequence, n_spokes: int = 36) -> np.ndarray:
    """Return |Mxy| at each echo, pulse by pulse over heartbeats until they repeat.

    A half pulse half a TR ahead opens the train of alternating pulses, as in the scanner; at the end of a
    burst what lies across is spoiled.
    """
    n_pulses, along = sequence.n_startup + n_spokes, 1.0
    for _ in range(40):  # heartbeats
        wait = sequence.rr - n_pulses * sequence.tr - sequence.t2_prep
        m = relaxed(np.array([0, 0, along]), tissue, wait)
        m[2] *= sequence.fat_residual if tissue.fat else np.exp(-sequence.t2_prep / tissue.t2)
        m = relaxed(turned(m, -sequence.flip / 2), tissue, sequence.tr / 2)
        echoes = []
        for pulse in range(n_pulses):
            m = turned(m, sequence.flip * (-1) ** pulse)
            m = relaxed(m, tissue, sequence.tr / 2)
            echoes.append(np.hypot(m[0], m[1]))
            m = relaxed(m, tissue, sequence.tr / 2)
        if abs(m[2] - along) < 1e-9:
            break
        along = m[2]
    return tissue.density * np.array(echoes[sequence.n_startup :])


def bloch_steady_state(tissue: Tissue, sequence: Sequence) -> float:
    """Return |Mxy| at the echo after very many alternating pulses."""
    m = np.array([0.0, 0.0, 1.0])
    for pulse in range(6000):
        last = turned(m, sequence.flip * (-1) ** pulse)
        m = relaxed(last, tissue, sequence.tr)
    return float(np.hypot(last[0], last[1]) * np.exp(-sequence.tr / 2 / tissue.t2))


@pytest.mark.parametrize("name", ["arterial blood", "fat"])
def test_steady_state_equals_bloch_simulation(name: str) -> None:
    sequence = Sequence()
    assert steady_state(TISSUES[name], sequence) == pytest.approx(
        bloch_steady_state(TISSUES[name], sequence), rel=2e-3
    )


@pytest.mark.parametrize("name", ["arterial blood", "venous blood", "myocardium", "fat", "muscle", "liver"])
@pytest.mark.parametrize("flip", [90.0, 115.0])
def test_burst_agrees_with_a_bloch_simulation_of_every_pulse(name: str, flip: float) -> None:
    """The closed form holds for TR << T1, T2: 4 % where T2 is 36 ms, better elsewhere."""
    sequence = Sequence(flip=np.deg2rad(flip), fat_residual=0.12, rr=0.9)
    closed = burst_signal(TISSUES[name], sequence, 36)
    assert np.allclose(closed, bloch_burst(TISSUES[name], sequence), rtol=0.04, atol=2e-3)


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
    for seed in range(300):
        tissues, sequence = scan_contrast(Person.from_seed(seed))
        level = signals(tissues, sequence)
        blood = level["arterial blood"]
        assert 2.5 <= blood / level["myocardium"] <= 4.5
        assert blood / level["fat"] >= 2
        assert 0.78 < level["venous blood"] / blood < 0.9
        assert level["lung"] < 0.07 * blood
        assert level["air"] == level["void"] == 0
        assert FLIP[0] <= np.rad2deg(sequence.flip) <= FLIP[1]
        assert FAT_RESIDUAL[0] <= sequence.fat_residual <= FAT_RESIDUAL[1]


def test_ratios_of_patients_hold_in_a_bloch_simulation() -> None:
    for seed in range(12):
        tissues, sequence = scan_contrast(Person.from_seed(seed))
        three = ("arterial blood", "myocardium", "fat")
        blood, myocardium, fat = (bloch_burst(tissues[name], sequence).mean() for name in three)
        assert 2.45 <= blood / myocardium <= 4.6  # 2 % for the closed form
        assert blood / fat >= 1.96


def test_settings_spread_over_their_whole_range() -> None:
    drawn = [scan_contrast(Person.from_seed(seed))[1] for seed in range(200)]
    flips, residuals = np.array([(np.rad2deg(s.flip), s.fat_residual) for s in drawn]).T
    assert flips.min() < 93
    assert flips.max() > 112
    assert residuals.min() < 0.06
    assert residuals.max() > 0.18
    assert all(s.rr == pytest.approx(60 / Person.from_seed(n).heart_rate) for n, s in enumerate(drawn))


def test_blood_of_one_person_is_one_blood() -> None:
    """Veins differ from arteries in oxygen alone, that is in T2; women's blood has a longer T1."""

    def mean_t1(sex: str) -> float:
        people = [Person.from_seed(seed, sex=sex) for seed in range(150)]
        return float(np.mean([tissues_of(p, p.rng(14))["arterial blood"].t1 for p in people]))

    tissues, _ = scan_contrast(Person.from_seed(4))
    arterial, venous = tissues["arterial blood"], tissues["venous blood"]
    assert (arterial.t1, arterial.density) == (venous.t1, venous.density)
    assert venous.t2 / arterial.t2 == pytest.approx(0.72)
    assert mean_t1("F") / mean_t1("M") == pytest.approx(1.03, abs=1e-9)  # the same seeds


def test_marrow_turns_into_fat_with_age() -> None:
    young, old = (scan_contrast(Person.from_seed(8, age=age))[0]["marrow"].density for age in (20, 85))
    assert old < young


def test_ratios_hold_for_the_table_itself() -> None:
    level = signals(TISSUES, Sequence())
    assert 2.5 <= level["arterial blood"] / level["myocardium"] <= 4.5
    assert level["arterial blood"] / level["fat"] >= 2
