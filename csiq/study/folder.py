"""The folder of a study: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.errors import ConfigError, OutputError, RawDataError
from csiq.evaluation.folder import FIGURES, TABLES
from csiq.io.held_folder import held_folder, remove_own_files
from csiq.io.tables import read_json, strict, write_json
from csiq.study.work import SCANS, SIMULATED

#: What the folder says of itself, its page, and how long the work took.
RECORD, PAGE, TIMING = "study.json", "study.html", "timing.json"
#: Every file csiq writes into it, by its path there.
OWN_FILES = re.compile(
    r"study\.(json|html)|timing\.json|tables/[\w-]+\.tsv|figures/[\w-]+\.(tsv|png|svg)"
    r"|scans/p\d+-[\w-]+/(curves\.tsv|facts\.json)|simulated/p\d+(\.truth)?\.h5"
)
#: What may become more when a study goes on.
_MAY_GROW = ("scans", "tuning", "solvers", "config_sha256")


@contextmanager
def open_folder(
    folder: Path, config: Mapping[str, Any], *, overwrite: bool = False, resume: bool = False
) -> Iterator[None]:
    """Make the folder of a study ready and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless one of the options is given.
    config : mapping
        What the study is of; one that is resumed has to be of the same, with more scans or solvers perhaps.
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.
    resume : bool
        Keep what is finished.

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
        if found and overwrite:
            _remove_all(folder)
        elif found:
            _check_same(folder, config)
        for name in (SCANS, TABLES, FIGURES):
            (folder / name).mkdir(exist_ok=True)
        write_record(folder, config, "running")
        yield


@contextmanager
def open_finished(folder: Path) -> Iterator[dict[str, Any]]:
    """Hold the folder of a study that is there, and give what it is of.

    Raises
    ------
    ConfigError
        If there is no such study.
    OutputError
        If another process writes to it.
    """
    if not (folder / RECORD).is_file():
        raise ConfigError(
            "holds no study", file=folder, field="-o", hint="csiq study COHORT -o DIR makes one"
        )
    with held_folder(folder):
        for name in (TABLES, FIGURES):
            (folder / name).mkdir(exist_ok=True)
        yield config_in(folder)


def config_in(folder: Path) -> dict[str, Any]:
    """Return what a study is of.

    Raises
    ------
    OutputError
        If its record cannot be read.
    """
    try:
        return dict(read_json(folder / RECORD)["config"])
    except (RawDataError, KeyError, TypeError, ValueError):
        raise OutputError("its record cannot be read", file=folder, hint="--overwrite") from None


def write_record(folder: Path, config: Mapping[str, Any], status: str, **content: Any) -> dict[str, Any]:
    """Write what the folder says of itself and return it.

    Parameters
    ----------
    folder : Path
    config : mapping
    status : str
        ``running``, ``incomplete`` (a page of what is there) or ``complete``.
    **content
        What there is to say more.
    """
    record = {"schema_version": 1, "status": status, "csiq": __version__, "config": config, **content}
    plain = dict(strict(record))
    write_json(folder / RECORD, plain)
    return plain


def _remove_all(folder: Path) -> None:
    parts = [f"{SCANS}/{path.name}" for path in sorted((folder / SCANS).glob("p*-*")) if path.is_dir()]
    remove_own_files(folder, OWN_FILES, (*parts, SCANS, SIMULATED, TABLES, FIGURES))


def _check_same(folder: Path, config: Mapping[str, Any]) -> None:
    before, now = config_in(folder), strict(config)
    wrong = [key for key in now if key not in _MAY_GROW and before.get(key) != now[key]]
    hashes = {s: h for s, h in before.get("config_sha256", {}).items() if now["config_sha256"].get(s, h) != h}
    wrong += [f"configuration of {solver}" for solver in hashes]
    if wrong:
        raise OutputError(f"was made of another {', '.join(wrong)}", file=folder, hint="--overwrite")
