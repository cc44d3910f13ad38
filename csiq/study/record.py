"""What is kept of one scan and solver: plain numbers, in a folder of its own, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csiq.errors import RawDataError
from csiq.history import COLUMNS, History
from csiq.io.tables import read_json, read_table, write_json, write_table
from csiq.shadow import TruthCurve

#: Of a record; rises when a column or key changes its meaning.
SCHEMA_VERSION = 1
#: Files of a record. The facts are written last: a record without them is not finished.
CURVES, FACTS = "curves.tsv", "facts.json"
#: Columns beside those of ``curves.tsv`` of a run.
FURTHER = ("uncertainty", "in_domain", "reference", "nrmse", "sharpness", "cleanliness")


@dataclass(frozen=True)
class PartRecord:
    """The numbers of one scan and solver, or of its self-navigated image.

    Attributes
    ----------
    rows : sequence of dict
        One an iteration and phase: those of a run's ``curves.tsv``; the grade's ``uncertainty`` and
        ``in_domain``; of the truth ``reference`` (quality), ``nrmse``, and ``sharpness`` and ``cleanliness``,
        which readers lean on. None of a self-navigated image.
    facts : dict
        Everything else.
    """

    rows: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]

    @property
    def history(self) -> History:
        """Grades, cost and seconds of every iteration."""
        return History.from_rows(self.rows)

    @property
    def truth(self) -> TruthCurve:
        """Reference quality and NRMSE of every iteration."""
        return TruthCurve.from_rows(self.rows)


def folder_of(scans: Path, name: str, part: str) -> Path:
    """Return the folder of a scan and what was made of it: ``p001-pnlcg``."""
    return scans / f"{name}-{part}"


def write_record(folder: Path, record: PartRecord, **facts: Any) -> None:
    """Write a record; the facts, with those given here, last."""
    folder.mkdir(parents=True, exist_ok=True)
    if record.rows:
        write_table(folder / CURVES, record.rows, (*COLUMNS, *FURTHER))
    write_json(folder / FACTS, {"schema_version": SCHEMA_VERSION, **facts, **record.facts})


def is_finished(folder: Path, sha256: str = "") -> bool:
    """Return whether a record is whole, of this version, and graded by the network of this hash ("": any).

    A record that does not say what graded it is taken as it is.
    """
    try:
        facts = read_json(folder / FACTS)
        return bool(facts["schema_version"] == SCHEMA_VERSION) and not is_of_other_network(facts, sha256)
    except (RawDataError, KeyError, TypeError):
        return False


def is_of_other_network(facts: Mapping[str, Any], sha256: str) -> bool:
    """Return whether a record says that another network graded it than that of this hash ("": any)."""
    graded_by = (facts.get("model") or {}).get("sha256")
    return bool(sha256 and graded_by and graded_by != sha256)


def read_record(folder: Path) -> PartRecord:
    """Read a record.

    Raises
    ------
    RawDataError
        If it is not there or damaged.
    """
    facts = read_json(folder / FACTS)
    if not isinstance(facts, dict) or facts.get("schema_version") != SCHEMA_VERSION:
        raise RawDataError("is of another version", file=folder / FACTS, hint="--overwrite")
    curves = folder / CURVES
    return PartRecord(read_table(curves) if curves.is_file() else [], facts)
