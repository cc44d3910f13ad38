"""Controls that a grader can fail: what is changed where, and who notices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from csiq.heatmap import Mask, Occlusion
from csiq.quality.features import HeartTruth
from csiq.quality.vessel_distance import coronary_distance
from csiq.trust.controls import (
    CHANGES,
    conclusions,
    control_rows,
    heat_row,
    partial_rank,
    pointing,
)
from csiq.trust.degradations import blurred_coronaries, blurred_outside, with_wires
from tests.trust.scanned_tubes import truth


@pytest.fixture(scope="module")
def heart() -> HeartTruth:
    """Return tubes with room around the heart, 112 voxels an axis, textured."""
    found = truth()
    pad = 24
    volume = np.pad(found.volume, pad, constant_values=0.15)
    volume += 0.05 * np.random.default_rng(0).standard_normal(volume.shape).astype(np.float32)
    z, y, x = np.ogrid[:64, :64, :64]
    inside = np.pad((z - 32) ** 2 + (y - 32) ** 2 + (x - 32) ** 2 < 30**2, pad)
    masks = {n: np.pad(getattr(found, n), pad) for n in ("blood", "myocardium")}
    vessels = {n: replace(v, points=v.points + pad) for n, v in found.vessels.items()}
    return replace(found, volume=np.abs(volume), heart=inside, vessels=vessels, **masks)


def texture(volume: np.ndarray, where: np.ndarray) -> float:
    steps = volume - ndimage.uniform_filter(volume, 3)
    return float(steps[where].std())


def test_blur_outside_leaves_the_heart_alone(heart: HeartTruth) -> None:
    changed = blurred_outside(heart.volume, heart)
    away = ndimage.distance_transform_edt(~heart.heart)
    np.testing.assert_array_equal(changed[away <= 10], heart.volume[away <= 10])
    far = away > 15
    assert texture(changed, far) < 0.2 * texture(heart.volume, far)


def test_blur_of_coronaries_touches_nothing_else(heart: HeartTruth) -> None:
    changed = blurred_coronaries(heart.volume, heart)
    away = coronary_distance(heart.volume, heart)
    np.testing.assert_array_equal(changed[away > 3.5], heart.volume[away > 3.5])
    middle = away < -1
    assert changed[middle].mean() < 0.75 * heart.volume[middle].mean()


def test_distance_follows_vessels_to_where_the_image_has_them(heart: HeartTruth) -> None:
    moved = np.roll(heart.volume, 2, axis=1)
    away = coronary_distance(moved, heart)
    expected = np.roll(coronary_distance(heart.volume, heart), 2, axis=1)
    near = np.abs(expected) < 5
    assert np.abs(away - expected)[near].mean() < 0.5
    line = np.round(heart.vessels["LAD"].points[20]).astype(int)
    assert coronary_distance(heart.volume, heart)[tuple(line)] == pytest.approx(-1.5, abs=0.9)


def test_wires_are_voids_before_the_heart(heart: HeartTruth) -> None:
    changed = with_wires(heart.volume, heart)
    away = ndimage.distance_transform_edt(~heart.heart)
    np.testing.assert_array_equal(changed[away <= 5], heart.volume[away <= 5])
    touched = np.argwhere(np.abs(changed - heart.volume) > 0.05)
    front = np.argwhere(heart.heart)[:, 1].max()
    assert len(touched) > 500
    assert touched[:, 1].mean() > front
    dark = changed[np.abs(changed - heart.volume) > 0.05]
    assert dark.min() < 0.3 * np.median(heart.volume[away > 5])


def graders(heart: HeartTruth) -> dict[str, Any]:
    away = coronary_distance(heart.volume, heart)
    core, outside = away < -1, ~heart.heart
    outside[:, : np.argwhere(heart.heart)[:, 1].max()] = False

    def vessels(volume: np.ndarray, size: object) -> float:
        return float(4 * volume[core].mean())

    def surroundings(volume: np.ndarray, size: object) -> float:
        return float(100 * (volume[outside] < 0.03).mean())

    return {"vessels": vessels, "surroundings": surroundings, "nothing": lambda v, s: 2.0}


def test_only_who_looks_at_coronaries_passes(heart: HeartTruth) -> None:
    passed = {
        name: {row["control"]: row["passed"] for row in control_rows(grader, "a", heart.volume, heart)}
        for name, grader in graders(heart).items()
    }
    assert passed["vessels"] == dict.fromkeys(CHANGES, 1)
    assert passed["surroundings"]["blur-outside"] == 0
    assert passed["surroundings"]["wires-outside"] == 0
    assert passed["surroundings"]["blur-coronaries"] == 0
    assert passed["nothing"] == {"blur-outside": 1, "wires-outside": 1, "blur-coronaries": 0}


def test_pointing_is_the_area_under_the_curve(rng: np.random.Generator) -> None:
    distance = rng.uniform(-2, 20, (12, 12, 12))
    heat = rng.standard_normal(distance.shape) + (distance < 2.5)
    found = pointing(heat, distance, np.ones(distance.shape, bool))
    counted = (distance <= 2.5) | (distance > 8)
    expected = roc_auc_score(distance[counted] <= 2.5, heat[counted])
    assert found["auc"] == pytest.approx(expected, abs=1e-12)
    assert float(found["enriched"] or 0) > 1.5
    assert pointing(-heat, distance, np.ones(distance.shape, bool))["auc"] == pytest.approx(1 - expected)
    assert np.isnan(pointing(heat, distance, distance > 8)["auc"])


class Bright(torch.nn.Module):
    """Grades a slice by how much of it is as bright as blood (or is not)."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        bright = torch.relu(slices - slices.amax() / 2).mean(dim=(1, 2))
        return 2 + self.sign * 100 * bright[:, None]


