"""What ``csiq agree -o`` writes beside the figures of a pair: one reader against another, and a consensus.

A line, an error by grade and an error at the ends need a reference, so they are there for both orders of a
pair: which column is the reference is for whoever reads the table to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, permutations
from typing import Any

import numpy as np

from csiq.agreement.consensus import consensus_error
from csiq.agreement.correlation import linear_fit, pearson_r2
from csiq.agreement.differences import anti_bias_l1, bland_altman, errors_at_ends, variability_per_grade
from csiq.agreement.pairs import PairAgreement
from csiq.cohort.manifest import observer_of

Readers = Mapping[str, np.ndarray]
Row = dict[str, Any]


def pair_rows(readers: Readers, pairs: Sequence[PairAgreement]) -> list[Row]:
    """Return the pairs with the limits of agreement and Pearson's R2 behind what ``--json`` has."""
    rows = []
    for pair in pairs:
        one, other = readers[pair.a], readers[pair.b]
        limits = bland_altman(one, other)
        more = {"lower": limits.lower, "upper": limits.upper, "r2": pearson_r2(one, other)}
        rows.append({**pair.as_dict(), **more})
    return rows


def reference_rows(readers: Readers) -> list[Row]:
    """Return each reader against each other one as the reference.

    Returns
    -------
    list of dict
        ``reader``, ``reference``, ``n``; ``slope`` and ``intercept`` of the reader on the reference;
        ``anti_bias_l1`` by grades of the reference; ``n_low``, ``low``, ``n_high``, ``high``, the mean of
        reader minus reference where the latter is 0.5 or less, 3.5 or more. NaN where undefined.
    """
    rows = []
    for reference, reader in permutations(readers, 2):
        given, truth = readers[reader], readers[reference]
        line, ends = linear_fit(truth, given), asdict(errors_at_ends(given, truth))
        row = {"reader": reader, "reference": reference, "n": bland_altman(given, truth).n}
        row |= {"slope": line.slope, "intercept": line.intercept}
        row |= {"anti_bias_l1": anti_bias_l1(given, truth)}
        rows.append({**row, **{key: ends[key] for key in ("n_low", "low", "n_high", "high")}})
    return rows


def grade_rows(readers: Readers) -> list[Row]:
    """Return each reader against each other one, for each grade the latter gave.

    Returns
    -------
    list of dict
        ``reader``, ``reference``, ``grade``, ``n``; ``mean`` and ``sd`` of the absolute difference, the SD
        with n - 1; ``bias``, the mean of reader minus reference. Grades without a case are left out.
    """
    rows = []
    for reference, reader in permutations(readers, 2):
        found = variability_per_grade(readers[reader], readers[reference])
        for grade, n, mean, sd, bias in zip(*vars(found).values(), strict=True):
            if n:
                row = {"reader": reader, "reference": reference, "grade": float(grade), "n": int(n)}
                rows.append({**row, "mean": float(mean), "sd": float(sd), "bias": float(bias)})
    return rows


def consensus_rows(readers: Readers) -> list[Row]:
    """Return each reader against the consensus of every two other observers.

    Columns such as reader1a and reader1b are one observer, who makes no consensus with himself and is not
    held against one of his own.

    Returns
    -------
    list of dict
        ``reader``, ``a``, ``b``, and the fields of :class:`csiq.agreement.ConsensusError`.
    """
    rows = []
    for reader in readers:
        others = [name for name in readers if observer_of(name) != observer_of(reader)]
        for a, b in combinations(others, 2):
            if observer_of(a) != observer_of(b):
                found = consensus_error(readers[reader], readers[a], readers[b])
                rows.append({"reader": reader, "a": a, "b": b, **asdict(found)})
    return rows
