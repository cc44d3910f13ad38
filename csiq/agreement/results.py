"""The folder that ``csiq agree -o`` writes: tables, all of them as JSON, and two figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.agreement.further import consensus_rows, grade_rows, pair_rows, reference_rows
from csiq.agreement.pairs import PairAgreement
from csiq.errors import OutputError, RawDataError
from csiq.io.atomic import atomic_write
from csiq.io.held_folder import held_folder
from csiq.io.tables import read_json, write_json, write_table

#: Says what was compared, and that csiq made the folder.
RECORD = "agreement.json"
PAIRS, REFERENCES, GRADES, CONSENSUS = "pairs.tsv", "references.tsv", "per-grade.tsv", "consensus.tsv"
FIGURES = ("bland-altman", "counts")
KINDS = ("png", "svg")
#: More pairs than this are not drawn.
MOST_PAIRS = 36
OWN_FILES = (
    RECORD,
    PAIRS,
    REFERENCES,
    GRADES,
    CONSENSUS,
    *(f"{name}.{kind}" for name in FIGURES for kind in KINDS),
)


@contextmanager
def open_results(folder: Path, *, overwrite: bool = False) -> Iterator[None]:
    """Make a folder ready for results and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless ``overwrite``.
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.

    Raises
    ------
    OutputError
        If there is something in it, another process writes to it, or csiq did not make what it holds.
    ResourceError
        If it cannot be made or written to.
    """
    with held_folder(folder) as found:
        _prepare(folder, [path.name for path in found], overwrite)
        yield


def _prepare(folder: Path, found: list[str], overwrite: bool) -> None:
    if found and not overwrite:
        raise OutputError("is not empty", file=folder, hint="--overwrite")
    own = [name for name in OWN_FILES if name in found]
    if own and not _is_ours(folder):
        raise OutputError(f"csiq did not make it, and would replace {own[0]}", file=folder)
    for name in own:
        (folder / name).unlink()


def _is_ours(folder: Path) -> bool:
    try:
        content = read_json(folder / RECORD)
    except RawDataError:
        return False
    return isinstance(content, dict) and "csiq" in content and "pairs" in content


def write_results(
    folder: Path, readers: Mapping[str, np.ndarray], pairs: Sequence[PairAgreement], facts: Mapping[str, Any]
) -> None:
    """Write the results of a comparison.

    Parameters
    ----------
    folder : Path
        Held by :func:`open_results`.
    readers : mapping of str to float64 array, (n_cases,)
    pairs : sequence of PairAgreement
    facts : mapping
        What else the record says, among it ``note``, which the figures repeat.
    """
    tables = {
        PAIRS: pair_rows(readers, pairs),
        REFERENCES: reference_rows(readers),
        GRADES: grade_rows(readers),
        CONSENSUS: consensus_rows(readers),
    }
    content = {name.removesuffix(".tsv").replace("-", "_"): rows for name, rows in tables.items()}
    write_json(folder / RECORD, {"schema_version": 1, "csiq": __version__, **facts, **content})
    for name, rows in tables.items():
        if rows:  # no consensus of two, nothing per grade where no case was read by both
            write_table(folder / name, rows)
    if len(pairs) <= MOST_PAIRS:
        _write_figures(folder, readers, str(facts.get("note") or ""))


def _write_figures(folder: Path, readers: Mapping[str, np.ndarray], note: str) -> None:
    from csiq.agreement.figures import draw_bland_altman, draw_counts, pairs_figure
    from csiq.report.figures import save

    for name, panel in zip(FIGURES, (draw_bland_altman, draw_counts), strict=True):
        figure = pairs_figure(readers, panel, note)
        for kind in KINDS:
            with atomic_write(folder / f"{name}.{kind}") as temporary:
                save(figure, temporary, kind)
