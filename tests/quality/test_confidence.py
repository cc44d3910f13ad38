"""Intervals hold what they state, on errors whose law is known."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np
import pytest

from csiq.errors import ModelError, ShapeError
from csiq.quality.confidence import Confidence
from csiq.quality.confidence_fit import fit_confidence
from csiq.quality.confidence_folds import confidence_of_folds, kept_word
from csiq.quality.evidence import INPUTS, Evidence


def world(
    n: int, seed: int, *, spread_differs: bool = True, ensemble: bool = False
) -> tuple[list[Evidence], np.ndarray, np.ndarray]:
    """Return evidence, reference and the true scale of the error; the patches' spread tells of the scale."""
    rng = np.random.default_rng([seed, n])
    reference = np.clip(rng.normal(2, 1, n), 0, 4)
    scale = 0.15 * np.exp(0.7 * rng.standard_normal(n)) if spread_differs else np.full(n, 0.2)
    # too high by 0.1, and drawn to the middle, as networks are
    grade = reference + 0.1 - 0.1 * (reference - 2) + scale * rng.standard_normal(n)
    patch_sd = 0.3 + scale * np.exp(0.2 * rng.standard_normal(n))
    further = np.column_stack([0.05 * np.exp(0.5 * rng.standard_normal(n)), rng.uniform(0.3, 1, n)])
    between = scale * np.exp(0.1 * rng.standard_normal(n)) if ensemble else np.full(n, math.nan)
    rows = zip(grade, patch_sd, *further.T, between, strict=True)
    return [Evidence(*(float(value) for value in row)) for row in rows], reference, scale


def held(entry: dict[str, object], evidence: list[Evidence], reference: np.ndarray) -> np.ndarray:
    found = Confidence.from_card({"confidence": json.loads(json.dumps(entry))})
    assert found is not None
    ends = np.array([found.interval(one) for one in evidence])
    return (ends[:, 0] <= reference) & (reference <= ends[:, 1])


@pytest.mark.parametrize("n", [108, 216, 324])
@pytest.mark.parametrize("spread_differs", [False, True])
def test_ninety_of_a_hundred_new_cases_lie_within(n: int, spread_differs: bool) -> None:
    covered = []
    for seed in range(12):
        evidence, reference, _ = world(n, 1000 + seed, spread_differs=spread_differs)
        entry = fit_confidence(evidence, reference)
        assert entry["n"] == n
        fresh, truth, _ = world(600, 9000 + seed, spread_differs=spread_differs)
        covered.append(held(entry, fresh, truth).mean())
    # whole ranks make it 0.908 for 108 and 216 cases; of one calibration it scatters by sqrt(0.09 / n)
    assert np.mean(covered) == pytest.approx(0.905, abs=0.025)
    assert min(covered) > 0.9 - 4 * math.sqrt(0.09 / n)


def test_coverage_holds_where_errors_are_large_and_where_they_are_small() -> None:
    evidence, reference, _ = world(324, 1)
    entry = fit_confidence(evidence, reference)
    fresh, truth, scale = world(4000, 2)
    within = held(entry, fresh, truth)
    for part in np.array_split(np.argsort(scale), 3):
        assert within[part].mean() == pytest.approx(0.9, abs=0.08)
    # one width for all would hold nearly all of the sure cases and far too few of the others
    one = fit_confidence([Evidence(e.grade, 0.4, 0.05) for e in evidence], reference)
    assert held(one, fresh, truth)[np.argsort(scale)[-1333:]].mean() < 0.82


def test_the_coverage_stated_is_that_of_new_cases() -> None:
    stated, true = [], []
    for seed in range(10):
        evidence, reference, _ = world(216, 50 + seed)
        entry = fit_confidence(evidence, reference)
        stated.append(entry["coverage"])
        true.append(held(entry, *world(1000, 500 + seed)[:2]).mean())
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.02)


def test_one_scale_is_kept_where_the_evidence_tells_nothing() -> None:
    kept = [fit_confidence(*world(216, seed, spread_differs=False)[:2])["inputs"] for seed in range(8)]
    assert sum(not inputs for inputs in kept) >= 6
    used = [fit_confidence(*world(324, seed)[:2])["inputs"] for seed in range(4)]
    assert all(used)
    assert "log ensemble_sd" not in used[0]


def test_an_ensemble_narrows_what_it_knows() -> None:
    evidence, reference, _ = world(324, 3, ensemble=True)
    with_it = fit_confidence(evidence, reference)
    without = fit_confidence([Evidence(e.grade, e.patch_sd, e.orientation_sd) for e in evidence], reference)
    assert "log ensemble_sd" in with_it["inputs"]
    assert with_it["score"]["by evidence"] < without["score"]["by evidence"]


