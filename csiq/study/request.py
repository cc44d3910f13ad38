"""What a study is asked for, and which part of that must stay the same when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csiq.arrays import choose_device
from csiq.cohort.cohort_folder import config_of, read_record
from csiq.config import Config, load_config
from csiq.errors import ConfigError
from csiq.quality.reference import formula_sha256
from csiq.solvers import solver_named

#: Nonlinear conjugate gradients as in the paper's pipeline, and what csiq takes by default.
PAPER, DEFAULT = "nlcg", "pnlcg"
#: What is made of a scan besides the solvers' iterates: one self-navigated image.
SELFNAV = "selfnav"
#: The configuration of a scan that names none.
PRESET = "whole-heart"


@dataclass(frozen=True)
class Setting:
    """How scans are made and reconstructed; every number of a study follows from it, seconds excepted.

    Attributes
    ----------
    matrix : int
        Voxels over 208 mm.
    n_coils : int
        Of scans that are simulated for the study.
    max_iter : int
        Iterations that are computed, all of them.
    model : str
        Name or file of the network.
    device : str
        ``cpu``, ``auto`` or ``cuda:0``.
    sha256 : str
        Of the network, told once it is loaded: what another one graded has no place in the study.
    """

    matrix: int
    n_coils: int = 8
    max_iter: int = 20
    model: str = "default"
    device: str = "cpu"
    sha256: str = ""

    def config(self, solver: str, preset: str | None = None) -> Config:
        """Return the configuration of a reconstruction: one thread, no rule that stops it.

        Parameters
        ----------
        solver : str
        preset : str, optional
            A preset, or a TOML file.
        """
        named = preset or PRESET
        given: dict[str, Any] = {"file": named} if named.endswith(".toml") else {"preset": named}
        own = {"solver": solver, "max_iter": self.max_iter, "model": self.model, "device": self.device}
        return load_config(**given, overrides={**own, "threads": 1, "shadow": True})


@dataclass(frozen=True)
class StudyRequest:
    """What is to be studied.

    Attributes
    ----------
    cohort : Path
        Folder of a cohort.
    n_scans, n_tuning : int
        Scans of test patients, and of patients who train, on which rival rules are chosen.
    solvers : tuple of str
    matrix : int, optional
        That of the cohort's raw scans by default; of another matrix scans are simulated.
    max_iter : int
    model, device : str
    """

    cohort: Path
    n_scans: int = 69
    n_tuning: int = 30
    solvers: tuple[str, ...] = (PAPER, DEFAULT)
    matrix: int | None = None
    max_iter: int = 20
    model: str = "default"
    device: str = "cpu"
    #: What ``cohort.json`` says; read when the request is made.
    record: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, value, least in (("--scans", self.n_scans, 1), ("--tuning", self.n_tuning, 0)):
            if value < least:
                raise ConfigError(f"{value} is below {least}", field=name)
        if not self.solvers or len(set(self.solvers)) < len(self.solvers):
            raise ConfigError("expected solvers, each once", field="--solvers", hint="nlcg,pnlcg")
        for solver in self.solvers:
            solver_named(solver)
        if not self.record:
            object.__setattr__(self, "record", read_record(self.cohort))

    @property
    def setting(self) -> Setting:
        """How its scans are made and reconstructed."""
        made = config_of(self.record)
        matrix = self.matrix or made.raw_matrix
        return Setting(matrix, made.raw_coils, self.max_iter, self.model, self.device)

    @property
    def parts(self) -> tuple[str, ...]:
        """What is made of each scan of a test patient."""
        return (*self.solvers, SELFNAV)

    def described(self, model: dict[str, str]) -> dict[str, Any]:
        """Return what the study is of, for ``study.json``.

        Parameters
        ----------
        model : dict
            ``name`` and ``sha256`` of what grades.
        """
        setting = self.setting
        return {
            "cohort": self.cohort.resolve().name,
            "cohort_config": self.record["config"],
            "formula_sha256": formula_sha256(),
            "scans": self.n_scans,
            "tuning": self.n_tuning,
            "solvers": list(self.solvers),
            "matrix": setting.matrix,
            "coils": setting.n_coils,
            "max_iter": setting.max_iter,
            "model": model,
            "device": "gpu" if choose_device(setting.device).is_gpu else "cpu",
            "config_sha256": {s: setting.config(s).sha256() for s in self.solvers},
        }
