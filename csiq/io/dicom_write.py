"""Images as DICOM: one series a phase, one file a slice, for any viewer (decision 0030).

Where the orientation is known: MR Image Storage. Where it is not: Secondary Capture, which claims no place in
the patient. Voxels are 16 bit, with one slope for all phases. UIDs are made from the content, so that equal
images give equal files and another reconstruction never takes the place of the first.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.errors import ConfigError, ShapeError
from csiq.io.geometry import lps_affine
from csiq.io.image_set import ImageSet

#: SOP classes: MR Image Storage, Secondary Capture Image Storage.
MR_IMAGE, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"

#: What may be copied of who was scanned and when, if it is asked for.
IDENTITY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "StudyDescription", "ReferringPhysicianName",
    "FrameOfReferenceUID",
)  # fmt: skip

#: DICOM's keyword, our key, and the factor from our unit.
SYSTEM = (
    ("MagneticFieldStrength", "field_T", 1.0),
    ("RepetitionTime", "TR_s", 1e3),
    ("EchoTime", "TE_s", 1e3),
    ("FlipAngle", "flip_deg", 1.0),
)

_LARGEST = 65535
_COMMENT = "Research use only; not for diagnosis."


@dataclass(frozen=True)
class _Scale:
    """Stored value times slope plus intercept is the voxel."""

    slope: float
    intercept: float

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Return the 16-bit numbers that stand for voxels."""
        scaled = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        return np.clip(scaled, 0, _LARGEST).astype("<u2")


