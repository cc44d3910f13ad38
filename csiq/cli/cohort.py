"""``csiq cohort``: raw scans of one's own, or a digital cohort with simulated readers; how far either is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.cohort_run import folder_of, is_cohort_run, list_raw, report, run, show_status
from csiq.cli.options import DEBUG, JSON, options
from csiq.cli.output import echo_pairs, echo_table, json_line

if TYPE_CHECKING:
    from csiq.cohort.database import Progress
    from csiq.cohort.following import Listener

_FOLDER = click.Path(path_type=Path)
_BAR = 40  # characters of the longest bar


@click.group(
    name="cohort",
    epilog="""\b
Examples:
  csiq cohort init scans.tsv raw/             a manifest of the raw files in raw/
  csiq cohort run scans.tsv --stop-on-plateau
  csiq cohort status scans.tsv
  csiq cohort init cohort                     a digital cohort, with simulated readers
""",
)
def cohort() -> None:
    """Reconstruct many raw scans, or make a digital cohort."""


cohort.add_command(run)
cohort.add_command(report)


@cohort.command(
    name="init",
    epilog="""\b
Examples:
  csiq cohort init cohort                     the paper's study: 424 patients, hours and 17 GB
  csiq cohort init small --patients 40 --matrix 96 --no-raw
  csiq cohort init cohort --iterates 36 --iterate-matrix 128 --iterate-matrix 144
                                              iterates of 36 patients' reconstructions, too
  csiq cohort init cohort --coarse 424 --coarse-matrix 128 --coarse-matrix 144
                                              each patient once more, in larger voxels
  csiq cohort init cohort --resume            go on after an interruption
  csiq cohort init scans.tsv raw/             no digital cohort: a manifest of the raw files in raw/
  csiq cohort init scans.tsv a.h5 b.dat --config whole-heart
""",
)
@click.argument("folder", metavar="DIR|MANIFEST.tsv", type=_FOLDER)
@click.argument("raw", metavar="[RAW]...", nargs=-1, type=_FOLDER)
@click.option("--config", metavar="NAME|FILE", help="For the raw files: a preset, or a TOML file.")
@click.option("--study", default="paper", show_default=True, metavar="NAME", help="What to make: paper.")
@click.option(
    "--patients", type=click.IntRange(1), default=424, show_default=True, metavar="N", help="People."
)
@click.option(
    "--matrix",
    type=click.IntRange(16),
    default=208,
    show_default=True,
    metavar="N",
    help="Voxels over 208 mm.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another cohort.")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes, of one thread each [all cores]."
)
@click.option("--no-raw", is_flag=True, help="No raw scans of test patients.")
@click.option(
    "--raw-matrix", type=click.IntRange(16), default=144, show_default=True, metavar="N", help="Of scans."
)
@click.option(
    "--raw-coils", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Of scans."
)
@click.option(
    "--iterates",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Patients who train, with graded iterates of one of these scans, too.",
)
@click.option(
    "--test-iterates",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Test patients with such iterates, in a manifest of their own.",
)
@click.option(
    "--iterate-matrix",
    type=click.IntRange(16),
    multiple=True,
    metavar="N",
    help="Of the scans of iterates, repeatable: one is drawn for each patient [--raw-matrix].",
)
@click.option(
    "--smeared",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Patients who train, with coronaries smeared in one volume and all but these in another.",
)
@click.option(
    "--coarse",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="First patients with a volume of larger voxels, too.",
)
@click.option(
    "--coarse-matrix",
    type=click.IntRange(16),
    multiple=True,
    metavar="N",
    help="Of these, repeatable: one is drawn for each patient [--raw-matrix].",
)
@click.option("--resume", is_flag=True, help="Keep what is finished, and go on.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first.")
@click.option("-q", "--quiet", is_flag=True, help="No line a patient.")
@options(JSON, DEBUG)
@click.pass_context
def init(
    context: click.Context,
    folder: Path,
    raw: tuple[Path, ...],
    config: str | None,
    study: str,
    patients: int,
    matrix: int,
    seed: int,
    workers: int | None,
    no_raw: bool,
    raw_matrix: int,
    raw_coils: int,
    iterates: int,
    test_iterates: int,
    iterate_matrix: tuple[int, ...],
    smeared: int,
    coarse: int,
    coarse_matrix: tuple[int, ...],
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a digital cohort: patients, graded volumes, simulated readers, splits, raw scans.

    DIR/graded.tsv lists the volumes with their grades and splits, DIR/scans.tsv the raw scans. Everything
    follows from the seed, whatever the number of workers; what is finished stays finished. Research use only.

    Given a MANIFEST.tsv and RAW files or folders: write the table that csiq cohort run takes. Scans are
    called as their files; change names and configurations with any editor.
    """
    if raw or folder.suffix == ".tsv":
        list_raw(context, folder, raw, config, overwrite=overwrite, as_json=as_json)
        return
    if config is not None:
        raise click.UsageError("--config is for raw files that are listed", context)
    from csiq.arrays import default_threads
    from csiq.cohort.cohort_folder import StudyConfig
    from csiq.cohort.following import Running
    from csiq.cohort.study import init_cohort

    asked = StudyConfig(
        study,
        patients,
        matrix,
        seed,
        not no_raw,
        raw_matrix,
        raw_coils,
        iterates,
        test_iterates,
        iterate_matrix,
        smeared,
        coarse,
        coarse_matrix,
    )
    running = Running(workers or default_threads(), overwrite, resume)
    record = init_cohort(folder, asked, running, image_maker(), _silent if quiet else _line_a_patient())
    _show(folder, record, as_json=as_json)


