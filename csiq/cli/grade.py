"""``csiq grade``: the grade of any volume, or of the iterates of any reconstruction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    import numpy as np

    from csiq.quality.grade import Grade, Grader

#: Seconds between two looks into a folder that is watched.
_PAUSE = 1.0


class Volume(NamedTuple):
    """A volume to grade: what it is called, its voxels z y x, and their size in mm."""

    name: str
    values: np.ndarray
    voxel_size: tuple[float, float, float]


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
"""
)
@click.argument("volumes", metavar="VOLUME...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Grade the iterates of a run."
)
@click.option("--watch", is_flag=True, help="Go on with new iterates as they come, until the run has ended.")
@click.option("--model", default="default", metavar="NAME|FILE", help="Grading network; see csiq model list.")
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to grade [cpu].")
@options(JSON, DEBUG)
def grade(
    volumes: tuple[Path, ...], folder: Path | None, watch: bool, model: str, device: str, as_json: bool
) -> None:
    """Grade volumes with a trained network.

    VOLUME is a NIfTI file, the folder of a DICOM series, or an HDF5 file with /volumes (phases, z, y, x),
    complex or real, and their attribute voxel_size_mm (z y x). Grades run from 0 (nondiagnostic) to 4
    (excellent); the range behind a grade holds the reference that noise-free reading would give in 90 % of
    cases. Grades of measured scans are called uncalibrated until csiq model calibrate has taken the model to
    the scale of the site's reader.
    """
    from csiq.errors import ConfigError
    from csiq.quality.grade import Grader

    if bool(volumes) == (folder is not None):
        raise ConfigError("expected either volumes or --run DIR", field="VOLUME")
    if watch and folder is None:
        raise ConfigError("needs --run DIR", field="--watch")
    grader = Grader.load(model, device)
    if watch and folder is not None:
        for path in iterates_as_they_come(folder):
            show(_graded(grader, [path]), as_json=as_json, one_by_one=True)
        return
    paths = list(volumes) if folder is None else saved_volumes(folder)
    show(_graded(grader, paths), as_json=as_json)


def saved_volumes(folder: Path) -> list[Path]:
    """Return the iterates of a run, or its phases if the iterates were not saved.

    Raises
    ------
    RawDataError
        If there is neither.
    """
    from csiq.errors import ConfigError, RawDataError

    if not folder.is_dir():
        raise ConfigError("no such folder", file=folder, hint="expected the folder of a run")
    found = sorted(folder.glob("iterates/iter-*.h5")) or sorted(folder.glob("phase-*.nii.gz"))
    if not found:
        raise RawDataError(
            "holds no iterates and no phases", file=folder, hint="csiq recon --save-iterates keeps them"
        )
    return found


def iterates_as_they_come(folder: Path, pause: float = _PAUSE) -> Iterator[Path]:
    """Yield the saved iterates of a run that may still be going on, each once, until it has ended."""
    from csiq.report.record import read_record

    seen: set[Path] = set()
    while True:
        # asked before looking: what a run saved before it ended is then never missed
        running = read_record(folder).run.get("status") == "running"
        new = [path for path in sorted(folder.glob("iterates/iter-*.h5")) if path not in seen]
        yield from new
        seen.update(new)
        if not running:
            return
        time.sleep(pause)


def read_volumes(path: Path) -> Iterator[Volume]:
    """Yield the volumes of a file.

    Raises
    ------
    CsiqError
        If there is no such file, or it is none that csiq reads.
    """
    from csiq.errors import RawDataError
    from csiq.io.sniff import check_readable

    if path.is_dir():
        from csiq.io.dicom import read_series

        yield Volume(path.name, *read_series(path))
        return
    check_readable(path)
    if path.name.endswith((".nii", ".nii.gz")):
        from csiq.io.nifti import read_volume

        values, voxel_size, _ = read_volume(path)
        yield Volume(path.name, values, voxel_size)
    elif path.suffix in (".h5", ".hdf5"):
        yield from _read_h5(path)
    else:
        raise RawDataError(
            "expected NIfTI (.nii, .nii.gz), HDF5 (.h5) or the folder of a DICOM series", file=path
        )


def _read_h5(path: Path) -> Iterator[Volume]:
    from csiq.errors import RawDataError
    from csiq.io.volumes import read_complex_volumes

    volumes, attributes = read_complex_volumes(path)
    if "voxel_size_mm" not in attributes:
        raise RawDataError("no voxel size", file=path, field="/volumes@voxel_size_mm", hint="in mm, z y x")
    dz, dy, dx = (float(v) for v in attributes["voxel_size_mm"])
    for phase, volume in enumerate(volumes, start=1):
        yield Volume(path.name if len(volumes) == 1 else f"{path.name}:phase-{phase}", volume, (dz, dy, dx))


def _graded(grader: Grader, paths: Sequence[Path]) -> Iterator[Graded]:
    from csiq.io.provenance import is_simulated

    for path in paths:
        simulated = is_simulated(path)
        for volume in read_volumes(path):
            yield Graded(volume.name, grader.grade(volume.values, volume.voxel_size), simulated)


def show(graded: Iterator[Graded], *, as_json: bool, one_by_one: bool = False) -> None:
    """Print grades: a line each as they come, or one JSON list (a JSON object a line while watching)."""
    from csiq.cli.output import json_line

    collected: list[dict[str, Any]] = []
    for one in graded:
        if as_json:
            entry = _entry(one)
            if one_by_one:
                click.echo(json_line(entry))
            collected.append(entry)
            continue
        click.echo(_line(one))
        for warning in one.grade.warnings:
            click.echo(f"csiq: warning: {one.name}: {warning}", err=True)
    if as_json and not one_by_one:
        click.echo(json_line(collected))


def _entry(one: Graded) -> dict[str, Any]:
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


def _line(one: Graded) -> str:
    from csiq.ranking import words_of

    found = one.grade
    bounds = f" [{found.interval[0]:.2f} to {found.interval[1]:.2f}]" if found.interval is not None else ""
    outside = "" if found.in_domain else "  outside the training domain"
    raw = "" if found.calibrated or one.simulated else "  uncalibrated"
    words = words_of(found.grade)
    return f"{one.name}  {found.grade:.2f}{bounds} (sd {found.grade_sd:.2f})  {words}{outside}{raw}"
