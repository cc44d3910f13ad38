"""Siemens TWIX files written byte for byte as VB17 and VD13 have them: no reader of csiq is used."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Bits of the evaluation mask.
ACQEND, RTFEEDBACK, SYNCDATA, PHASCOR, PATREF, PATREF_AND_IMAGE, REFLECT, NOISE = 0, 1, 5, 21, 22, 23, 24, 25

#: Names, dates and places that no output may hold.
SECRETS = ("Mustermann^Erika", "PAT4711", "19540203", "St. Nimmerlein", "11.22.33.44")


@dataclass(frozen=True)
class Line:
    """One readout: samples (n_channels, n_samples) and what its header says."""

    samples: np.ndarray
    mask: tuple[int, ...] = ()
    line: int = 0
    partition: int = 0
    slice_number: int = 0
    echo: int = 0
    segment: int = 0
    ticks: int = 0
    since_trigger: int = 0
    cut: tuple[int, int] = (0, 0)
    centre: int = 0
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Protocol:
    """What the protocol says."""

    matrix: int = 16
    fov: tuple[float, float, float] = (32.0, 32.0, 32.0)
    n_slices: int = 16
    volume: bool = True
    radial: bool = True
    echoes: int = 1
    more: dict[str, Any] = field(default_factory=dict)

    def ascconv(self) -> str:
        """Return the part in Siemens' assignments."""
        numbers: dict[str, Any] = {
            "sKSpace.lBaseResolution": self.matrix,
            "sKSpace.ucDimension": 4 if self.volume else 2,
            "sKSpace.lImagesPerSlab": self.n_slices,
            "sKSpace.ucTrajectory": 2 if self.radial else 1,
            "sSliceArray.asSlice[0].dThickness": self.fov[0],
            "sSliceArray.asSlice[0].dPhaseFOV": self.fov[1],
            "sSliceArray.asSlice[0].dReadoutFOV": self.fov[2],
            "alTR[0]": 3100,
            **{f"alTE[{echo}]": 1550 for echo in range(self.echoes)},
            **{f"adFlipAngleDegree[{echo}]": 90 for echo in range(self.echoes)},
            "sRXSPEC.alDwellTime[0]": 2600,
            "sTXSPEC.asNucleusInfo[0].tNucleus": '""1H""',
            **self.more,
        }
        lines = "\n".join(f"{name} = {value}" for name, value in numbers.items())
        return f"### ASCCONV BEGIN ###\n{lines}\n### ASCCONV END ###\n"

    def header(self) -> bytes:
        """Return the measurement's header: its length, and named buffers of text."""
        name, number, birth, place, frame = SECRETS
        dicom = (
            "<XProtocol>\n{\n"
            f'<ParamString."tPatientName"> {{ "{name}" }}\n<ParamString."PatientID"> {{ "{number}" }}\n'
            f'<ParamString."PatientBirthDay"> {{ "{birth}" }}\n'
            f'<ParamString."InstitutionName"> {{ "{place}" }}\n'
            f'<ParamString."FrameOfReference"> {{ "{frame}" }}\n'
            '<ParamString."Manufacturer"> { "SIEMENS" }\n'
            '<ParamString."ManufacturersModelName"> { "Avanto" }\n'
            '<ParamString."SoftwareVersions"> { "syngo MR" }\n'
            '<ParamDouble."flMagneticFieldStrength"> { <Precision> 6 1.494 }\n}\n'
        )
        buffers = {"Config": "<XProtocol>\n{\n}\n", "Dicom": dicom, "MeasYaps": self.ascconv()}
        body = struct.pack("<I", len(buffers))
        for title, text in buffers.items():
            content = text.encode("latin-1") + b"\0"
            body += title.encode() + b"\0" + struct.pack("<I", len(content)) + content
        # Headers of scanners are never below 10 kB: by that readers tell VB from the table of VD
        length = max(-(-(4 + len(body)) // 32) * 32, 12288)
        return struct.pack("<I", length) + body.ljust(length - 4, b"\0")


def _counters(one: Line) -> bytes:
    """Return sLC: line, average, slice, partition, echo, phase, repetition, set, segment, five more."""
    numbers = (one.line, 0, one.slice_number, one.partition, one.echo, 0, 0, 0, one.segment, 0, 0, 0, 0, 0)
    return struct.pack("<14H", *numbers)


def _tail(one: Line) -> bytes:
    """Return cut-off, centre column, coil select, offset, time since the pulse, centre line and partition."""
    return struct.pack("<2H2HfIHH", *one.cut, one.centre, 0, 0.0, 0, 0, 0)


def _place(one: Line) -> bytes:
    """Return the slice's position (sagittal, coronal, transverse) and quaternion (w, x, y, z)."""
    return struct.pack("<7f", *one.position, *one.quaternion)


def _head(one: Line, count: int, length: int, fill: int) -> bytes:
    """Return a header from its first byte to the number of channels."""
    bits = sum(1 << bit for bit in one.mask)
    start = struct.pack("<5I", length | 1 << 25, 1, count, one.ticks, one.since_trigger)
    return start + b"\0" * fill + struct.pack("<QHH", bits, one.samples.shape[1], one.samples.shape[0])


def _vb_record(one: Line, count: int) -> bytes:
    n_channels, n_samples = one.samples.shape
    length, record = n_channels * (128 + 8 * n_samples), b""
    for channel, samples in enumerate(one.samples.astype("<c8")):
        head = _head(one, count, length, 0) + _counters(one) + _tail(one)
        head += b"\0" * 16 + _place(one) + struct.pack("<HH", channel, 0)
        assert len(head) == 128
        record += head + samples.tobytes()
    return record


def _vd_record(one: Line, count: int) -> bytes:
    n_channels, n_samples = one.samples.shape
    length = 192 + n_channels * (32 + 8 * n_samples)
    record = _head(one, count, length, 20) + _counters(one) + _tail(one) + _place(one) + b"\0" * 64
    assert len(record) == 192
    for channel, samples in enumerate(one.samples.astype("<c8")):
        record += struct.pack("<IIIIIIHHI", 32 + 8 * n_samples, 1, count, 0, 0, 0, channel, 0, 0)
        record += samples.tobytes()
    return record


def _synchronisation(version: str) -> bytes:
    """Return a record that is no readout: its length counts, its samples and channels mean nothing."""
    size = (128 if version == "vb" else 192) + 64
    head = struct.pack("<5I", size, 1, 0, 0, 0) + b"\0" * (0 if version == "vb" else 20)
    head += struct.pack("<QHH", 1 << SYNCDATA, 7, 9)
    return head.ljust(size, b"\xa5")


def _records(lines: Sequence[Line | None], version: str) -> bytes:
    """Return records and the mark at their end; None stands for synchronisation data."""
    record = _vb_record if version == "vb" else _vd_record
    end = Line(np.zeros((1, 16)), (ACQEND,))
    found = [_synchronisation(version) if one is None else record(one, i) for i, one in enumerate(lines, 1)]
    body = b"".join([*found, record(end, len(lines) + 1)])
    return body.ljust(-(-len(body) // 512) * 512, b"\0")


def vb17(lines: Sequence[Line | None], protocol: Protocol | None = None) -> bytes:
    """Return a VB17 file: one measurement, a header in front of the samples of every channel."""
    return (protocol or Protocol()).header() + _records(lines, "vb")


def vd13(*measurements: Sequence[Line | None], protocol: Protocol | None = None) -> bytes:
    """Return a VD13 file: a table of measurements, of which the last is the scan."""
    table, content, start = struct.pack("<II", 0, len(measurements)), b"", 10240
    header = (protocol or Protocol()).header()
    for i, lines in enumerate(measurements):
        body = header + _records(lines, "vd")
        name, kind = SECRETS[0].encode().ljust(64, b"\0"), b"radial".ljust(64, b"\0")
        table += struct.pack("<IIQQ", 100 + i, 200 + i, start + len(content), len(body)) + name + kind
        content += body
    return table.ljust(start, b"\0") + content
