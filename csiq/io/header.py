"""The XML header of an ISMRMRD file: what csiq needs of it, each value checked and named by its path.

Read with the standard library, tolerant of what csiq does not need; the schema of the ``ismrmrd`` package
is a second opinion on the rest (unknown vendor elements are common and only warned about).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from csiq.errors import RawDataError
from csiq.io.options import MIN_MATRIX

#: No scanner acquires more than this along an axis.
MAX_MATRIX = 4096


@dataclass(frozen=True)
class Space:
    """A matrix and its field of view in mm, both z y x."""

    matrix: tuple[int, int, int]
    fov: tuple[float, float, float]


@dataclass(frozen=True)
class Encoding:
    """One encoding: what was sampled, what is to be reconstructed, and along which trajectory."""

    encoded: Space
    recon: Space
    trajectory: str
    partition_centre: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Matrix on the reconstructed field of view, z y x, at the resolution that was acquired.

        Readout oversampling enlarges the encoded field of view and leaves its voxels; interpolation by the
        scanner makes the reconstructed voxels smaller than what k-space supports.
        """
        acquired = [
            round(fov * n / encoded_fov)
            for fov, n, encoded_fov in zip(self.recon.fov, self.encoded.matrix, self.encoded.fov, strict=True)
        ]
        z, y, x = (min(n, max(a, 1)) for n, a in zip(self.recon.matrix, acquired, strict=True))
        return z, y, x


@dataclass(frozen=True)
class Header:
    """What csiq keeps of the header; names and dates of people are not among it.

    Attributes
    ----------
    encodings : tuple of Encoding
    system : dict
        ``vendor``, ``model``, ``field_T``, ``TR_s``, ``TE_s``, ``flip_deg``: those the header has.
    user : dict of str
        The user parameters, by name.
    warnings : tuple of str
    """

    encodings: tuple[Encoding, ...]
    system: dict[str, Any] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def parse_header(
    xml: bytes, path: Path, where: str, *, strict: bool = False, identifiers: bool = False
) -> Header:
    """Return the header of an XML text.

    Parameters
    ----------
    xml : bytes
    path, where : file and HDF5 path, for messages
    strict : bool
        Unknown elements are errors.
    identifiers : bool
        Let what could tell who was scanned, and when, into ``system``.

    Raises
    ------
    RawDataError
        If it is not well-formed, or lacks or garbles something csiq needs.
    """
    root = _parse(xml, path, where)
    odd = _schema_complaint(xml)
    if odd and strict:
        raise RawDataError(odd, file=path, field=where, hint="without --strict it is only a warning")
    encodings = tuple(_encoding(element, path, where) for element in root.findall("encoding"))
    if not encodings:
        raise RawDataError("the header has no <encoding>", file=path, field=where)
    notes = (f"header: {odd}; went on without it",) if odd else ()
    system = _system(root, path, where) | (_identifiers(root) if identifiers else {})
    return Header(encodings, system, _user(root), notes)


def _identifiers(root: ElementTree.Element) -> dict[str, str]:
    """Return what the header says of the subject, the study and the measurement, by element name."""
    found = {}
    for section in ("subjectInformation", "studyInformation", "measurementInformation"):
        for element in root.iterfind(f"{section}/*"):
            if element.text and element.text.strip():
                found[element.tag] = element.text.strip()
    return found


