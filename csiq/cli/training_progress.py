"""How far a training is, for people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click


def warnings_only(event: dict[str, Any]) -> None:
    """Show warnings."""
    if event["event"] == "warning":
        click.echo(f"csiq: warning: {event['message']}", err=True)


#: Steps over which the loss that is shown is a mean, about.
_STEPS = 50


class Progress:
    """Shows a training: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._loss, self._steps = 0.0, 0
        self._write: Callable[[str], None] = lambda text: click.echo(text, err=True)

    def __call__(self, event: dict[str, Any]) -> None:
        """Show what a training tells."""
        kind = event["event"]
        if kind == "warning":
            self._write(f"csiq: warning: {event['message']}")
        elif kind == "training":
            self._write(f"training {event['number']} of {event['of']}: {event['folder']}")
        elif kind == "statistics":
            self._write(f"looked at {event['done']} of {event['of']} volumes")
        elif kind == "iteration":
            self._iteration(event)

    def _iteration(self, event: dict[str, Any]) -> None:
        self._steps += 1
        self._loss += (event["loss"] - self._loss) / min(self._steps, _STEPS)
        now, of = event["iteration"], event["of"]
        held_out = event.get("validation_patient_l1")
        more = f", held-out {held_out:.3f}" if held_out is not None else ""
        text = f"iteration {now} of {of}: loss {self._loss:.3f}{more}"
        if self._live:
            ends = now == of or held_out is not None
            click.echo(f"\r\033[K{text}", err=True, nl=ends)
        elif now == of or held_out is not None or now % max(of // 20, 1) == 0:
            self._write(text)
        if now == of:
            self._loss, self._steps = 0.0, 0
