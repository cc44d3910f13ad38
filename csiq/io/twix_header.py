"""What csiq takes from the protocol of a Siemens scan: matrix, field of view, orientation, timing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.geometry import geometry_from_lps
from csiq.io.header import MAX_MATRIX, check_matrix

#: Values of ``sKSpace.ucTrajectory`` and ``ucDimension``.
CARTESIAN = 1
_THREE_D = 4


class Protocol:
    """Numbers and words of the protocol (``MeasYaps``), by their dotted names.

    Parameters
    ----------
    entries : mapping
        As pymapvbvd gives them: tuples of name parts to values.
    path : Path
        For messages.
    """

    def __init__(self, entries: Mapping[tuple[str, ...], Any], path: Path) -> None:
        self._entries = {".".join(map(str, key)): value for key, value in entries.items()}
        self._path = path

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number; ``default`` if the protocol leaves it out, as it does with zeros.

        Raises
        ------
        RawDataError
            If it is missing and there is no default, or is no number.
        """
        value = self._entries.get(name, default)
        try:
            found = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise RawDataError(
                "is missing" if value is None else f"expected a number, got '{str(value)[:40]}'",
                file=self._path,
                field=f"MeasYaps/{name}",
            )
        return found

    def word(self, name: str) -> str:
        """Return a text without its quotes; empty if it is missing."""
        return str(self._entries.get(name, "")).strip('" ')


def geometry_of(protocol: Protocol, slice_position: np.ndarray, path: Path) -> Geometry:
    """Return matrix, field of view and orientation of a scan.

    Parameters
    ----------
    protocol : Protocol
    slice_position : float array, (7,)
        Of a readout's header: sagittal, coronal and transverse position in mm (LPS), and the quaternion
        (w, x, y, z) that turns phase, readout and slice axes into the patient's.
    path : Path

    Raises
    ------
    RawDataError
        If matrix or field of view are missing or absurd.
    """
    base = protocol.number("sKSpace.lBaseResolution")
    fov_x = _length(protocol, "sSliceArray.asSlice.0.dReadoutFOV", path)
    fov_y = _length(protocol, "sSliceArray.asSlice.0.dPhaseFOV", path)
    fov_z = _length(protocol, "sSliceArray.asSlice.0.dThickness", path)
    # A radial readout resolves all in-plane directions alike: y has the voxels of x
    volume = protocol.number("sKSpace.ucDimension", 2) == _THREE_D
    n_z = protocol.number("sKSpace.lImagesPerSlab", 1) if volume else 1
    shape = (round(n_z), round(base * fov_y / fov_x), round(base))
    if not all(1 <= n <= MAX_MATRIX for n in shape):
        raise RawDataError(f"matrix {shape} (z y x) is absurd", file=path, field="MeasYaps/sKSpace")
    check_matrix(shape, path)
    position, quaternion = slice_position[:3], slice_position[3:]
    return geometry_from_lps(shape, (fov_z, fov_y, fov_x), position, directions_of(quaternion))


def _length(protocol: Protocol, name: str, path: Path) -> float:
    value = protocol.number(name)
    if not 0 < value < 1e5:
        raise RawDataError(f"{value:g} mm is absurd", file=path, field=f"MeasYaps/{name}")
    return value


def directions_of(quaternion: np.ndarray) -> np.ndarray:
    """Return the readout, phase and slice direction (rows, LPS) of a readout's quaternion (w, x, y, z).

    The rotation takes the axes phase, readout, slice (in this order) to the patient, as the ISMRMRD
    converter for Siemens files has it.
    """
    w, x, y, z = np.asarray(quaternion, dtype=np.float64)
    phase = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
    readout = [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)]
    normal = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    return np.array([readout, phase, normal])


def system_of(protocol: Protocol, dicom: Mapping[str, Any], echo: int) -> dict[str, Any]:
    """Return what the report may show of the scanner; no names, numbers or dates of people or hospitals."""
    found: dict[str, Any] = {
        "vendor": str(dicom.get("Manufacturer", "Siemens")),
        "model": str(dicom.get("ManufacturersModelName", "")),
        "software": str(dicom.get("SoftwareVersions", "")),
        "nucleus": protocol.word("sTXSPEC.asNucleusInfo.0.tNucleus"),
    }
    # Siemens keeps times in microseconds, dwell times in nanoseconds
    numbers = {
        "field_T": (dicom.get("flMagneticFieldStrength"), 1.0),
        "TR_s": (protocol.number("alTR.0", 0), 1e-6),
        "TE_s": (protocol.number(f"alTE.{echo}", 0), 1e-6),
        "flip_deg": (protocol.number(f"adFlipAngleDegree.{echo}", 0), 1.0),
        "dwell_s": (protocol.number("sRXSPEC.alDwellTime.0", 0), 1e-9),
    }
    for key, (value, factor) in numbers.items():
        if isinstance(value, (int, float)) and value > 0:
            found[key] = value * factor
    return {key: value for key, value in found.items() if value != ""}
