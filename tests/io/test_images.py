"""Images of several phases are several volumes to grade, in whatever format they come."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.convert import ConvertOptions, convert
from csiq.errors import RawDataError
from csiq.io.images import Volume, read_images
from csiq.io.nifti import read_volumes
from csiq.io.volumes import write_volumes
from csiq.training.volume_cell import VolumeCell
from tests.io.files import oblique_geometry

SHAPE = (4, 6, 8)


@pytest.fixture
def volumes(tmp_path: Path, rng: np.random.Generator) -> np.ndarray:
    """Return two complex phases, and write them as ``volumes.h5``."""
    values = (rng.standard_normal((2, *SHAPE, 2)) @ [1, 1j]).astype(np.complex64)
    write_volumes(tmp_path / "volumes.h5", values, oblique_geometry(SHAPE), 3)
    return values


def assert_phases(found: list[Volume], name: str, volumes: np.ndarray) -> None:
    assert [one.name for one in found] == [f"{name}:phase-1", f"{name}:phase-2"]
    for one, expected in zip(found, volumes, strict=True):
        np.testing.assert_allclose(np.abs(one.values), np.abs(expected), rtol=1e-6)
        np.testing.assert_allclose(one.voxel_size, oblique_geometry(SHAPE).voxel_size, rtol=1e-5)


@pytest.mark.parametrize("name", ["a.nii", "b.nii.gz", "c.mrd", "d.h5", "e.cfl"])
def test_phases_are_volumes_in_every_format(name: str, tmp_path: Path, volumes: np.ndarray) -> None:
    convert(tmp_path / "volumes.h5", tmp_path / name)
    assert_phases(list(read_images(tmp_path / name)), name, volumes)
    assert [label for label, _, _ in read_volumes(tmp_path / name)] == [f"{name}:phase-1", f"{name}:phase-2"]
    # a manifest names one of them
    cell = VolumeCell.parse(tmp_path, f"{name}:2").open(tmp_path / "cache")
    np.testing.assert_allclose(np.asarray(cell), np.abs(volumes[1]), atol=2e-4)
    with pytest.raises(RawDataError, match=f"holds 2 volumes; name one: {name}:1"):
        VolumeCell.parse(tmp_path, name).open(tmp_path / "cache")


def test_groups_of_images_are_told_apart(tmp_path: Path, volumes: np.ndarray) -> None:
    convert(tmp_path / "volumes.h5", tmp_path / "a.mrd", ConvertOptions(phase=1))
    with h5py.File(tmp_path / "a.mrd", "r+") as file:
        file.copy("dataset/image_0", "dataset/image_1")
        file["dataset/image_1/data"][...] = file["dataset/image_0/data"][...][..., ::-1]
    found = list(read_images(tmp_path / "a.mrd"))
    assert [one.name for one in found] == ["a.mrd:/dataset/image_0", "a.mrd:/dataset/image_1"]
    np.testing.assert_allclose(found[1].values, volumes[0][..., ::-1], rtol=1e-6)


def test_a_raw_scan_is_no_image(raw: Path) -> None:
    with pytest.raises(RawDataError, match="it holds a raw scan; csiq recon makes images"):
        list(read_images(raw))


def test_images_beside_a_raw_scan_are_found(raw: Path, tmp_path: Path, volumes: np.ndarray) -> None:
    convert(tmp_path / "volumes.h5", tmp_path / "a.mrd")
    with h5py.File(raw, "r+") as file, h5py.File(tmp_path / "a.mrd") as images:
        images.copy("dataset/image_0", file["dataset"])
    assert_phases(list(read_images(raw)), raw.name, volumes)


def test_a_voxel_size_that_is_none(tmp_path: Path, volumes: np.ndarray) -> None:
    for size in ([1.0, 2.0], [1.0, 0.0, 1.0], "abc"):
        with h5py.File(tmp_path / "volumes.h5", "r+") as file:
            file["volumes"].attrs["voxel_size_mm"] = size
        with pytest.raises(RawDataError, match="no usable attribute voxel_size_mm"):
            list(read_images(tmp_path / "volumes.h5"))
        assert len(list(read_images(tmp_path / "volumes.h5", (1.0, 1.0, 1.0)))) == 2
