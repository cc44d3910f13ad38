"""The XML header of the ISMRMRD files csiq writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from csiq.acquisition import Acquisition
from csiq.io.header_parts import identity_in

#: Values of the user parameters ``trajectory_units``, ``trajectory_axes``, ``time_field`` and
#: ``heartbeat_field``: what the standard leaves open, said in the file.
TRAJECTORY_UNITS = "cycles per field of view"
TRAJECTORY_AXES = "x y z"
TIME_FIELD = "user_int[0] s + user_int[1] us"
HEARTBEAT_FIELD = "idx.segment"

#: The schema wants one. Positions and directions are the patient's, so it changes nothing.
_POSITION = {"patientPosition": "HFS"}

_NAMESPACE = "http://www.ismrm.org/ISMRMRD"

#: Proton resonance, Hz per tesla.
_GAMMA_H1 = 42.577478e6

_Tree = Mapping[str, Any]


def header_xml(scan: Acquisition, user: Mapping[str, str | float | int]) -> bytes:
    """Return the header of a scan; it holds no name, date or institution that the scan was not to keep.

    Parameters
    ----------
    scan : Acquisition
    user : mapping
        Further user parameters.
    """
    system = scan.system
    identity = identity_in(system)
    tree: dict[str, Any] = {
        "subjectInformation": identity.get("subjectInformation"),
        "studyInformation": identity.get("studyInformation"),
        "measurementInformation": identity.get("measurementInformation", {}) | _POSITION,
        "acquisitionSystemInformation": {
            "systemVendor": system.get("vendor"),
            "systemModel": system.get("model"),
            "systemFieldStrength_T": system.get("field_T"),
            "receiverChannels": scan.n_coils,
        },
        "experimentalConditions": {"H1resonanceFrequency_Hz": round(_GAMMA_H1 * system.get("field_T", 0))},
        "encoding": _encoding(scan),
        "sequenceParameters": {
            "TR": _times(system.get("TR_s"), 1e3),
            "TE": _times(system.get("TE_s"), 1e3),
            "flipAngle_deg": system.get("flip_deg"),
        },
    }
    root = ElementTree.Element("ismrmrdHeader", {"xmlns": _NAMESPACE})
    _grow(root, tree)
    ours: dict[str, str | float | int] = {
        "trajectory_units": TRAJECTORY_UNITS,
        "trajectory_axes": TRAJECTORY_AXES,
        "time_field": TIME_FIELD,
        "heartbeat_field": HEARTBEAT_FIELD,
        "triggered": int(scan.triggered),
    }
    root.append(_user_parameters({**user, **ours}))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def oversampling(coord: np.ndarray) -> int:
    """Return the readout oversampling: samples per cycle along the spokes, at least 1."""
    step = float(np.median(np.linalg.norm(np.diff(coord[:64].astype(np.float64), axis=1), axis=-1)))
    return max(round(1 / step), 1) if step > 0 else 1


def _encoding(scan: Acquisition) -> _Tree:
    (nz, ny, nx), (fz, fy, fx) = scan.geometry.shape, scan.geometry.fov
    times = oversampling(scan.coord)
    beats = int(np.ptp(scan.heartbeat))
    return {
        "encodedSpace": _space((nz, ny, nx * times), (fz, fy, fx * times)),
        "reconSpace": _space((nz, ny, nx), (fz, fy, fx)),
        "encodingLimits": {
            "kspace_encoding_step_0": _limit(scan.n_samples - 1, scan.n_samples // 2),
            "kspace_encoding_step_1": _limit(min(scan.n_spokes - 1, 65535), 0),
            "kspace_encoding_step_2": _limit(0, 0),
            "segment": _limit(beats, 0),
        },
        "trajectory": "radial",
    }


def _space(shape: tuple[int, int, int], fov: tuple[float, float, float]) -> _Tree:
    return {
        "matrixSize": dict(zip("xyz", shape[::-1], strict=True)),
        "fieldOfView_mm": dict(zip("xyz", (float(f) for f in fov[::-1]), strict=True)),
    }


def _limit(maximum: int, centre: int) -> _Tree:
    return {"minimum": 0, "maximum": maximum, "center": centre}


def _times(value: float | None, factor: float) -> float | None:
    # 3.1e-3 * 1e3 is not 3.1: rounding keeps the text short
    return None if value is None else round(float(value) * factor, 9)


def _grow(parent: ElementTree.Element, tree: _Tree) -> None:
    """Append a nested mapping to an element; None values are left out."""
    for name, value in tree.items():
        if value is None:
            continue
        child = ElementTree.SubElement(parent, name)
        if isinstance(value, Mapping):
            _grow(child, value)
        else:
            child.text = str(value)


def _user_parameters(values: Mapping[str, str | float | int]) -> ElementTree.Element:
    element = ElementTree.Element("userParameters")
    # The schema wants them in this order, kind after kind
    for tag in ("userParameterLong", "userParameterDouble", "userParameterString"):
        for name, value in values.items():
            if _tag_of(value) == tag:
                _grow(element, {tag: {"name": name, "value": value}})
    return element


def _tag_of(value: str | float | int) -> str:
    if isinstance(value, str):
        return "userParameterString"
    return "userParameterLong" if isinstance(value, (int, np.integer)) else "userParameterDouble"
