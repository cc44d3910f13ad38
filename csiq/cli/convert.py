"""``csiq convert``: a raw scan or images in another format."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from csiq.cli.options import DEBUG, JSON, READING, options

_SIZES = (click.FloatRange(0, min_open=True),) * 3


@click.command(
    epilog="""\b
Examples:
  csiq convert scan.csiq/volumes.h5 heart.nii.gz     images: all phases in one file
  csiq convert scan.csiq/volumes.h5 heart --phase 1  a folder: DICOM, for any viewer
  csiq convert meas.dat scan.h5 --trajectory phyllotaxis
  csiq convert scan.h5 straight.h5 --delays estimate gradient delays taken out
  csiq convert scan.h5 scan.cfl                      BART: scan.cfl, scan_traj.cfl ...
  csiq convert recon.cfl recon.nii.gz --voxel-size 1 1 1
"""
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "kind",
    type=click.Choice(["raw", "images"]),
    help="What IN is, where its content does not tell.",
)
@click.option(
    "--to",
    metavar="FORMAT",
    help="nifti, dicom, ismrmrd, bart or csiq, where OUT does not tell [its suffix].",
)
@click.option(
    "--voxel-size", type=_SIZES, metavar="Z Y X", help="Voxels in mm, of images that do not say it."
)
@click.option("--phase", type=click.IntRange(1), metavar="P", help="Only this phase, from 1.")
@click.option("--complex", "complex_voxels", is_flag=True, help="Keep complex voxels in NIfTI.")
@click.option("--body-part", metavar="NAME", help="For DICOM, e.g. HEART.")
@options(READING)
@click.option(
    "--keep-identifiers", is_flag=True, help="Let who was scanned, and when, into the output (where it can)."
)
@click.option("--overwrite", is_flag=True, help="Replace an output of that name.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@options(JSON, DEBUG)
def convert(
    source: Path, target: Path, keep_identifiers: bool, quiet: bool, as_json: bool, **given: Any
) -> None:
    """Convert a raw scan or images to another format.

    Images: NIfTI, a folder of a DICOM series, ISMRMRD (.h5), BART (.cfl), csiq's volumes.h5; all say where a
    voxel lies in the patient. Raw scans: from ISMRMRD, Siemens TWIX, BART or plain arrays to ISMRMRD or BART.
    A JSON beside OUT says where it comes from. Nothing of the subject is copied.
    """
    from csiq.convert import convert as run

    done = run(source, target, _options(given, keep_identifiers))
    record = done.record
    if as_json:
        from csiq.cli.output import json_line

        click.echo(json_line({"output": done.path.name, **record}))
    if quiet or as_json:
        return
    for warning in record["warnings"]:
        click.echo(f"csiq: warning: {source.name}: {warning}", err=True)
    click.echo(f"{done.path}: {_words(record)}")


def _options(given: dict[str, Any], keep_identifiers: bool) -> Any:
    from csiq.convert import ConvertOptions
    from csiq.io.options import ReadOptions

    names = {field.name for field in fields(ReadOptions)}
    reading = {name: value for name, value in given.items() if name in names and value is not None}
    own = {name: value for name, value in given.items() if name not in names and value is not None}
    return ConvertOptions(**own, read=ReadOptions(**reading, keep_identifiers=keep_identifiers))


def _words(record: dict[str, Any]) -> str:
    geometry = record["geometry"]
    sizes = " x ".join(f"{size:.4g}" for size in geometry["voxel_size_mm"])
    matrix = " x ".join(map(str, geometry["matrix"]))
    where = "" if geometry["orientation_known"] else ", orientation unknown"
    if record["kind"] == "raw":
        coils = f"{record['n_coils']} coil{'s' * (record['n_coils'] != 1)}"
        return (
            f"{record['format']}, {record['n_spokes']} spokes of {record['n_samples']} samples, "
            f"{coils}, matrix {matrix}{where}"
        )
    phases = f"{record['n_phases']} phases of " if record["n_phases"] > 1 else ""
    return f"{record['format']}, {phases}{matrix} voxels of {sizes} mm (z y x){where}"
