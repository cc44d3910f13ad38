"""The rows of a manifest with their lines, and what does not fit between them and the files around it."""

from __future__ import annotations

from pathlib import Path

from csiq.cohort.checked_table import CheckedTable, ManifestError
from csiq.cohort.manifest import GradedScan, graded, read_manifest

#: Files a manifest could have listed.
_VOLUMES = (".nii", ".nii.gz", ".h5", ".npy")
#: Line, cell of the volume, and what else it says.
Row = tuple[int, str, GradedScan]
#: Line, and what is wrong with it.
Problems = list[tuple[int, str]]


def rows_of(path: Path) -> tuple[list[Row], Problems]:
    """Return the rows with their lines; if the table has faults, those, and what can still be looked at."""
    table = CheckedTable(path, ("volume", "patient", "split"), ("reference",), r"reader\w*")
    problems: Problems = []
    try:
        scans = read_manifest(path, check_files=False)
    except ManifestError as error:
        for text in error.problems:
            line, _, what = text.removeprefix("line ").partition(": ")
            problems.append((int(line), what))
        bad = {line for line, _ in problems}
        scans = [_loose(table, cells) for line, cells in table.rows if line not in bad]
        table.rows = [row for row in table.rows if row[0] not in bad]
    lines = zip(table.rows, scans, strict=True)
    return [(line, cells["volume"], scan) for (line, cells), scan in lines], problems


def _loose(table: CheckedTable, cells: dict[str, str]) -> GradedScan:
    grades = {name: float(graded(cells[name])) for name in table.further}
    reference = float(graded(cells.get("reference", "")))
    return GradedScan(
        table.path.parent / cells["volume"], cells["patient"], cells["split"], grades, reference
    )


def unknown_patients(path: Path, rows: list[Row]) -> Problems:
    """Return the patients a cohort's ``patients.tsv`` does not know."""
    table = path.parent / "patients.tsv"
    if not table.is_file():
        return []
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    columns = lines[0].split("\t") if lines else []
    if "patient" not in columns:
        return []
    at = columns.index("patient")
    known = {line.split("\t")[at] for line in lines[1:] if line.count("\t") >= at}
    return [
        (line, f"patient {scan.patient} is not in {table.name}")
        for line, _, scan in rows
        if scan.patient not in known
    ]


def unlisted(path: Path, rows: list[Row]) -> tuple[str, ...]:
    """Return a warning about volumes that lie beside listed ones and are not in the manifest."""
    listed = {scan.volume.resolve() for _, _, scan in rows}
    folders = {scan.volume.parent for _, _, scan in rows if scan.volume.is_file()}
    beside = sorted(
        file.name
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(_VOLUMES) and file.resolve() not in listed
    )
    if not beside:
        return ()
    return (f"{path.name} does not list {len(beside)} volumes beside those it lists, {beside[0]} the first",)
