"""The command that repeats a run, from its merged configuration."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

#: Keys whose value may be a path; only its base name is shown.
_PATHS = ("trajectory", "model", "noise")
#: Switches that can also be turned off by ``--no-...``.
_SWITCHES = ("stop_on_plateau", "orient", "dcf_in_cost")


def command_of(run: Mapping[str, Any]) -> str:
    """Return ``csiq recon RAW`` with an option for each key that differs from its default.

    Parameters
    ----------
    run : mapping
        Content of ``run.json``.
    """
    from csiq.config import Config

    defaults = Config().as_dict()
    words = ["csiq", "recon", base_name(str((run.get("input") or {}).get("name", "RAW")))]
    for section, keys in (run.get("config") or {}).items():
        for key, value in keys.items():
            if not _same(value, defaults.get(section, {}).get(key)):
                words += option_of(key, value)
    return shlex.join(words)


def option_of(key: str, value: Any) -> list[str]:
    """Return the words of one option."""
    name = f"--{key.replace('_', '-')}"
    if value is True:
        return [name]
    if value is False:
        return [f"--no-{name[2:]}"] if key in _SWITCHES else []
    if value is None:
        return []
    if key == "exclude_coil":
        return [word for coil in value for word in (name, str(coil))]
    if isinstance(value, list | tuple):
        return [name, *map(str, value)]
    return [name, base_name(str(value)) if key in _PATHS else str(value)]


def base_name(text: str) -> str:
    """Return the last part of a path, the ``:/dataset`` behind a file name kept."""
    path, colon, dataset = text.rpartition(":/")
    return f"{PurePath(path).name}{colon}{dataset}" if path else PurePath(text).name or text


def toml_of(config: Mapping[str, Any]) -> str:
    """Return a merged configuration as TOML; a key without a value is left out."""
    lines = []
    for section, keys in config.items():
        shown = {k: base_name(v) if k in _PATHS and isinstance(v, str) else v for k, v in keys.items()}
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml_value(value)}" for key, value in shown.items() if value is not None]
    return "\n".join(lines).strip()


def _toml_value(value: Any) -> str:
    # JSON's own escapes are in halves of a character, which TOML refuses, as it does a bare DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _same(a: Any, b: Any) -> bool:
    return (list(a) == list(b)) if isinstance(a, list | tuple) and isinstance(b, list | tuple) else a == b
