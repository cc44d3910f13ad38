"""Lines on how work over many scans goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from csiq.cohort.database import Progress


def only_failures(step: Progress) -> None:
    """Print a warning of a scan that failed."""
    if step.error is not None:
        click.echo(f"csiq: warning: {step.name}: {step.error}", err=True)


def line_a_scan(step: Progress) -> None:
    """Print a line of each scan that ended."""
    from csiq.report.verdict import duration

    failed = f", failed: {step.error}" if step.error is not None else ""
    left = f", {duration(step.seconds_left)} left" if step.done < step.total else ""
    click.echo(f"{step.name}, {step.done} of {step.total}, {duration(step.seconds)}{left}{failed}", err=True)
