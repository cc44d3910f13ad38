"""The configurations that ship with csiq: the files of ``recon_configs``."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from csiq.errors import ConfigError, nearest


def _preset_folder() -> Traversable:
    # In a wheel recon_configs is csiq.recon_configs; in a checkout it lies beside the package.
    packaged = resources.files("csiq").joinpath("recon_configs")
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / "recon_configs"


def preset_names() -> list[str]:
    """Return the names of the presets that ship with csiq."""
    return sorted(
        f.name.removesuffix(".toml") for f in _preset_folder().iterdir() if f.name.endswith(".toml")
    )


def preset_text(name: str) -> str:
    """Return the TOML text of a preset.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    names = preset_names()
    if name not in names:
        raise ConfigError(f"no preset '{name}'", field="--preset", hint=nearest(name, names))
    return _preset_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")
