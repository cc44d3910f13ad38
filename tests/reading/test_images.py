"""What a reader sees is the volume: the right way round, 1 mm, one rule of grey, not a voxel lost."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest

from csiq.errors import RawDataError
from csiq.reading.images import WHITE, WHITE_GREY, Displayed, displayed, encode, to_grey, to_millimetres
from csiq.reading.sources import Source, find_sources
from tests.reading.test_sources import write_h5
from tests.reading.volumes_to_read import blob, decoded, write_volume


def read(path) -> Displayed:
    return displayed(Source(path.name, "", path))


@pytest.mark.parametrize("codes", ["".join(c) for c in itertools.product("RL", "AP", "SI")] + ["SRA", "PIL"])
def test_the_patient_is_the_right_way_round_however_the_file_lies(tmp_path, codes):
    """A mark at the right, front and head of the patient is at the start of every axis."""
    ras = np.zeros((5, 6, 7))
    ras[4, 5, 6] = 1.0
    ras[4, 5, 0] = 0.5  # right, front, feet
    image = nibabel.Nifti1Image(ras, np.eye(4))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(np.eye(4)), nibabel.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    assert "".join(nibabel.aff2axcodes(turned.affine)) == codes
    got = read(write_volume(tmp_path / "v.nii", np.asarray(turned.dataobj), turned.affine))
    assert got.oriented
    assert got.grey.shape == (7, 6, 5)  # z, y, x
    assert got.grey[0, 0, 0] == got.grey.max()  # head, front, right
    assert 0 < got.grey[-1, 0, 0] < got.grey[0, 0, 0]  # feet, front, right
    assert np.count_nonzero(got.grey) == 2


def test_without_an_orientation_there_are_no_letters(tmp_path):
    image = nibabel.Nifti1Image(blob(6, 1).astype(np.float32), None)
    nibabel.save(image, tmp_path / "v.nii")
    assert not read(tmp_path / "v.nii").oriented
    write_h5(tmp_path / "h5" / "v.h5", 1)
    (source,) = find_sources(tmp_path / "h5")
    assert not displayed(source).oriented


def test_complex_phases_of_hdf5_are_shown_by_magnitude(tmp_path):
    import h5py

    values = np.zeros((2, 3, 4, 5), np.complex64)
    values[1] = 3 + 4j
    values[1, 0, 0, 0] = 10j  # feet, back, left: the end of every axis as shown
    with h5py.File(tmp_path / "volumes.h5", "w") as file:
        file["volumes"] = values
        file["volumes"].attrs["voxel_size_mm"] = [1.0, 1.0, 1.0]
        file["volumes"].attrs["affine"] = np.eye(4)
    second = find_sources(tmp_path)[1]
    got = displayed(second)
    assert got.oriented
    assert got.grey.shape == (3, 4, 5)
    assert got.grey[0, 0, 0] == WHITE_GREY
    assert got.grey[-1, -1, -1] == 255
    with pytest.raises(RawDataError, match="every voxel is zero"):
        displayed(find_sources(tmp_path)[0])


def test_a_dicom_series_is_the_right_way_round(tmp_path):
    """Sagittal slices from left to right, rows from head to feet, columns from front to back."""
    pytest.importorskip("pydicom")
    patient = np.zeros((4, 5, 6), np.uint16)  # x to the left, y to the back, z to the head: LPS
    patient[0, 0, -1] = 200  # right, front, head
    patient[0, 0, 0] = 100  # right, front, feet
    for x in range(4):
        write_slice(tmp_path / "in" / "series" / f"{x:03d}", patient[x, :, ::-1].T, x)
    (source,) = find_sources(tmp_path / "in")
    assert (source.name, source.path.name) == ("series", "series")
    got = displayed(source)
    assert got.oriented
    assert got.grey.shape == (6, 5, 4)
    assert got.grey[0, 0, 0] == got.grey.max()
    assert 0 < got.grey[-1, 0, 0] < got.grey[0, 0, 0]
    assert np.count_nonzero(got.grey) == 2


def write_slice(path, pixels, x):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{x + 1}"
    one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    one.PatientName, one.SeriesInstanceUID = "Quimbly^Xaviera", "1.2.3"
    one.Rows, one.Columns = pixels.shape
    one.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    one.ImagePositionPatient = [x, 0, 5]
    one.PixelSpacing = [1, 1]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.PixelData = np.ascontiguousarray(pixels, np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(path, enforce_file_format=True)


def test_grey_has_one_rule(rng):
    values = rng.gamma(2, 50, (24, 20, 16))
    grey = to_grey(values)
    white = np.quantile(values[6:18, 5:15, 4:12], WHITE)
    assert grey[values <= white].max() <= WHITE_GREY
    assert np.array_equal(to_grey(values * 37.5), grey)  # the scale of the scanner does not matter
    inside = values < 1.4 * white
    # half a grey value of rounding
    assert np.abs(grey[inside] / WHITE_GREY * white - values[inside]).max() <= 0.501 * white / WHITE_GREY
    assert to_grey(np.full((4, 4, 4), 2.0)).max() == WHITE_GREY


def test_a_bright_chest_wall_does_not_darken_the_heart():
    values = np.full((40, 40, 40), 1.0)
    values[:, :8] = 50.0
    assert to_grey(values)[20, 20, 20] == WHITE_GREY


@pytest.mark.parametrize("voxel", [(2.0, 2.0, 2.0), (1.0, 1.3, 2.17), (0.5, 0.8, 1.0)])
def test_voxels_become_millimetres(voxel):
    """A smooth function of the place stays where it is; its period of 40 mm is far above every voxel."""

    def wave(step, n):
        axes = [(np.arange(m) + 0.5) * s for m, s in zip(n, step, strict=True)]
        return 2 + np.prod(np.meshgrid(*[np.cos(2 * np.pi * a / 40) for a in axes], indexing="ij"), axis=0)

    shape = [round(40 / v) for v in voxel]
    got = to_millimetres(wave(voxel, shape).astype(np.float32), voxel)
    expected = wave((1, 1, 1), got.shape)
    assert all(abs(n - m * v) <= 0.5 for n, m, v in zip(got.shape, shape, voxel, strict=True))
    inner = (slice(6, -6),) * 3  # the border is held constant
    # shapes are rounded to whole voxels: up to half a voxel over 40 mm, 2 % of a wave of amplitude 1
    assert np.abs(got - expected)[inner].max() < 0.06


def test_millimetres_stay_untouched(rng):
    values = rng.random((5, 5, 5), np.float32)
    assert to_millimetres(values, (1.0, 1.004, 0.997)) is values


def test_an_image_file_holds_every_voxel_and_nothing_else(rng):
    grey = rng.integers(0, 256, (5, 6, 7), dtype=np.uint8)
    header, got = decoded(encode("0123abcd", Displayed(grey, True)))
    assert header == {"id": "0123abcd", "shape": [5, 6, 7], "oriented": True}
    assert np.array_equal(got, grey)


def test_too_large_and_damaged_volumes_are_named(tmp_path):
    large = write_volume(tmp_path / "large.nii", np.ones((4, 4, 4)), np.diag([200.0, 1, 1, 1]))
    with pytest.raises(RawDataError, match=r"large\.nii: 800 mm along an edge"):
        read(large)
    large.write_bytes(large.read_bytes()[:360])
    with pytest.raises(RawDataError, match=r"large\.nii"):
        read(large)
