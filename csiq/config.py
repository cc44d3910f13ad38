"""The configuration of one run: a TOML file of sections, one frozen dataclass a section.

Every option of ``csiq recon`` is a key of the same name (``--plateau-tol`` is ``plateau_tol``); names are
unique over the sections, so that an option needs no section. An option wins over the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from csiq.errors import ConfigError, nearest
from csiq.presets import preset_text
from csiq.quantities import bytes_of, seconds_of

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Data:
    """What is read of the file, and how."""

    trajectory: str | None = None
    traj_units: str | None = None
    echo: Annotated[int, Meta(ge=0)] | None = None
    group: str | None = None
    matrix: Annotated[int, Meta(ge=8)] | None = None
    exclude_coil: tuple[int, ...] = ()
    drop_bad: bool = False
    strict: bool = False
    force: bool = False
    decay_correction: bool = False
    delays: str = "off"
    fov: tuple[Positive, Positive, Positive] | None = None
    tr: Positive | None = None
    noise: str | None = None
    interleaves: Count | None = None
    si_spokes: Literal["auto", "first", "none"] = "auto"
    keep_identifiers: bool = False


@dataclass(frozen=True)
class Gating:
    """How breathing (or a heartbeat) is found and binned."""

    phases: Annotated[int, Meta(ge=1, le=64)] = 4
    mode: Literal["phases", "selfnav"] = "phases"
    source: Literal["auto", "si", "k0"] = "auto"
    band: tuple[NotNegative, NotNegative] | None = None
    orient: bool = True


@dataclass(frozen=True)
class Coils:
    """Coil compression and sensitivity maps."""

    coils: Count | None = None


@dataclass(frozen=True)
class Penalty:
    """The cost that is minimised (docs/conventions.md)."""

    lamda: NotNegative = 0.02
    lamda_spatial_tv: NotNegative = 0.0
    lamda_wavelet: NotNegative = 0.0
    dcf: Literal["analytic", "pipe-menon"] = "analytic"
    dcf_in_cost: bool = True


@dataclass(frozen=True)
class Solver:
    """Which algorithm, and how long."""

    solver: str = "pnlcg"
    max_iter: Count = 20
    time_limit: str | None = None


@dataclass(frozen=True)
class Stop:
    """When to stop, and which iteration to return."""

    stop_on_plateau: bool = False
    plateau_tol: Positive = 0.02
    plateau_floor: Positive = 1.0
    patience: Count = 2
    min_iter: Count = 3
    scope: Literal["mean", "best", "all"] = "mean"
    return_: Literal["best", "last", "best-per-phase"] = "best"
    rule: str | None = None
    shadow: bool = False
    truth: str | None = None
    min_grade: Annotated[float, Meta(ge=0, le=4)] | None = None


@dataclass(frozen=True)
class Quality:
    """Which network grades."""

    model: str = "default"


@dataclass(frozen=True)
class Run:
    """Where and how it computes; nothing here changes the minimiser."""

    device: str = "auto"
    threads: Count | None = None
    coil_batch: Count | None = None
    max_memory: str | None = None
    save_iterates: bool = False
    live: bool = False
    seed: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True)
class Config:
    """Everything a run depends on, checked when it is made.

    Raises
    ------
    ConfigError
        If a number is not finite.
    """

    data: Data = field(default_factory=Data)
    gating: Gating = field(default_factory=Gating)
    coils: Coils = field(default_factory=Coils)
    penalty: Penalty = field(default_factory=Penalty)
    solver: Solver = field(default_factory=Solver)
    stop: Stop = field(default_factory=Stop)
    quality: Quality = field(default_factory=Quality)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        for section in fields(self):
            for item in fields(getattr(self, section.name)):
                value = getattr(getattr(self, section.name), item.name)
                if isinstance(value, float) and not math.isfinite(value):
                    raise ConfigError(f"expected a finite number, got {value}", field=_key(item.name))
        if self.solver.time_limit is not None:
            seconds_of(self.solver.time_limit)
        if self.data.delays != "off":
            from csiq.delays.tensor import parse_delays

            parse_delays(self.data.delays)
        if self.stop.rule is not None:
            from csiq.stopping.expression import parse_stopping_rule

            parse_stopping_rule(self.stop.rule)
        if self.run.max_memory is not None:
            bytes_of(self.run.max_memory)
        low_high = self.gating.band
        if low_high is not None and not low_high[0] < low_high[1]:
            raise ConfigError(f"expected low < high in Hz, got {list(low_high)}", field="gating.band")

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return sections and keys as they are written in TOML, files by their base name."""
        content = {name: {_key(k): v for k, v in keys.items()} for name, keys in asdict(self).items()}
        paths = (("data", "trajectory"), ("data", "noise"), ("quality", "model"), ("stop", "truth"))
        for section, key in paths:
            value = content[section][key]
            if value is not None:
                file, colon, dataset = value.rpartition(":/")
                content[section][key] = f"{Path(file).name}{colon}{dataset}" if colon else Path(value).name
        return content

    def sha256(self) -> str:
        """Return the hash that guards ``--resume``.

        Whatever may change without changing the iterates (how long, where, how loud) is left out.
        """
        content = self.as_dict()
        for section, keys in _OUTSIDE_HASH.items():
            for key in keys:
                content[section].pop(key)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_OUTSIDE_HASH = {
    "solver": ("max_iter", "time_limit"),
    "stop": ("truth",),
    "run": ("device", "threads", "coil_batch", "max_memory", "save_iterates", "live"),
}
_SECTIONS: dict[str, type] = {
    "data": Data,
    "gating": Gating,
    "coils": Coils,
    "penalty": Penalty,
    "solver": Solver,
    "stop": Stop,
    "quality": Quality,
    "run": Run,
}


