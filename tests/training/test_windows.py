"""Where windows lie, what is in them, and how often each volume and place is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csiq.agreement import anti_bias_l1
from csiq.errors import ConfigError
from csiq.quality.patches import OFFSETS, cut_slices, patch_offsets, patch_window
from csiq.training import GradedSet
from csiq.training.settings import TrainConfig
from csiq.training.windows import Drawing, Place, cut_window, draw_place, place_weights, turned
from tests.training.graded_folder import FEW, ball, write_nii


def _drawing(manifest: Path, **changes: object) -> Drawing:
    images = GradedSet.open(manifest, splits=("train",)).of("train")
    config = TrainConfig(**{**FEW.__dict__, **changes})  # type: ignore[arg-type]
    return Drawing([i.volume for i in images], [i.grade for i in images], [1.0] * len(images), config)


@pytest.mark.parametrize(("n", "voxel"), [(208, 1.0), (52, 4.0), (150, 1.3)])
def test_a_window_is_what_the_grader_sees_there(tmp_path: Path, n: int, voxel: float) -> None:
    volume = np.random.default_rng(1).random((n, n, n), dtype=np.float32)
    write_nii(tmp_path / "a.nii", volume, voxel)
    (tmp_path / "graded.tsv").write_text("volume\tpatient\tsplit\treader1a\na.nii\ta\ttrain\t1\n")
    mapped = GradedSet.open(tmp_path / "graded.tsv").images[0].volume
    slices = cut_slices(volume, (voxel,) * 3)
    for orientation in range(3):
        for index, (row, column) in ((0, (-40, -40)), (4, (8, -13))):
            side = 208 if row == -40 else 128
            window = cut_window(mapped, Place(orientation, OFFSETS[index], row, column), side)
            top, left = row + 40, column + 40
            expected = slices[orientation, index, top : top + side, left : left + side]
            np.testing.assert_allclose(window, expected, atol=2e-5)


def test_what_lies_outside_the_volume_is_zero(tmp_path: Path) -> None:
    write_nii(tmp_path / "a.nii", np.ones((140, 130, 150), np.float32), 1.0)
    (tmp_path / "graded.tsv").write_text("volume\tpatient\tsplit\treader1a\na.nii\ta\ttrain\t1\n")
    mapped = GradedSet.open(tmp_path / "graded.tsv").images[0].volume
    window = cut_window(mapped, Place(0, 40, -40, -40), 208)
    assert window.sum() == 130 * 150
    assert not window[:39].any()
    assert cut_window(mapped, Place(1, 70, 0, 0), 128).sum() == 0


@pytest.mark.parametrize(("half_edge", "n_patches"), [(40, 1), (40, 3), (40, 5), (24, 3), (24, 1)])
def test_every_centre_of_the_cube_counts_the_same(half_edge: int, n_patches: int) -> None:
    weights = place_weights(half_edge, n_patches)
    seen = np.zeros(2 * half_edge + 1)
    for start, row in enumerate(weights):
        for patch, weight in enumerate(row):
            seen[start + 16 * patch] += weight
    np.testing.assert_allclose(seen, seen[0])
    assert weights.mean() == pytest.approx(1)


def test_all_patch_centres_stay_in_the_cube(rng: np.random.Generator) -> None:
    places = [draw_place(rng, 24, 3) for _ in range(300)]
    rows = np.array([(p.across, p.row, p.column) for p in places])
    assert rows[:, 0].min() == -24
    assert rows[:, 0].max() == 24
    assert rows[:, 1:].min() == -24
    assert rows[:, 1:].max() == 24 - 32
    assert {p.orientation for p in places} == {0, 1, 2}


def test_batches_follow_from_seed_and_iteration_alone(manifest: Path) -> None:
    first, again = (_drawing(manifest).batch(7) for _ in range(2))
    for name in ("windows", "grades", "weights"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.windows, _drawing(manifest).batch(8).windows)
    assert not np.array_equal(first.windows, _drawing(manifest, seed=1).batch(7).windows)


def test_every_volume_comes_once_a_round(manifest: Path) -> None:
    drawing = _drawing(manifest, batch=5)
    chosen = np.concatenate([drawing.chosen(iteration) for iteration in range(12)])
    for turn in chosen.reshape(-1, 12):
        assert sorted(turn) == list(range(12))
    assert not np.array_equal(chosen[:12], chosen[12:24])


@pytest.mark.parametrize("balance", ["weights", "draw"])
def test_windows_of_one_volume_follow_each_other(manifest: Path, balance: str) -> None:
    drawing = _drawing(manifest, batch=12, windows=3, balance=balance)
    chosen = drawing.chosen(2).reshape(4, 3)
    assert np.all(chosen == chosen[:, :1])
    batch = drawing.batch(2)
    assert np.all(batch.grades.reshape(4, 3) == batch.grades[::3, None])
    assert not np.array_equal(batch.windows[0], batch.windows[1])
    if balance == "weights":
        rounds = np.concatenate([drawing.chosen(iteration)[::3] for iteration in range(3)])
        assert sorted(rounds) == list(range(12))


@pytest.mark.parametrize("windows", [0, 5])
def test_windows_divide_the_batch(windows: int) -> None:
    with pytest.raises(ConfigError, match="a divisor of batch"):
        TrainConfig(batch=12, windows=windows)


def test_drawing_by_grade_is_unbiased_too() -> None:
    grades = [0.0] * 8 + [2.0] * 3 + [4.0]
    drawing = Drawing([], grades, [], TrainConfig(batch=50, balance="draw"))
    drawing._volumes = [None] * 12  # type: ignore[list-item]
    error = np.array([0.2] * 8 + [1.0] * 3 + [3.0])
    mean = np.mean([error[drawing.chosen(i)].mean() for i in range(200)])
    exact = float(anti_bias_l1(np.array(grades) + error, np.array(grades)))
    assert mean == pytest.approx(exact, abs=0.05)


def test_turns_and_flips_change_no_value(rng: np.random.Generator) -> None:
    window = rng.random((5, 5))
    images = [turned(window, quarters, flip) for quarters in range(4) for flip in (False, True)]
    assert len({image.tobytes() for image in images}) == 8
    assert all(np.array_equal(np.sort(image, axis=None), np.sort(window, axis=None)) for image in images)


def test_weights_turn_with_the_window(manifest: Path) -> None:
    drawing = _drawing(manifest, window=160, intensity=0.0)
    batch = drawing.batch(0)
    assert batch.weights.shape == (4, 3, 3)
    # the centre of a window is covered by most windows, so it weighs least
    assert np.all(batch.weights[:, 1, 1] <= batch.weights.max(axis=(1, 2)))


def test_smaller_cubes_have_fewer_patches() -> None:
    assert patch_offsets(24) == (-24, -8, 8, 24)
    assert patch_window(24) == slice(16, 192)
    assert patch_window(40) == slice(0, 208)


def test_nothing_stays_mapped_or_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    lines = ["volume\tpatient\tsplit\treader1a"]
    volume = ball(0.1, 0, 140)
    for number in range(6):
        write_nii(tmp_path / f"v{number}.nii", volume, 1.5)
        lines.append(f"v{number}.nii\tp{number}\ttrain\t{number / 2}")
    (tmp_path / "graded.tsv").write_text("\n".join(lines) + "\n")
    images = GradedSet.open(tmp_path / "graded.tsv").images
    config = TrainConfig(batch=6, window=128, seed=1)
    drawing = Drawing([i.volume for i in images], [i.grade for i in images], [1.0] * 6, config)
    drawing.batch(0)
    tracemalloc.start()
    for iteration in range(3):
        drawing.batch(iteration)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # one volume has 11 MB, the batch 0.4 MB
    assert peak < 5e6
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path) not in maps.read_text()
