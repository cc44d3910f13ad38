"""The grid of patches, the resampling to 1 mm and the normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ShapeError
from csiq.quality import patches
from csiq.quality.network import PATCH, STRIDE


def test_grid_is_that_of_the_contract() -> None:
    assert patches.OFFSETS == (-40, -24, -8, 8, 24, 40)
    assert patches.N_PATCHES == 648
    assert patches.SPACING == STRIDE
    # 40 to the last centre and half a patch beyond, to either side
    assert patches.SIDE == 2 * (patches.HALF_EDGE + PATCH // 2) == 208


def test_a_volume_of_1_mm_is_cut_not_changed(rng: np.random.Generator) -> None:
    volume = rng.random((208, 208, 208), dtype=np.float32)
    slices = patches.cut_slices(volume, (1.0, 1.0, 1.0))
    at = [104 + o for o in patches.OFFSETS]
    np.testing.assert_allclose(slices[0], volume[at], atol=1e-6)
    np.testing.assert_allclose(slices[1], volume[:, at].transpose(1, 0, 2), atol=1e-6)
    np.testing.assert_allclose(slices[2], volume[:, :, at].transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize("n", [96, 128, 130, 256])
def test_positions_are_millimetres_from_the_centre_voxel(n: int) -> None:
    voxel = 208 / n
    ramp = (np.arange(n, dtype=np.float32) - n // 2) * voxel
    volume = np.abs(np.broadcast_to(ramp[:, None, None], (n, n, n)))
    slices = patches.cut_slices(volume, (voxel,) * 3)
    # the modulus has a kink at 0, two voxels around it are rounded
    np.testing.assert_allclose(slices[0, :, 104, 104], np.abs(patches.OFFSETS), atol=0.01)
    line = slices[1, 0, 10:90, 104]
    np.testing.assert_allclose(line, np.abs(np.arange(10, 90) - 104), atol=0.02)


def test_voxels_that_are_not_cubes(rng: np.random.Generator) -> None:
    volume = rng.random((104, 208, 130), dtype=np.float32)
    slices = patches.volume_slices(volume, (2.0, 1.0, 1.6))
    assert slices.values.shape == (3, 6, 208, 208)
    assert slices.warnings == ()


def test_small_voxels_do_not_alias() -> None:
    n = 416
    line = (np.arange(n) % 2).astype(np.float32)
    weights = patches.interpolation_matrix(n, 0.5, np.arange(-50, 50))
    np.testing.assert_allclose(weights @ line, 0.5, atol=0.02)


def test_interpolation_keeps_constants_and_ends_at_the_outer_faces() -> None:
    weights = patches.interpolation_matrix(10, 2.0, np.array([-11.1, -10.9, 0.0, 8.9, 9.1]))
    np.testing.assert_allclose(weights.sum(axis=1), [0, 1, 1, 1, 0], atol=1e-6)


def test_scale_and_phase_do_not_matter(rng: np.random.Generator) -> None:
    volume = rng.random((64, 64, 64)).astype(np.float32) + 0.1
    first = patches.volume_slices(volume, (3.25,) * 3)
    turned = volume.astype(np.complex64) * np.complex64(731.0 * np.exp(0.7j))
    second = patches.volume_slices(turned, (3.25,) * 3)
    np.testing.assert_allclose(second.values, first.values, rtol=1e-4, atol=1e-5)
    assert second.scale == pytest.approx(731 * first.scale, rel=1e-4)


def test_small_volume_is_padded_and_said() -> None:
    volume = np.ones((60, 60, 60), dtype=np.float32)
    slices = patches.volume_slices(volume, (1.0,) * 3)
    assert "60 x 60 x 60 mm" in slices.warnings[0]
    assert "padded" in slices.warnings[0]
    # offsets of 40 lie outside, the rest is the cube of 60 mm and zeros around it
    assert not slices.values[0, 0].any()
    assert slices.values[0, 2].sum() == pytest.approx(60 * 60, rel=1e-3)


def test_values_that_are_not_finite_mark_what_they_touch(rng: np.random.Generator) -> None:
    volume = rng.random((128, 128, 128), dtype=np.float32)
    clean = patches.cut_slices(volume, (1.625,) * 3)
    volume[5, 6, 7] = np.nan
    volume[39, 64, 64] = np.inf
    slices = patches.cut_slices(volume, (1.625,) * 3)
    bad = ~np.isfinite(slices)
    assert 0 < bad.sum() < 500
    np.testing.assert_array_equal(slices[~bad], clean[~bad])


def test_dark_volume_has_no_scale() -> None:
    slices = patches.volume_slices(np.zeros((208, 208, 208), np.float32), (1.0,) * 3)
    assert slices.scale == 0
    assert "dark" in slices.warnings[0]


@pytest.mark.parametrize("voxel_size", [(1.0, 1.0, 0.0), (1.0, np.nan, 1.0), (1.0, 1.0)])
def test_impossible_voxels(voxel_size: tuple[float, ...]) -> None:
    with pytest.raises(ShapeError, match="voxel_size"):
        patches.volume_slices(np.ones((8, 8, 8), np.float32), voxel_size)


def test_four_axes_are_no_volume() -> None:
    with pytest.raises(ShapeError, match="volume"):
        patches.volume_slices(np.ones((2, 8, 8, 8), np.float32), (1.0,) * 3)
