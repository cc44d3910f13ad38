"""What the shell offers behind an option or argument whose values are names."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the presets that begin with ``incomplete``."""
    from csiq.presets import preset_names

    return _beginning(incomplete, preset_names())


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the shipped models that begin with ``incomplete``; where there are none, the shell's files."""
    from csiq.quality.model_file import shipped_models

    return _beginning(incomplete, ["default", *shipped_models()]) or _FILES


def trajectories(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the named trajectories that begin with ``incomplete``; where there are none, files."""
    from csiq.trajectory import TRAJECTORIES

    return _beginning(incomplete, TRAJECTORIES) or _FILES


#: Bash, zsh and fish then offer what lies in the folder.
_FILES = [CompletionItem("", type="file")]


def _beginning(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
