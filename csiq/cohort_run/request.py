"""What a cohort is asked for, checked as far as that goes before any work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from csiq.arrays import Device
from csiq.cohort.manifest import CohortScan, read_cohort
from csiq.cohort_run.job import ScanJob
from csiq.config import Config, load_config
from csiq.errors import ConfigError
from csiq.presets import preset_names

LOCAL, DASK = "local", "dask"
ENGINES = (LOCAL, DASK)


@dataclass(frozen=True)
class CohortRequest:
    """Which scans, and how each is reconstructed.

    Attributes
    ----------
    manifest : Path
        Table ``scan raw config``.
    folder : Path
        For everything that is written.
    preset, config : str, Path, optional
        Configuration of the scans for which the manifest names none.
    overrides : mapping
        Keys that win over every configuration.
    """

    manifest: Path
    folder: Path
    preset: str | None = None
    config: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def jobs(self) -> list[ScanJob]:
        """Return the scans of the manifest.

        Raises
        ------
        ManifestError
            With everything that is wrong with it, by line.
        ConfigError
            If the options do not go with a configuration.
        """
        folder, configs = self.folder.resolve(), dict[str | None, Config]()
        jobs = []
        for scan in read_cohort(self.manifest):
            if scan.config not in configs:
                configs[scan.config] = self._config(scan)
            config = configs[scan.config]
            jobs.append(ScanJob(scan.scan, scan.raw.resolve(), config, folder, scan.config or ""))
        return jobs

    def _config(self, scan: CohortScan) -> Config:
        if scan.config is None:
            return _absolute(load_config(self.preset, self.config, self.overrides))
        if scan.config in preset_names():
            return _absolute(load_config(scan.config, None, self.overrides))
        return _absolute(load_config(None, self.manifest.parent / scan.config, self.overrides))


def _absolute(config: Config) -> Config:
    """Return a configuration whose files are found from any folder: workers of a cluster have their own."""
    data, quality = config.data, config.quality
    data = replace(data, trajectory=_found(data.trajectory), noise=_found(data.noise))
    if Path(quality.model).is_file():
        quality = replace(quality, model=str(Path(quality.model).resolve()))
    return replace(config, data=data, quality=quality)


def _found(given: str | None) -> str | None:
    """Return ``FILE[:/DATASET]`` with the whole path of the file, where there is such a file."""
    file, colon, dataset = (given or "").rpartition(":/")
    path = Path(file if colon else given or "")
    if not given or not path.is_file():
        return given
    return f"{path.resolve()}{colon}{dataset if colon else ''}"


@dataclass(frozen=True)
class HowToRun:
    """How the work is done; no number but seconds depends on it.

    Attributes
    ----------
    engine : str
        ``local``: processes here; ``dask``: the workers of a scheduler.
    scheduler : str, optional
        Address of the Dask scheduler.
    workers : int, optional
        Processes here; by default one a GPU, without a GPU one for each four cores.
    fail_fast : bool
        Stop at the first scan that fails.
    overwrite, resume : bool
        What may happen to a folder that holds something.
    """

    engine: str = LOCAL
    scheduler: str | None = None
    workers: int | None = None
    fail_fast: bool = False
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ConfigError(f"'{self.engine}' is no engine", field="--engine", hint=" or ".join(ENGINES))
        if self.engine == DASK and not self.scheduler:
            hint = "--scheduler tcp://HOST:8786, where `dask scheduler` runs"
            raise ConfigError("a scheduler is needed", field="--scheduler", hint=hint)
        if self.engine == LOCAL and self.scheduler:
            raise ConfigError("goes with --engine dask", field="--scheduler")
        if self.engine == DASK and self.workers:
            hint = "`dask worker` starts workers, one a GPU"
            raise ConfigError("goes with --engine local", field="--workers", hint=hint)
        if self.overwrite and self.resume:
            raise ConfigError("--resume and --overwrite exclude each other", field="--resume")


def models_of(configs: Iterable[Config]) -> dict[str, str | None]:
    """Load every network that grades; return its SHA-256 by the name a configuration has for it.

    Raises
    ------
    ModelError
        If one is missing or damaged.
    ConfigError
        If there is no such solver, or a truth that is not there.
    """
    from csiq.preparation import load_grader
    from csiq.solvers import solver_named
    from csiq.truth_table import check_given

    found: dict[str, str | None] = {}
    for config in configs:
        solver_named(config.solver.solver)
        check_given(config)
        name = config.quality.model
        if found.get(name) is None:
            # also where the name is known but was not needed: this configuration may need it
            grader = load_grader(config, Device())
            found[name] = grader.sha256 if grader is not None else None
    return found


def default_folder(manifest: Path) -> Path:
    """Return the folder of a manifest's cohort: ``./<stem>.csiq``."""
    return Path(f"{manifest.stem}.csiq")
