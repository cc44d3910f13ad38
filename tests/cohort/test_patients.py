"""The people of a cohort, and how they are split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from csiq.cohort.patients import CohortPatient, draw_patients, may_calibrate
from csiq.cohort.splits import FOLDS, TEST, n_test_of, seats_per_grade, split_patients
from csiq.errors import ConfigError, ShapeError


@pytest.fixture(scope="module")
def people() -> list[CohortPatient]:
    return draw_patients(424, seed=0)


@pytest.fixture(scope="module")
def grades() -> np.ndarray:
    """Return grades spread as an uneven database's: few at the top."""
    shares = [0.087, 0.157, 0.154, 0.145, 0.133, 0.119, 0.102, 0.076, 0.027]
    return np.random.default_rng(1).choice(np.arange(9) / 2, 424, p=shares)


def test_patients_are_those_of_the_seed(people):
    assert draw_patients(30) == people[:30]
    assert draw_patients(3, seed=1) != people[:3]
    assert [p.name for p in people[:2]] == ["p001", "p002"]
    assert len({p.seed for p in people}) == 424


def test_age_and_sex_are_those_of_the_paper(people):
    ages = np.array([p.age for p in people])
    assert ages.mean() == pytest.approx(57, abs=2)
    assert ages.std() == pytest.approx(18, abs=2.5)
    assert (ages.min(), ages.max()) == (18, 90)
    assert np.mean([p.sex == "M" for p in people]) == pytest.approx(0.665, abs=0.005)


def test_difficulty_is_spread(people):
    drawn = [p.difficulty for p in people]
    sampling = np.array([d.sampling for d in drawn])
    assert 0.10 <= sampling.min() < 0.11 < 0.29 < sampling.max() <= 0.30
    assert 5 <= min(d.amplitude for d in drawn) < 6 < 19 < max(d.amplitude for d in drawn) <= 20
    beats = Counter(d.heartbeats for d in drawn)
    assert beats[377] / 424 == pytest.approx(0.75, abs=0.06)
    assert set(beats) == {377, 610}
    spokes = people[0].n_spokes(208)
    assert spokes / (np.pi / 2 * 208**2) == pytest.approx(drawn[0].sampling, rel=1e-3)


def test_hard_scans_are_hard_in_several_ways(people):
    hard = [p.difficulty for p in people]
    ease = np.array([(d.sampling, d.snr, -d.amplitude, -d.residual, d.kind == "selfnav") for d in hard])
    ranks = spearmanr(ease[:, :4]).statistic[np.triu_indices(4, 1)]
    # a Gaussian correlation of 0.5 is one of ranks of 0.48; standard error 0.04
    assert ranks == pytest.approx(0.48, abs=0.13)
    assert np.mean(ranks) == pytest.approx(0.48, abs=0.05)
    failed = np.array([d.kind == "uncorrected" for d in hard])
    assert failed.mean() == pytest.approx(0.15, abs=0.05)
    assert np.log(ease[failed, 1]).mean() < np.log(ease[~failed, 1]).mean() - 0.2


def test_cohorts_that_cannot_be():
    with pytest.raises(ConfigError, match="0 patients"):
        draw_patients(0)
    with pytest.raises(ConfigError, match="negative"):
        draw_patients(3, seed=-1)


def test_split_has_the_sizes_of_the_paper(people, grades):
    split = split_patients(people, grades)
    assert Counter(split.values()) == {"train1": 108, "train2": 108, "train3": 108, "test": 100}
    assert sorted(split) == [p.number for p in people]


def test_parts_are_alike_in_grade_and_sex(people, grades):
    split = split_patients(people, grades)
    parts = {part: [i for i, p in enumerate(people) if split[p.number] == part] for part in (*FOLDS, TEST)}
    for grade in np.unique(grades):
        counts = {part: int(np.sum(grades[rows] == grade)) for part, rows in parts.items()}
        # dealt one by one: folds differ by one; test seats are rounded
        assert max(counts[f] for f in FOLDS) - min(counts[f] for f in FOLDS) <= 1
        assert counts[TEST] >= 4
        share = np.sum(grades == grade) * 100 / 424
        assert counts[TEST] == pytest.approx(max(share, 4), abs=1.5)
    men = [np.mean([people[i].sex == "M" for i in rows]) for rows in parts.values()]
    assert np.ptp(men) < 0.04
    assert np.ptp([grades[rows].mean() for rows in parts.values()]) < 0.1


def test_who_may_calibrate_never_tests(people, grades):
    split = split_patients(people, grades)
    calibrating = [p.number for p in people if may_calibrate(p.number)]
    assert len(calibrating) == 106
    assert TEST not in {split[number] for number in calibrating}


def test_split_depends_on_seed_and_not_on_order(people, grades):
    split = split_patients(people, grades)
    assert split_patients(people[::-1], grades[::-1]) == split
    assert split_patients(people, grades, seed=1) != split


def test_a_rare_grade_is_for_testing_first(people, grades):
    rare = np.where(grades == 4.0, 3.5, grades)
    free = [i for i, p in enumerate(people) if not may_calibrate(p.number)]
    rare[free[:3]] = 4.0
    split = split_patients(people, rare)
    assert [split[people[i].number] for i in free[:3]] == [TEST] * 3


@pytest.mark.parametrize("n", [1, 2, 3, 8, 25])
def test_small_cohorts_keep_the_proportion(people, grades, n):
    split = split_patients(people[:n], grades[:n])
    assert Counter(split.values())[TEST] == n_test_of(n) == round(n * 100 / 424)
    assert len(split) == n


def test_seats_follow_the_grades():
    totals, allowed = {0.0: 300, 2.0: 100, 4.0: 24}, {0.0: 200, 2.0: 80, 4.0: 2}
    assert seats_per_grade(totals, allowed, 100) == {0.0: 73, 2.0: 25, 4.0: 2}
    assert sum(seats_per_grade(totals, {0.0: 10, 2.0: 5, 4.0: 2}, 100).values()) == 17


def test_men_only(people, grades):
    men = [replace(p, sex="M") for p in people]
    assert Counter(split_patients(men, grades).values())[TEST] == 100


def test_one_grade_a_patient(people):
    with pytest.raises(ShapeError, match="424 patients, but 3 grades"):
        split_patients(people, [1, 2, 3])