def test_bias_and_slope_are_taken_out() -> None:
    evidence, reference, _ = world(324, 4, spread_differs=False)
    centre = fit_confidence(evidence, reference)["centre"]
    grades = np.array([e.grade for e in evidence])
    assert centre[0] == pytest.approx(np.polyval(np.polyfit(grades - 2, reference - grades, 1), 0), abs=1e-4)
    shifted = [Evidence(e.grade + 1, e.patch_sd, e.orientation_sd, e.distance) for e in evidence]
    assert fit_confidence(shifted, reference)["mean_width"] == pytest.approx(
        fit_confidence(evidence, reference)["mean_width"], rel=0.02
    )


def test_quantiles_are_order_statistics_of_the_right_rank() -> None:
    from csiq.quality.confidence_fit import _conformal

    assert _conformal(np.arange(1.0, 100.0), 0.9) == (5, 95)
    # two tails of floor(0.05 (n + 1)) out of n + 1 ranks that a further case may take
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 61))
    low, high = np.array([_conformal(row[:60], 0.9) for row in draws]).T
    inside = np.mean((low <= draws[:, 60]) & (draws[:, 60] <= high))
    assert inside == pytest.approx(55 / 61, abs=0.015)


def test_images_of_one_patient_stay_in_one_fold() -> None:
    # four images a patient share their error: without groups the scale would be fitted to the answer
    evidence, reference, _ = world(60, 6)
    both = [one for one in evidence for _ in range(4)], np.repeat(reference, 4)
    entry = fit_confidence(*both, groups=np.repeat(np.arange(60), 4).tolist())
    assert (entry["n"], entry["groups"]) == (240, 60)
    assert entry["coverage"] <= 0.95


def test_equal_seeds_give_equal_cards() -> None:
    evidence, reference, _ = world(108, 7)
    assert fit_confidence(evidence, reference, seed=3) == fit_confidence(evidence, reference, seed=3)


def test_intervals_end_with_the_scale_of_grades() -> None:
    found = Confidence(0.9, (0.0, 0.0), (), (math.log(0.5),), (-1.0, 1.0))
    assert found.interval(Evidence(0.2, 0.3, 0.1)) == (0.0, pytest.approx(0.7))
    assert found.interval(Evidence(4.6, 0.3, 0.1)) == (4.0, 4.0)
    assert found.bounds(Evidence(4.6, 0.3, 0.1)) == (pytest.approx(4.1), pytest.approx(5.1))
    # as wide as a normal error of this standard deviation
    assert found.uncertainty(Evidence(2.0, 0.3, 0.1)) == pytest.approx(0.5 / 1.6449, rel=1e-3)


def test_a_missing_input_leaves_no_interval() -> None:
    found = Confidence(0.9, (0.0, 0.0), ("distance",), (-1.0, 0.5), (-1.0, 1.0))
    assert found.interval(Evidence(2.0, 0.3, 0.1)) is None
    assert found.interval(Evidence(2.0, 0.3, 0.1, 0.7)) is not None


def test_evidence_of_patches(rng: np.random.Generator) -> None:
    patches = 2 + 0.3 * rng.standard_normal((3, 6, 6, 6))
    one = Evidence.of(patches, 0.5)
    assert one.grade == pytest.approx(patches.mean())
    assert one.patch_sd == pytest.approx(patches.std())
    assert one.orientation_sd == pytest.approx(np.std(patches.mean(axis=(1, 2, 3))))
    assert math.isnan(one.ensemble_sd)
    three = Evidence.of(np.stack([patches - 0.2, patches, patches + 0.2]))
    assert three.grade == pytest.approx(one.grade)
    assert three.ensemble_sd == pytest.approx(0.2)
    patches[0, 0, 0, 0] = np.nan
    assert Evidence.of(patches).grade == pytest.approx(np.nanmean(patches))
    assert math.isnan(Evidence.of(np.full((3, 6, 6, 6), np.nan)).grade)


def test_too_few_cases_are_refused() -> None:
    evidence, reference, _ = world(60, 8)
    with pytest.raises(ShapeError, match="at least 40"):
        fit_confidence(evidence[:30], reference[:30])
    with pytest.raises(ShapeError, match="at least 40"):
        fit_confidence(evidence, np.where(np.arange(60) < 30, np.nan, reference))
    with pytest.raises(ShapeError):
        fit_confidence(evidence, reference[:-1])


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["weather"], "weights": [0.0, 1.0]},
        {"weights": [0.0, 1.0, 2.0]},
        {"quantiles": [0.1]},
        {"level": "most"},
        {"centre": None},
        {"quantiles": [math.nan, 1.0]},
    ],
)
def test_damaged_cards(change: dict[str, object]) -> None:
    sound = Confidence(0.9, (0.0, 0.0), ("distance",), (-1.0, 0.5), (-1.0, 1.0)).as_dict()
    assert Confidence.from_card({"confidence": sound}) is not None
    with pytest.raises(ModelError, match="confidence"):
        Confidence.from_card({"confidence": {**sound, **change}})
    assert Confidence.from_card({}) is None
    assert set(sound["inputs"]) <= set(INPUTS)


