"""One run: a raw file in, a run folder out.

The arrays' flow is in :mod:`csiq.pipeline`; here are files, the lock and what survives a kill. What goes into
the files is in :mod:`csiq.run_json`, :mod:`csiq.run_results` and :mod:`csiq.checkpoint`.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from csiq.arrays import Array, choose_device, return_free_memory, to_host
from csiq.checkpoint import LIMITS, Identity, checkpoint_of, goes_further, resumed_from
from csiq.coil_batches import fitted
from csiq.config import Config
from csiq.errors import OutputError, RawDataError, ResourceError
from csiq.history import COLUMNS, History
from csiq.io.beside import Beside
from csiq.io.run_folder import RunFolder, read_json
from csiq.io.run_log import line_of, log_into
from csiq.io.sniff import RAW, check_readable, in_bytes
from csiq.loop import Event, OnEvent, Resumed
from csiq.pipeline import Result, load_grader, reconstruct
from csiq.preparation import device_for
from csiq.run_json import Facts, facts_of, header, one_or_each, result_json, so_far
from csiq.run_results import bright_level, write_images, write_respiration, write_shadow
from csiq.scan_file import read_scan
from csiq.solvers import Iterate, solver_named
from csiq.truth_table import TruthTable, check_given, truth_table_of

_log = logging.getLogger("csiq")


def run(
    config: Config,
    raw: str | Path,
    output: str | Path | None = None,
    *,
    on_event: OnEvent | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Result | None:
    """Reconstruct a raw file into a run folder: ``csiq recon``.

    Parameters
    ----------
    config : Config
    raw : path
        ISMRMRD h5 or Siemens TWIX.
    output : path, optional
        Run folder; ``./<stem>.csiq`` by default.
    on_event : callable, optional
        Called with dictionaries: start, stage, iteration, warning, done.
    resume : bool
        Go on with an interrupted run; None is returned if it is complete already.
    overwrite : bool
        Replace what csiq wrote in the folder.

    Raises
    ------
    CsiqError
        See :mod:`csiq.errors`.
    """
    raw = Path(raw)
    output = Path(output) if output is not None else Path(f"{raw.stem}.csiq")
    # a wrong device or a missing file must not leave an empty run folder behind
    device = choose_device(config.run.device)
    check_readable(raw, RAW)
    check_given(config)
    solver_named(config.solver.solver)
    grader = load_grader(config, device)
    with RunFolder.open(output, overwrite=overwrite, resume=resume) as folder, log_into(folder.path):
        this = _Run(config, raw, folder, on_event or (lambda event: None), grader.sha256 if grader else None)
        if resume and folder.status == "complete":
            done = read_json(folder.path / "run.json")
            this.check_same(done)
            if not goes_further(done, config):
                return None
            this.extends = True
        return this.go(resume)


@dataclass
class _Run:
    """The state of one run between reading and writing."""

    config: Config
    raw: Path
    folder: RunFolder
    tell: OnEvent
    model_sha256: str | None = None
    facts: Facts | None = None
    bright: float = math.nan
    history: History | None = None
    seconds_output: float = 0.0
    warnings: list[str] = field(default_factory=list)
    truth: TruthTable | None = None
    beside: Beside = field(default_factory=Beside)
    begun: bool = False
    extends: bool = False
    resumed_from: int | None = None

    def go(self, resume: bool) -> Result:
        """Read, reconstruct, write; leave an honest ``run.json`` however it ends."""
        try:
            # left before the status is written: the last checkpoint is whole by then
            with self.beside:
                result = self._reconstruct(resume)
        except BaseException as error:
            interrupted = not isinstance(error, Exception) or getattr(error, "status", "") == "interrupted"
            # what was refused has changed nothing: an interrupted run stays what it was
            if self.begun:
                # a disk that is full or gone cannot be told so, and the first error says more
                with suppress(ResourceError):
                    self._write_status("interrupted" if interrupted else "failed")
            raise
        if result.stop.reason == "nan":
            raise RawDataError(
                f"the cost is not finite at iteration {result.stop.iteration}; "
                f"iteration {result.iterations[0]} was kept",
                file=self.raw,
                field="cost",
            )
        return result

    def _reconstruct(self, resume: bool) -> Result:
        started = time.perf_counter()
        if not resume:
            self._begin()
        held = [read_scan(self.config, self.raw)]
        scan = held[0]
        self.facts = facts_of(scan, self.raw.name)
        seconds_load = time.perf_counter() - started
        self._on_event({"event": "stage", "stage": "load", "seconds": seconds_load})
        resumed = self._resumed() if resume else None
        self._begin()
        self.truth, warning = truth_table_of(self.config, self.raw, self.facts.geometry, self.folder)
        if self.truth is not None and resumed is not None:
            self.truth.take_up(resumed.history.last.iteration)
        config, _, short = fitted(scan, self.config, device_for(scan, self.config)[0])
        for message in (*scan.warnings, *filter(None, (warning, short))):
            self._on_event({"event": "warning", "message": message})
        self._check_disk()
        del scan
        result = reconstruct(
            held.pop(),  # nothing here holds the samples of all coils any more
            config,
            on_event=self._on_event,
            on_iterate=self._save,
            resumed=resumed,
            elapsed=seconds_load,
        )
        self._write(result, seconds_load)
        return result

    def _begin(self) -> None:
        """Say that the run goes on; a complete one that is extended stays complete until it is more."""
        if not self.begun and not self.extends:
            self._write_status("running")
        self.begun = not self.extends

    def _on_event(self, event: Event) -> None:
        if event["event"] == "warning" and event["message"] not in self.warnings:
            self.warnings.append(event["message"])
        if event["event"] == "start" and self.resumed_from is not None:
            event = event | {"resumed_from": self.resumed_from}
        level = {"warning": logging.WARNING, "iteration": logging.DEBUG}.get(event["event"], logging.INFO)
        if event["event"] == "stage":
            return_free_memory()
        _log.log(level, "%s", line_of(event))
        self.tell(event)

    def check_same(self, content: dict[str, Any]) -> None:
        """Refuse to call a complete run this one if it was of another configuration, raw file or model.

        Raises
        ------
        OutputError
            If it was.
        """
        self.facts = facts_of(read_scan(self.config, self.raw), self.raw.name)
        other = self._identity().differs_in(
            {
                "config_sha256": content.get("config_sha256"),
                "input_sha256": (content.get("input") or {}).get("sha256"),
                "model_sha256": (content.get("model") or {}).get("sha256"),
            }
        )
        if other is not None:
            raise OutputError(
                f"holds a complete run of another {other}",
                file=self.folder.path,
                hint="--overwrite replaces it, -o writes elsewhere",
            )

    def _identity(self) -> Identity:
        return Identity(self.config.sha256(), self._known().input["sha256"], self.model_sha256)

    def _check_disk(self) -> None:
        """Refuse to start what the disk has no room for: volumes, images, two checkpoints, iterates.

        Raises
        ------
        ResourceError
            If there is too little.
        """
        facts, config = self._known(), self.config
        phases = 1 if config.gating.mode == "selfnav" else config.gating.phases
        volume = 8 * int(np.prod(facts.geometry.shape)) * phases
        kept = config.solver.max_iter + 1 if config.run.save_iterates else 0
        need, free = (2 + 2 * 6 + kept) * volume, self.folder.free_bytes()
        if need > free:
            raise ResourceError(
                f"the run needs {in_bytes(need)} of disk, {in_bytes(free)} free",
                file=self.folder.path,
                hint="choose another folder with -o",
            )

    # ------------------------------------------------------------ while it runs

    def _save(self, iterate: Iterate, history: History, kept: Array) -> None:
        """Write the curves, the iterate itself if asked to, and begin a checkpoint."""
        started = time.perf_counter()
        self.history = history.upto(iterate.iteration)  # a copy: the other one grows before it is saved
        if math.isnan(self.bright):
            self.bright = bright_level(to_host(iterate.volumes))
        if not self.extends:
            self.folder.write_table("curves.tsv", history.rows(), COLUMNS)
        if self.config.run.save_iterates:
            volumes = to_host(iterate.volumes)
            self.folder.write_iterate(volumes, self._known().geometry, iterate.iteration)
        contents = checkpoint_of(self._identity(), iterate, history, kept, self.bright)
        # beside the next iteration; the one before is waited for
        self.beside.submit(partial(self.folder.write_checkpoint, *contents))
        if self.config.run.live and not self.extends:
            self._write_pages(read_json(self.folder.path / "run.json"), iterate)
        self.seconds_output += time.perf_counter() - started
        if self.truth is not None:
            self.truth.add(iterate)

    def _resumed(self) -> Resumed | None:
        """Return where the interrupted run ended, or None if it had not come to its first iterate.

        Raises
        ------
        OutputError
            If the checkpoint is of another configuration or another scan.
        """
        found = self.folder.read_checkpoint()
        if found is None:
            if self.extends:
                self._on_event(
                    {"event": "warning", "message": "no solver state is left: computed from the start"}
                )
            return None
        resumed, self.bright = resumed_from(found, self._identity(), self.folder.path)
        self.resumed_from = resumed.history.last.iteration
        return resumed

    def _known(self) -> Facts:
        if self.facts is None:
            raise RuntimeError("the scan was not read yet")
        return self.facts

    # ------------------------------------------------------------ run.json and results

    def _write_status(self, status: str) -> None:
        """Write a ``run.json`` without results; one that says more is not replaced by one that says less."""
        content = header(status, self.config, self.raw.name, self.facts)
        path = self.folder.path / "run.json"
        if status != "running" and path.exists():
            content = {**read_json(path), **content}
        if self.history is not None:
            content |= so_far(status, self.history, self.config) | {
                "model": {"name": self.config.quality.model, "sha256": self.model_sha256},
                "warnings": self.warnings,
            }
        self.folder.write_json("run.json", content)

    def _write(self, result: Result, seconds_load: float) -> None:
        """Write everything that a complete run folder has; ``run.json`` says complete only at the end."""
        started = time.perf_counter()
        self.beside.wait()
        folder, facts, returned = self.folder, self._known(), one_or_each(result.iterations)
        folder.write_table("curves.tsv", result.history.rows(), COLUMNS)
        folder.write_volumes(result.volumes, result.geometry, returned)
        write_images(folder, result, facts, self.bright, self.config.sha256())
        write_respiration(folder, result, facts.times)
        if result.ranking is not None:
            folder.write_json("ranking.json", result.ranking.as_json())
            folder.write_table("ranking.tsv", result.ranking.rows())
        status = "failed" if result.stop.reason == "nan" else "complete"
        content = header(status, self.config, self.raw.name, facts)
        content |= result_json(result, facts.described) | {
            "returned_iteration": returned,
            "warnings": list(dict.fromkeys([*result.warnings, *self.warnings])),
        }
        if self.config.stop.shadow:
            content["shadow"] = write_shadow(folder, result, self.truth, self.config.stop.return_)
        output = self.seconds_output + time.perf_counter() - started
        content["seconds"] = {"load": seconds_load, **result.seconds, "output": output}
        if self.truth is not None:
            content["seconds"]["truth"] = self.truth.seconds
        # the pages first: a folder that says complete has them
        self._write_pages(content)
        output = self.seconds_output + time.perf_counter() - started
        content["seconds"]["output"] = output
        folder.write_json("run.json", content)
        folder.end_checkpoints(keep=result.stop.reason in LIMITS)
        self._on_event({"event": "stage", "stage": "output", "seconds": output})
        _log.info("%s, iteration %s returned, stopped by %s", status, returned, result.stop.reason)
        self.tell({"event": "done", **content})

    def _write_pages(self, content: dict[str, Any], now: Iterate | None = None) -> None:
        from csiq.report import ReportOptions, write_curves, write_report
        from csiq.report.iterates import slices_of_volumes

        write_curves(self.folder.path, content)
        latest = None
        if now is not None and not self.config.run.save_iterates:
            geometry = self._known().geometry
            volumes = to_host(now.volumes)
            latest = slices_of_volumes(volumes, geometry.affine, oriented=geometry.known)
        write_report(self.folder.path, content, ReportOptions(latest=latest))
