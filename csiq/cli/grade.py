"""``csiq grade``: the grade of any volume, or of the iterates of any reconstruction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.quality.origin import model_entry, signature

if TYPE_CHECKING:
    from csiq.io.images import Volume
    from csiq.quality.assessor import Assessor, Grade

#: How the iterates of a run are watched.
WATCHING = (
    click.option("--watch", is_flag=True, help="Go on with new iterates as they come, and say when to stop."),
    click.option(
        "--rule",
        metavar="RULE",
        help="When to stop watching, e.g. 'plateau(tol=5%) or time(30m)' [plateau]; see docs/stopping.md.",
    ),
    click.option(
        "--stop-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write it when it is time to stop.",
    ),
    click.option(
        "--end-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The other program has ended once this file is there.",
    ),
    click.option("--timeout", metavar="TIME", help="Give up if no iterate comes for e.g. 90s or 10m."),
    click.option(
        "--every", type=click.IntRange(1), default=1, metavar="N", help="Grade each N-th iteration."
    ),
    click.option(
        "--phases", type=click.IntRange(1), metavar="P", help="Files an iteration, if each phase is a file."
    ),
)


class Graded(NamedTuple):
    """A volume's grade, and whether files say that the volume is simulated."""

    name: str
    grade: Grade
    simulated: bool


@click.command(
    epilog="""\b
Examples:
  csiq grade scan.csiq/phase-*.nii.gz
  csiq grade --run scan.csiq --json
  csiq grade --run scan.csiq --watch        while csiq recon --save-iterates is running
  csiq grade --run bart --watch --pattern 'x*.cfl' --voxel-size 1 1 1 --stop-file bart/STOP
"""
)
@click.argument("volumes", metavar="VOLUME...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Grade the iterates that csiq or another program saved in a folder.",
)
@click.option("--pattern", metavar="GLOB", help="Which files of the folder [all images with a number].")
@click.option(
    "--voxel-size",
    type=(click.FloatRange(0, min_open=True),) * 3,
    metavar="Z Y X",
    help="Voxels in mm, where a file does not say it (BART) or is wrong.",
)
@click.option("--model", default="default", metavar="NAME|FILE", help="Grading network; see csiq model list.")
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to grade [cpu].")
@options(WATCHING, JSON, DEBUG)
@click.pass_context
def grade(
    context: click.Context,
    volumes: tuple[Path, ...],
    folder: Path | None,
    pattern: str | None,
    voxel_size: tuple[float, float, float] | None,
    model: str,
    device: str,
    watch: bool,
    as_json: bool,
    **watching: Any,
) -> None:
    """Grade volumes with a trained network.

    VOLUME is a NIfTI file (of four axes: a volume a phase), the folder of a DICOM series, an HDF5 file of
    ISMRMRD images or with /volumes (phases, z, y, x), complex or real, and their attribute voxel_size_mm
    (z y x), or BART's .cfl. Grades run from 0 (nondiagnostic) to 4 (excellent); the range behind a grade
    holds the reference that noise-free reading would give in 90 % of images like those that the model was
    calibrated on. Grades of measured scans are called uncalibrated unless the model learned from a site's
    readers or csiq model calibrate has taken it to the scale of one. Research use only: the network that
    ships learned from simulated readers.

    With --watch the iterates of a folder are graded as they come, in the order of the numbers in their names,
    until the rule fires, the run of csiq has ended or --end-file is there (exit code 0), or nothing comes any
    more (--timeout, exit code 5). However it ends, the last line says which iteration to take.
    """
    from csiq.errors import ConfigError
    from csiq.plugins import load_assessor

    if bool(volumes) == (folder is not None):
        raise ConfigError("expected either volumes or --run DIR", field="VOLUME")
    _check_no_run(volumes)
    _check_watching(context, watch, folder)
    grader = load_assessor(model, device)
    if watch and folder is not None:
        from csiq.cli.grade_watch import Options, watch_folder

        watch_folder(folder, grader, Options(pattern, voxel_size, as_json, **watching))
        return
    paths = list(volumes) if folder is None else saved_volumes(folder, pattern)
    show(_graded(grader, paths, voxel_size), as_json=as_json)
    if not as_json:
        click.echo(signature(model_entry(grader.name, grader.sha256, grader.card)), err=True)


