"""``csiq cohort run`` and ``report``: raw scans of one's own, many of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from csiq.cli.options import (
    CONFIGURATION,
    DEBUG,
    JSON,
    MODELLING,
    READING,
    RUNNING,
    STOPPING,
    called,
    given_keys,
    options,
    without,
)
from csiq.cli.output import echo_pairs, echo_table, json_line
from csiq.cli.progress import line_a_scan, only_failures

if TYPE_CHECKING:
    from csiq.cohort_run.request import CohortRequest
    from csiq.cohort_run.run import Listening, Plan

_PATH = click.Path(path_type=Path)
#: Parameters of ``init`` that go with raw files.
_OF_LISTING = ("folder", "raw", "config", "overwrite", "as_json", "quiet")


@click.command(
    name="run",
    epilog="""\b
Examples:
  csiq cohort run scans.tsv --stop-on-plateau            one folder a scan in scans.csiq, and cohort.html
  csiq cohort run scans.tsv -o out --workers 4
  csiq cohort run scans.tsv --resume                     go on; scans that failed are tried again
  csiq cohort run scans.tsv --engine dask --scheduler tcp://10.0.0.1:8786
  csiq cohort run scans.tsv --dry-run                    check the manifest and say what is left
""",
)
@click.argument("manifest", metavar="MANIFEST.tsv", type=_PATH)
@click.option("-o", "--output", "folder", type=_PATH, metavar="DIR", help="Folder [./<stem>.csiq].")
@click.option("--engine", metavar="local|dask", default="local", help="Where scans run [local].")
@click.option("--scheduler", metavar="ADDRESS", help="Of the Dask scheduler, e.g. tcp://10.0.0.1:8786.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Local processes [one a GPU; without one, one for each four cores].",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first scan that fails.")
@click.option("--resume", is_flag=True, help="Keep what is finished, and go on.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first.")
@click.option("--dry-run", is_flag=True, help="Check everything, reconstruct nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No line a scan.")
@options(CONFIGURATION, without(STOPPING, "truth"), MODELLING, READING, RUNNING)
@JSON
@DEBUG
@click.pass_context
def run(
    context: click.Context,
    manifest: Path,
    folder: Path | None,
    engine: str,
    scheduler: str | None,
    workers: int | None,
    fail_fast: bool,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **keys: Any,
) -> None:
    """Reconstruct many raw scans, each into a folder of its own.

    MANIFEST.tsv is a table separated by tabs with the columns scan (a name), raw (a file, relative to the
    manifest) and, if wanted, config (a preset or a TOML file). All that is wrong with it is said before any
    work starts. A scan that fails, or kills its process, does not stop the others: the exit code is then 6,
    and --resume tries it again. --preset and --config are for scans whose config is empty or nan; every other
    option below is as of csiq recon and wins for all scans. See docs/cohorts.md. Research use only.
    """
    from csiq.cohort_run.request import CohortRequest, HowToRun, default_folder
    from csiq.cohort_run.run import run_cohort

    target = folder or default_folder(manifest)
    named = (keys.get("preset"), keys.get("config_file"))
    request = CohortRequest(manifest, target, *named, given_keys(context))
    how = HowToRun(engine, scheduler, workers, fail_fast, overwrite, resume)
    if dry_run:
        _check(request, as_json=as_json)
        return
    record = run_cohort(request, how, _listening(quiet=quiet))
    if as_json:
        click.echo(json_line(record))
        return
    show_status(target)
    click.echo(f"page: {target / 'cohort.html'}")


@click.command(
    name="report",
    epilog="""\b
Examples:
  csiq cohort report scans.csiq
  csiq cohort report scans.tsv          the folder that csiq cohort run scans.tsv writes to
