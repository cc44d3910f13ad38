"""``truth.tsv`` of a run: reference quality and NRMSE of every iterate, measured as the iterates come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.acquisition import Geometry
from csiq.config import Config
from csiq.errors import RawDataError
from csiq.io.run_folder import RunFolder
from csiq.io.sniff import check_is_file
from csiq.io.tables import read_table
from csiq.shadow import TRUTH_COLUMNS, TruthCurve
from csiq.simulate.truth import truth_path
from csiq.solvers import Iterate

if TYPE_CHECKING:
    from csiq.truth import KnownTruth

NAME = "truth.tsv"


def check_given(config: Config) -> None:
    """Refuse a truth file that was named and is not there.

    Raises
    ------
    ConfigError
        If it is missing.
    """
    if config.stop.truth is not None:
        check_is_file(Path(config.stop.truth), "the truth of a simulated scan", field="--truth")


@dataclass
class TruthTable:
    """What the truth says of the iterates so far.

    Attributes
    ----------
    truth : KnownTruth
    folder : RunFolder
        Where the table is written, anew with each iterate.
    rows : list of dict
        Of ``truth.tsv``.
    seconds : float
        That measuring took; on no other clock.
    """

    truth: KnownTruth
    folder: RunFolder
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def take_up(self, upto: int) -> None:
        """Go on with the table of an interrupted run, up to the iteration it is resumed from."""
        path = self.folder.path / NAME
        if path.is_file():
            self.rows = [row for row in read_table(path) if row["iteration"] <= upto]

    def add(self, iterate: Iterate) -> None:
        """Measure an iterate and write the table."""
        started = time.perf_counter()
        for phase, (reference, nrmse) in enumerate(self.truth.measure(iterate.volumes), start=1):
            row = {"iteration": iterate.iteration, "phase": phase, "reference": reference, "nrmse": nrmse}
            self.rows.append(row)
        self.folder.write_table(NAME, self.rows, TRUTH_COLUMNS)
        self.seconds += time.perf_counter() - started

    @property
    def curve(self) -> TruthCurve:
        """The numbers of the table."""
        return TruthCurve.from_rows(self.rows)


def truth_table_of(
    config: Config, raw: Path, geometry: Geometry, folder: RunFolder
) -> tuple[TruthTable | None, str | None]:
    """Return the table of a run, if a truth is to be looked at, and a warning if the one there does not fit.

    A truth is looked at if the configuration names one, or in shadow mode if one lies beside the raw file.

    Raises
    ------
    RawDataError
        If the truth that was named cannot be read or is that of another scan.
    """
    if config.stop.truth is None and not config.stop.shadow:
        return None, None
    truth, warning = truth_of_scan(config, raw, geometry)
    return (TruthTable(truth, folder) if truth is not None else None), warning


def truth_of_scan(config: Config, raw: Path, geometry: Geometry) -> tuple[KnownTruth | None, str | None]:
    """Return the truth that the configuration names, or else the one beside the raw file, and a warning.

    Raises
    ------
    RawDataError
        If the truth that was named cannot be read or is that of another scan.
    """
    given, beside = config.stop.truth, truth_path(raw)
    if given is None and not beside.is_file():
        return None, None
    from csiq.truth import KnownTruth

    n_phases = 1 if config.gating.mode == "selfnav" else config.gating.phases
    try:
        truth = KnownTruth.open(given or beside, geometry, n_phases)
    except RawDataError as error:
        if given is not None:
            raise
        return None, f"the truth beside the scan is left out: {error.what}"
    return truth, None if truth.has_reference else f"{truth.path.name} has no masks: no reference quality"
