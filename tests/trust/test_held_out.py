"""Against the formula, and the manifests on which the networks of the controls are trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import linregress, spearmanr

from csiq.cohort.manifest import GradedScan
from csiq.errors import ConfigError
from csiq.trust.held_out import against_formula, shuffled, without


def test_against_formula(rng: np.random.Generator) -> None:
    reference = rng.uniform(0, 4, 60)
    grade = 0.8 * reference + 0.5 + 0.2 * rng.standard_normal(60)
    pairs = zip(grade, reference, strict=True)
    rows = [{"case": f"c{n % 6}", "grade": g, "reference": r} for n, (g, r) in enumerate(pairs)]
    found = against_formula([*rows, {"case": "x", "grade": float("nan"), "reference": 2.0}])
    line = linregress(reference, grade)
    assert (found.n, found.slope) == (60, pytest.approx(line.slope))
    assert found.r2 == pytest.approx(line.rvalue**2)
    assert found.rho == pytest.approx(spearmanr(grade, reference)[0])
    assert found.bias == pytest.approx((grade - reference).mean())
    assert found.within == pytest.approx(
        np.median([spearmanr(grade[n::6], reference[n::6])[0] for n in range(6)])
    )
    with pytest.raises(ConfigError, match="fewer than two"):
        against_formula(rows[:1])


@pytest.fixture
def scans() -> list[GradedScan]:
    splits = ["train1", "train2", "validation", "test"]
    return [
        GradedScan(Path(f"p{n}.nii"), f"p{n}", splits[n % 4], {"reader1a": n % 9 / 2}, float(n) / 10)
        for n in range(40)
    ]


def test_shuffled_grades_are_dealt_anew(scans: list[GradedScan]) -> None:
    found = shuffled(scans)
    assert [s.volume for s in found] == [s.volume for s in scans]
    assert [s.split for s in found] == [s.split for s in scans]
    assert [s for s in found if s.split == "test"] == [s for s in scans if s.split == "test"]
    pairs = {(s.grades["reader1a"], s.reference) for s in scans if s.split != "test"}
    assert {(s.grades["reader1a"], s.reference) for s in found if s.split != "test"} == pairs
    trained = [(a.reference, b.reference) for a, b in zip(scans, found, strict=True) if a.split != "test"]
    assert abs(np.corrcoef(np.array(trained).T)[0, 1]) < 0.4
    assert shuffled(scans) == found
    assert shuffled(scans, 1) != found


def test_without_a_mechanism_nobody_trains_on_it(scans: list[GradedScan]) -> None:
    both, other = "gradient-delay,arrhythmia", "dropped-readouts"
    people = [{"patient": s.patient, "imperfections": other if n % 5 else both} for n, s in enumerate(scans)]
    found = without(scans, people, ("gradient-delay",))
    left = {s.patient for s in scans} - {s.patient for s in found}
    assert left == {s.patient for n, s in enumerate(scans) if n % 5 == 0 and s.split != "test"}
    with pytest.raises(ConfigError, match="no scan has off-resonance"):
        without(scans, people, ("off-resonance",))
