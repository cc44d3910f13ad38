"""Who is drawn: against the paper's statistics and what is known of people."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.simulate.anatomy.people import CHEST, Build, HeartFacts, Person

N = 2000


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [Person.from_seed(seed) for seed in range(N)]


def of(people: list[Person], name: str) -> np.ndarray:
    return np.array([getattr(person, name) for person in people])


def test_age_and_sex_are_those_of_the_paper(people: list[Person]) -> None:
    """57 +- 18 years, 66.5 % men; tolerances are 3 standard errors, and 1 year for the ends of the range."""
    age, men = of(people, "age"), of(people, "sex") == "M"
    assert age.mean() == pytest.approx(57, abs=1.2)
    assert age.std() == pytest.approx(18, abs=1.7)
    assert (age.min(), age.max()) == (18, 90)
    assert men.mean() == pytest.approx(0.665, abs=3 * np.sqrt(0.665 * 0.335 / N))


def test_bodies_are_plausible(people: list[Person]) -> None:
    men = of(people, "sex") == "M"
    height, bmi, rate = of(people, "height_m"), of(people, "bmi"), of(people, "heart_rate")
    assert height[men].mean() - height[~men].mean() == pytest.approx(0.125, abs=0.02)
    assert 1.40 < height.min() < height.max() < 2.0
    assert 17.4 <= bmi.min() < bmi.max() <= 42.1
    assert np.median(bmi) == pytest.approx(26, abs=0.7)
    assert 45 <= rate.min() < rate.max() <= 95
    assert np.corrcoef(height, of(people, "weight_kg"))[0, 1] > 0.4


def test_surface_follows_du_bois() -> None:
    """1.80 m and 80 kg: 2.00 m2 in his chart."""
    assert Person(0, 40, "M", 1.80, 80.0, 60.0).bsa == pytest.approx(2.00, abs=0.01)


def test_hearts_have_human_volumes_that_go_with_the_body(people: list[Person]) -> None:
    facts = [HeartFacts.of(person) for person in people]
    ranges = {
        "lv_ml": (80, 180),
        "rv_ml": (90, 200),
        "la_ml": (40, 90),
        "ra_ml": (50, 110),
        "wall_mm": (6, 14),
    }
    men, bsa = of(people, "sex") == "M", of(people, "bsa")
    for name, (low, high) in ranges.items():
        values = np.array([getattr(f, name) for f in facts])
        assert low <= values.min() < values.max() <= high
        assert values[men].mean() > values[~men].mean()
        assert values.std() > 0.1 * values.mean()
    lv = np.array([f.lv_ml for f in facts])
    assert np.corrcoef(lv, bsa)[0, 1] > 0.5
    assert np.corrcoef(lv, [f.rv_ml for f in facts])[0, 1] > 0.5
    fat, bmi = np.array([f.fat_mm for f in facts]), of(people, "bmi")
    assert np.corrcoef(fat, bmi)[0, 1] > 0.3


def test_chests_are_as_wide_as_the_field_of_view_is_not(people: list[Person]) -> None:
    builds = [Build.of(person) for person in people]
    width = np.array([b.width for b in builds])
    assert CHEST[0] - 1e-9 <= width.min() < width.max() <= CHEST[1] + 1e-9
    assert width.std() > 15
    woman = of(people, "sex") == "F"
    assert all((b.bust > 0) == w for b, w in zip(builds, woman, strict=True))
    fat, bmi = np.array([b.fat for b in builds]), of(people, "bmi")
    assert np.corrcoef(fat, bmi)[0, 1] > 0.7
    slim = np.abs(bmi - 25) < 1  # at equal body-mass index women carry more under the skin
    assert fat[slim & woman].mean() > fat[slim & ~woman].mean() + 3


def test_a_cohort_may_say_who_somebody_is() -> None:
    drawn = Person.from_seed(5)
    asked = Person.from_seed(5, age=33, sex="F")
    assert (asked.age, asked.sex, asked.seed) == (33, "F", 5)
    assert Person.from_seed(5, age=drawn.age, sex=drawn.sex) == drawn
    with pytest.raises(ConfigError, match="years"):
        Person.from_seed(5, age=12)
    with pytest.raises(ConfigError, match="sex"):
        Person.from_seed(5, sex="x")
