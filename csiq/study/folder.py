"""The folder of a study: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq.errors import ConfigError, OutputError
from csiq.evaluation.folder import FIGURES, TABLES
from csiq.io.held_folder import config_in, held_folder, own_folder, remove_own_files, write_record
from csiq.io.tables import strict
from csiq.study.work import SCANS, SIMULATED

#: What the folder says of itself, and its page.
RECORD, PAGE = "study.json", "study.html"
#: Every file csiq writes into it, by its path there.
OWN_FILES = re.compile(
    r"study\.(json|html)|timing\.json|monitor\.json|tables/[\w-]+\.tsv|figures/[\w-]+\.(tsv|png|svg)"
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
    with own_folder(folder, RECORD, overwrite=overwrite, resume=resume) as found:
        if found and overwrite:
            _remove_all(folder)
        elif found:
            _check_same(folder, config)
        for name in (SCANS, TABLES, FIGURES):
            (folder / name).mkdir(exist_ok=True)
        write_record(folder / RECORD, config, "running")
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
        yield config_in(folder / RECORD)


def _remove_all(folder: Path) -> None:
    parts = [f"{SCANS}/{path.name}" for path in sorted((folder / SCANS).glob("p*-*")) if path.is_dir()]
    remove_own_files(folder, OWN_FILES, (*parts, SCANS, SIMULATED, TABLES, FIGURES))


def _check_same(folder: Path, config: Mapping[str, Any]) -> None:
    before, now = config_in(folder / RECORD), strict(config)
    wrong = [key for key in now if key not in _MAY_GROW and before.get(key) != now[key]]
    hashes = {s: h for s, h in before.get("config_sha256", {}).items() if now["config_sha256"].get(s, h) != h}
    wrong += [f"configuration of {solver}" for solver in hashes]
    if wrong:
        hint = "--overwrite begins anew"
        if hashes:  # an option more is enough
            hint = f"another preset, or another version of csiq than began it; {hint}"
        if wrong == ["model"]:
            hint = f"--model with {before['model']['name']} goes on; {hint}"
        raise OutputError(f"was made of another {', '.join(wrong)}", file=folder, hint=hint)
