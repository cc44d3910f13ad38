"""Which volumes there are to read: those below a folder, or those a table lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from csiq.cohort.checked_table import MISSING, CheckedTable
from csiq.errors import ConfigError, CsiqError, RawDataError

#: A folder that holds this table is read as the table says.
MANIFEST = "graded.tsv"
_NIFTI = (".nii", ".nii.gz")
_HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class Source:
    """One volume to read.

    Attributes
    ----------
    name : str
        How the host's tables call it: its path below the folder, or the manifest's cell; with ``:phase-2``
        where a file holds several.
    group : str
        What pairs are made within: the patient, or the folder or file the volume lies in.
    path : Path
    phase : int
        Which volume of an HDF5 file, from 0.
    """

    name: str
    group: str
    path: Path
    phase: int = 0


def find_sources(path: str | Path, split: str | None = None) -> list[Source]:
    """Return the volumes of a folder or of a table, in natural order.

    Parameters
    ----------
    path : path
        A folder (its ``graded.tsv`` if it has one, else all NIfTI files below it, HDF5 files with
        ``/volumes`` where there is no NIfTI, and of csiq's run folders the returned phases), or a table with
        a column ``volume`` and perhaps ``patient`` and ``split``; columns of grades are not looked at.
    split : str, optional
        Only rows of the table with this split.

    Raises
    ------
    ConfigError
        If there is nothing at the path, or a split is asked of a folder without a table.
    RawDataError
        If there is no volume.
    ManifestError
        With everything that is wrong in the table.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError("no such folder or table", file=path, hint="check the path")
    if path.is_dir() and (path / MANIFEST).is_file():
        path = path / MANIFEST
    if path.is_dir():
        if split is not None:
            raise ConfigError("needs a table with a column 'split'", file=path, field="--split")
        found = [source for file in _files(path) for source in _in_file(file, *_names(file, path))]
    else:
        found = list(_listed(path, split))
    if not found:
        raise RawDataError(
            "no volume to read", file=path, hint="expected NIfTI (.nii, .nii.gz) or HDF5 (.h5)"
        )
    return sorted(found, key=lambda source: natural(source.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts p2 before p10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that may be read, then those of its sub-folders."""
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    is_run = (folder / "run.json").is_file()
    nifti = [p for p in entries if p.name.endswith(_NIFTI) and p.is_file()]
    if nifti:
        yield from nifti
    elif not is_run:
        # raw scans and truths are HDF5 too; what a run's volumes.h5 holds is in its NIfTI files
        yield from (p for p in entries if p.suffix in _HDF5 and p.is_file() and _holds_volumes(p))
    if not is_run:
        for sub in (p for p in entries if p.is_dir()):
            yield from _files(sub)


def _holds_volumes(path: Path) -> bool:
    try:
        return not path.name.endswith(".truth.h5") and _n_phases(path) > 0
    except CsiqError:
        return False


def _n_phases(path: Path) -> int:
    """Return the number of volumes of an HDF5 file, 0 if it has none that can be shown."""
    from csiq.io.hdf5 import find_dataset, open_h5

    with open_h5(path) as file:
        node = find_dataset(file, "volumes")
        usable = node is not None and node.ndim == 4 and "voxel_size_mm" in node.attrs
        return int(node.shape[0]) if node is not None and usable else 0


def _names(file: Path, folder: Path) -> tuple[str, str]:
    inside = file.relative_to(folder)
    return inside.as_posix(), inside.parent.as_posix()


def _in_file(path: Path, name: str, group: str) -> Iterator[Source]:
    if path.name.endswith(_NIFTI):
        yield Source(name, group, path)
        return
    n_phases = _n_phases(path)
    if n_phases == 1:
        yield Source(name, group, path)
        return
    for phase in range(n_phases):
        yield Source(f"{name}:phase-{phase + 1}", name, path, phase)


def _listed(path: Path, split: str | None) -> Iterator[Source]:
    table = CheckedTable(path, ("volume",), ("patient", "split", "reference"), r"reader\w*")
    if split is not None and "split" not in table.columns:
        raise ConfigError("the table has no column 'split'", file=path, field="--split")
    found: list[Source] = []
    for line, cells in table.rows:
        if split is not None and cells["split"] != split:
            continue
        name = cells["volume"]
        file = table.file_of(line, name, "volume", check=True)
        patient = cells.get("patient", MISSING)
        group = patient if patient not in ("", MISSING) else Path(name).parent.as_posix()
        if not file.name.endswith((*_NIFTI, *_HDF5)):
            table.fault(line, f"volume '{name}' is no NIfTI (.nii, .nii.gz) and no HDF5 (.h5) file")
        elif file.is_file():
            found += [Source(s.name, group, s.path, s.phase) for s in _in_file(file, name, group)]
    table.unique("volume", "is listed before")
    table.refuse()
    if split is not None and not found:
        raise ConfigError(f"no volume has the split '{split}'", file=path, field="--split")
    yield from found
