"""Changes that change no quality, exactly; and graders that do not pass."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.trust.invariance import changes, flipped, invariance_rows, shifted, turned

VOXEL = (1.0, 1.5, 2.0)


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 1, (12, 14, 16)).astype(np.float32)


def test_the_middle_stays_in_the_middle() -> None:
    cube = np.zeros((8, 8, 8), np.float32)
    cube[4, 4, 4], cube[5, 6, 4] = 1, 2
    for axis in range(3):
        assert flipped(cube, axis)[4, 4, 4] == 1
        np.testing.assert_array_equal(flipped(flipped(cube, axis), axis), cube)
    assert flipped(cube, 0)[3, 6, 4] == 2
    once = turned(cube, (0, 1), 1)
    assert once[4, 4, 4] == 1
    assert {tuple(p - 4) for p in np.argwhere(once == 2)} in ({(2, -1, 0)}, {(-2, 1, 0)})
    np.testing.assert_array_equal(turned(once, (0, 1), 3), cube)


def test_shift_is_exact_for_a_wave() -> None:
    z = np.arange(32)[:, None, None] * np.ones((1, 4, 4))
    wave = 2 + np.cos(2 * np.pi * 3 * z / 32)
    moved = shifted(wave, 0.25, 0)
    np.testing.assert_allclose(moved, 2 + np.cos(2 * np.pi * 3 * (z - 0.25) / 32), atol=1e-5)


def test_sizes_go_with_their_axes(volume: np.ndarray) -> None:
    extent = tuple(np.array(volume.shape) * VOXEL)
    for what, change, order in changes():
        found = change(volume)
        sizes = [VOXEL[a] for a in order]
        assert sorted(np.array(found.shape) * sizes) == pytest.approx(sorted(extent)), what
    names = [what for what, _, _ in changes()]
    assert len(set(names)) == len(names) == 3 + 3 + 6 + 6


def test_who_grades_the_contrast_passes_and_others_do_not(volume: np.ndarray) -> None:
    def contrast(v: np.ndarray, size: object) -> float:
        return float(v[2:-2, 2:-2, 2:-2].mean() / v.mean())

    assert all(row["passed"] for row in invariance_rows(contrast, "a", volume, VOXEL))

    def failed(grader: object) -> set[str]:
        return {str(r["change_of"]) for r in invariance_rows(grader, "a", volume, VOXEL) if not r["passed"]}

    assert failed(lambda v, s: float(v.mean())) == {"scale x0.1", "scale x10", "scale x1000"}
    assert failed(lambda v, s: float(v[1].mean() / v.mean() * 50)) >= {"flip z", "turn zy 90"}
    assert failed(lambda v, s: float(s[0])) == {f"turn {p} {d}" for p in ("zy", "zx") for d in (90, 270)}
    assert "shift y 0.5" in failed(lambda v, s: float(np.abs(np.diff(v, axis=1)).mean() / v.mean() * 9))
