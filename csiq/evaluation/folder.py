"""The folder of an evaluation: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq.errors import OutputError
from csiq.io.held_folder import config_in, own_folder, remove_own_files, write_record
from csiq.io.sniff import sha256_of
from csiq.io.tables import strict

#: What the folder says of itself.
RECORD, PAGE = "evaluation.json", "evaluation.html"
TABLES, FIGURES = "tables", "figures"
#: Every file csiq writes into it, by its path there.
OWN_FILES = re.compile(
    r"evaluation\.(json|html)|patches\.h5|predictions\.tsv|tables/[\w-]+\.tsv|figures/[\w-]+\.(tsv|png|svg)"
)


@contextmanager
def open_folder(
    folder: Path, config: Mapping[str, Any], *, overwrite: bool = False, resume: bool = False
) -> Iterator[None]:
    """Make the folder of an evaluation ready and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless one of the options is given.
    config : mapping
        What the evaluation is of; one that is resumed has to be of the same.
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.
    resume : bool
        Keep the grades that are there.

    Raises
    ------
    OutputError
        If there is something in it, another process writes to it, or it is of something else.
    ResourceError
        If it cannot be made or written to.
    """
    with own_folder(folder, RECORD, overwrite=overwrite, resume=resume) as found:
        if found and resume:
            _check_same(folder, config)
        elif found:
            remove_own_files(folder, OWN_FILES, (TABLES, FIGURES))
        for name in (TABLES, FIGURES):
            (folder / name).mkdir(exist_ok=True)
        write_record(folder / RECORD, config, "running")
        yield


def config_of(manifest: Path, split: str, reader: str, models: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what an evaluation is of: the manifest by its content, split, reader, and models by weights."""
    return {
        "manifest": manifest.name,
        "manifest_sha256": sha256_of(manifest),
        "split": split,
        "reader": reader,
        "models": [{"name": name, "sha256": sha256} for name, sha256 in models],
    }


def _check_same(folder: Path, config: Mapping[str, Any]) -> None:
    before, now = config_in(folder / RECORD), strict(config)
    # grades of further models may be added; grades of the same ones are kept
    wrong = [key for key in now if key != "models" and before.get(key) != now[key]]
    if wrong:
        raise OutputError(f"was made of another {', '.join(wrong)}", file=folder, hint="--overwrite")
