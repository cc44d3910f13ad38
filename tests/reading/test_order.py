"""Who sees what when: everything once, repeats far away, sides even."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from csiq.errors import ConfigError, RawDataError
from csiq.reading.order import APART, ReadingConfig, plan_session
from csiq.reading.sources import Source


def sources(n: int, group_size: int = 1) -> list[Source]:
    return [Source(f"p{i}.nii", f"g{i // group_size}", Path(f"p{i}.nii")) for i in range(n)]


def test_everything_comes_once_and_repeats_twice():
    session = plan_session(sources(100), ReadingConfig())
    assert len(session.cases) == 110
    looks = Counter(case.volumes for case in session.cases)
    assert len(looks) == 100
    assert sorted(Counter(looks.values()).items()) == [(1, 90), (2, 10)]
    seen: Counter[tuple[int, ...]] = Counter()
    for case in session.cases:
        seen[case.volumes] += 1
        assert case.reading == seen[case.volumes]


@pytest.mark.parametrize("n", [*range(2, 25), 100])
@pytest.mark.parametrize("repeats", [0.1, 0.5, 1.0])
def test_repeats_are_apart_however_few_cases_there_are(n, repeats):
    for seed in range(3):
        session = plan_session(sources(n), ReadingConfig(seed=seed, repeats=repeats))
        places: dict[tuple[int, ...], list[int]] = {}
        for place, case in enumerate(session.cases):
            places.setdefault(case.volumes, []).append(place)
        gaps = [two[1] - two[0] for two in places.values() if len(two) == 2]
        assert len(gaps) == round(repeats * n)
        assert all(gap >= min(APART, n // 2 + 1) >= 2 for gap in gaps)


def test_the_seed_is_the_session():
    first, same = (plan_session(sources(30), ReadingConfig(seed=4)) for _ in range(2))
    other = plan_session(sources(30), ReadingConfig(seed=5))
    assert first == same
    assert first.session != other.session
    assert [c.volumes for c in first.cases] != [c.volumes for c in other.cases]
    assert [c.volumes for c in first.cases] != sorted(c.volumes for c in first.cases)


def test_every_name_is_new_even_of_a_repeat():
    session = plan_session(sources(20), ReadingConfig(repeats=0.5))
    names = [name for case in session.cases for name in (case.item, *case.images)]
    assert len(set(names)) == len(names) == 60
    assert list(session.images) == sorted(session.images)
    assert all(session.images[case.images[0]] == case.volumes[0] for case in session.cases)


def test_pairs_stay_within_a_group_and_change_sides_at_the_second_look():
    session = plan_session(sources(40, group_size=4), ReadingConfig(pairs=True, repeats=0.5))
    first = {case.volumes: case for case in session.cases if case.reading == 1}
    again = [case for case in session.cases if case.reading == 2]
    assert len(first) == 10 * 6  # four volumes make six pairs
    assert len(again) == 30
    assert all(a // 4 == b // 4 and a < b for a, b in first)
    assert all(case.swapped != first[case.volumes].swapped for case in again)
    on_left = sum(case.swapped for case in first.values())
    assert 15 <= on_left <= 45  # of 60; four SD of a fair coin
    for case in session.cases:
        shown = tuple(session.images[name] for name in case.images)
        assert shown == (case.volumes[::-1] if case.swapped else case.volumes)


def test_max_cases_draws_among_all():
    session = plan_session(sources(50), ReadingConfig(max_cases=10, repeats=0.2))
    chosen = {case.volumes[0] for case in session.cases}
    assert len(session.cases) == 12
    assert len(chosen) == 10
    assert chosen != set(range(10))


def test_one_volume_is_not_repeated_and_makes_no_pair():
    assert len(plan_session(sources(1), ReadingConfig(repeats=1)).cases) == 1
    with pytest.raises(RawDataError, match="no two volumes"):
        plan_session(sources(3), ReadingConfig(pairs=True))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"repeats": 1.5}, "--repeats"),
        ({"repeats": float("nan")}, "--repeats"),
        ({"seed": -1}, "--seed"),
        ({"max_cases": 0}, "--max-cases"),
        ({"reader": "Jane Doe"}, "--reader"),
        ({"reader": "1a"}, "--reader"),
    ],
)
def test_a_wrong_option_is_named(wrong, field):
    with pytest.raises(ConfigError) as error:
        ReadingConfig(**wrong)
    assert error.value.field == field
