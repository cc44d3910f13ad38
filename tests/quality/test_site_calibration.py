"""Recalibration to a site's reader, on readers whose bent is known."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from csiq.errors import ModelError, RawDataError
from csiq.quality.site_calibration import KINDS, SLOPES, SiteCalibration, calibrate_to_site

Truth = Callable[[np.ndarray], np.ndarray]


def scans(truth: Truth, seed: int, n: int = 25) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return grades of a model, half grades of a reader, and patients."""
    rng = np.random.default_rng(seed)
    grades = rng.uniform(0.3, 3.7, n)
    reader = np.clip(np.round(2 * (truth(grades) + 0.25 * rng.standard_normal(n))) / 2, 0, 4)
    return grades, reader, [f"p{i}" for i in range(n)]


def _error(site: SiteCalibration, truth: Truth) -> float:
    grades = np.linspace(0.3, 3.7, 50)
    return float(np.mean(np.abs([site(g) for g in grades] - np.clip(truth(grades), 0, 4))))


@pytest.mark.parametrize(
    ("truth", "kind", "error"),
    [
        (lambda g: g, "none", 0.05),
        (lambda g: g + 0.6, "shift", 0.12),
        (lambda g: 0.6 * g + 1.2, "line", 0.12),
    ],
    ids=["same", "shifted", "drawn to the middle"],
)
def test_the_simplest_map_that_is_right_is_chosen(truth: Truth, kind: str, error: float) -> None:
    found = [calibrate_to_site(*scans(truth, seed)) for seed in range(4)]
    assert [site.kind for site, _ in found].count(kind) >= 2
    assert np.mean([_error(site, truth) for site, _ in found]) < error


def test_a_reader_who_bends_the_scale_is_followed() -> None:
    def truth(g: np.ndarray) -> np.ndarray:
        return 4 / (1 + np.exp(-2 * (g - 2)))

    site, summary = calibrate_to_site(*scans(truth, 3, n=30))
    assert site.kind in ("line", "bent line")
    assert summary["after"]["mae"] < 0.8 * summary["before"]["mae"]


def test_errors_are_cross_validated() -> None:
    # a reader who grades at random: any map fitted to him would seem to help where it was fitted
    rng = np.random.default_rng(4)
    grades, reader = rng.uniform(1, 3, 25), rng.integers(0, 9, 25) / 2
    site, summary = calibrate_to_site(grades, reader, [str(i) for i in range(25)])
    assert summary["after"]["mae"] <= summary["before"]["mae"]
    fitted = np.mean(np.abs([KINDS["bent line"](grades, reader)(g) for g in grades] - reader))
    assert summary["mae"]["bent line"] > fitted
    assert summary["before"]["mae"] == pytest.approx(np.abs(grades - reader).mean(), abs=1e-4)
    assert summary["mae"]["none"] == summary["before"]["mae"]
    assert site.slope(2.0) > 0


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", range(4))
def test_every_map_keeps_the_order(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # a reader who turns the scale round
    grades = rng.uniform(0, 4, 12)
    site = KINDS[kind](grades, 4 - grades)
    at = np.linspace(-1, 5, 200)
    assert np.diff([site(g) for g in at]).min() > 0
    assert all(SLOPES[0] - 1e-9 <= site.slope(g) <= SLOPES[1] + 1e-9 for g in at)


def test_the_line_is_that_of_least_squares() -> None:
    grades, reader, _ = scans(lambda g: 0.7 * g + 0.9, 5)
    site = KINDS["line"](grades, reader)
    slope, intercept = np.polyfit(grades, reader, 1)
    assert site(1.3) == pytest.approx(slope * 1.3 + intercept)
    assert site(5.0) == pytest.approx(slope * 5.0 + intercept)


def test_a_bent_line_without_bends_is_the_line() -> None:
    grades = np.linspace(0.2, 3.8, 30)
    site = KINDS["bent line"](grades, 0.8 * grades + 0.3)
    for grade in (-0.5, 0.7, 2.2, 4.4):
        assert site(grade) == pytest.approx(0.8 * grade + 0.3, abs=1e-6)


def test_a_patient_is_left_out_with_all_images() -> None:
    grades, reader, _ = scans(lambda g: g + 0.5, 6, n=24)
    patients = [f"p{i // 2}" for i in range(24)]
    _, summary = calibrate_to_site(grades, reader, patients)
    assert (summary["n"], summary["patients"]) == (24, 12)


def test_the_map_survives_the_card() -> None:
    site, summary = calibrate_to_site(*scans(lambda g: 0.6 * g + 1.2, 1))
    card = json.loads(json.dumps({"site_calibration": {**site.as_dict(), **summary}}))
    again = SiteCalibration.from_card(card)
    assert again is not None
    assert [again(g) for g in (0.0, 1.7, 4.2)] == pytest.approx([site(g) for g in (0.0, 1.7, 4.2)], abs=1e-4)
    assert SiteCalibration.from_card({}) is None


@pytest.mark.parametrize(
    "change", [{"values": [1.0, 0.5]}, {"knots": [2.0, 2.0]}, {"values": [1.0]}, {"knots": ["a", 2]}]
)
def test_maps_that_do_not_rise_are_refused(change: dict[str, object]) -> None:
    entry = {"kind": "line", "knots": [0.0, 4.0], "values": [0.2, 3.0]}
    with pytest.raises(ModelError, match="site_calibration"):
        SiteCalibration.from_card({"site_calibration": {**entry, **change}})


def test_what_cannot_be_calibrated() -> None:
    grades, reader, patients = scans(lambda g: g, 7)
    with pytest.raises(RawDataError, match="at least 10"):
        calibrate_to_site(grades[:9], reader[:9], patients[:9])
    with pytest.raises(RawDataError, match="same grade"):
        calibrate_to_site(np.ones(25), reader, patients)
    with pytest.raises(RawDataError, match="not a number"):
        calibrate_to_site(np.append(grades[:-1], np.nan), reader, patients)
