"""Smaller parts of an ISMRMRD header: scanner, user parameters, coils, dependencies, and who was scanned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from csiq.errors import RawDataError

#: Our key, the header's element, and the factor to our unit.
_SYSTEM = (
    ("field_T", "acquisitionSystemInformation/systemFieldStrength_T", 1.0),
    ("TR_s", "sequenceParameters/TR", 1e-3),
    ("TE_s", "sequenceParameters/TE", 1e-3),
    ("flip_deg", "sequenceParameters/flipAngle_deg", 1.0),
)


def system_of(root: ElementTree.Element, path: Path, where: str) -> dict[str, Any]:
    """Return what is known of the scanner, in our keys and units.

    Raises
    ------
    RawDataError
        If a number is none.
    """
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


def user_of(root: ElementTree.Element) -> dict[str, str]:
    """Return the user parameters by name."""
    found = {}
    for entry in root.findall("userParameters/*"):
        name = entry.findtext("name")
        if name:
            found[name.strip()] = (entry.findtext("value") or "").strip()
    return found


#: Elements that may tell who was scanned, and when; by section, in the order of the schema.
IDENTIFYING = {
    "subjectInformation": (
        "patientName", "patientWeight_kg", "patientHeight_m", "patientID", "patientBirthdate",
        "patientGender",
    ),
    "studyInformation": (
        "studyDate", "studyTime", "studyID", "accessionNumber", "referringPhysicianName", "studyDescription",
        "studyInstanceUID", "bodyPartExamined",
    ),
    "measurementInformation": (
        "measurementID", "seriesDate", "seriesTime", "patientPosition", "relativeTablePosition",
        "initialSeriesNumber", "protocolName", "sequenceName", "seriesDescription", "seriesInstanceUIDRoot",
        "frameOfReferenceUID",
    ),
}  # fmt: skip


def identifiers_of(root: ElementTree.Element) -> dict[str, str]:
    """Return what the header says of the subject, the study and the measurement, by element name."""
    found = {}
    for section, names in IDENTIFYING.items():
        for element in root.iterfind(f"{section}/*"):
            if element.tag in names and element.text and element.text.strip():
                found[element.tag] = element.text.strip()
    return found


def identity_in(system: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return by section what of ``system`` may tell who was scanned: empty unless that was asked for."""
    found = {
        section: {name: str(system[name]) for name in names if name in system}
        for section, names in IDENTIFYING.items()
    }
    return {section: entries for section, entries in found.items() if entries}


def without_identity(system: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``system`` without what may tell who was scanned."""
    secret = {name for names in IDENTIFYING.values() for name in names}
    return {key: value for key, value in system.items() if key not in secret}


def noise_measurement_of(root: ElementTree.Element) -> str:
    """Return the ID of the measurement whose noise the scan depends on; empty if there is none."""
    for element in root.iterfind("measurementInformation/measurementDependency"):
        if "noise" in (element.findtext("dependencyType") or "").lower():
            return (element.findtext("measurementID") or "").strip()
    return ""


def coil_names_of(root: ElementTree.Element) -> tuple[str, ...]:
    """Return the names of the coils in the order of the channels; empty if some have none."""
    labels = [
        (element.findtext("coilNumber") or "", (element.findtext("coilName") or "").strip())
        for element in root.iterfind("acquisitionSystemInformation/coilLabel")
    ]
    if not all(number.strip().isdigit() and name for number, name in labels):
        return ()
    return tuple(name for _, name in sorted(labels, key=lambda label: int(label[0])))
