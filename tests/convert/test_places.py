"""A marker lies at the same place in the patient in every format, alone and after a chain of conversions.

Where it lies is worked out here from each file by its own standard, with the libraries of that standard and
not with csiq's readers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ismrmrd
import nibabel
import numpy as np
import pydicom
import pytest

from csiq.acquisition import Geometry
from csiq.convert import convert
from csiq.io.cfl import read_cfl
from csiq.io.volumes import write_volumes
from tests.io.files import rotation

#: Agreement that is asked for, mm.
CLOSE = 0.1

#: The marker's voxel, z y x, far from every symmetry of the grid.
MARKER = (4, 9, 2)
SHAPE = (7, 11, 8)


def geometry(turn: np.ndarray, *, shape: tuple[int, int, int] = SHAPE) -> Geometry:
    """Return a volume of 1 x 2 x 3 mm (x y z) with these axes, off the isocentre."""
    affine = np.eye(4)
    affine[:3, :3] = turn * [1.0, 2.0, 3.0]
    affine[:3, 3] = [41.0, -23.5, 67.25]
    return Geometry(shape, (3.0 * shape[0], 2.0 * shape[1], 1.0 * shape[2]), affine)


TURNS = {
    "straight": np.eye(3),
    "oblique": rotation(0.3, -0.2, 0.5),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "left-handed": rotation(0.4, 0.1, -0.6) @ np.diag([1.0, 1.0, -1.0]),
}


def phantom(shape: tuple[int, int, int], marker: tuple[int, int, int]) -> np.ndarray:
    """Return two phases; the marker is the brightest voxel of the second only."""
    z, y, x = np.indices(shape)
    ramp = (1 + x + 2 * y + 3 * z).astype(np.complex64)
    volumes = np.stack([ramp, ramp * np.exp(1j * 0.3)])
    volumes[1][marker] = 500
    return volumes.astype(np.complex64)


def ras(lps: np.ndarray) -> np.ndarray:
    """Left is +x and back +y in LPS: written out here on purpose."""
    return np.array([-lps[0], -lps[1], lps[2]])


def in_nifti(path: Path) -> list[np.ndarray]:
    image = nibabel.load(path)
    values = np.abs(np.asarray(image.dataobj))
    values = values[..., -1] if values.ndim == 4 else values
    voxel = np.unravel_index(np.argmax(values), values.shape)
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    return [(form @ [*voxel, 1])[:3] for form in (image.get_qform(), image.get_sform())]


def in_dicom(path: Path) -> list[np.ndarray]:
    files = sorted(path.glob("phase-2/*.dcm")) or sorted(path.glob("*.dcm"))
    slices = [pydicom.dcmread(file) for file in files]
    brightest = max(slices, key=lambda one: one.pixel_array.max() * float(one.RescaleSlope))
    row, column = np.unravel_index(np.argmax(brightest.pixel_array), brightest.pixel_array.shape)
    # PS3.3 C.7.6.2.1.1: the first three cosines are those of rising columns, spacing is rows first
    cosines = np.array(brightest.ImageOrientationPatient, float)
    down, across = (float(v) for v in brightest.PixelSpacing)
    lps = np.array(brightest.ImagePositionPatient, float)
    lps = lps + cosines[:3] * across * column + cosines[3:] * down * row
    return [ras(lps)]


def in_ismrmrd(path: Path) -> list[np.ndarray]:
    with ismrmrd.Dataset(str(path), create_if_needed=False) as file:
        image = file.read_image("image_0", file.number_of_images("image_0") - 1)
    values = np.abs(image.data[0])
    voxel = np.array(np.unravel_index(np.argmax(values), values.shape))[::-1]
    n = np.array(values.shape[::-1])
    steps = (voxel - n // 2) * np.array(list(image.field_of_view)) / n
    axes = np.array([list(image.read_dir), list(image.phase_dir), list(image.slice_dir)])
    return [ras(np.array(list(image.position)) + steps @ axes)]


def in_bart(path: Path) -> list[np.ndarray]:
    values = np.abs(read_cfl(path))
    values = values.reshape(-1, *values.shape[-3:])[-1]
    z, y, x = np.unravel_index(np.argmax(values), values.shape)
    beside = json.loads(path.with_name(path.name + ".json").read_text())["geometry"]
    assert beside["orientation_known"]
    return [(np.array(beside["affine"]) @ [x, y, z, 1])[:3]]


ROUTES: dict[str, Callable[[Path], list[np.ndarray]]] = {
    "a.nii.gz": in_nifti,
    "b.nii": in_nifti,
    "a": in_dicom,
    "a.mrd": in_ismrmrd,
    "a.cfl": in_bart,
}


def assert_there(where: list[np.ndarray], true: np.ndarray) -> None:
    for found in where:
        assert np.linalg.norm(found - true) < CLOSE


@pytest.mark.parametrize("turn", list(TURNS))
def test_every_format_agrees_on_the_patient(tmp_path: Path, turn: str) -> None:
    where = geometry(TURNS[turn])
    true = (where.affine @ [*MARKER[::-1], 1])[:3]
    write_volumes(tmp_path / "volumes.h5", phantom(SHAPE, MARKER), where, iteration=3)
    for name, look in ROUTES.items():
        convert(tmp_path / "volumes.h5", tmp_path / name)
        assert_there(look(tmp_path / name), true)


@pytest.mark.parametrize(
    "chain", [("a.mrd", "b", "c.cfl", "d.nii.gz", "e.mrd"), ("a.nii", "b.cfl", "c.mrd", "d")]
)
@pytest.mark.parametrize("turn", ["oblique", "left-handed"])
def test_a_chain_of_formats_agrees_too(tmp_path: Path, chain: tuple[str, ...], turn: str) -> None:
    looks = {".mrd": in_ismrmrd, "": in_dicom, ".cfl": in_bart, ".nii": in_nifti, ".gz": in_nifti}
    where = geometry(TURNS[turn])
    true = (where.affine @ [*MARKER[::-1], 1])[:3]
    last = tmp_path / "volumes.h5"
    write_volumes(last, phantom(SHAPE, MARKER), where, iteration=3)
    for name in chain:
        convert(last, tmp_path / name)
        last = tmp_path / name
        assert_there(looks[last.suffix](last), true)


@pytest.mark.parametrize("name", list(ROUTES))
def test_a_single_slice_keeps_its_thickness_and_place(tmp_path: Path, name: str) -> None:
    where = geometry(TURNS["oblique"], shape=(1, 11, 8))
    true = (where.affine @ [2, 9, 0, 1])[:3]
    write_volumes(tmp_path / "volumes.h5", phantom((1, 11, 8), (0, 9, 2)), where, iteration=3)
    convert(tmp_path / "volumes.h5", tmp_path / name)
    assert_there(ROUTES[name](tmp_path / name), true)
    back = convert(tmp_path / name, tmp_path / "back.cfl").record["geometry"]
    np.testing.assert_allclose(back["voxel_size_mm"], [3.0, 2.0, 1.0], rtol=1e-5)


def test_a_mirrored_phantom_is_told_from_it(tmp_path: Path) -> None:
    # the check itself: a marker on the other side is 0.1 mm off nowhere near
    where = geometry(TURNS["straight"])
    write_volumes(tmp_path / "volumes.h5", phantom(SHAPE, MARKER)[:, :, :, ::-1], where, iteration=3)
    convert(tmp_path / "volumes.h5", tmp_path / "a.nii")
    true = (where.affine @ [*MARKER[::-1], 1])[:3]
    assert np.linalg.norm(in_nifti(tmp_path / "a.nii")[0] - true) > 1.0