def _key(attribute: str) -> str:
    return attribute.rstrip("_")


def _attribute(key: str) -> str:
    return "return_" if key == "return" else key


#: Section of every key, as it is written.
SECTION_OF = {_key(f.name): name for name, cls in _SECTIONS.items() for f in fields(cls)}


def load_config(
    preset: str | os.PathLike[str] | None = None,
    file: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Merge a preset or a file with options.

    Parameters
    ----------
    preset : str or path, optional
        Name of a file in ``recon_configs``, without ``.toml``. A path, or a string that ends in ``.toml``, is
        taken as ``file``.
    file : path, optional
        A TOML file; not together with ``preset``.
    overrides : mapping, optional
        Keys without section, as on the command line; None means "not given".

    Raises
    ------
    ConfigError
        If a key is unknown, or a value of the wrong type or out of range.
    """
    if preset is not None and file is not None:
        raise ConfigError("--preset and --config exclude each other", field="--preset")
    name, text = ("", "")
    if isinstance(preset, str) and not preset.endswith(".toml"):
        name, text = f"{preset}.toml", preset_text(preset)
    elif preset is not None:
        name, text = str(preset), _read(Path(preset))
    elif file is not None:
        name, text = str(file), _read(Path(file))
    return parse_config(text, overrides or {}, name)


def parse_config(text: str, overrides: Mapping[str, Any], file: str = "") -> Config:
    """Return the configuration of a TOML text and options; ``file`` is named in errors."""
    try:
        merged = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and deep nesting
        raise ConfigError(f"not TOML: {error}", file=file) from None
    _check_keys(merged, file)
    given = {key: value for key, value in overrides.items() if value is not None}
    for key, value in given.items():
        if key not in SECTION_OF:
            raise ConfigError("unknown key", field=key, hint=nearest(key, SECTION_OF))
        merged.setdefault(SECTION_OF[key], {})[key] = value
    renamed = {name: {_attribute(k): v for k, v in keys.items()} for name, keys in merged.items()}
    try:
        return msgspec.convert(renamed, Config)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        key = re.sub(r"\[.*", "", path.rstrip("`").rpartition(".")[2]).rstrip("_")
        hint = _known_values(path.rstrip("`"))
        raise _wrong(key, _lower_first(what), hint, given, file) from None
    except ConfigError as error:
        # whoever reads the value does not know whether an option or a file gave it
        key = (error.field or "").removeprefix("--").replace("-", "_").rpartition(".")[2]
        if key not in SECTION_OF:
            raise
        raise _wrong(key, error.what, error.hint, given, file) from None


def _known_values(path: str) -> str | None:
    """Return a hint with the values a key may have, if they are words; ``path`` is ``section.attribute``."""
    section, _, attribute = path.partition(".")
    hints = get_type_hints(_SECTIONS[section]) if section in _SECTIONS else {}
    values = [value for value in get_args(hints.get(attribute)) if isinstance(value, str)]
    return f"known: {', '.join(values)}" if values else None


def _check_keys(merged: dict[str, Any], file: str) -> None:
    for name, keys in merged.items():
        if name not in _SECTIONS:
            raise ConfigError("unknown section", file=file, field=f"[{name}]", hint=nearest(name, _SECTIONS))
        if not isinstance(keys, dict):
            raise ConfigError("expected a [section]", file=file, field=name)
        own = [key for key, section in SECTION_OF.items() if section == name]
        for key in keys:
            if key not in own:
                home = SECTION_OF.get(key)
                hint = f"it belongs to [{home}]" if home else nearest(key, own)
                raise ConfigError("unknown key", file=file, field=f"{name}.{key}", hint=hint)


def _wrong(key: str, what: str, hint: str | None, given: Mapping[str, Any], file: str) -> ConfigError:
    """Return an error about the value of a key, named as it was given: an option, or a key of the file."""
    if key in given:
        return ConfigError(what, field=f"--{key.replace('_', '-')}", hint=hint)
    field = f"{SECTION_OF.get(key, '')}.{key}".strip(".")
    return ConfigError(what, file=file or None, field=field or None, hint=hint)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("no such file", file=path, hint="check the path") from None
    except IsADirectoryError:
        raise ConfigError("is a folder, expected a TOML file", file=path, hint="name the file") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError:
        raise ConfigError("not a text file", file=path) from None
