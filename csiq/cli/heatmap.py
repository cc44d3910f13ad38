"""``csiq heatmap``: which parts of a volume its grade comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    from csiq.heatmap import HeatMap, Occlusion
    from csiq.quality.grade import Grader

_FILE = click.Path(path_type=Path)
_AXES = ("axial", "coronal", "sagittal")


@click.command(
    epilog="""\b
Examples:
  csiq heatmap volume.nii.gz                       in volume.heatmap/: overlay, figure, film
  csiq heatmap volume.nii.gz --fill blur           where sharpness counts (ours)
  csiq heatmap volume.nii.gz --slices graded --axis all
  csiq heatmap volume.nii.gz --mask 16 --stride 8 --animation mp4 -o DIR
  csiq heatmap scan.csiq/phase-1.nii.gz --every 4  a fourth of the time, interpolated between
"""
)
@click.argument("volume", metavar="VOLUME", type=_FILE)
@click.option("-o", "--output", type=_FILE, metavar="DIR", help="Folder to write to [VOLUME's stem.heatmap].")
@click.option("--model", default="default", metavar="NAME|FILE", help="Grading network; see csiq model list.")
@click.option("--mask", type=int, default=8, show_default=True, metavar="N", help="Side of the mask, mm.")
@click.option(
    "--stride", type=click.IntRange(1), metavar="N", help="From one mask to the next, mm [half the mask]."
)
@click.option(
    "--axis",
    type=click.Choice([*_AXES, "all"]),
    default="axial",
    show_default=True,
    help="Orientation of the slices; all: the mean of three.",
)
@click.option(
    "--slices",
    type=click.Choice(["all", "cube", "graded"]),
    default="all",
    show_default=True,
    help="Of the whole volume, of the cube that the grade comes from, or those six that are graded.",
)
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, metavar="MM", help="Of all or cube."
)
@click.option(
    "--fill",
    type=click.Choice(["zero", "blur"]),
    default="zero",
    show_default=True,
    help="What a mask shows: zeros as in the paper, or (ours) the slice blurred by 2 mm.",
)
@click.option(
    "--normalise",
    type=click.Choice(["slice", "volume"]),
    default="slice",
    show_default=True,
    help="The range that becomes 0 to 1.",
)
@click.option(
    "--animation",
    type=click.Choice(["gif", "mp4", "none"]),
    default="gif",
    show_default=True,
    help="Film through the volume; mp4 needs ffmpeg.",
)
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to compute [cpu].")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads [all].")
@click.option("--overwrite", is_flag=True, help="Replace the heat map in DIR.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@options(JSON, DEBUG)
def heatmap(volume: Path, **given: Any) -> None:
    """Show which parts of a volume its grade comes from.

    The occlusion procedure of Piccini et al. 2020: a square is set to zero everywhere in turn, each slice is
    graded, and every voxel gets the mean grade of the squares that do not hide it: heatmap.nii.gz.
    relevance.nii.gz is csiq's own: the grade that is lost when a voxel is hidden. Both lie on VOLUME's grid.
    A black square adds edges of its own; --fill blur does not, and shows where sharpness counts. See
    docs/heatmap.md. Research use only.
    """
    from csiq.cli.output import json_line
    from csiq.heatmap.animation import check_kind
    from csiq.heatmap.folder import open_folder, write_heat_map
    from csiq.io.nifti import read_volume
    from csiq.quality.grade import Grader

    check_kind(given["animation"])
    folder = given["output"] or Path(f"{_stem(volume)}.heatmap")
    if given["threads"]:
        from csiq.arrays import use_threads

        use_threads(given["threads"])
    # what cannot be read leaves no empty folder behind
    grader, read = Grader.load(given["model"], given["device"]), read_volume(volume)
    with open_folder(folder, overwrite=given["overwrite"]):
        explained = _explained(volume, read, grader, given)
        record = write_heat_map(folder, explained, given["animation"])
    if given["as_json"]:
        click.echo(json_line({"folder": folder, **record}))
        return
    for warning in record["warnings"]:
        click.echo(f"csiq: warning: {volume.name}: {warning}", err=True)
    low, high = record["relevance_min"], record["relevance_max"]
    raw = "  uncalibrated" if record["uncalibrated"] else ""
    click.echo(f"{volume.name}  {record['grade']:.2f}{raw}  masked, a voxel costs {low:.2f} to {high:.2f}")
    click.echo(f"heat map: {folder / 'heatmap.nii.gz'}\nfigure: {folder / 'heatmap.png'}")


def _explained(path: Path, read: tuple[Any, Any, Any], grader: Grader, given: dict[str, Any]) -> Any:
    from csiq.heatmap import occlusion_map
    from csiq.heatmap.folder import Explained
    from csiq.heatmap.view import array_orientation, orientation_known
    from csiq.io.provenance import is_simulated

    values, voxel_size, affine = read
    wanted = _AXES if given["axis"] == "all" else (given["axis"],)
    axes = tuple(array_orientation(name, affine) for name in wanted)
    occlusion = occlusion_of(given, axes, grader)
    grade = grader.grade(values, voxel_size)
    found = _with_progress(
        lambda tell: occlusion_map(grader, values, voxel_size, occlusion, tell), quiet=given["quiet"]
    )
    record = {
        "volume": path.name,
        "model": {"name": grader.name, "sha256": grader.sha256},
        "grade": grade.grade,
        "grade_sd": grade.grade_sd,
        "in_domain": grade.in_domain,
        "uncalibrated": not (grade.calibrated or is_simulated(path)),
        "warnings": list(grade.warnings),
    }
    return Explained(values, affine, voxel_size, found, record, wanted[0], orientation_known(path))


def occlusion_of(given: dict[str, Any], axes: tuple[str, ...], grader: Any) -> Occlusion:
    """Return what the options ask for.

    Parameters
    ----------
    given : dict
        Options ``mask``, ``stride``, ``slices``, ``every``, ``fill``, ``normalise``.
    axes : tuple of str
        Orientations of the array.
    grader : Grader
        Whose cube of patch centres counts.
    """
    from csiq.heatmap import Mask, Occlusion
    from csiq.heatmap.occlusion import half_edge_of
    from csiq.quality.patches import SIDE, patch_offsets

    half_edge = half_edge_of(grader)
    edge = SIDE // 2 if given["slices"] == "all" else half_edge
    if given["slices"] == "graded":
        offsets = tuple(float(x) for x in patch_offsets(half_edge))
    else:
        # counted from the centre, which is always among them
        steps = range(-(edge // given["every"]), edge // given["every"] + 1)
        offsets = tuple(float(k * given["every"]) for k in steps if k * given["every"] < SIDE - SIDE // 2)
    mask = Mask(given["mask"], given["stride"] or max(1, given["mask"] // 2))
    return Occlusion(mask, axes, offsets, given["fill"], given["normalise"])


def _with_progress(work: Any, *, quiet: bool) -> HeatMap:
    if quiet or not sys.stderr.isatty():
        return work(None)
    with click.progressbar(length=1, label="masks", file=sys.stderr, show_percent=True) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        return work(tell)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(path.suffix if path.suffix != ".gz" else ".nii")
