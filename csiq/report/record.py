"""A run folder, read back: what the report and the commands on finished runs start from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csiq.errors import ConfigError, CsiqError, ModelError, RawDataError
from csiq.history import History
from csiq.ranking import Ranking, rank_numbers

#: The number of ``run.json`` that is known; csiq.run_json, which writes it, would load the solvers.
SCHEMA_VERSION = 1
#: Stages that count as the time of a run. Its files are still being written when its page is; a truth is
#: measured for shadow mode alone.
_COMPUTING = ("load", "gating", "coils", "setup", "recon", "grading")


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
    def seconds(self) -> float | None:
        """What reading, reconstructing and grading took; None before a stage ended."""
        stages = self.section("seconds")
        known = [stages[name] for name in _COMPUTING if stages.get(name) is not None]
        return sum(known) if known else None

    @property
    def ranking(self) -> Ranking | None:
        """The ranking: None without grades or with a different iteration for each phase.

        It is that of ``ranking.json``, which knows how sure the grades are, if it is one of these curves;
        else it is made from the curves.
        """
        if len(set(self.returned)) != 1 or isinstance(self.run.get("returned_iteration"), list):
            return None
        step = self.history.steps[self.returned[0]]
        known = self.section("grading")
        ranking = rank_numbers(step.grades, step.grade_sds, known.get("uncertainty"), known.get("in_domain"))
        if ranking.best_phase is None:
            return None
        written = self._written_ranking()
        if written is None or written.preferences is None or not _same_grades(written, ranking):
            return ranking
        return written

    def _written_ranking(self) -> Ranking | None:
        from csiq.io.tables import read_json

        path = self.folder / "ranking.json"
        try:
            return Ranking.from_json(read_json(path)) if path.is_file() else None
        except RawDataError:
            return None  # nothing is lost: the curves are there

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
        If csiq did not write it, a later csiq did, or a file is damaged.
    """
    from csiq.io.tables import read_json

    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "no such folder"
        raise ConfigError(problem, file=folder, hint="expected the folder of a run")
    if not (folder / "run.json").is_file():
        raise RawDataError(
            "is no run folder of csiq: it has no run.json", file=folder, hint="give the folder of a run"
        )
    run = read_json(folder / "run.json") if run is None else run
    if not isinstance(run, dict):
        raise RawDataError("expected a JSON object", file=folder / "run.json")
    _check_schema(run, folder)
    table = folder / "curves.tsv"
    return Record(folder, run, read_history(table) if table.is_file() else History())


def _check_schema(run: dict[str, Any], folder: Path) -> None:
    """Refuse what a later csiq wrote: its keys may mean something else."""
    number = run.get("schema_version", SCHEMA_VERSION)
    if not isinstance(number, int) or number > SCHEMA_VERSION:
        raise RawDataError(
            f"has schema_version {number}, known is {SCHEMA_VERSION}",
            file=folder / "run.json",
            field="schema_version",
            hint="read it with the csiq that wrote it, or a newer one",
        )


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


def _same_grades(a: Ranking, b: Ranking) -> bool:
    """Return whether two rankings are of the same grades."""
    both = [[math.nan if p.grade is None else p.grade for p in one.phases] for one in (a, b)]
    return len(both[0]) == len(both[1]) and all(
        math.isclose(x, y, rel_tol=0, abs_tol=1e-6) or (math.isnan(x) and math.isnan(y))
        for x, y in zip(*both, strict=True)
    )


def not_loaded(run: Path, name: str, error: CsiqError, hint: str) -> ModelError:
    """Return the error that the network which graded a run, and which nobody typed, is not at hand."""
    what = f"was graded by '{name}', which cannot be loaded ({error.what})"
    return ModelError(what, file=run, field="model", hint=hint)
