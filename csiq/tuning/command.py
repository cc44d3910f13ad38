"""The line that reconstructs with the weight that was found."""

from __future__ import annotations

import shlex
from dataclasses import replace

from csiq.config import Config
from csiq.report.command import command_of


def command_for(raw: str, config: Config, lamda: float) -> str:
    """Return ``csiq recon RAW --lamda X`` and what else differs from the defaults, files by base name.

    Parameters
    ----------
    raw : str
        Name of the raw file.
    config : Config
        Of the sweep.
    lamda : float
    """
    chosen = replace(config, penalty=replace(config.penalty, lamda=lamda))
    line = command_of({"input": {"name": raw}, "config": chosen.as_dict()})
    # the default weight is not spelled among what differs; here it is what the line is about
    named = shlex.join(["--lamda", f"{lamda!r}"])
    return line if "--lamda " in line else f"{line} {named}"