def _check_no_run(volumes: Sequence[Path]) -> None:
    """Refuse the folder of a run, which would else be looked through for DICOM images."""
    from csiq.errors import ConfigError
    from csiq.io.run_folder import is_run_folder

    for path in volumes:
        if path.is_dir() and is_run_folder(path):
            raise ConfigError(
                "is the folder of a run, expected images",
                file=path,
                field="VOLUME",
                hint=f"{path.name}/phase-*.nii.gz, or --run {path.name}",
            )


def _check_watching(context: click.Context, watch: bool, folder: Path | None) -> None:
    """Refuse options that would do nothing."""
    from click.core import ParameterSource

    from csiq.errors import ConfigError

    names = {"watch": folder is not None, "pattern": folder is not None}
    names |= dict.fromkeys(("rule", "stop_file", "end_file", "timeout", "every", "phases"), watch)
    for name, fits in names.items():
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE and not fits:
            needs = "--run DIR" if name in ("watch", "pattern") else "--watch"
            raise ConfigError(f"needs {needs}", field=f"--{name.replace('_', '-')}")


def saved_volumes(folder: Path, pattern: str | None = None) -> list[Path]:
    """Return the files of a run's iterates, csiq's or another program's, in order; else those of its phases.

    Raises
    ------
    RawDataError
        If there is neither.
    """
    from csiq.errors import RawDataError
    from csiq.watch import Arrivals

    found = [file.path for file in Arrivals(folder, pattern).files()]
    if pattern and not found:
        what = f"no file with a number in its name fits '{pattern}'"
        raise RawDataError(what, file=folder, field="--pattern")
    found = found or sorted(folder.glob("phase-*.nii.gz"))
    if not found:
        raise RawDataError(
            "holds no iterates and no phases",
            file=folder,
            hint="csiq recon --save-iterates keeps them; those of others need a number in their names",
        )
    return found


def read_volumes(path: Path) -> Iterator[Volume]:
    """Yield the volumes of a file; see :func:`csiq.io.images.read_images`.

    Raises
    ------
    CsiqError
        If there is no such file, or it is none that csiq reads.
    """
    from csiq.io.images import read_images

    yield from read_images(path)


def _graded(
    grader: Assessor, paths: Sequence[Path], voxel_size: tuple[float, float, float] | None
) -> Iterator[Graded]:
    from csiq.io.images import read_images
    from csiq.io.provenance import is_simulated

    for path in paths:
        simulated = is_simulated(path)
        for volume in read_images(path, voxel_size):
            yield Graded(volume.name, grader.grade(volume.values, volume.voxel_size), simulated)


def show(graded: Iterator[Graded], *, as_json: bool) -> None:
    """Print grades: a line each as they come, or one JSON list."""
    from csiq.cli.output import json_line

    collected: list[dict[str, Any]] = []
    for one in graded:
        if as_json:
            collected.append(entry_of(one))
            continue
        click.echo(line_of(one))
        for warning in one.grade.warnings:
            click.echo(f"csiq: warning: {one.name}: {warning}", err=True)
    if as_json:
        click.echo(json_line(collected))


def entry_of(one: Graded) -> dict[str, Any]:
    """Return the object that ``--json`` prints of a grade."""
    found = one.grade
    return {
        "volume": one.name,
        "grade": found.grade,
        "grade_sd": found.grade_sd,
        "in_domain": found.in_domain,
        "interval": list(found.interval) if found.interval is not None else None,
        "uncertainty": found.uncertainty,
        "uncalibrated": not (found.calibrated or one.simulated),
    }


def line_of(one: Graded) -> str:
    """Return a grade in words."""
    from csiq.ranking import words_of

    found = one.grade
    bounds = f" [{found.interval[0]:.2f} to {found.interval[1]:.2f}]" if found.interval is not None else ""
    raw = "" if found.calibrated or one.simulated else "  uncalibrated"
    words = words_of(found.grade, found.in_domain)
    return f"{one.name}  {found.grade:.2f}{bounds} (sd {found.grade_sd:.2f})  {words}{raw}"