# --- from the networks of a cross-validation, and on a test ---------------------------------------------


class _Image(NamedTuple):
    patient: str
    split: str
    reference: float
    volume: np.ndarray
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)


class _Fold:
    """A grader of a fold: it grades the reference, off by an error the image carries, or cheats."""

    sha256 = "0" * 64

    def __init__(self, held_out: list[str], splits: list[str]) -> None:
        self.name = "without-" + "-".join(held_out)
        self.card = {"training": {"held_out": held_out, "splits": splits}}
        self.asked: list[float] = []

    def patch_grades(self, volume: np.ndarray, voxel_size: tuple[float, float, float]) -> np.ndarray:
        self.asked.append(float(volume[0]))
        return np.broadcast_to(volume[1:4, None, None, None], (3, 2, 2, 2)) + len(self.name) / 100

    def evidence(self, volume: np.ndarray, voxel_size: tuple[float, float, float]) -> Evidence:
        return Evidence.of(self.patch_grades(volume, voxel_size), 0.5)


def _images(n: int) -> list[_Image]:
    rng = np.random.default_rng(9)
    found = []
    for number in range(n):
        reference = float(rng.uniform(0, 4))
        grade = reference + 0.2 * rng.standard_normal()
        volume = np.array([number, *(grade + 0.05 * rng.standard_normal(3))])
        found.append(
            _Image(f"p{number}", ("train1", "train2", "train3", "test")[number % 4], reference, volume)
        )
    return found


def _folds() -> list[_Fold]:
    parts = ["train1", "train2", "train3"]
    return [_Fold([part], [other for other in parts if other != part]) for part in parts]


def test_every_image_is_graded_by_who_did_not_see_it() -> None:
    images, folds = _images(160), _folds()
    entry = confidence_of_folds(images, folds)  # type: ignore[arg-type]
    assert (entry["n"], entry["groups"]) == (120, 120)
    assert [network["name"] for network in entry["networks"]] == [fold.name for fold in folds]
    for fold in folds:
        seen = {images[int(number)].split for number in fold.asked}
        assert seen == set(fold.card["training"]["held_out"])
    assert entry["mean_width"] == pytest.approx(2 * 1.645 * 0.2, rel=0.25)


def test_networks_of_one_fold_are_an_ensemble() -> None:
    images = _images(160)
    folds = [*_folds(), *(_Fold([f"train{k}", "validation"], ["train9"]) for k in (1, 2, 3))]
    entry = confidence_of_folds(images, folds)  # type: ignore[arg-type]
    assert entry["n"] == 120
    assert len(entry["networks"]) == 6


def test_networks_that_saw_what_they_held_out_are_refused() -> None:
    with pytest.raises(ModelError, match="was trained on train1, too"):
        confidence_of_folds(_images(80), [_Fold(["train1"], ["train1", "train2"])])  # type: ignore[list-item]
    silent = _Fold(["train1"], [])
    silent.card = {"training": {}}
    with pytest.raises(ModelError, match="held out"):
        confidence_of_folds(_images(80), [silent])  # type: ignore[list-item]


def test_word_kept_by_hand() -> None:
    intervals = [(0.0, 1.0), (1.0, 2.0), None, (2.0, 2.2), (0.0, 4.0)]
    found = kept_word(intervals, np.array([0.5, 2.5, 1.0, 2.1, 3.0]))
    assert (found["n"], found["without"], found["coverage"]) == (4, 1, 0.75)
    assert found["mean_width"] == pytest.approx((1 + 1 + 0.2 + 4) / 4)
    assert (found["coverage_narrower_half"], found["coverage_wider_half"]) == (1.0, 0.5)
    # Wilson's interval of 3 in 4 at 90 %: scipy.stats.binomtest(3, 4).proportion_ci(0.9, "wilson")
    from scipy.stats import binomtest

    ends = binomtest(3, 4).proportion_ci(0.9, "wilson")
    assert found["coverage_interval"] == pytest.approx([ends.low, ends.high], abs=1e-4)
    assert kept_word([None], np.array([1.0])) == {"n": 0, "without": 1, "coverage": None}
