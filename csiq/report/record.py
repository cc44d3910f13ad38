"""A run folder, read back: what the report and the commands on finished runs start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csiq.errors import ConfigError, RawDataError
from csiq.history import History
from csiq.ranking import Ranking, rank_numbers


@dataclass(frozen=True)
class Record:
    """The numbers of a run folder.

    Attributes
    ----------
    folder : Path
    run : dict
        ``run.json``.
    history : History
        ``curves.tsv``; empty while there is none.
    """

    folder: Path
    run: dict[str, Any]
    history: History

    @property
    def returned(self) -> tuple[int, ...]:
        """The iteration handed out for each phase; empty while it is not known or not in the table."""
        entry = self.run.get("returned_iteration")
        if entry is None:
            return ()
        each = tuple(entry) if isinstance(entry, list) else (entry,) * self.history.n_phases
        fits = len(each) == self.history.n_phases and all(0 <= k < len(self.history) for k in each)
        return each if fits else ()

    @property
    def ranking(self) -> Ranking | None:
        """The ranking, from the curves: None without grades or with a different iteration for each phase."""
        if len(set(self.returned)) != 1 or isinstance(self.run.get("returned_iteration"), list):
            return None
        step = self.history.steps[self.returned[0]]
        ranking = rank_numbers(step.grades, step.grade_sds)
        return ranking if ranking.best_phase is not None else None

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of ``run.json``, empty if it is absent."""
        content = self.run.get(name)
        return content if isinstance(content, dict) else {}

    def config(self, section: str) -> Mapping[str, Any]:
        """Return a section of the merged configuration, empty if it is absent."""
        content = self.section("config").get(section)
        return content if isinstance(content, dict) else {}


def read_record(folder: str | Path, run: dict[str, Any] | None = None) -> Record:
    """Read ``run.json`` and ``curves.tsv`` of a run folder.

    Parameters
    ----------
    folder : path
    run : dict, optional
        Taken in place of ``run.json``.

    Raises
    ------
    ConfigError
        If there is no such folder.
    RawDataError
        If csiq did not write it, or a file is damaged.
    """
    from csiq.io.tables import read_json

    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError("no such folder", file=folder, hint="expected the folder of a run")
    if not (folder / "run.json").is_file():
        raise RawDataError(
            "is no run folder of csiq: it has no run.json", file=folder, hint="give the folder of a run"
        )
    run = read_json(folder / "run.json") if run is None else run
    if not isinstance(run, dict):
        raise RawDataError("expected a JSON object", file=folder / "run.json")
    table = folder / "curves.tsv"
    return Record(folder, run, read_history(table) if table.is_file() else History())


def read_history(path: Path) -> History:
    """Read ``curves.tsv``.

    Raises
    ------
    RawDataError
        If it is damaged.
    """
    from csiq.io.tables import read_table

    try:
        return History.from_rows(read_table(path))
    except RawDataError as error:
        raise RawDataError(error.what, file=path, field=error.field, hint=error.hint) from None
