"""``csiq completion``: make the shell complete commands and options."""

from __future__ import annotations

import click

from csiq.cli.options import DEBUG, options


@click.command(
    epilog="""\b
Examples:
  eval "$(csiq completion bash)"
  csiq completion fish > ~/.config/fish/completions/csiq.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options(DEBUG)
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from csiq.cli.group import csiq

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(csiq, {}, "csiq", "_CSIQ_COMPLETE").source())
