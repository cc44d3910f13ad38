"""One run: a raw file in, a run folder out.

The arrays' flow is in :mod:`csiq.pipeline`; here are files, the lock, checkpoints and what survives a kill.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import Array, choose_device, default_threads, return_free_memory, to_host
from csiq.config import Config, bytes_of
from csiq.errors import OutputError, RawDataError, ResourceError
from csiq.history import COLUMNS, History
from csiq.io import ReadOptions, read_acquisition
from csiq.io.beside import Beside
from csiq.io.health import describe
from csiq.io.nifti import write_nifti
from csiq.io.run_folder import RunFolder, read_json
from csiq.io.sniff import check_readable
from csiq.loop import Event, OnEvent, Resumed
from csiq.pipeline import Result, compared_rules, load_grader, reconstruct
from csiq.plan import check_memory, estimate
from csiq.shadow import shadow_table
from csiq.solvers import Iterate, solver_named
from csiq.stopping import counterfactual, hindsight_rules, returned_iterations
from csiq.truth_table import TruthTable, check_given, truth_table_of

#: Of ``run.json`` and ``ranking.json``; rises when a key changes its meaning or goes.
SCHEMA_VERSION = 1
#: Magnitudes are written so that this percentile of the gridded image becomes 1000.
_BRIGHT_PERCENTILE = 99.9

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
    check_readable(raw)
    check_given(config)
    solver_named(config.solver.solver)
    grader = load_grader(config, device)
    with RunFolder.open(output, overwrite=overwrite, resume=resume) as folder, _log_into(folder.path):
        this = _Run(config, raw, folder, on_event or (lambda event: None), grader.sha256 if grader else None)
        if resume and folder.status == "complete":
            this.check_same(read_json(folder.path / "run.json"))
            return None
        return this.go(resume)


def read_options(config: Config) -> ReadOptions:
    """Return what a configuration says about reading."""
    data = config.data
    return ReadOptions(
        trajectory=data.trajectory,
        traj_units=data.traj_units,
        echo=data.echo,
        group=data.group,
        matrix=data.matrix,
        drop_bad=data.drop_bad,
        exclude_coil=data.exclude_coil,
        strict=data.strict,
        force=data.force,
        keep_identifiers=data.keep_identifiers,
        max_memory_bytes=bytes_of(config.run.max_memory) if config.run.max_memory else None,
    )


def read_scan(config: Config, raw: Path) -> Acquisition:
    """Read a raw file as a configuration says, the decay of its signal corrected if it asks for that."""
    scan = read_acquisition(raw, read_options(config))
    if config.data.decay_correction:
        from csiq.decay import correct_decay

        scan = correct_decay(scan)
    return scan


@contextmanager
def _log_into(folder: Path) -> Iterator[None]:
    """Write the log of this run to ``csiq.log``."""
    handler = logging.FileHandler(folder / "csiq.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.DEBUG)
    try:
        yield
    except Exception:
        _log.exception("stopped by an error")
        raise
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        handler.close()


@dataclass(frozen=True)
class _Facts:
    """What is still wanted of a scan once its samples are gone: they are let go while it iterates."""

    geometry: Geometry
    times: np.ndarray
    sha256: str
    warnings: tuple[str, ...]
    described: dict[str, Any]


@dataclass
class _Run:
    """The state of one run between reading and writing."""

    config: Config
    raw: Path
    folder: RunFolder
    tell: OnEvent
    model_sha256: str | None = None
    facts: _Facts | None = None
    bright: float = math.nan
    history: History | None = None
    seconds_output: float = 0.0
    warnings: list[str] = field(default_factory=list)
    truth: TruthTable | None = None
    beside: Beside = field(default_factory=Beside)

    def go(self, resume: bool) -> Result:
        """Read, reconstruct, write; leave an honest ``run.json`` however it ends."""
        try:
            # left before the status is written: the last checkpoint is whole by then
            with self.beside:
                result = self._reconstruct(resume)
        except BaseException as error:
            interrupted = not isinstance(error, Exception) or getattr(error, "status", "") == "interrupted"
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
        self._write_status("running")
        held = [read_scan(self.config, self.raw)]
        scan = held[0]
        self.facts = _Facts(scan.geometry, scan.times, scan.sha256, scan.warnings, _described(scan))
        seconds_load = time.perf_counter() - started
        self._on_event({"event": "stage", "stage": "load", "seconds": seconds_load})
        resumed = self._resumed() if resume else None
        self.truth, warning = truth_table_of(self.config, self.raw, self.facts.geometry, self.folder)
        if self.truth is not None and resumed is not None:
            self.truth.take_up(resumed.history.last.iteration)
        check_memory(estimate(scan, self.config, choose_device(self.config.run.device)), self.config)
        for message in (*scan.warnings, *([warning] if warning else [])):
            self._on_event({"event": "warning", "message": message})
        self._check_disk()
        del scan
        result = reconstruct(
            held.pop(),  # nothing here holds the samples of all coils any more
            self.config,
            on_event=self._on_event,
            on_iterate=self._save,
            resumed=resumed,
            elapsed=seconds_load,
        )
        self._write(result, seconds_load)
        return result

    def _on_event(self, event: Event) -> None:
        if event["event"] == "warning" and event["message"] not in self.warnings:
            self.warnings.append(event["message"])
        level = {"warning": logging.WARNING, "iteration": logging.DEBUG}.get(event["event"], logging.INFO)
        if event["event"] == "stage":
            return_free_memory()
        _log.log(level, "%s", {key: value for key, value in event.items() if key != "event"})
        self.tell(event)

    def check_same(self, content: dict[str, Any]) -> None:
        """Refuse to call a complete run this one if it was of another configuration, raw file or model.

        Raises
        ------
        OutputError
            If it was.
        """
        sha256 = read_scan(self.config, self.raw).sha256
        for own, theirs, what in (
            (self.config.sha256(), content.get("config_sha256"), "configuration"),
            (sha256, (content.get("input") or {}).get("sha256"), "raw file"),
            (self.model_sha256, (content.get("model") or {}).get("sha256"), "model"),
        ):
            if own != theirs:
                raise OutputError(
                    f"holds a complete run of another {what}",
                    file=self.folder.path,
                    hint="--overwrite replaces it, -o writes elsewhere",
                )

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
                f"the run needs {need / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB free",
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
        self.folder.write_table("curves.tsv", history.rows(), COLUMNS)
        if self.config.run.save_iterates:
            volumes = to_host(iterate.volumes)
            self.folder.write_iterate(volumes, self._known().geometry, iterate.iteration)
        self._begin_checkpoint(iterate, history, kept)
        if self.config.run.live:
            self._write_pages(read_json(self.folder.path / "run.json"), iterate)
        self.seconds_output += time.perf_counter() - started
        if self.truth is not None:
            self.truth.add(iterate)

    def _begin_checkpoint(self, iterate: Iterate, history: History, kept: Array) -> None:
        """Write a checkpoint beside the next iteration; the one before is waited for."""
        state = iterate.state()
        # on a CPU these are the solver's own arrays, which it does not change any more
        arrays = {name: to_host(value) for name, value in state.items() if hasattr(value, "shape")}
        numbers = {name: value for name, value in state.items() if not hasattr(value, "shape")}
        if not _equal(kept, iterate.volumes):
            # a copy: phases that become better are written into it
            arrays["kept"] = to_host(kept.copy())
        attributes = {
            "config_sha256": self.config.sha256(),
            "input_sha256": self._known().sha256,
            "model_sha256": self.model_sha256,
            "state": numbers,
            "curves": history.rows(),
            "bright": self.bright,
        }
        self.beside.submit(partial(self.folder.write_checkpoint, arrays, attributes))

    def _resumed(self) -> Resumed | None:
        """Return where the interrupted run ended, or None if it had not come to its first iterate.

        Raises
        ------
        OutputError
            If the checkpoint is of another configuration or another scan.
        """
        found = self.folder.read_checkpoint()
        if found is None:
            return None
        arrays, attributes = found
        for key, own, what in (
            ("config_sha256", self.config.sha256(), "configuration"),
            ("input_sha256", self._known().sha256, "raw file"),
            ("model_sha256", self.model_sha256, "model"),
        ):
            if attributes.get(key) != own:
                raise OutputError(
                    f"the checkpoint is of another {what}",
                    file=self.folder.path,
                    hint="--overwrite starts anew",
                )
        kept = arrays.pop("kept", arrays["volumes"])
        self.bright = float(attributes["bright"])
        history = History.from_rows(attributes["curves"])
        return Resumed(history, {**arrays, **attributes["state"]}, kept)

    def _known(self) -> _Facts:
        if self.facts is None:
            raise RuntimeError("the scan was not read yet")
        return self.facts

    # ------------------------------------------------------------ run.json and results

    def _write_status(self, status: str) -> None:
        """Write a ``run.json`` without results; one that says more is not replaced by one that says less."""
        content = self._header(status)
        path = self.folder.path / "run.json"
        if status != "running" and path.exists():
            content = {**read_json(path), **content}
        if self.history is not None:
            content |= self._so_far(status)
        self.folder.write_json("run.json", content)

    def _so_far(self, status: str) -> dict[str, Any]:
        """Return what is known of a run that ended early."""
        history = self.history or History()
        each = returned_iterations(history, self.config.stop.return_)
        reason = "interrupted" if status == "interrupted" else None
        rules = compared_rules(self.config)
        return {
            "iterations": history.last.iteration,
            "stop": {"iteration": history.last.iteration, "reason": reason, "rule": None},
            "returned_iteration": each[0] if len(set(each)) == 1 else list(each),
            "model": {"name": self.config.quality.model, "sha256": self.model_sha256},
            "counterfactual": counterfactual(history, rules),
            "rules": {rule.name: rule.sentence() for rule in rules},
            "warnings": self.warnings,
            "seconds": {"recon": history.last.recon_s, "grading": history.last.grading_s},
        }

    def _header(self, status: str) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "status": status,
            "csiq": __version__,
            "config": self.config.as_dict(),
            "config_sha256": self.config.sha256(),
            "input": {"name": self.raw.name, "sha256": self.facts.sha256 if self.facts is not None else None},
            "model": None,
            "device": str(choose_device(self.config.run.device)),
            "threads": self.config.run.threads or default_threads(),
            "seed": self.config.run.seed,
            "lamda_abs": None,
            "iterations": None,
            "stop": None,
            "returned_iteration": None,
            "counterfactual": {},
            "seconds": {},
            "warnings": list(self.facts.warnings) if self.facts is not None else [],
        }

    def _write(self, result: Result, seconds_load: float) -> None:
        """Write everything that a complete run folder has; ``run.json`` says complete only at the end."""
        started = time.perf_counter()
        self.beside.wait()
        folder = self.folder
        folder.write_volumes(result.volumes, result.geometry, self._iterations(result))
        self._write_images(result)
        self._write_respiration(result)
        if result.ranking is not None:
            folder.write_json("ranking.json", result.ranking.as_json())
            folder.write_table("ranking.tsv", result.ranking.rows())
        content = self._header("failed" if result.stop.reason == "nan" else "complete")
        content |= result_json(result, self._known().described) | {
            "returned_iteration": self._iterations(result),
            "warnings": list(dict.fromkeys([*result.warnings, *self.warnings])),
        }
        if self.config.stop.shadow:
            content["shadow"] = self._write_shadow(result)
        output = self.seconds_output + time.perf_counter() - started
        content["seconds"] = {"load": seconds_load, **result.seconds, "output": output}
        if self.truth is not None:
            content["seconds"]["truth"] = self.truth.seconds
        # the pages first: a folder that says complete has them
        self._write_pages(content)
        output = self.seconds_output + time.perf_counter() - started
        content["seconds"]["output"] = output
        folder.write_json("run.json", content)
        folder.remove_checkpoints()
        self.tell({"event": "stage", "stage": "output", "seconds": output})
        self.tell({"event": "done", **content})

    def _write_shadow(self, result: Result) -> list[dict[str, Any]]:
        """Write ``shadow.tsv`` and return the records of ``run.json``."""
        truth = self.truth.curve if self.truth is not None else None
        rules = (*result.rules, *hindsight_rules())
        rows = shadow_table(result.history, rules, truth, self.config.stop.return_)
        self.folder.write_table("shadow.tsv", [row.as_cells() for row in rows])
        return [row.as_json() for row in rows]

    @staticmethod
    def _iterations(result: Result) -> int | list[int]:
        each = set(result.iterations)
        return result.iterations[0] if len(each) == 1 else list(result.iterations)

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

    def _write_images(self, result: Result) -> None:
        scale = 1000 / self.bright if self.bright > 0 else 1.0
        for phase, volume in enumerate(result.volumes, start=1):
            grade = result.grades[phase - 1]
            sidecar = {
                "csiq": __version__,
                "phase": phase,
                "n_phases": len(result.volumes),
                "iteration": result.iterations[phase - 1],
                "grade": grade.grade if grade is not None else None,
                "grade_sd": grade.grade_sd if grade is not None else None,
                "in_domain": grade.in_domain if grade is not None else None,
                "interval": grade.interval if grade is not None else None,
                "calibrated": grade.calibrated if grade is not None else None,
                "simulated": self._known().described["system"].get("vendor") == "simulated",
                "scale": scale,
                "voxel_size_mm": list(result.geometry.voxel_size),
                "orientation_known": result.geometry.known,
                "config_sha256": self.config.sha256(),
                "input": {"name": self.raw.name, "sha256": self._known().sha256},
                "model": result.model or None,
                "note": "research use; graded by a network trained on simulated scans",
            }
            magnitude = (np.abs(volume) * np.float32(scale)).astype(np.float32)
            path = self.folder.path / f"phase-{phase}.nii.gz"
            write_nifti(path, magnitude, result.geometry, sidecar=sidecar)

    def _write_respiration(self, result: Result) -> None:
        times = self._known().times
        signal = result.signal.values if result.signal is not None else np.full(times.size, np.nan)
        rows = [
            {"spoke": spoke, "time_s": float(seconds), "signal": float(value), "phase": int(phase)}
            for spoke, (seconds, value, phase) in enumerate(
                zip(times, signal, result.bins.phase_of_spoke, strict=True)
            )
        ]
        self.folder.write_table("respiration.tsv", rows, ("spoke", "time_s", "signal", "phase"))


def _equal(a: Array, b: Array) -> bool:
    return all(bool((one == other).all()) for one, other in zip(a, b, strict=True))


def bright_level(volumes: np.ndarray) -> float:
    """Return the magnitude that the written images put at 1000: one scale for all phases and iterates."""
    return float(np.percentile(np.abs(volumes[:, ::2, ::2, ::2]), _BRIGHT_PERCENTILE))


def result_json(result: Result, described: dict[str, Any]) -> dict[str, Any]:
    """Return what ``run.json`` says of a result; the contract's keys, then those the report shows."""
    signal, grades = result.signal, result.grades
    content: dict[str, Any] = {
        "model": result.model or None,
        "device": result.device,
        "threads": result.threads,
        "lamda_abs": result.lamda_abs,
        "iterations": result.history.last.iteration,
        "stop": result.stop.as_json(),
        "counterfactual": result.counterfactual,
        "rules": {rule.name: rule.sentence() for rule in result.rules},
        "warnings": list(result.warnings),
        "scan": described | {"n_coils_used": result.n_coils},
        "grading": {
            "in_domain": [g.in_domain if g is not None else None for g in grades],
            "uncertainty": [g.uncertainty if g is not None else None for g in grades],
        },
        "rescan": result.rescan.as_json() if result.rescan is not None else None,
    }
    if signal is not None:
        content["gating"] = {
            "source": signal.source,
            "orientation": signal.orientation,
            "confidence": signal.confidence,
            "snr": signal.snr,
            "frequency_hz": signal.frequency,
            "edges": result.bins.edges,
            "counts": list(result.bins.counts),
        }
    return content


def _described(scan: Acquisition) -> dict[str, Any]:
    """Return what a run tells of its scan; its name, hash and warnings stand elsewhere in ``run.json``."""
    return {key: value for key, value in describe(scan).items() if key not in ("name", "sha256", "warnings")}