def _parse(xml: bytes, path: Path, where: str) -> ElementTree.Element:
    try:
        text = xml.decode("utf-8").strip("\0 \t\r\n")
    except UnicodeDecodeError as error:
        raise RawDataError(f"header is not UTF-8 (byte {error.start})", file=path, field=where) from None
    # An ISMRMRD header has no document type; one only serves entity bombs and external entities.
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise RawDataError("header declares XML entities: refused", file=path, field=where)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line, column = error.position
        words = str(error).partition(":")[0]
        raise RawDataError(
            f"header is not well-formed XML ({words}): line {line}, column {column}", file=path, field=where
        ) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _schema_complaint(xml: bytes) -> str | None:
    """Return what the ``ismrmrd`` package's schema finds odd, or None."""
    from ismrmrd import xsd
    from xsdata.exceptions import ConverterWarning, ParserError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConverterWarning)
            xsd.CreateFromDocument(xml)
    except ParserError as error:
        name = str(error).rpartition("}")[2].rpartition(":")[2]
        return f"unknown element '{name}'" if "Unknown property" in str(error) else str(error)
    except ConverterWarning as error:
        return str(error)
    except (TypeError, ValueError) as error:
        _, _, missing = str(error).partition("argument")
        return f"missing element {missing.strip(' s:')}" if missing else str(error)
    return None


def _encoding(element: ElementTree.Element, path: Path, where: str) -> Encoding:
    def space(name: str) -> Space:
        matrix = [_number(element, f"{name}/matrixSize/{axis}", path, where, whole=True) for axis in "zyx"]
        fov = [_number(element, f"{name}/fieldOfView_mm/{axis}", path, where) for axis in "zyx"]
        z, y, x = (int(n) for n in matrix)
        return Space((z, y, x), (fov[0], fov[1], fov[2]))

    centre = element.findtext("encodingLimits/kspace_encoding_step_2/center")
    return Encoding(
        encoded=space("encodedSpace"),
        recon=space("reconSpace"),
        trajectory=(element.findtext("trajectory") or "").strip().lower(),
        partition_centre=int(centre) if centre and centre.strip().isdigit() else None,
    )


def _number(
    element: ElementTree.Element, xpath: str, path: Path, where: str, *, whole: bool = False
) -> float:
    text = (element.findtext(xpath) or "").strip()
    at = f"{where}/encoding/{xpath}"
    try:
        value = float(int(text) if whole else float(text))
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise RawDataError(f"expected {kind}, got '{text[:40]}'", file=path, field=at) from None
    most = MAX_MATRIX if whole else 1e5
    if not (math.isfinite(value) and 0 < value <= most):
        raise RawDataError(f"{text[:40]} is not within 0 .. {most:g}", file=path, field=at)
    return value


def check_matrix(shape: tuple[int, int, int], path: Path) -> None:
    """Raise unless every axis has at least ``MIN_MATRIX`` voxels (z: or 1, for a 2D scan)."""
    for axis, n in zip("zyx", shape, strict=True):
        if n < MIN_MATRIX and not (axis == "z" and n == 1):
            raise RawDataError(
                f"matrix {n} along {axis} is too small", file=path, field="matrixSize", hint="at least 8"
            )


#: Our key, the header's element, and the factor to our unit.
_SYSTEM = (
    ("field_T", "acquisitionSystemInformation/systemFieldStrength_T", 1.0),
    ("TR_s", "sequenceParameters/TR", 1e-3),
    ("TE_s", "sequenceParameters/TE", 1e-3),
    ("flip_deg", "sequenceParameters/flipAngle_deg", 1.0),
)


def _system(root: ElementTree.Element, path: Path, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name in (("vendor", "systemVendor"), ("model", "systemModel")):
        text = root.findtext(f"acquisitionSystemInformation/{name}")
        if text:
            found[key] = text.strip()
    for key, xpath, factor in _SYSTEM:
        text = root.findtext(xpath)
        if not text:
            continue
        try:
            value = float(text) * factor
        except ValueError:
            raise RawDataError(
                f"expected a number, got '{text[:40]}'", file=path, field=f"{where}/{xpath}"
            ) from None
        if math.isfinite(value) and value > 0:
            found[key] = value
    return found


def _user(root: ElementTree.Element) -> dict[str, str]:
    found = {}
    for entry in root.findall("userParameters/*"):
        name = entry.findtext("name")
        if name:
            found[name.strip()] = (entry.findtext("value") or "").strip()
    return found
