"""The folder of an evaluation: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.errors import OutputError, RawDataError
from csiq.io.held_folder import held_folder, remove_own_files
from csiq.io.sniff import sha256_of
from csiq.io.tables import read_json, strict, write_json

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
    with held_folder(folder) as found:
        if found and not (overwrite or resume):
            raise OutputError("is not empty", file=folder, hint="--resume or --overwrite")
        if found and not (folder / RECORD).is_file():
            raise OutputError("csiq did not make it", file=folder, hint="choose another folder")
        if found and resume:
            _check_same(folder, config)
        elif found:
            remove_own_files(folder, OWN_FILES, (TABLES, FIGURES))
        for name in (TABLES, FIGURES):
            (folder / name).mkdir(exist_ok=True)
        write_record(folder, config, "running")
        yield


def write_record(folder: Path, config: Mapping[str, Any], status: str, **content: Any) -> dict[str, Any]:
    """Write what the folder says of itself and return it.

    Parameters
    ----------
    folder : Path
    config : mapping
    status : str
        ``running`` or ``complete``.
    **content
        What there is to say more.
    """
    record = {"schema_version": 1, "status": status, "csiq": __version__, "config": config, **content}
    plain = dict(strict(record))
    write_json(folder / RECORD, plain)
    return plain


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
    try:
        before = read_json(folder / RECORD)["config"]
    except (RawDataError, KeyError, TypeError):
        raise OutputError("its record cannot be read", file=folder, hint="--overwrite") from None
    now = strict(config)
    # grades of further models may be added; grades of the same ones are kept
    wrong = [key for key in now if key != "models" and before.get(key) != now[key]]
    if wrong:
        raise OutputError(f"was made of another {', '.join(wrong)}", file=folder, hint="--overwrite")
