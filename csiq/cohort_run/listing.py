"""A manifest made from raw files that lie somewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from csiq.cohort.manifest import CohortScan, write_cohort
from csiq.config import load_config
from csiq.errors import ConfigError, OutputError
from csiq.io.sniff import check_readable, identify
from csiq.plugins import reader_of
from csiq.presets import preset_text

#: How raw files end that a folder is searched for.
SUFFIXES = (".h5", ".hdf5", ".dat", ".cfl")
#: The truth of a simulated scan lies beside it and is no scan.
_NO_SCAN = ".truth.h5"
#: Other raw data than those: what :func:`csiq.io.read_acquisition` takes when it is named.
_BART, _KINDS = (".cfl", ".hdr"), ("hdf5", "twix", "a NumPy array")
_ENDINGS = f"raw files end in {', '.join(SUFFIXES)}"


def write_listing(
    manifest: Path, given: Sequence[Path], config: str | None = None, *, overwrite: bool = False
) -> list[CohortScan]:
    """Write a manifest of raw files and return its scans.

    Parameters
    ----------
    manifest : Path
    given : sequence of Path
        Raw files, and folders that are searched for them.
    config : str, optional
        What the column ``config`` says of each: a preset, or a TOML file relative to the manifest.
    overwrite : bool
        Replace a manifest that is there.

    Raises
    ------
    ConfigError
        If there is no raw file, or no such configuration.
    OutputError
        If the manifest is there.
    """
    if manifest.exists() and not overwrite:
        raise OutputError("exists", file=manifest, hint="--overwrite")
    if config is not None:
        _check_config(config, manifest.parent)
    files = list(dict.fromkeys(path.resolve() for path in _raw_files(given)))
    if not files:
        raise ConfigError("no raw files there", field="RAW", hint=_ENDINGS)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    names = _names(files)
    base = manifest.parent.resolve()
    scans = [
        CohortScan(name, _beside(base, file, manifest.parent), config)
        for name, file in zip(names, files, strict=True)
    ]
    write_cohort(manifest, scans)
    return scans


def _check_config(config: str, folder: Path) -> None:
    if not config.endswith(".toml"):
        preset_text(config)
    else:
        load_config(file=folder / config)


def _raw_files(given: Sequence[Path]) -> Iterable[Path]:
    for path in given:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if _is_raw(file))
        else:
            yield _named(path)


def _named(path: Path) -> Path:
    """Return a file that was named, if it may be raw data: by its name, its first bytes, or a plug-in."""
    check_readable(path, field="RAW")
    if path.suffix.lower() in _BART or (kind := identify(path)) in _KINDS or reader_of(path) is not None:
        return path
    raise ConfigError(f"is {kind}, expected raw data", file=path, field="RAW", hint=_ENDINGS)


def _is_raw(file: Path) -> bool:
    named = file.suffix.lower() in SUFFIXES and not file.name.endswith(_NO_SCAN)
    return named and file.is_file() and not file.name.startswith(".")


def _names(files: Sequence[Path]) -> list[str]:
    """Return names that folders can have: stems, with as many folders before them as make them differ."""
    for depth in range(1, 8):
        names = ["-".join([*file.parent.parts[1:][1 - depth :], file.stem][-depth:]) for file in files]
        names = [re.sub(r"[^\w.-]+", "-", name).strip("-.") or "scan" for name in names]
        if len(set(names)) == len(names):
            return names
    seen = Counter[str]()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = f"{name}-{seen[name]}"
    return names


def _beside(base: Path, file: Path, shown: Path) -> Path:
    """Return a file as the manifest writes it: relative where it lies below the manifest's folder."""
    return shown / file.relative_to(base) if file.is_relative_to(base) else file
