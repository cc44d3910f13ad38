"""One conversion: read, write, and a JSON beside the output that says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.acquisition import Acquisition
from csiq.convert.formats import Source, source_of, target_of
from csiq.convert.outputs import RECORD, refuse, series_folder
from csiq.errors import ConfigError, RawDataError
from csiq.io.cfl import data_of, header_of
from csiq.io.cfl_images import geometry_record
from csiq.io.image_set import ImageSet
from csiq.io.nifti import sidecar_of
from csiq.io.options import ReadOptions
from csiq.io.sniff import sha256_of
from csiq.io.tables import strict, write_json

#: Further files of a BART scan, by the end of their names.
BART_PARTS = ("", "_traj", "_noise", "_nav", "_nav_traj")
#: Formats of images that always say how large a voxel is.
_SAY_VOXELS = ("nifti", "dicom", "ismrmrd")


@dataclass(frozen=True)
class ConvertOptions:
    """What cannot be known from the files.

    Attributes
    ----------
    kind : str, optional
        ``raw`` or ``images``: what the input is, where its content does not tell.
    to : str, optional
        Format of the output where its name does not tell.
    read : ReadOptions
        How a raw scan is read.
    decay_correction : bool
        Divide the decay of a hyperpolarised signal out of a raw scan.
    delays : str
        Of a raw scan, as ``--delays`` has it: ``off``, ``warn``, ``estimate`` or delays in samples.
    voxel_size : (float, float, float), optional
        mm, z y x, of images that do not say it.
    phase : int, optional
        Only this phase, from 1.
    complex_voxels : bool
        Keep complex voxels in NIfTI.
    body_part : str, optional
        For DICOM.
    overwrite : bool
    """

    kind: str | None = None
    to: str | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    decay_correction: bool = False
    delays: str = "off"
    voxel_size: tuple[float, float, float] | None = None
    phase: int | None = None
    complex_voxels: bool = False
    body_part: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written: the record that lies beside it, and the path."""

    path: Path
    record: dict[str, Any]


def convert(source: str | Path, target: str | Path, options: ConvertOptions | None = None) -> Converted:
    """Convert a raw scan or images to another format.

    Parameters
    ----------
    source, target : path
    options : ConvertOptions, optional

    Raises
    ------
    ConfigError
        If the formats cannot be told, or one does not hold what is to be written.
    RawDataError
        If the input is damaged, or does not say something that is needed.
    OutputError
        If the output exists already, or is the input.
    ResourceError
        If it cannot be written.
    """
    source, target, options = Path(source), Path(target), options or ConvertOptions()
    found = source_of(source, stated=options.kind, trajectory=options.read.trajectory is not None)
    name = target_of(target, stated=options.to, is_raw=found.is_raw)
    _refuse_idle(options, name, is_raw=found.is_raw)
    if options.voxel_size is not None and found.format in _SAY_VOXELS:
        raise ConfigError("is for images that do not say it, and these do", file=source, field="--voxel-size")
    files = outputs_of(target, name, is_raw=found.is_raw)
    if name != "dicom":
        refuse([*files, sidecar_of(files[0])], _inputs(source, found), overwrite=options.overwrite)
    if found.is_raw:
        return _convert_raw(source, files[0], name, options)
    return _convert_images(source, target if name == "dicom" else files[0], (found, name), options)


def _refuse_idle(options: ConvertOptions, name: str, *, is_raw: bool) -> None:
    """Refuse options that would do nothing.

    Raises
    ------
    ConfigError
        If one is for raw scans and the input is images, or the other way round.
    """
    plain = ReadOptions(group=options.read.group, keep_identifiers=options.read.keep_identifiers)
    raw = [f.name for f in fields(plain) if getattr(options.read, f.name) != getattr(plain, f.name)]
    raw += ["decay_correction"] * options.decay_correction + ["delays"] * (options.delays != "off")
    own = {
        "voxel_size": options.voxel_size,
        "phase": options.phase,
        "complex": options.complex_voxels or None,
    }
    images = [option for option, value in own.items() if value is not None]
    idle, what = (
        (images, "images, the input is a raw scan") if is_raw else (raw, "raw scans, the input is images")
    )
    if options.body_part is not None and name != "dicom":
        idle, what = [*idle, "body_part"], what if idle else "DICOM"
    if idle:
        raise ConfigError(f"is for {what}", field=f"--{idle[0].replace('_', '-')}")


def outputs_of(target: Path, name: str, *, is_raw: bool) -> list[Path]:
    """Return the files that are written, the one people name first."""
    if name != "bart":
        return [target]
    stem = data_of(target).with_suffix("")
    ends = BART_PARTS if is_raw else ("",)
    stems = [stem.with_name(stem.name + end) for end in ends]
    return [path for one in stems for path in (data_of(f"{one}.cfl"), header_of(f"{one}.cfl"))]


def _inputs(source: Path, found: Source) -> list[Path]:
    return [data_of(source), header_of(source)] if found.format == "bart" else [source]


