"""Durations and sizes as people write them, with a unit."""

from __future__ import annotations

import re

from csiq.errors import ConfigError

#: Bytes of memory below which a number lacks its unit.
_LEAST = 4096


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as ``90s``, ``30m``, ``1.5h`` or ``90``.

    Raises
    ------
    ConfigError
        If it is none, or not positive.
    """
    return _with_unit(text, {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}, "--time-limit", "90s, 30m or 1.5h")


def bytes_of(text: str) -> int:
    """Return the bytes of a size such as ``8GB``, ``500MiB`` or ``1000000``.

    Raises
    ------
    ConfigError
        If it is none, or below 4 KiB: a number without its unit.
    """
    units = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
    units |= {
        "kib": 2.0**10,
        "mib": 2.0**20,
        "gib": 2.0**30,
        "tib": 2.0**40,
        "k": 2.0**10,
        "m": 2.0**20,
        "g": 2.0**30,
    }
    size = int(_with_unit(text, units, "--max-memory", "8GB or 500MiB"))
    if size < _LEAST:
        raise ConfigError(
            f"{size} bytes are too few", field="--max-memory", hint="with its unit: 8GB or 500MiB"
        )
    return size


def _with_unit(text: str, units: dict[str, float], option: str, example: str) -> float:
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*", text)
    if match is None or match[2].lower() not in units or float(match[1]) <= 0:
        raise ConfigError(f"cannot read '{text}'", field=option, hint=f"for example {example}")
    return float(match[1]) * units[match[2].lower()]
