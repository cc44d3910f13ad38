"""The folder of a training: who may write to it, and what may be removed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq import __version__
from csiq.errors import ConfigError, OutputError, RawDataError
from csiq.io.held_folder import held_folder
from csiq.io.tables import read_json, write_json

RECORD, CACHE, RUNS = "training.json", "cache", "runs"
_OWN = re.compile(
    r"training\.json|result\.json|log\.jsonl|loss\.png|checkpoint\.pt|retrainings\.tsv"
    r"|cross-validation(-summary)?\.tsv|cache|runs|folds|tensorboard|model-\d\d"
)


@contextmanager
def opened(path: Path, content: dict[str, Any], *, overwrite: bool, resume: bool) -> Iterator[Path]:
    """Lock a folder for a training and write ``training.json`` to it.

    Parameters
    ----------
    path : Path
    content : dict
        What is to be done; with ``resume`` it must be what the folder was made for.
    overwrite, resume : bool

    Raises
    ------
    OutputError
        If there is something in it (without either option), csiq did not make it, or a training is going on.
    ConfigError
        If it was made for something else.
    ResourceError
        If it cannot be made.
    """
    with held_folder(path) as found:
        # a training that was refused leaves its record, and nothing that could be lost
        refused = [p.name for p in found] == [RECORD] and not resume
        if found and not (overwrite or resume or refused):
            raise OutputError("is not empty", file=path, hint="--overwrite or --resume")
        if found and _record_of(path) is None:
            raise OutputError("no training of csiq is in it", file=path, hint="choose another folder with -o")
        _prepare(path, content, overwrite=overwrite or refused)
        yield path


def _prepare(path: Path, content: dict[str, Any], *, overwrite: bool) -> None:
    made_for = _record_of(path)
    wanted = {"schema_version": 1, "csiq": __version__, **content}
    if made_for is not None and overwrite:
        _remove_own(path, made_for)
    elif made_for is not None:
        _compare(path, made_for, wanted)
    write_json(path / RECORD, wanted)


def _record_of(path: Path) -> dict[str, Any] | None:
    try:
        found = read_json(path / RECORD)
    except RawDataError:
        return None
    return found if isinstance(found, dict) and "csiq" in found else None


def _compare(path: Path, made_for: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on with other data or settings than those of the folder."""
    for key in ("task", "data", "settings", "name"):
        before, now = made_for.get(key), wanted.get(key)
        if before != now:
            what = f"was made with another {key}"
            if isinstance(before, dict) and isinstance(now, dict):
                differ = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
                what += f" ({', '.join(differ)})"
            raise ConfigError(what, file=path, field="--resume", hint="--overwrite starts again")


def _remove_own(path: Path, made_for: dict[str, Any]) -> None:
    name = str(made_for.get("name") or "")
    for file in path.iterdir():
        own = _OWN.fullmatch(file.name) or (name and file.name in (f"{name}.safetensors", f"{name}.json"))
        if not own:
            continue
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink()