@cohort.command(
    name="status",
    epilog="""\b
Examples:
  csiq cohort status cohort
  csiq cohort status scans.csiq               raw scans: running, finished, failed, waiting
  csiq cohort status scans.tsv --json
""",
)
@click.argument("folder", metavar="DIR|MANIFEST.tsv", type=_FOLDER)
@options(JSON, DEBUG)
def status(folder: Path, as_json: bool) -> None:
    """Say how far a cohort is, also while it runs."""
    from csiq.cohort.study import state_of

    given, folder = folder, folder_of(folder)
    if given.suffix == ".tsv" or is_cohort_run(folder):
        show_status(folder, as_json=as_json)
        return
    state = state_of(folder)
    if as_json:
        click.echo(json_line(state))
        return
    _echo_state(state)
    if state["summary"] is not None:
        echo_summary(state["summary"])


def image_maker() -> Any:
    """Return what makes the images of a cohort."""
    from csiq.cohort.graded_image import graded_image

    return graded_image


def echo_summary(summary: dict[str, Any]) -> None:
    """Print grades, parts and readers of a cohort."""
    most = max(summary["grades"].values())
    click.echo("\ngrades of reader 1a")
    for grade, count in summary["grades"].items():
        click.echo(f"  {grade}  {count:>4}  {'#' * round(_BAR * count / max(most, 1))}".rstrip())
    click.echo(f"  mean {summary['grade_mean']:.2f}, SD {summary['grade_sd']:.2f}\n")
    columns = ("part", "patients", "men", "age", "sd", "grade", "sd")
    keys = ("patients", "men", "age_mean", "age_sd", "grade_mean", "grade_sd")
    echo_table(columns, [(name, *(part[key] for key in keys)) for name, part in summary["parts"].items()])
    click.echo()
    pairs = [(f"{p['a']} - {p['b']}", p["bias"], p["sd"]) for p in summary["readers"]]
    echo_table(("readers", "bias", "sd"), pairs)
    for line in summary["shortfalls"]:
        click.echo(f"csiq: warning: {line}", err=True)


def _show(folder: Path, record: dict[str, Any], *, as_json: bool) -> None:
    from csiq.cohort.study import state_of

    if as_json:
        click.echo(json_line(record))
        return
    _echo_state(state_of(folder))
    echo_summary(record["summary"])


def _echo_state(state: dict[str, Any]) -> None:
    from csiq.io.sniff import in_bytes
    from csiq.report.verdict import duration

    runs = [
        f"{r['what']}: {r['made']} in {duration(r['seconds'])}, {r['workers']} workers" for r in state["runs"]
    ]
    echo_pairs(
        {
            "status": state["status"],
            "seed": state["config"]["seed"],
            "volumes": "{done} of {of}".format(**state["volumes"]),
            "raw scans": "{done} of {of}".format(**state["scans"]),
            "iterates": "{done} of {of} patients".format(**state["iterates"])
            if state["iterates"]["of"]
            else None,
            "smeared": "{done} of {of} patients".format(**state["smeared"])
            if state["smeared"]["of"]
            else None,
            "coarse volumes": "{done} of {of}".format(**state["coarse"]) if state["coarse"]["of"] else None,
            "disk": in_bytes(state["disk_bytes"]),
            "made": "; ".join(runs) or None,
        }
    )


def _silent(what: str, step: Progress) -> None:
    if step.error is not None:
        click.echo(f"csiq: warning: {step.name}: {step.error}", err=True)


def _line_a_patient() -> Listener:
    from csiq.report.verdict import duration

    def show(what: str, step: Progress) -> None:
        """Print a step that has ended on stderr; a patient that failed with its error."""
        failed = f", failed: {step.error}" if step.error is not None else ""
        left = f", {duration(step.seconds_left)} left" if step.done < step.total else ""
        each = step.seconds / step.done
        click.echo(
            f"{what}: {step.name}, {step.done} of {step.total}, {each:.1f} s each{left}{failed}", err=True
        )

    return show
