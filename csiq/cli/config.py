"""``csiq config``: the configurations that ship with csiq, and those of your own."""

from __future__ import annotations

from pathlib import Path

import click

from csiq.cli.choices import presets
from csiq.cli.options import DEBUG, JSON, called, options


@click.group(
    epilog="""\b
Examples:
  csiq config list
  csiq config show whole-heart > mine.toml
  csiq config check mine.toml
"""
)
def config() -> None:
    """List, show and check configurations."""


@config.command(
    "list",
    epilog="""\b
Examples:
  csiq config list
  csiq config list --json
""",
)
@options(JSON, DEBUG)
def list_(as_json: bool) -> None:
    """List the configurations that ship with csiq."""
    from csiq.cli.output import echo_pairs, json_line
    from csiq.presets import preset_names

    about = {name: _about(name) for name in preset_names()}
    if as_json:
        for name, line in about.items():
            click.echo(json_line({"preset": name, "about": line}))
    else:
        echo_pairs(about)


def _about(name: str) -> str:
    """Return the comment at the head of a preset, as one line."""
    from csiq.presets import preset_text

    lines = preset_text(name).splitlines()
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:first])


@config.command(
    epilog="""\b
Examples:
  csiq config show whole-heart
  csiq config show radial-2d > mine.toml      to start from
  csiq config show xenon-lung --json          every key, also those that it leaves at their defaults
"""
)
@click.argument("name", shell_complete=presets)
@options(JSON, DEBUG)
def show(name: str, as_json: bool) -> None:
    """Print a configuration: the TOML text of a preset."""
    from csiq.cli.output import json_line
    from csiq.config import load_config
    from csiq.presets import preset_text

    with called("NAME", "--preset"):
        text = preset_text(name)
    if as_json:
        click.echo(json_line({"preset": name, "config": load_config(preset=name).as_dict()}))
    else:
        click.echo(text, nl=False)


@config.command(
    epilog="""\b
Examples:
  csiq config check mine.toml
  csiq config check mine.toml --json          every key, merged with the defaults
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@options(JSON, DEBUG)
def check(file: Path, as_json: bool) -> None:
    """Check a TOML file: unknown keys, types and ranges."""
    from csiq.cli.output import json_line
    from csiq.config import load_config

    loaded = load_config(file=file)
    if as_json:
        click.echo(json_line({"file": file.name, "sha256": loaded.sha256(), "config": loaded.as_dict()}))
    else:
        click.echo(f"{file.name}: good, SHA-256 {loaded.sha256()[:12]}")
