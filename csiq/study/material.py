"""Everything an analysis works on: the curves of each solver, of test scans and of those to tune on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import ConfigError
from csiq.study.curves import Curves, read_curves
from csiq.study.request import DEFAULT, PAPER
from csiq.study.scans import TESTING

#: How solvers are called on the page.
LABELS = {
    PAPER: "NLCG (as the paper's pipeline)",
    DEFAULT: "preconditioned NLCG (default)",
}


@dataclass(frozen=True)
class Material:
    """The numbers of a study.

    Attributes
    ----------
    config : dict
        What the study is of; ``study.json``.
    test : dict of str to Curves
        By solver.
    tuning : dict of str to Curves
        Of scans on which rival rules are chosen; empty without any.
    roles : dict of str to str
        Scan to role, of all scans the study is to have.
    monitor : dict
        Seconds of listening to a SigPy App; ``monitor.json``. Empty where they were not measured.
    """

    config: Mapping[str, Any]
    test: Mapping[str, Curves]
    tuning: Mapping[str, Curves] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    monitor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def solvers(self) -> tuple[str, ...]:
        """Those with finished test scans."""
        return tuple(self.test)

    @property
    def main(self) -> Curves:
        """Curves of the default solver, of the last one if it has no part in the study."""
        return self.test.get(DEFAULT) or list(self.test.values())[-1]

    @property
    def seed(self) -> int:
        """Of the cohort."""
        return int(self.config["cohort_config"]["seed"])

    def label(self, solver: str) -> str:
        """Return what the page calls a solver."""
        return LABELS.get(solver, solver)

    def missing(self, solver: str, role: str) -> list[str]:
        """Return scans of a role that have no curves of a solver."""
        found = (self.test if role == TESTING else self.tuning).get(solver)
        done = set(found.scans) if found is not None else set()
        return [name for name, of in self.roles.items() if of == role and name not in done]

    @property
    def voxel_size(self) -> float:
        """Mm."""
        return 208.0 / int(self.config["matrix"]) if self.config.get("matrix") else math.nan


def read_material(folder: Path, config: Mapping[str, Any], roles: Mapping[str, str]) -> Material:
    """Read the numbers of a study.

    Parameters
    ----------
    folder : Path
    config : mapping
    roles : mapping of str to str
        Scan to role.

    Raises
    ------
    ConfigError
        If no test scan is finished.
    RawDataError
        If a record is damaged.
    """
    max_iter = int(config["max_iter"])
    parts: list[dict[str, Curves]] = [{}, {}]
    for place, wanted in enumerate((True, False)):
        names = [name for name, role in roles.items() if (role == TESTING) == wanted]
        for solver in config["solvers"]:
            found = read_curves(folder, names, solver, max_iter)
            if found is not None:
                parts[place][solver] = found
    if not parts[0]:
        raise ConfigError("no scan of it is finished", file=folder, hint="csiq study --resume goes on")
    if not any(np.isfinite(one.grade).any() for one in parts[0].values()):
        raise ConfigError("nothing of it was graded", file=folder, field="--model")
    return Material(config, parts[0], parts[1], roles)
