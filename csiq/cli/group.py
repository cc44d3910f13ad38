"""The group of all commands; a command's module is imported when the command is called."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click

from csiq._version import __version__


class Entry(NamedTuple):
    """Where a command lives, and the line that ``csiq --help`` shows of it."""

    module: str
    attribute: str
    help: str


#: Every command; its first line of help is repeated here, so that the list needs no import (a test compares).
COMMANDS = {
    "demo": Entry(
        "csiq.cli.demo", "demo", "Simulate a breathing scan, reconstruct it, and write its report."
    ),
    "recon": Entry(
        "csiq.cli.recon", "recon", "Reconstruct a radial scan; stop when its grade no longer changes."
    ),
    "info": Entry("csiq.cli.info", "info", "Show what is in a raw file."),
    "check": Entry(
        "csiq.cli.check", "check", "Say what is wrong with a raw file, and what a recon would cost."
    ),
    "grade": Entry("csiq.cli.grade", "grade", "Grade volumes with a trained network."),
    "rank": Entry("csiq.cli.rank", "rank", "Rank the breathing phases of finished runs."),
    "curves": Entry("csiq.cli.curves", "curves", "Show and plot grade and cost against iteration."),
    "report": Entry("csiq.cli.report", "report", "Write the report page of a run again."),
    "simulate": Entry(
        "csiq.cli.simulate", "simulate", "Simulate a breathing whole-heart scan, with its truth."
    ),
    "tune": Entry("csiq.cli.tune", "tune", "Find the weight of the penalty by image quality."),
    "cohort": Entry("csiq.cli.cohort", "cohort", "Reconstruct many raw scans, or make a digital cohort."),
    "study": Entry("csiq.cli.study", "study", "Repeat the paper's study on simulated raw scans."),
    "train": Entry("csiq.cli.train", "train", "Train a grading network on graded volumes."),
    "agree": Entry("csiq.cli.agree", "agree", "Say how readers agree, every pair of them."),
    "heatmap": Entry("csiq.cli.heatmap", "heatmap", "Show which parts of a volume its grade comes from."),
    "read": Entry(
        "csiq.cli.read",
        "read",
        "Make an offline page for blinded reading of volumes, or collect its results.",
    ),
    "evaluate": Entry("csiq.cli.evaluate", "evaluate", "Evaluate a network on graded images."),
    "model": Entry("csiq.cli.model", "model", "List, show, verify, import and calibrate grading models."),
    "convert": Entry("csiq.cli.convert", "convert", "Convert a raw scan or images to another format."),
    "config": Entry("csiq.cli.config", "config", "List, show and check configurations."),
    "doctor": Entry("csiq.cli.doctor", "doctor", "Check this installation and say what it can use."),
    "completion": Entry("csiq.cli.completion", "completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, the main job first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command = getattr(import_module(entry.module), entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown one is an error that names the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from csiq.errors import nearest

            raise click.UsageError(f"no command '{args[0]}'; {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


EXAMPLES = """\b
Examples:
  csiq demo                                 see it work, no data needed
  csiq recon scan.h5 --stop-on-plateau      the main job; the report is scan.csiq/report.html
  csiq recon --help                         all options
"""


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="csiq", message="%(prog)s %(version)s")
def csiq() -> None:
    """Reconstruct radial heart MRI; stop when the image quality stops improving; rank the breathing phases.

    csiq reads one raw scan, sorts it by breathing, reconstructs the phases by compressed sensing, lets a
    trained network grade every iterate, stops at the plateau of the grade, and says which phases look best.
    Research use only.
    """
