"""The strange images of ``benchmarks/domain.py`` are what they say, and the shipped model knows them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.io.nifti import write_nifti
from csiq.quality.grade import Grader
from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.patient import rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState

_N, _SEED = 52, 3


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    return importlib.import_module("strangers")


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A patient of 4 mm voxels, with what a cohort writes beside it."""
    path = tmp_path_factory.mktemp("heart") / "p001.nii"
    image = rasterise(Patient.from_seed(_SEED), Grid.cube(_N, 208.0), MotionState(3.0))
    details = {"displacement_mm": 3.0, "heart_spread_mm": 0.0}
    write_nifti(
        path,
        image,
        Geometry(image.shape, (208.0,) * 3),
        sidecar={"patient": {"seed": _SEED}, "details": details},
    )
    return path


def _volume(path: Path) -> np.ndarray:
    from csiq.io.nifti import read_volume

    return read_volume(path)[0]


def test_axes_are_swapped_in_all_wrong_orders(strangers: Any, heart: Path) -> None:
    volume = _volume(heart)
    found = [image for image, _ in strangers.swapped(heart)]
    assert len(found) == 5
    assert all(not np.array_equal(image, volume) for image in found)
    np.testing.assert_array_equal(found[0].transpose(0, 2, 1), volume)


def test_half_of_k_space_is_left(strangers: Any, heart: Path) -> None:
    for image, voxel in strangers.half_resolution(heart):
        assert image.shape == (_N,) * 3
        assert voxel == (4.0,) * 3
        power = np.abs(np.fft.fftshift(np.fft.fftn(image))) ** 2
        inner = power[13:39, 13:39, 13:39].sum()
        # the magnitude of what rings below zero, and splines, leave a little outside
        assert power.sum() - inner < 0.02 * power.sum()


def test_a_unit_of_half_zooms_by_two(strangers: Any, heart: Path) -> None:
    volume = _volume(heart)
    half, double, blob, one = (image for image, _ in strangers.wrong_units(heart))
    centre = slice(_N // 4, _N // 4 + _N // 2)
    zoomed = volume[centre, centre, centre].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    # 4000 spokes are plenty for 52^3: what differs is half a voxel and the resolution
    assert np.corrcoef(half.ravel(), zoomed.ravel())[0, 1] > 0.8
    assert np.corrcoef(double[centre, centre, centre].ravel(), volume[::2, ::2, ::2].ravel())[0, 1] > 0.6
    assert blob.std() / blob.mean() < 0.6 * volume.std() / volume.mean()
    along_z = volume[centre].repeat(2, 0)
    assert np.corrcoef(one.ravel(), along_z.ravel())[0, 1] > 0.8


def test_fat_alone_becomes_bright(strangers: Any, heart: Path) -> None:
    volume = _volume(heart)
    ((image, _),) = strangers.bright_fat(heart)
    more = image - volume
    fat = Patient.from_seed(_SEED).signals["fat"]
    near_fat = np.abs(volume - fat) < 0.02
    assert np.median(more[near_fat]) > 0.2
    # blood, brighter than anything else, stays
    assert np.median(np.abs(more[volume > 0.97])) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lungs", "phantoms", "noise"])
def test_the_shipped_model_knows_measured_strangers(strangers: Any, shared_data: Path, kind: str) -> None:
    pytest.importorskip("ismrmrd")
    grader = Grader.load()
    distances = [
        grader.evidence(volume, voxel).distance
        for volume, voxel in strangers.MEASURED[kind](shared_data / "raw")
    ]
    assert len(distances) >= 6
    assert min(distances) > 1
