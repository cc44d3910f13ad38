"""NIfTI output: where a voxel lies, what the codes say, and that equal volumes give equal files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.io import read_acquisition
from csiq.io.nifti import read_volume, read_volumes, write_nifti
from csiq.io.volumes import write_volumes
from tests.io.files import oblique_geometry


@pytest.fixture
def geometry() -> Geometry:
    """Return an oblique volume with another size and voxel along each axis."""
    base = oblique_geometry()
    affine = base.affine.copy()
    affine[:3, :3] = affine[:3, :3] / 2.0 * [1.0, 2.0, 3.0]
    return Geometry((6, 5, 4), (18.0, 10.0, 4.0), affine)


def marked(geometry: Geometry) -> np.ndarray:
    volume = np.zeros(geometry.shape, np.float32)
    volume[5, 1, 2] = 7.0
    return volume


def test_a_marker_lies_where_the_affine_says(geometry: Geometry, tmp_path: Path) -> None:
    path = tmp_path / "phase-1.nii.gz"
    write_nifti(path, marked(geometry), geometry, sidecar={"phase": 1, "grade": float("nan")})
    image = nibabel.load(path)
    assert image.shape == (4, 5, 6)
    assert image.get_data_dtype() == np.float32
    assert tuple(np.argwhere(image.get_fdata() == 7.0)[0]) == (2, 1, 5)
    for affine, code in (image.get_qform(coded=True), image.get_sform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(affine, geometry.affine, atol=1e-4)
    np.testing.assert_allclose(image.header.get_zooms(), (1.0, 2.0, 3.0), rtol=1e-6)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert json.loads((tmp_path / "phase-1.json").read_text()) == {"phase": 1, "grade": None}
    assert {p.name for p in tmp_path.iterdir()} == {"phase-1.nii.gz", "phase-1.json"}


def test_raw_file_and_image_agree_on_the_patient(raw: Path, scan: Acquisition, tmp_path: Path) -> None:
    # the same marker, through LPS in the raw file and RAS in the image
    where = read_acquisition(raw).geometry
    volume = np.zeros(where.shape, np.float32)
    volume[3, 9, 12] = 1.0
    write_nifti(tmp_path / "a.nii", volume, where)
    image = nibabel.load(tmp_path / "a.nii")
    voxel = np.argwhere(image.get_fdata() == 1.0)[0]
    np.testing.assert_allclose(image.affine @ [*voxel, 1], scan.geometry.affine @ [12, 9, 3, 1], atol=1e-3)


def test_an_unknown_orientation_has_code_0(geometry: Geometry, tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", marked(geometry), replace(geometry, known=False))
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert int(image.header["qform_code"]) == 0
    assert int(image.header["sform_code"]) == 0
    np.testing.assert_allclose(image.header.get_zooms(), (1.0, 2.0, 3.0), rtol=1e-6)


def test_equal_volumes_give_equal_files(geometry: Geometry, tmp_path: Path) -> None:
    for name in ("a.nii.gz", "other-name.nii.gz"):
        write_nifti(tmp_path / name, marked(geometry), geometry)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "other-name.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_round_trip(geometry: Geometry, rng: np.random.Generator, tmp_path: Path, name: str) -> None:
    volume = rng.random(geometry.shape).astype(np.float32)
    write_nifti(tmp_path / name, volume, geometry)
    back, voxel, affine = read_volume(tmp_path / name)
    np.testing.assert_array_equal(back, volume)
    np.testing.assert_allclose(voxel, geometry.voxel_size, rtol=1e-6)
    np.testing.assert_allclose(affine, geometry.affine, atol=1e-4)
    ((label, again, _),) = read_volumes(tmp_path / name)
    assert label == name
    np.testing.assert_array_equal(again, volume)


def test_phases_of_a_run(geometry: Geometry, rng: np.random.Generator, tmp_path: Path) -> None:
    volumes = rng.standard_normal((2, *geometry.shape, 2)).view(np.complex128)[..., 0]
    path = tmp_path / "volumes.h5"
    write_volumes(path, volumes, geometry, 4)
    found = read_volumes(path)
    assert [label for label, _, _ in found] == ["volumes.h5:phase-1", "volumes.h5:phase-2"]
    np.testing.assert_allclose(found[1][1], np.abs(volumes[1]), rtol=1e-6)
    assert found[0][1].dtype == np.float32
    np.testing.assert_allclose(found[0][2], geometry.voxel_size)
    with pytest.raises(RawDataError, match="holds 2 volumes, expected one"):
        read_volume(path)
    write_volumes(path, volumes[:1], geometry, 4)
    volume, voxel, affine = read_volume(path)
    np.testing.assert_allclose(volume, np.abs(volumes[0]), rtol=1e-6)
    np.testing.assert_allclose(voxel, geometry.voxel_size)
    np.testing.assert_allclose(affine, geometry.affine)


def test_what_is_no_volume_is_refused(geometry: Geometry, raw: Path, tmp_path: Path) -> None:
    volume = marked(geometry)
    with pytest.raises(ShapeError, match="expected a real volume"):
        write_nifti(tmp_path / "a.nii", volume.astype(complex), geometry)
    with pytest.raises(ShapeError, match=r"got float32 \(4, 5, 6\)"):
        write_nifti(tmp_path / "a.nii", volume.T, geometry)
    with pytest.raises(ShapeError, match="expected a name in"):
        write_nifti(tmp_path / "a.img", volume, geometry)
    with pytest.raises(RawDataError, match="/volumes: expected"):
        read_volumes(raw)
    with pytest.raises(ConfigError, match="no such file"):
        read_volume(tmp_path / "none.nii")
    (tmp_path / "a.nii").write_text("no image")
    with pytest.raises(RawDataError, match=r"no readable NIfTI image|damaged gzip file"):
        read_volume(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii.gz", volume, geometry)
    whole = (tmp_path / "b.nii.gz").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RawDataError, match=r"no readable NIfTI image|damaged gzip file"):
        read_volume(tmp_path / "b.nii.gz")
    nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.float32), np.eye(4)).to_filename(tmp_path / "c.nii")
    with pytest.raises(RawDataError, match="expected one volume"):
        read_volume(tmp_path / "c.nii")