@pytest.mark.parametrize(("sign", "points"), [(1.0, True), (-1.0, False)])
def test_heat_of_who_counts_bright_vessels_is_on_them(heart: HeartTruth, sign: float, points: bool) -> None:
    away = coronary_distance(heart.volume, heart)
    only_vessels = replace(heart, volume=np.where(away < 3, heart.volume, 0.1))
    occlusion = Occlusion(mask=Mask(12, 12), offsets=(-12.0, 12.0))
    row = heat_row(Bright(sign), "a", only_vessels.volume, only_vessels, occlusion)
    assert (float(row["auc"] or 0) > 0.75) == points
    assert row["fill"] == "zero"


def test_motion_at_equal_conditions(rng: np.random.Generator) -> None:
    snr, motion = rng.standard_normal((2, 400))
    motion = motion - 0.8 * snr  # who moves more has less signal
    blind, seeing = snr + 0.1 * rng.standard_normal(400), snr - 0.5 * motion
    assert spearmanr(blind, motion)[0] < -0.4  # which looks as if it followed motion
    assert abs(partial_rank(blind, motion, [snr])) < 0.15
    assert partial_rank(seeing, motion, [snr]) < -0.8
    assert np.isnan(partial_rank(np.zeros(400), motion, [snr]))


def test_conclusions_under_another_formula(rng: np.random.Generator) -> None:
    quality = rng.uniform(0, 1, 60)
    rows = [{"grade": 4 * q, "latent": q, "same": q**2, "turned": -q, "other": o}
            for q, o in zip(quality, 0.8 * quality + 0.2 * rng.uniform(0, 1, 60), strict=True)]  # fmt: skip
    same, turned, other = conclusions(rows, ["same", "turned", "other"])
    assert (same.rho, same.pairs, same.disputed) == (pytest.approx(1.0), 1.0, 0.0)
    assert np.isnan(same.with_reference)
    assert (turned.rho, turned.disputed, turned.with_reference) == (pytest.approx(-1.0), 1.0, 1.0)
    assert 0.9 < other.rho < 1
    assert 0 < other.disputed < 0.2
    assert other.pairs == 1.0