""",
)
@click.argument("folder", metavar="DIR|MANIFEST.tsv", type=_PATH)
@options(JSON, DEBUG)
def report(folder: Path, as_json: bool) -> None:
    """Write cohort.html and cohort.tsv of a cohort of raw scans again.

    Works at any time, also while the cohort runs: scans, best phases, plateaus, failures. The page works
    offline; the table can be sorted. Research use only.
    """
    from csiq.cohort_run.report import write_report

    page = write_report(folder_of(folder))
    click.echo(json_line({"report": page.name, "bytes": page.stat().st_size}) if as_json else str(page))


def list_raw(
    context: click.Context,
    manifest: Path,
    raw: tuple[Path, ...],
    config: str | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a manifest of raw files: ``csiq cohort init MANIFEST.tsv RAW...``."""
    from csiq.cohort_run.listing import write_listing

    if not raw:
        raise click.UsageError("Missing argument 'RAW...': the raw files, or folders, to list", context)
    if manifest.suffix != ".tsv":
        raise click.UsageError(f"a manifest ends in .tsv, '{manifest.name}' does not", context)
    given = (n for n in context.params if context.get_parameter_source(n) == ParameterSource.COMMANDLINE)
    foreign = [name for name in given if name not in _OF_LISTING]
    if foreign:
        option = f"--{foreign[0].replace('_', '-')}"
        raise click.UsageError(f"{option} is for a digital cohort, not for raw files", context)
    with called("--config", "--preset"):
        scans = write_listing(manifest, raw, config, overwrite=overwrite)
    if as_json:
        click.echo(json_line({"manifest": manifest.name, "scans": [scan.scan for scan in scans]}))
        return
    count, them = ("1 scan", "it") if len(scans) == 1 else (f"{len(scans)} scans", "them")
    click.echo(f"{manifest}: {count}; csiq cohort run {manifest} reconstructs {them}")


def folder_of(given: Path) -> Path:
    """Return the folder of a cohort by itself, or by its manifest."""
    from csiq.cohort_run.request import default_folder

    return default_folder(given) if given.suffix == ".tsv" and not given.is_dir() else given


def is_cohort_run(folder: Path) -> bool:
    """Return whether a folder is of a cohort of raw scans, and not of a digital one."""
    from csiq.cohort_run.folder import RECORD

    return (folder / RECORD).is_file()


def show_status(folder: Path, *, as_json: bool = False) -> None:
    """Print where a cohort of raw scans stands."""
    from csiq.cohort_run.status import status_of
    from csiq.report.verdict import duration

    state = status_of(folder)
    if as_json:
        click.echo(json_line(state))
        return
    runs = [f"{r['scans']} in {duration(r['seconds'])}" for r in state["runs"]]
    echo_pairs(
        {
            "status": state["status"],
            "manifest": state["manifest"],
            **{name: f"{n} of {state['of']}" for name, n in state["scans"].items() if n},
            "made": "; ".join(runs) or None,
        }
    )
    if state["running"]:
        click.echo()
        rows = [(one["scan"], one["iterations"]) for one in state["running"]]
        echo_table(("running", "iterations"), rows)
    for one in state["failed"]:
        click.echo(f"failed: {one['scan']}: {one['error']}")


def _check(request: CohortRequest, *, as_json: bool) -> None:
    from csiq.cohort_run.job import is_finished
    from csiq.cohort_run.run import check_cohort

    jobs, _ = check_cohort(request)
    left = [job.name for job in jobs if not is_finished(job)]
    if as_json:
        click.echo(json_line({"scans": len(jobs), "left": left}))
        return
    click.echo(f"{request.manifest.name}: {len(jobs)} scans, nothing wrong with them; {len(left)} left to do")


def _listening(*, quiet: bool) -> Listening:
    from csiq.cohort_run.run import Listening

    return Listening(_warning_of_plan, only_failures) if quiet else Listening(_tell_plan, line_a_scan)


def _warning_of_plan(plan: Plan) -> None:
    if plan.warning:
        click.echo(f"csiq: warning: {plan.warning}", err=True)


def _tell_plan(plan: Plan) -> None:
    click.echo(f"{len(plan.jobs)} of {plan.total} scans to do: {plan.place}", err=True)
    _warning_of_plan(plan)