def _convert_raw(source: Path, target: Path, name: str, options: ConvertOptions) -> Converted:
    from csiq.io import read_acquisition
    from csiq.io.ismrmrd import write_ismrmrd
    from csiq.scan_file import corrected

    scan = read_acquisition(source, options.read)
    scan = corrected(scan, decay=options.decay_correction, delays=options.delays)
    record = _record_of_scan(scan, name)
    if name == "bart":
        from csiq.io.bart import write_bart

        write_bart(target, scan, sidecar=record)
    else:
        write_ismrmrd(target, scan)
        write_json(sidecar_of(target), record)
    return Converted(target, dict(strict(record)))


def _record_of_scan(scan: Acquisition, name: str) -> dict[str, Any]:
    return {
        **_head(scan.name, scan.sha256, name, "raw"),
        "simulated": True if scan.system.get("vendor") == "simulated" else None,
        "n_coils": scan.n_coils,
        "n_spokes": scan.n_spokes,
        "n_samples": scan.n_samples,
        "geometry": geometry_record(scan.geometry),
        "system": scan.system,
        "delays": None if scan.delays is None else scan.delays.as_json(),
        "warnings": list(scan.warnings),
    }


def _head(source: str, sha256: str | None, name: str, kind: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "csiq": __version__,
        "kind": kind,
        "format": name,
        "source": {"name": source, "sha256": sha256},
    }


def _convert_images(
    source: Path, target: Path, formats: tuple[Source, str], options: ConvertOptions
) -> Converted:
    found, name = formats
    images = read_images_of(source, found.format, options)
    if options.phase is not None:
        images = images.phase(options.phase)
    images = _finite(images, name)
    if images.is_complex and (name == "dicom" or (name == "nifti" and not options.complex_voxels)):
        images = images.magnitude().noted("complex voxels: only their magnitude is written")
    whole = None if source.is_dir() else sha256_of(_inputs(source, found)[0])
    record = {
        **_head(source.name, whole, name, "images"),
        "simulated": images.simulated,
        "n_phases": images.n_phases,
        "complex": images.is_complex,
        "geometry": geometry_record(images.geometry),
        "system": dict(images.system),
        "warnings": list(images.warnings),
        **({"identifiers": dict(images.identity)} if images.identity else {}),
    }
    _write_images(target, name, images, record, options)
    return Converted(target, dict(strict(record)))


def _finite(images: ImageSet, name: str) -> ImageSet:
    """Return images with a warning of voxels that are no numbers, as masks have outside; DICOM has none.

    Raises
    ------
    RawDataError
        If no voxel is a number, or the format holds integers.
    """
    odd = int(images.values.size - np.count_nonzero(np.isfinite(images.values)))
    if odd == images.values.size or (odd and name == "dicom"):
        what = f"{odd} of {images.values.size} voxels are not finite"
        hint = "NIfTI can hold them" if odd < images.values.size else None
        raise RawDataError(what, file=images.name, field="voxels", hint=hint)
    return images.noted(f"{odd} voxels are not finite: written as they are") if odd else images


def read_images_of(source: Path, name: str, options: ConvertOptions) -> ImageSet:
    """Return the images of a file or folder of a known format."""
    if name == "dicom":
        from csiq.io.dicom import read_dicom

        images = read_dicom(source, keep_identifiers=options.read.keep_identifiers)
    elif name == "nifti":
        from csiq.io.nifti_images import read_nifti_images

        images = read_nifti_images(source)
    elif name == "ismrmrd":
        from csiq.io.ismrmrd_images import read_ismrmrd_images

        images = read_ismrmrd_images(source, options.read.group)
    elif name == "bart":
        from csiq.io.cfl_images import read_cfl_images

        return read_cfl_images(source, options.voxel_size)
    elif name == "csiq":
        from csiq.io.volume_images import read_volume_images

        images = read_volume_images(source, options.voxel_size)
    else:
        raise ConfigError("plain arrays are read as raw scans", file=source, hint="NIfTI, HDF5 or BART?")
    return _with_provenance(images, source)


def _with_provenance(images: ImageSet, source: Path) -> ImageSet:
    from csiq.io.provenance import is_simulated

    return replace(images, simulated=True) if is_simulated(source) else images


def _write_images(
    target: Path, name: str, images: ImageSet, record: dict[str, Any], options: ConvertOptions
) -> None:
    if name == "dicom":
        from csiq.io.dicom_write import write_dicom

        with series_folder(target, overwrite=options.overwrite) as beside:
            write_dicom(beside, images, body_part=options.body_part)
            write_json(beside / RECORD, record)
    elif name == "nifti":
        from csiq.io.nifti_images import write_nifti_images

        write_nifti_images(target, images, sidecar=record)
    elif name == "bart":
        from csiq.io.cfl_images import write_cfl_images

        write_cfl_images(target, images, sidecar=record)
    else:
        _write_hdf5(target, name, images)
        write_json(sidecar_of(target), record)


def _write_hdf5(target: Path, name: str, images: ImageSet) -> None:
    if name == "csiq":
        from csiq.io.volumes import write_volumes

        # -1: of no iteration that anybody knows
        write_volumes(target, np.asarray(images.values, np.complex64), images.geometry, iteration=-1)
        return
    from csiq.io.ismrmrd_images import write_ismrmrd_images

    write_ismrmrd_images(target, images)
