"""``csiq tune``: a raw file in, a folder out; each finished weight is kept, a killed sweep goes on."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.acquisition import Acquisition
from csiq.arrays import choose_device, default_threads
from csiq.coil_batches import fitted
from csiq.config import Config
from csiq.errors import CsiqError, OutputError, RawDataError
from csiq.io.sniff import RAW, check_readable
from csiq.loop import Event, OnEvent, ignore
from csiq.pipeline import Result
from csiq.plugins import load_assessor
from csiq.preparation import device_for
from csiq.quality.assessor import Assessor
from csiq.quality.origin import graded_by, model_entry
from csiq.scan_file import read_scan
from csiq.solvers import solver_named
from csiq.truth_table import check_given, truth_of_scan
from csiq.tuning.choice import Choice, choose, truth_of
from csiq.tuning.command import command_for
from csiq.tuning.folder import TuneFolder
from csiq.tuning.lamdas import home_of, lamda_grid, with_home
from csiq.tuning.point import Point
from csiq.tuning.sweeping import Sweep, settings_of, sweep

#: Of ``tune.json``; rises when a key changes its meaning or goes.
SCHEMA_VERSION = 1
_log = logging.getLogger("csiq")


def tune(
    config: Config,
    raw: str | Path,
    output: str | Path | None = None,
    *,
    lamdas: tuple[float, ...] | None = None,
    on_event: OnEvent = ignore,
    resume: bool = False,
    overwrite: bool = False,
) -> Choice:
    """Sweep the weight of the penalty over a raw file, advise one, and write ``<stem>.tune``.

    Parameters
    ----------
    config : Config
        Of every reconstruction; ``penalty.lamda`` is where the sweep starts from.
    raw : path
    output : path, optional
        ``./<stem>.tune`` by default.
    lamdas : tuple of float, optional
        Weights to try; see :func:`csiq.tuning.lamda_grid`.
    on_event : callable, optional
        Called with dictionaries: start, stage, lamda, iteration, point, warning, done.
    resume : bool
        Keep the weights that were finished; others may be added.
    overwrite : bool
        Replace what csiq wrote in the folder.

    Raises
    ------
    CsiqError
        See :mod:`csiq.errors`.
    """
    raw, config = Path(raw), settings_of(config)
    output = Path(output) if output is not None else Path(f"{raw.stem}.tune")
    home = home_of(config)
    wanted = with_home(lamdas, home) if lamdas is not None else lamda_grid(home)
    # a wrong option or a missing file must not leave an empty folder behind
    check_readable(raw, RAW)
    check_given(config)
    solver_named(config.solver.solver)
    grader = load_assessor(config.quality.model, choose_device(config.run.device))
    with TuneFolder.open(output, overwrite=overwrite, resume=resume) as folder:
        return _Tuning(config, raw, folder, wanted, grader, on_event).go()


@dataclass
class _Tuning:
    """The state of one sweep between reading and writing."""

    config: Config
    raw: Path
    folder: TuneFolder
    lamdas: tuple[float, ...]
    grader: Assessor
    tell: OnEvent
    input_sha256: str = ""
    known_truth: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    points: dict[float, Point] = field(default_factory=dict)

    def go(self) -> Choice:
        """Read, sweep, choose, write; leave an honest ``tune.json`` however it ends."""
        started = time.perf_counter()
        scan = read_scan(self.config, self.raw)
        self.input_sha256 = scan.sha256
        self.seconds["load"] = time.perf_counter() - started
        self._take_up()
        try:
            self._write("running")
            return self._sweep([scan], started)
        except BaseException as error:
            interrupted = not isinstance(error, Exception) or getattr(error, "status", "") == "interrupted"
            self._write("interrupted" if interrupted else "failed")
            raise

    def _take_up(self) -> None:
        """Take the finished weights of an earlier sweep, if it was of the same."""
        before = self.folder.record
        if before is None:
            return
        check_same(before, self._header("running"), self.folder.path)
        self.warnings += [str(warning) for warning in before.get("warnings", [])]
        self.points = {point.lamda: point for point in self.folder.points()}

    def _sweep(self, held: list[Acquisition], started: float) -> Choice:
        scan = held[0]
        truth, warning = truth_of_scan(self.config, self.raw, scan.geometry)
        config, _, short = fitted(scan, self.config, device_for(scan, self.config)[0])
        for message in (*scan.warnings, *filter(None, (warning, short))):
            self._on_event({"event": "warning", "message": message})
        del scan
        found = sweep(
            held.pop(),
            config,
            self.lamdas,
            grader=self.grader,
            truth=truth,
            done=tuple(self.points.values()),
            on_event=self._on_event,
            on_point=self._save,
        )
        choice = choose(found)
        for message in (*found.warnings, *choice.warnings):
            self._on_event({"event": "warning", "message": message})
        self.seconds["total"] = time.perf_counter() - started
        content = self._header("complete") | self._found(found, choice)
        self._draw(found, choice, content)
        self.folder.write_record(content)
        self.tell({"event": "done", **content})
        return choice

    def _on_event(self, event: Event) -> None:
        if event["event"] == "stage":
            self.seconds[event["stage"]] = event["seconds"]
        if event["event"] == "warning":
            # a warning that comes again with other numbers is the same warning
            if _kind(event["message"]) in map(_kind, self.warnings):
                return
            self.warnings.append(event["message"])
        self.tell(event)

    def _save(self, point: Point, result: Result) -> None:
        """Keep a finished weight: its numbers, two slices, and the table of all so far."""
        self.points[point.lamda] = point
        self.folder.write_images(point.lamda, result)
        self.folder.write_point(point)
        self.folder.write_table(self._points())
        self._write("running")

    def _points(self) -> tuple[Point, ...]:
        """Return the finished points among those that were asked for, by rising weight."""
        return tuple(self.points[lamda] for lamda in self.lamdas if lamda in self.points)

    # ------------------------------------------------------------ tune.json and what is drawn of it

    def _header(self, status: str) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "status": status,
            "csiq": __version__,
            "config": self.config.as_dict(),
            "config_sha256": self.config.sha256(),
            "input": {"name": self.raw.name, "sha256": self.input_sha256},
            "model": {"name": self.grader.name, "sha256": self.grader.sha256},
            "device": str(choose_device(self.config.run.device)),
            "threads": self.config.run.threads or default_threads(),
            "home": self.config.penalty.lamda,
            "lamdas": list(self.lamdas),
            "lamda": None,
            "why": None,
            "bounds": None,
            "points": [point.row() for point in self._points()],
            "seconds": self.seconds,
            "warnings": self.warnings,
            "use": f"Research use only. {graded_by(self._model())}",
        }

    def _model(self) -> dict[str, str]:
        return model_entry(self.grader.name, self.grader.sha256, self.grader.card)

    def _found(self, found: Sweep, choice: Choice) -> dict[str, Any]:
        return {
            "lamda": choice.lamda,
            "why": choice.why,
            "bounds": list(choice.bounds),
            "choice": choice.as_json(),
            "truth": truth_of(found, choice),
            "command": command_for(self.raw.name, self.config, choice.lamda),
        }

    def _write(self, status: str) -> None:
        """Write a ``tune.json`` without a choice; an error on the way out must not hide the first one."""
        try:
            self.folder.write_record(self._header(status))
        except CsiqError:
            if status == "running":
                raise
            _log.exception("tune.json could not be written")

    def _draw(self, found: Sweep, choice: Choice, content: dict[str, Any]) -> None:
        from csiq.ranking.matrix import save_figure
        from csiq.tuning.figure import tune_figure
        from csiq.tuning.page import write_page

        path = self.folder.path
        self.folder.write_table(found.points)
        for kind in ("png", "svg"):
            save_figure(tune_figure(found, choice), path / f"tune.{kind}")
        write_page(path, found, choice, content)


def _kind(message: str) -> str:
    return re.sub(r"[0-9.]+", "", message)


def check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Refuse to go on with a sweep of something else; which weights are asked for may differ.

    Raises
    ------
    OutputError
        If configuration, limits of iterations and time, raw file or model are not those of the folder.
    """
    try:
        for what, key in (("configuration", "config_sha256"), ("raw file", "input"), ("model", "model")):
            if before[key] != now[key]:
                _refuse(what, folder)
        for key in ("max_iter", "time_limit"):
            if before["config"]["solver"][key] != now["config"]["solver"][key]:
                _refuse(key, folder)
    except (KeyError, TypeError):
        raise RawDataError("is no record of a sweep", file=folder / "tune.json", hint="--overwrite") from None


def _refuse(what: str, folder: Path) -> None:
    raise OutputError(f"holds a sweep with another {what}", file=folder, hint="--overwrite starts anew")
