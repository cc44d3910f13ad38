"""Settings of a training as people write them: ``batch=32``, ``widths=8,16,32,32``, ``keep=0.3,0.5``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from csiq.errors import ConfigError, nearest
from csiq.quality.network import NetworkConfig
from csiq.training.settings import TrainConfig


def config_with(given: Mapping[str, Any], further: Sequence[str] = ()) -> TrainConfig:
    """Return a training with given settings, those of its network among them.

    Parameters
    ----------
    given : mapping
    further : sequence of str
        ``KEY=VALUE``; they win.

    Raises
    ------
    ConfigError
        If a key is not known, or a value cannot be.
    """
    plain, network = TrainConfig(), NetworkConfig()
    known: dict[str, Any] = {f.name: getattr(plain, f.name) for f in fields(plain) if f.name != "network"}
    inner: dict[str, Any] = {f.name: getattr(network, f.name) for f in fields(network)}
    values = dict(given)
    for text in further:
        key, sign, value = text.partition("=")
        name = key.strip().replace("-", "_")
        if not sign:
            raise ConfigError(f"expected KEY=VALUE, got '{text}'", field="--set")
        if name not in {**known, **inner}:
            raise ConfigError(f"no setting '{key}'", field="--set", hint=nearest(name, {**known, **inner}))
        values[name] = _like({**known, **inner}[name], value.strip(), name)
    net = NetworkConfig(**{key: values.get(key, value) for key, value in inner.items()})
    return TrainConfig(**{key: values.get(key, value) for key, value in known.items()}, network=net)


def grid_of(given: Sequence[str]) -> dict[str, list[float]] | None:
    """Return hyperparameters and their values from ``KEY=A,B``; None if nothing is given.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    found: dict[str, list[float]] = {}
    for text in given:
        key, _, values = text.partition("=")
        try:
            found[key.strip().replace("-", "_")] = [float(value) for value in values.split(",")]
        except ValueError:
            raise ConfigError(f"expected KEY=A,B, got '{text}'", field="--grid") from None
    return found or None


def _like(example: Any, text: str, name: str) -> Any:
    """Return a text as a value of the same kind as ``example``."""
    try:
        if isinstance(example, bool):
            return bool(("false", "true").index(text.lower().replace("0", "false").replace("1", "true")))
        if isinstance(example, tuple):
            values = tuple(int(part) for part in text.split(","))
            if len(values) != len(example):
                raise ConfigError(f"expected {len(example)} numbers, got {text}", field=f"--set {name}")
            return values
        return type(example)(text)
    except ValueError:
        kinds = {bool: "true or false", int: "a whole number", float: "a number", tuple: "whole numbers"}
        kind = kinds.get(type(example), type(example).__name__)
        raise ConfigError(f"expected {kind}, got '{text}'", field=f"--set {name}") from None
