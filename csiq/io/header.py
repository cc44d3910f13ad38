"""The XML header of an ISMRMRD file: what csiq needs of it, each value checked and named by its path.

Read with the standard library, tolerant of what csiq does not need; the schema of the ``ismrmrd`` package
is a second opinion on the rest (unknown vendor elements are common and only warned about).
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from csiq.errors import RawDataError
from csiq.io.header_parts import coil_names_of, identifiers_of, noise_measurement_of, system_of, user_of
from csiq.io.ismrmrd_package import from_ismrmrd
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
    measurement : str
        Its own ID, empty if the header has none; it may tell who was scanned: for comparing only.
    noise_measurement : str
        The ID of the measurement that holds its noise, if it depends on one.
    coil_names : tuple of str
        In the order of the channels; empty if the header does not name them.
    warnings : tuple of str
    """

    encodings: tuple[Encoding, ...]
    system: dict[str, Any] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    measurement: str = ""
    noise_measurement: str = ""
    coil_names: tuple[str, ...] = ()
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
    system = system_of(root, path, where) | (identifiers_of(root) if identifiers else {})
    return Header(
        encodings,
        system,
        user_of(root),
        measurement=(root.findtext("measurementInformation/measurementID") or "").strip(),
        noise_measurement=noise_measurement_of(root),
        coil_names=coil_names_of(root),
        warnings=notes,
    )


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
    from xsdata.exceptions import ConverterWarning, ParserError

    xsd = from_ismrmrd("xsd")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConverterWarning)
            xsd.CreateFromDocument(xml)
    except ParserError as error:
        name = str(error).rpartition("}")[2].rpartition(":")[2]
        return f"unknown element '{name}'" if "Unknown property" in str(error) else str(error)
    except ConverterWarning as error:
        # The value itself, which it quotes, may be a name or a number of a person
        found = re.search(r"value for `([\w.]+)`", str(error))
        return f"the value of {found.group(1) if found else 'an element'} is not of its kind"
    except (TypeError, ValueError) as error:
        _, _, missing = str(error).partition("argument")
        return f"missing element {missing.strip(' s:')}" if missing else str(error)
    return None


def _encoding(element: ElementTree.Element, path: Path, where: str) -> Encoding:
    def space(name: str) -> Space:
        """Return matrix (z, y, x) and field of view (z, y, x), mm, of ``encodedSpace`` or ``reconSpace``."""
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
