"""What a file is, and what one of a given name is to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from csiq.errors import ConfigError, RawDataError, nearest


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        As ``--from`` and ``--to`` have it.
    words : str
        As people call it.
    raw, images : bool
        Whether csiq writes raw scans, and images, in it.
    suffixes : tuple of str
        Of names that are meant for it.
    """

    name: str
    words: str
    raw: bool
    images: bool
    suffixes: tuple[str, ...]


FORMATS = {
    one.name: one
    for one in (
        Format("nifti", "NIfTI", raw=False, images=True, suffixes=(".nii", ".nii.gz")),
        Format("dicom", "a DICOM series", raw=False, images=True, suffixes=()),
        Format("ismrmrd", "ISMRMRD", raw=True, images=True, suffixes=(".h5", ".mrd", ".hdf5")),
        Format("bart", "BART", raw=True, images=True, suffixes=(".cfl", ".hdr")),
        Format("csiq", "csiq's volumes.h5", raw=False, images=True, suffixes=()),
        Format("twix", "Siemens TWIX", raw=False, images=False, suffixes=(".dat",)),
        Format("arrays", "plain arrays", raw=False, images=False, suffixes=(".npy",)),
    )
}

#: What can be written.
WRITTEN = tuple(name for name, one in FORMATS.items() if one.raw or one.images)


@dataclass(frozen=True)
class Source:
    """What an input is: its format, and whether it is a raw scan or images."""

    format: str
    is_raw: bool


def source_of(path: Path, *, stated: str | None = None, trajectory: bool = False) -> Source:
    """Return what an input is, by its content where that can tell, else by its name.

    Parameters
    ----------
    path : Path
    stated : str, optional
        ``raw`` or ``images``, what the user says.
    trajectory : bool
        Whether a trajectory is given: then plain arrays are k-space.

    Raises
    ------
    ConfigError
        If there is no such file.
    RawDataError
        If it cannot be read.
    """
    from csiq.io.cfl import data_of
    from csiq.io.run_folder import is_run_folder
    from csiq.io.sniff import check_readable, identify
    from csiq.plugins import reader_of

    if path.is_dir() and is_run_folder(path):
        hint = f"{path.name}/volumes.h5"
        raise ConfigError("is the folder of a run, expected a file", file=path, field="IN", hint=hint)
    if path.is_dir():
        return Source("dicom", False)
    if path.suffix in (".cfl", ".hdr") or (not path.exists() and data_of(path).exists()):
        return Source("bart", _said(stated, _is_bart_raw(path)))
    check_readable(path)
    kind = identify(path)
    if kind == "hdf5":
        return _hdf5(path, stated, trajectory)
    if kind == "twix" or path.suffix.lower() == ".dat":
        return Source("twix", True)
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return Source("nifti", False)
    if kind == "a DICOM file":
        return Source("dicom", False)
    if kind != "a NumPy array" and reader_of(path) is None:
        hint = "docs/formats.md says what is read"
        raise RawDataError(f"is {kind}; expected a raw scan or images", file=path, hint=hint)
    return Source("arrays", _said(stated, True))


def _said(stated: str | None, found: bool) -> bool:
    return found if stated is None else stated == "raw"


def _is_bart_raw(path: Path) -> bool:
    """Return whether BART's file is radial k-space: its first dimension is 1, that of an image is x."""
    from csiq.io.cfl import read_shape

    return read_shape(path)[0] == 1


def _hdf5(path: Path, stated: str | None, trajectory: bool) -> Source:
    from csiq.io.hdf5 import find_node, groups_of, open_h5
    from csiq.io.ismrmrd_images import image_groups

    with open_h5(path) as file:
        images = bool(image_groups(file))
        scans = [name for name in groups_of(file) if find_node(file, f"{name}/data") is not None]
        volumes = find_node(file, "volumes") is not None
    if scans and not (images and stated == "images"):
        return Source("ismrmrd", True)
    if images:
        return Source("ismrmrd", False)
    if volumes and not (trajectory or stated == "raw"):
        return Source("csiq", False)
    return Source("arrays", True)


def target_of(path: Path, *, stated: str | None, is_raw: bool) -> str:
    """Return the format an output is to have, by its name unless it is stated.

    Raises
    ------
    ConfigError
        If the name does not tell, or the format does not hold what is to be written.
    """
    if stated is not None and stated not in WRITTEN:
        raise ConfigError(f"'{stated}' cannot be written", field="--to", hint=nearest(stated, WRITTEN))
    name = stated or _by_suffix(path)
    if name is None:
        hint = f"--to, one of: {', '.join(WRITTEN)}"
        raise ConfigError(f"'{path.name}' does not tell a format", field="OUT", hint=hint)
    one = FORMATS[name]
    if is_raw and not one.raw:
        raise ConfigError(
            f"{one.words} holds images, the input is a raw scan", field="OUT", hint="csiq recon makes images"
        )
    if not is_raw and not one.images:
        raise ConfigError(f"{one.words} is not written", field="OUT", hint=f"--to {', '.join(WRITTEN)}")
    return name


def _by_suffix(path: Path) -> str | None:
    for name, one in FORMATS.items():
        if path.name.lower().endswith(one.suffixes or ("\0",)) and (one.raw or one.images):
            return name
    return "dicom" if not path.suffix or path.is_dir() else None
