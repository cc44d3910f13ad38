"""Which volumes there are to read: those below a folder, or those a table lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from csiq.cohort.checked_table import MISSING, CheckedTable
from csiq.errors import ConfigError, CsiqError, RawDataError

#: Files of a folder that are looked at to see whether it is a DICOM series.
_TRIED = 8
#: A folder that holds this table is read as the table says.
MANIFEST = "graded.tsv"
_NIFTI = (".nii", ".nii.gz")
_HDF5 = (".h5", ".hdf5")
_FORMATS = "NIfTI (.nii, .nii.gz), HDF5 (.h5) or folders of a DICOM series"
_PHASE = re.compile(r"(.+):(?:phase-)?([1-9]\d*)")


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
        A file, or the folder of a DICOM series.
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
        One file of volumes; a folder (its ``graded.tsv`` if it has one, else all NIfTI files below it, HDF5
        files with ``/volumes`` where there is no NIfTI, folders of a DICOM series where there is neither, and
        of csiq's run folders the returned phases); or a table with a column ``volume``, perhaps ``patient``
        and ``split``; columns of grades are not looked at.
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
    is_table = path.is_file() and not path.name.endswith((*_NIFTI, *_HDF5))
    if split is not None and not is_table:
        raise ConfigError("needs a table with a column 'split'", file=path, field="--split")
    if is_table:
        found = list(_listed(path, split))
    elif path.is_file():
        found = list(_in_file(path, path.name, path.name))
    else:
        found = [source for file in _files(path) for source in _in_file(file, *_names(file, path))]
    if not found:
        raise RawDataError("no volume to read", file=path, hint=f"expected {_FORMATS}")
    if any(mark in source.name for source in found for mark in "\t\r\n"):
        raise RawDataError("a file's name holds a tab or line break, which no table can", file=path)
    return sorted(found, key=lambda source: natural(source.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts p2 before p10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that may be read, then those of its sub-folders."""
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=folder) from None
    is_run = (folder / "run.json").is_file()
    found = [p for p in entries if p.name.endswith(_NIFTI) and p.is_file()]
    if not found and not is_run:
        # raw scans and truths are HDF5 too; what a run's volumes.h5 holds is in its NIfTI files
        found = [p for p in entries if p.suffix in _HDF5 and p.is_file() and _holds_volumes(p)]
    if not found and any(_is_dicom(p) for p in entries[:_TRIED]):
        found = [folder]
    yield from found
    if not is_run:
        # linked files are read, linked folders are not: they may lead back here
        for sub in (p for p in entries if p.is_dir() and not p.is_symlink()):
            yield from _files(sub)


def _is_dicom(path: Path) -> bool:
    from csiq.io.sniff import identify

    try:
        return path.is_file() and identify(path) == "a DICOM file"
    except OSError:
        return False


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
    inside = file.relative_to(folder) if file != folder else Path(folder.name)
    return inside.as_posix(), inside.parent.as_posix()


def _in_file(path: Path, name: str, group: str) -> Iterator[Source]:
    if path.is_dir() or path.name.endswith(_NIFTI):
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
        name, patient = table.text(line, cells, "volume"), cells.get("patient", MISSING)
        if name not in ("", MISSING) and split in (None, cells.get("split")):
            group = patient if patient not in ("", MISSING) else Path(name).parent.as_posix()
            try:
                found += _in_cell(path.parent, name, group)
            except CsiqError as error:
                table.fault(line, f"volume '{name}': {error.what}")
    table.unique("volume", "is listed before")
    table.refuse()
    if split is not None and not found:
        raise ConfigError(f"no volume has the split '{split}'", file=path, field="--split")
    yield from found


def _in_cell(folder: Path, cell: str, group: str) -> Iterator[Source]:
    """Yield what a cell names: a file, a DICOM folder, a phase of a file or run (of a run the best one)."""
    path, phase = folder / cell, None
    numbered = _PHASE.fullmatch(cell)
    if not path.exists() and numbered:
        path, phase = folder / numbered[1], int(numbered[2])
    if not path.exists():
        raise RawDataError("is not there")
    if path.is_dir() and (path / "volumes.h5").is_file():
        path, phase = path / "volumes.h5", phase or _best_phase(path)
    if phase is not None:
        if not path.is_file() or path.suffix not in _HDF5 or phase > _n_phases(path):
            raise RawDataError(f"has no phase {phase}")
        yield Source(cell, group, path, phase - 1)
    elif path.is_dir() or path.name.endswith((*_NIFTI, *_HDF5)):
        yield from (Source(s.name, group, s.path, s.phase) for s in _in_file(path, cell, group))
    else:
        raise RawDataError(f"expected {_FORMATS}")


def _best_phase(run: Path) -> int:
    from csiq.io.tables import read_json

    best = read_json(run / "ranking.json").get("best_phase") if (run / "ranking.json").is_file() else None
    if not isinstance(best, int):
        raise RawDataError(f"which phase? name one: {run.name}:1")
    return best
