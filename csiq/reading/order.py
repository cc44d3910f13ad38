"""Who sees what when: random order, hidden repeats, and names that say nothing."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.reading.sources import Source

#: A repeat comes at least this many places before or after the first look, where there are enough cases.
APART = 10
#: Names that can be a column ``readerNAME`` of a table, and part of a file's name.
READER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


@dataclass(frozen=True)
class ReadingConfig:
    """What a reading session is to be.

    Attributes
    ----------
    pairs : bool
        Two volumes of a group side by side, A, B or equal; else grades 0-4 of single volumes.
    seed : int
        Of order, sides, repeats and names.
    repeats : float
        Fraction of the cases that come twice.
    reader : str
        Name the page suggests; the reader may type another.
    max_cases : int, optional
        At most so many, drawn by seed; repeats come on top.
    """

    pairs: bool = False
    seed: int = 0
    repeats: float = 0.1
    reader: str = "reader1"
    max_cases: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.repeats <= 1:
            raise ConfigError(f"{self.repeats:g} is not between 0 and 1", field="--repeats")
        if self.seed < 0:
            raise ConfigError(f"{self.seed} is below 0", field="--seed")
        if self.max_cases is not None and self.max_cases < 1:
            raise ConfigError(f"{self.max_cases} is below 1", field="--max-cases")
        if not READER_NAME.fullmatch(self.reader):
            hint = "a letter, then letters, digits and _, at most 32"
            raise ConfigError(f"'{self.reader}' is no name of a reader", field="--reader", hint=hint)


@dataclass(frozen=True)
class Case:
    """One case as it is shown once.

    Attributes
    ----------
    item : str
        Name in the page and in the results.
    reading : int
        1 for the first look, 2 for the hidden repeat.
    volumes : tuple of int
        Indices of one volume, or of the two of a pair, the one of the lower index first.
    images : tuple of str
        Names in the page of what is shown, A before B.
    swapped : bool
        Whether B is the first of ``volumes``.
    """

    item: str
    reading: int
    volumes: tuple[int, ...]
    images: tuple[str, ...]
    swapped: bool = False


@dataclass(frozen=True)
class Session:
    """The cases of a session in the order of reading.

    Attributes
    ----------
    session : str
        Which session a result belongs to; begins with a letter, too.
    cases : tuple of Case
    images : dict of str to int
        Index of the volume that each image of the page shows, in the order of the names.
    """

    session: str
    cases: tuple[Case, ...]
    images: dict[str, int]


def plan_session(sources: Sequence[Source], config: ReadingConfig) -> Session:
    """Draw the order of a session. Equal sources, config and seed give an equal session.

    Raises
    ------
    RawDataError
        If pairs are wanted and no group has two volumes.
    """
    said = _fingerprint(sources, config)
    rng = np.random.default_rng([config.seed, int(said, 16)])
    units = _pairs(sources) if config.pairs else [(i,) for i in range(len(sources))]
    if not units:
        raise RawDataError("no two volumes of one patient or folder to compare", field="--pairs")
    chosen = [units[i] for i in rng.permutation(len(units))[: config.max_cases]]
    sides = rng.integers(0, 2, len(chosen))
    n_repeats = round(config.repeats * len(chosen)) if len(chosen) > 1 else 0
    again = [int(i) for i in rng.permutation(len(chosen))[:n_repeats]]
    order = _with_repeats(list(range(len(chosen))), again, rng)
    names = iter(_names(rng, 3 * len(order)))
    cases, images, seen = list[Case](), dict[int, str](), set[int]()
    for index in order:
        unit, reading = chosen[index], 2 if index in seen else 1
        if not config.pairs:
            images.clear()  # a repeat is another file: equal names would give it away
        shown = tuple(images.setdefault(i, next(names)) for i in unit)
        # sides change at the second look: a liking for one side must not pass for repeatability
        swapped = config.pairs and bool(sides[index]) != (index in seen)
        cases.append(Case(next(names), reading, unit, shown[::-1] if swapped else shown, swapped))
        seen.add(index)
    return Session(f"s{said[:11]}", tuple(cases), _images(cases))


def _images(cases: Sequence[Case]) -> dict[str, int]:
    of = {
        name: index
        for case in cases
        for name, index in zip(case.images, case.volumes[::-1] if case.swapped else case.volumes, strict=True)
    }
    return {name: of[name] for name in sorted(of)}


def _pairs(sources: Sequence[Source]) -> list[tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for index, source in enumerate(sources):
        groups.setdefault(source.group, []).append(index)
    return [pair for members in groups.values() for pair in itertools.combinations(members, 2)]


def _with_repeats(order: list[int], again: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Put repeats into an order, each far from its first look; later insertions only widen the gap."""
    # so many apart there is always a place, however few cases there are
    apart = min(APART, len(order) // 2 + 1)
    for index in again:
        at = order.index(index)
        places = [i for i in range(len(order) + 1) if i >= at + apart or i <= at + 1 - apart]
        order.insert(int(rng.choice(places)), index)
    return order


def _names(rng: np.random.Generator, count: int) -> list[str]:
    """Return different names; they begin with a letter, since tables take 12e45678 for a number."""
    names: dict[str, None] = {}
    while len(names) < count:
        names[f"c{int(rng.integers(1 << 28)):07x}"] = None
    return list(names)


def _fingerprint(sources: Sequence[Source], config: ReadingConfig) -> str:
    said = [config.pairs, config.seed, config.repeats, config.max_cases, [s.name for s in sources]]
    return hashlib.sha256(repr(said).encode()).hexdigest()
