"""What a checkpoint holds, which run may go on from it, and where that run then stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.arrays import Array, to_host
from csiq.config import Config
from csiq.errors import OutputError
from csiq.history import History
from csiq.loop import Resumed
from csiq.solvers import Iterate

#: As :func:`csiq.io.volumes.write_checkpoint` takes it: arrays, and everything else.
Contents = tuple[dict[str, np.ndarray], dict[str, Any]]

#: Reasons to stop that a larger limit takes away.
LIMITS = ("max_iter", "time_limit")


@dataclass(frozen=True)
class Identity:
    """What a run is of: only an equal one may go on from its checkpoint, or take its results for its own.

    Attributes
    ----------
    config_sha256, input_sha256 : str
    model_sha256 : str or None
        None without a grader.
    """

    config_sha256: str
    input_sha256: str
    model_sha256: str | None

    def differs_in(self, other: Mapping[str, Any]) -> str | None:
        """Return the first thing in which another identity, with the same keys, is not this one."""
        words = ("configuration", "raw file", "model")
        for word, (key, own) in zip(words, asdict(self).items(), strict=True):
            if other.get(key) != own:
                return word
        return None


def checkpoint_of(
    identity: Identity, iterate: Iterate, history: History, kept: Array, bright: float
) -> Contents:
    """Return the checkpoint of an iterate; its arrays stay as they are when the solver goes on.

    Parameters
    ----------
    identity : Identity
    iterate : Iterate
    history : History
        Up to this iterate.
    kept : complex64 array, (n_phases, z, y, x)
        The volumes that would be returned now.
    bright : float
        The magnitude that the written images put at 1000.
    """
    state = iterate.state()
    # on a CPU these are the solver's own arrays, which it does not change any more
    arrays = {name: to_host(value) for name, value in state.items() if hasattr(value, "shape")}
    numbers = {name: value for name, value in state.items() if not hasattr(value, "shape")}
    if not _equal(kept, iterate.volumes):
        # a copy: phases that become better are written into it
        arrays["kept"] = to_host(kept.copy())
    return arrays, asdict(identity) | {"state": numbers, "curves": history.rows(), "bright": bright}


def resumed_from(contents: Contents, identity: Identity, folder: Path) -> tuple[Resumed, float]:
    """Return where a checkpoint's run ended, and its ``bright``; ``folder`` is named in errors.

    Raises
    ------
    OutputError
        If the checkpoint is of another configuration, scan or model.
    """
    arrays, attributes = contents
    other = identity.differs_in(attributes)
    if other is not None:
        raise OutputError(
            f"the checkpoint is of another {other}", file=folder, hint="--overwrite starts anew"
        )
    kept = arrays.pop("kept", arrays["volumes"])
    history = History.from_rows(attributes["curves"])
    return Resumed(history, {**arrays, **attributes["state"]}, kept), float(attributes["bright"])


def goes_further(done: dict[str, Any], config: Config) -> bool:
    """Return whether a complete run was ended by a limit that a configuration sets further off.

    Parameters
    ----------
    done : dict
        Its ``run.json``.
    config : Config
    """
    reason = (done.get("stop") or {}).get("reason")
    if reason not in LIMITS or config.solver.max_iter <= int(done.get("iterations") or 0):
        return False
    before = (done.get("config") or {}).get("solver") or {}
    asked = (config.solver.max_iter, config.solver.time_limit)
    return reason == "max_iter" or asked != (before.get("max_iter"), before.get("time_limit"))


def _equal(a: Array, b: Array) -> bool:
    return all(bool((one == other).all()) for one, other in zip(a, b, strict=True))
