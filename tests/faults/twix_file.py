"""A small Siemens VD file of radial spokes: protocol, readouts and end mark, made of formulas."""

from __future__ import annotations

import struct

import numpy as np

#: What a reader asks of a protocol, and an identity that it must not keep.
PROTOCOL = """### ASCCONV BEGIN ###
sKSpace.lBaseResolution = 16
sKSpace.ucDimension = 4
sKSpace.ucTrajectory = 2
sKSpace.lImagesPerSlab = 16
sSliceArray.asSlice[0].dReadoutFOV = 208.0
sSliceArray.asSlice[0].dPhaseFOV = 208.0
sSliceArray.asSlice[0].dThickness = 208.0
sTXSPEC.asNucleusInfo[0].tNucleus = "1H"
alTR[0] = 3100
alTE[0] = 1550
adFlipAngleDegree[0] = 12.0
sRXSPEC.alDwellTime[0] = 3400
### ASCCONV END ###
"""
DICOM = '<ParamString."Manufacturer">  { "SIEMENS" }\n<ParamString."tPatientName">  { "Doe^Jane" }\n'
_START = 10240


def twix_file(n_spokes: int = 60, n_samples: int = 32, n_coils: int = 2, seed: int = 1) -> bytes:
    """Return the bytes of a golden-angle scan in one measurement."""
    rng = np.random.default_rng(seed)
    x = np.arange(n_samples) - n_samples // 2
    body = _protocol()
    for spoke in range(n_spokes):
        echo = np.exp(-(x**2) / 20.0) * (20 + 0.1 * rng.standard_normal((n_coils, n_samples)))
        body += _readout(spoke, echo.astype(np.complex64), 0)
    body += _readout(n_spokes, np.zeros((1, 16), np.complex64), 1)
    table = struct.pack("<IIIIQQ", 0, 1, 1, 1, _START, len(body))
    return table.ljust(_START, b"\0") + body


def _protocol() -> bytes:
    parts = b""
    for name, text in (("Dicom", DICOM), ("MeasYaps", "<XProtocol>\n" + PROTOCOL)):
        content = text.encode("latin-1") + b"\0"
        parts += name.encode() + b"\0" + struct.pack("<I", len(content)) + content
    length = 8 + len(parts)
    padding = -length % 16
    return struct.pack("<II", length + padding, 2) + parts + b"\0" * padding


def _readout(number: int, samples: np.ndarray, mask: int) -> bytes:
    """Return one readout with its header (MDH), (n_coils, n_samples) complex64."""
    n_coils, n_samples = samples.shape
    size = 192 + n_coils * (32 + 8 * n_samples)
    head = bytearray(192)
    struct.pack_into("<I", head, 0, size)
    struct.pack_into("<I", head, 8, number + 1)  # scan counter
    struct.pack_into("<II", head, 12, 1000 + 2 * number, 1000 + 2 * number)  # time stamps, 2.5 ms
    struct.pack_into("<Q", head, 40, mask)
    struct.pack_into("<HH", head, 48, n_samples, n_coils)
    struct.pack_into("<H", head, 52, number)  # line
    struct.pack_into("<H", head, 84, n_samples // 2)  # centre column
    struct.pack_into("<7f", head, 96, 1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0)  # position, quaternion
    return bytes(head) + b"".join(b"\0" * 32 + coil.tobytes() for coil in samples)
