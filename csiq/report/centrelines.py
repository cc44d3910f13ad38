"""Centrelines of vessels from a file: a table of points, or the truth of a simulated scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from csiq.errors import RawDataError, ShapeError
from csiq.io.hdf5 import check_size, find_dataset, find_node, open_h5
from csiq.io.sniff import check_readable, identify
from csiq.io.tables import read_table
from csiq.quality.centreline import Vessel

#: What a table must have, mm in RAS: the coordinates that viewers of NIfTI files show.
COLUMNS = ("vessel", "x_mm", "y_mm", "z_mm")
#: Radius of a coronary artery, where a table has none, mm.
_RADIUS = 1.5


@dataclass(frozen=True)
class Centrelines:
    """Vessels in the frame of the patient.

    Attributes
    ----------
    phases : mapping of int to mapping of str to Vessel
        By phase from 1, then by name; points are z y x in mm of RAS. Phase 0 stands for all phases.
    """

    phases: Mapping[int, Mapping[str, Vessel]]

    def of(self, phase: int, n_phases: int) -> Mapping[str, Vessel]:
        """Return the vessels of one of ``n_phases``: those of the file's phase nearest in its place."""
        if 0 in self.phases:
            return self.phases[0]
        known = sorted(self.phases)
        if len(known) == n_phases and phase in self.phases:
            return self.phases[phase]
        place = (phase - 1) / max(n_phases - 1, 1)
        return self.phases[known[round(place * (len(known) - 1))]]


def read_centrelines(path: str | Path) -> Centrelines:
    """Read centrelines.

    Parameters
    ----------
    path : path
        A table separated by tabs with the columns ``vessel x_mm y_mm z_mm`` (RAS, the order of the rows is
        that along the vessel) and, if known, ``radius_mm`` and ``phase``; or the ``.truth.h5`` that ``csiq
        simulate`` writes.

    Raises
    ------
    RawDataError
        If it is neither, or a vessel has fewer than two points.
    """
    path = Path(path)
    check_readable(path, "a table or a truth", field="--centrelines")
    phases = _of_truth(path) if identify(path) == "hdf5" else _of_table(path)
    if not phases:
        raise RawDataError("holds no centrelines", file=path, hint=f"expected {', '.join(COLUMNS)}")
    return Centrelines(phases)


def _of_table(path: Path) -> dict[int, dict[str, Vessel]]:
    rows = read_table(path)
    if rows and (missing := [name for name in COLUMNS if name not in rows[0]]):
        raise RawDataError(f"lacks the columns {', '.join(missing)}", file=path)
    grouped: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((int(row.get("phase", 0)), str(row["vessel"])), []).append(row)
    phases: dict[int, dict[str, Vessel]] = {}
    for (phase, name), points in grouped.items():
        lines = np.array([[_number(r, c, path) for c in ("z_mm", "y_mm", "x_mm")] for r in points])
        radius = np.array([_number(r, "radius_mm", path) if "radius_mm" in r else _RADIUS for r in points])
        phases.setdefault(phase, {})[name] = _vessel(lines, radius, name, path)
    if 0 in phases and len(phases) > 1:
        raise RawDataError("some rows have a phase and some have none", file=path, field="phase")
    return phases


def _number(row: Mapping[str, Any], column: str, path: Path) -> float:
    value = row[column]
    if not isinstance(value, int | float):
        raise RawDataError(f"expected a number, got '{value}'", file=path, field=column)
    return float(value)


def _of_truth(path: Path) -> dict[int, dict[str, Vessel]]:
    """Read ``centrelines/phase-N/NAME``: rows of z y x and radius; a simulated patient's space is RAS."""
    phases: dict[int, dict[str, Vessel]] = {}
    with open_h5(path) as file:
        for key in _keys(file, "centrelines"):
            number = key.removeprefix("phase-")
            for name in _keys(file, f"centrelines/{key}") if number.isdigit() else ():
                node = find_dataset(file, f"centrelines/{key}/{name}")
                if node is None or node.ndim != 2 or node.shape[1] != 4:
                    raise RawDataError("expected rows of z, y, x, radius", file=path, field=name)
                check_size(node, None)
                rows = np.asarray(node[()], dtype=np.float64)
                phases.setdefault(int(number), {})[name] = _vessel(rows[:, :3], rows[:, 3], name, path)
    return phases


def _keys(file: h5py.File, name: str) -> list[str]:
    node = find_node(file, name)
    return [str(key) for key in node] if isinstance(node, h5py.Group) else []


def _vessel(points: np.ndarray, radius: np.ndarray, name: str, path: Path) -> Vessel:
    try:
        return Vessel(points, radius)
    except ShapeError as error:
        raise RawDataError(error.what, file=path, field=name, hint=error.hint) from None
