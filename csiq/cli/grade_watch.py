"""``csiq grade --watch``: iterates of any program, graded as they are saved, and when to stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.grade import Graded, entry_of, line_of

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor
    from csiq.stopping import Rule
    from csiq.watch import Arrivals
    from csiq.watch.follow import Seen

#: When to stop, unless it is said.
_DEFAULT_RULE = "plateau"


@dataclass(frozen=True)
class Options:
    """What the command line says about watching."""

    pattern: str | None = None
    voxel_size: tuple[float, float, float] | None = None
    as_json: bool = False
    rule: str | None = None
    stop_file: Path | None = None
    end_file: Path | None = None
    timeout: str | None = None
    every: int = 1
    phases: int | None = None


def watch_folder(folder: Path, grader: Assessor, given: Options, pause: float = 1.0) -> None:
    """Print the grades of iterates as they come, until the rule fires or the run has ended.

    Parameters
    ----------
    folder : Path
    grader : Assessor
    given : Options
    pause : float
        Seconds between two looks; a file must stay as it is that long.

    Raises
    ------
    ConfigError
        If the folder or an option is wrong.
    OutputError
        If the stop file is there already: the other program would stop at once.
    ResourceError
        If no iterate came within the timeout.
    """
    from csiq.errors import OutputError, ResourceError
    from csiq.stopping import parse_stopping_rule
    from csiq.watch import Arrivals, Watch, follow

    rule = parse_stopping_rule(given.rule or _DEFAULT_RULE)
    arrivals = Arrivals(folder, given.pattern, given.phases, given.voxel_size, settle=pause)
    arrivals.files()
    if given.stop_file is not None and given.stop_file.exists():
        raise OutputError("is there already", file=given.stop_file, field="--stop-file", hint="remove it")
    watch = Watch(rule, given.every, pause, _timeout(given.timeout))
    last: Seen | None = None
    try:
        for last in follow(arrivals, grader, watch, _whether_running(folder, given.end_file)):
            _say(last, arrivals, given)
    except (ResourceError, KeyboardInterrupt):
        # what was found is not lost: which iteration to take is known without a plateau, too
        if last is not None:
            _say_end(last, rule, given)
        raise
    if last is not None:
        _say_end(last, rule, given)


def _timeout(text: str | None) -> float | None:
    from csiq.errors import ConfigError
    from csiq.quantities import seconds_of

    if text is None:
        return None
    try:
        return seconds_of(text)
    except ConfigError as error:
        raise ConfigError(error.what, field="--timeout", hint=error.hint) from None


def _whether_running(folder: Path, end_file: Path | None) -> Callable[[], bool]:
    """Return a function that says whether more may come: a run of csiq says so, others by a file."""

    def running() -> bool:
        """Return False once ``end_file`` exists, or a run of csiq in the folder has ended."""
        from csiq.report.record import read_record

        if end_file is not None and end_file.exists():
            return False
        if not (folder / "run.json").is_file():
            return True
        return read_record(folder).run.get("status") == "running"

    return running


def _say(seen: Seen, arrivals: Arrivals, given: Options) -> None:
    """Print one iterate, a line or an object a phase."""
    from csiq.cli.output import json_line
    from csiq.io.provenance import is_simulated

    simulated = is_simulated(seen.iterate.paths[0])
    pairs = zip(seen.iterate.volumes, seen.grades, strict=True)
    for phase, (volume, grade) in enumerate(pairs, start=1):
        which = {"event": "iterate", "iteration": seen.iterate.iteration, "phase": phase}
        if grade is None:
            if given.as_json:
                click.echo(json_line({**which, "volume": volume.name, "grade": None}))
            continue
        one = Graded(volume.name, grade, simulated)
        click.echo(json_line({**which, **entry_of(one)}) if given.as_json else line_of(one))
    _warn([*seen.warnings, *arrivals.warnings], given)
    arrivals.warnings.clear()


def _warn(warnings: list[str], given: Options) -> None:
    from csiq.cli.output import json_line

    for warning in warnings:
        if given.as_json:
            click.echo(json_line({"event": "warning", "message": warning}))
        else:
            click.echo(f"csiq: warning: {warning}", err=True)


def _say_end(last: Seen, rule: Rule, given: Options) -> None:
    """Print why it ended and which iteration to take; tell the other program if it is to be told."""
    from csiq.cli.output import json_line
    from csiq.io.tables import write_json

    content: dict[str, Any] = {
        "event": "end",
        "iteration": last.iterate.iteration,
        "best_iteration": last.best,
    }
    words = f"the last iterate is of iteration {last.iterate.iteration}; no plateau was seen"
    if last.stop is not None:
        content = {"event": "stop", **last.stop.as_json(), "best_iteration": last.best}
        words = f"stop at iteration {last.stop.iteration}: {rule.sentence()}"
        if given.stop_file is not None:
            write_json(given.stop_file, {k: v for k, v in content.items() if k != "event"})
    click.echo(
        json_line(content) if given.as_json else f"{words}; the image to take is of iteration {last.best}"
    )
