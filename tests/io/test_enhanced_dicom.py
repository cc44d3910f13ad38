"""Enhanced (multi-frame) DICOM: all slices in one file, each frame with its own place and scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from csiq.errors import RawDataError
from csiq.io.dicom import read_dicom
from csiq.io.images import read_images
from tests.io.files import rotation

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"

#: Millimetres between slices, rows and columns; voxels z y x.
SPACING, SHAPE = (3.0, 2.0, 1.5), (5, 6, 7)
CORNER = np.array([-20.0, 31.0, 12.5])


def item(**elements: object) -> Dataset:
    """Return a sequence item with these elements."""
    found = Dataset()
    for keyword, value in elements.items():
        setattr(
            found,
            keyword,
            Sequence(value) if isinstance(value, list) and keyword.endswith("Sequence") else value,
        )
    return found


def enhanced(pixels: np.ndarray, order: np.ndarray, turn: np.ndarray) -> Dataset:
    """Return a series in one file; frame i is slice ``order[i]``, stored at half its value."""
    row, column, normal = turn.T
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[float(v) for v in (*row, *column)])],
        PixelMeasuresSequence=[
            item(
                PixelSpacing=[SPACING[1], SPACING[2]],
                SliceThickness=SPACING[0],
                SpacingBetweenSlices=SPACING[0],
            )
        ],
    )
    frames = [
        item(
            PlanePositionSequence=[
                item(ImagePositionPatient=[float(v) for v in CORNER + number * SPACING[0] * normal])
            ],
            PixelValueTransformationSequence=[item(RescaleSlope=2.0, RescaleIntercept=0.0, RescaleType="US")],
        )
        for number in order
    ]
    found = item(
        SOPClassUID=ENHANCED_MR,
        SOPInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(),
        Modality="MR",
        PatientName="Mustermann^Erika",
        NumberOfFrames=len(order),
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    found.Rows, found.Columns, found.SamplesPerPixel = SHAPE[1], SHAPE[2], 1
    found.PhotometricInterpretation, found.PixelRepresentation = "MONOCHROME2", 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 16, 16, 15
    found.PixelData = pixels[order].astype("<u2").tobytes()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    return found


def save(path: Path, dataset: Dataset) -> Path:
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2000, SHAPE)


def test_frames_are_slices_at_their_place(
    tmp_path: Path, rng: np.random.Generator, pixels: np.ndarray
) -> None:
    turn = rotation(0.3, -0.2, 0.1)
    order = rng.permutation(SHAPE[0])
    images = read_dicom(save(tmp_path / "a.dcm", enhanced(pixels, order, turn)))
    assert images.n_phases == 1
    np.testing.assert_allclose(images.geometry.voxel_size, SPACING, rtol=1e-6)
    assert images.geometry.known
    assert not images.identity
    # PS3.3 C.7.6.2.1.1, written out: LPS of a voxel, and the value that was stored there, rescaled
    row, column, normal = turn.T
    for z, y, x in [(0, 0, 0), (4, 2, 6), (2, 5, 1)]:
        lps = CORNER + normal * SPACING[0] * z + column * SPACING[1] * y + row * SPACING[2] * x
        ras = lps * [-1, -1, 1]
        where = np.linalg.inv(images.geometry.affine) @ [*ras, 1]
        found = tuple(np.rint(where[2::-1]).astype(int))
        np.testing.assert_allclose(where[2::-1], found, atol=1e-4)
        assert images.values[(0, *found)] == 2 * pixels[z, y, x]


def test_it_is_graded_like_a_folder(tmp_path: Path, pixels: np.ndarray) -> None:
    (tmp_path / "series").mkdir()
    save(tmp_path / "series" / "a.dcm", enhanced(pixels, np.arange(SHAPE[0]), np.eye(3)))
    (one,) = read_images(tmp_path / "series")
    assert one.values.shape == SHAPE
    assert one.voxel_size == SPACING


def test_what_is_missing_is_named(tmp_path: Path, pixels: np.ndarray) -> None:
    order = np.arange(SHAPE[0])
    bare = enhanced(pixels, order, np.eye(3))
    del bare.PerFrameFunctionalGroupsSequence
    with pytest.raises(RawDataError, match=r"a.dcm: 5 frames without a place each; .*classic"):
        read_dicom(save(tmp_path / "a.dcm", bare))
    few = enhanced(pixels, order, np.eye(3))
    del few.PerFrameFunctionalGroupsSequence[-1]
    with pytest.raises(RawDataError, match=r"b.dcm: 5 frames, places for 4; .*classic"):
        read_dicom(save(tmp_path / "b.dcm", few))
    unevenly = enhanced(pixels, order, np.eye(3))
    place = unevenly.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(v) for v in CORNER + np.array([0, 0, 7.1])]
    with pytest.raises(RawDataError, match="spaced"):
        read_dicom(save(tmp_path / "c.dcm", unevenly))