def dicom_files(images: ImageSet, *, body_part: str | None = None) -> dict[str, bytes]:
    """Return the files of a series (or one a phase) by their path in the folder.

    Parameters
    ----------
    images : ImageSet
        Real; see :meth:`ImageSet.magnitude`.
    body_part : str, optional
        As DICOM calls it, as in ``HEART``.

    Returns
    -------
    dict of str to bytes
        ``0001.dcm`` ..., of several phases ``phase-1/0001.dcm`` ...

    Raises
    ------
    ShapeError
        If the voxels are complex or not finite.
    ConfigError
        If pydicom is not installed.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise ConfigError("DICOM needs pydicom", hint="pip install 'csiq[dicom]'") from None
    if images.is_complex or not np.isfinite(images.values).all():
        raise ShapeError("DICOM holds real, finite voxels only", file=images.name)
    scale, files = _scale_of(images.values), {}
    study = _fingerprint(images)
    for phase in range(images.n_phases):
        folder = f"phase-{phase + 1}/" if images.n_phases > 1 else ""
        stored = scale.stored(images.values[phase])
        for z in range(len(stored)):
            dataset = _slice(images, phase, z, study)
            _add_pixels(dataset, stored[z], scale, float(images.values.max()))
            if body_part:
                dataset.BodyPartExamined = body_part.upper()
                del dataset.Laterality
            files[f"{folder}{z + 1:04d}.dcm"] = _encode(dataset)
    return files


def _scale_of(values: np.ndarray) -> _Scale:
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= _LARGEST and np.array_equal(values, np.rint(values)):
        return _Scale(1.0, 0.0)
    low = min(low, 0.0)
    # As the file says them: 16 characters at most
    slope, intercept = (float(f"{number:.9g}") for number in ((high - low) / _LARGEST, low))
    return _Scale(slope * (1 + 1e-9) if slope > 0 else 1.0, intercept)


def _fingerprint(images: ImageSet) -> str:
    found = hashlib.sha256(np.ascontiguousarray(images.values).tobytes())
    found.update(np.ascontiguousarray(images.geometry.affine, np.float64).tobytes())
    return found.hexdigest()


def _uid(*words: object) -> str:
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def _slice(images: ImageSet, phase: int, z: int, study: str) -> Any:
    from pydicom.dataset import Dataset

    dataset = Dataset()
    known = images.geometry.known
    dataset.SOPClassUID = MR_IMAGE if known else SECONDARY_CAPTURE
    dataset.SOPInstanceUID = _uid(study, "instance", phase, z)
    dataset.ImageType = ["DERIVED", "SECONDARY", *(["OTHER"] if known else [])]
    _add_identity(dataset, images, study)
    dataset.Modality = "MR"
    dataset.SeriesInstanceUID = _uid(study, "series", phase)
    dataset.SeriesNumber, dataset.Laterality = phase + 1, ""
    dataset.SeriesDescription = f"csiq phase {phase + 1} of {images.n_phases}"
    dataset.InstanceNumber = z + 1
    dataset.ImageComments = _COMMENT if not images.simulated else f"Simulated patient. {_COMMENT}"
    dataset.DerivationDescription = "Reconstructed by compressed sensing, or converted from such images"
    dataset.Manufacturer = str(images.system.get("vendor", ""))
    dataset.SoftwareVersions = f"csiq {__version__}"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    if known:
        _add_mr(dataset, images)
        _add_plane(dataset, images, z, study)
    else:
        dataset.ConversionType = "WSD"
        dataset.PatientOrientation = ""
        _add_sizes(dataset, images)
    return dataset


def _add_identity(dataset: Any, images: ImageSet, study: str) -> None:
    for keyword in IDENTITY[:-1]:
        setattr(dataset, keyword, images.identity.get(keyword, ""))
    if not images.identity:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "csiq: nothing of the subject or the study was copied"
    if not dataset.StudyInstanceUID:
        dataset.StudyInstanceUID = _uid(study, "study")


def _add_mr(dataset: Any, images: ImageSet) -> None:
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"  # research mode: not told
    dataset.ScanOptions, dataset.EchoTrainLength = "", None
    dataset.MRAcquisitionType = "3D" if images.geometry.shape[0] > 1 else "2D"
    dataset.RepetitionTime = dataset.EchoTime = None
    dataset.PatientPosition = ""
    for keyword, key, factor in SYSTEM:
        if isinstance(images.system.get(key), (int, float)):
            setattr(dataset, keyword, _decimal(images.system[key] * factor))


def _add_plane(dataset: Any, images: ImageSet, z: int, study: str) -> None:
    affine, (dz, dy, dx) = lps_affine(images.geometry), images.geometry.voxel_size
    corner = affine @ [0, 0, z, 1]
    dataset.FrameOfReferenceUID = images.identity.get("FrameOfReferenceUID") or _uid(study, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = [_decimal(v) for v in corner[:3]]
    cosines = [*affine[:3, 0] / dx, *affine[:3, 1] / dy]
    dataset.ImageOrientationPatient = [_decimal(v) for v in cosines]
    dataset.SpacingBetweenSlices = _decimal(dz)
    _add_sizes(dataset, images)


def _add_sizes(dataset: Any, images: ImageSet) -> None:
    dz, dy, dx = images.geometry.voxel_size
    dataset.PixelSpacing = [_decimal(dy), _decimal(dx)]
    dataset.SliceThickness = _decimal(dz)


def _decimal(value: float) -> str:
    """Return a decimal string of 16 characters at most."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text if len(text) <= 16 else f"{value:.8g}"


def _add_pixels(dataset: Any, stored: np.ndarray, scale: _Scale, brightest: float) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = _number(scale.intercept), _number(scale.slope)
    dataset.RescaleType = "US"
    width = max(brightest - scale.intercept, scale.slope)
    dataset.WindowCenter, dataset.WindowWidth = _number(scale.intercept + width / 2), _number(width)
    # LINEAR would not allow a width below 1, which a magnitude between 0 and 1 has
    dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.PixelData = stored.tobytes()


def _number(value: float) -> str:
    return f"{value:.9g}"


def _encode(dataset: Any) -> bytes:
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationVersionName = f"CSIQ {__version__}"[:16]
    dataset.file_meta = meta
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def write_dicom(folder: str | Path, images: ImageSet, *, body_part: str | None = None) -> None:
    """Write a series, or one a phase, into an empty folder; see :func:`dicom_files`."""
    for name, content in dicom_files(images, body_part=body_part).items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
