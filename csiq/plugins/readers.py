"""Readers of files that csiq does not know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.errors import CsiqError
from csiq.plugins.entries import Plugin, made, plugins_of

if TYPE_CHECKING:
    from csiq.io.finish import Draft
    from csiq.io.options import ReadOptions


def reader_of(path: Path) -> PluginReader | None:
    """Return the first reader, by name, that takes a file; None if none does.

    Raises
    ------
    RawDataError
        If none takes it and a reader that might have is broken.
    """
    broken: CsiqError | None = None
    for plugin in plugins_of("reader"):
        try:
            thing = plugin.load()
            with plugin.blamed():
                reader = made(thing)
                takes = bool(reader.takes(path))
        except CsiqError as error:
            broken = broken or error
            continue
        if takes:
            return PluginReader(plugin, reader)
    if broken is not None:
        raise type(broken)(broken.what, file=path, hint=broken.hint)
    return None


@dataclass(frozen=True)
class PluginReader:
    """A reader of another package that takes the file at hand."""

    plugin: Plugin
    reader: Any

    def read_acquisition(self, path: Path, options: ReadOptions) -> Draft:
        """Return a raw scan as decoded: the options' coils and matrix are not yet taken.

        Raises
        ------
        RawDataError
            If the reader fails, or reads no raw scans.
        """
        from csiq.acquisition import Acquisition
        from csiq.io.finish import Draft

        if not hasattr(self.reader, "read_acquisition"):
            raise self.plugin.error(f"reads no raw scans such as {path.name}")
        with self.plugin.blamed():
            found = self.reader.read_acquisition(path, options)
        if isinstance(found, Acquisition):
            shared = {k: v for k, v in vars(found).items() if k not in ("name", "sha256")}
            return Draft(path=path, **shared)
        if not isinstance(found, Draft):
            raise self.plugin.error(f"gave no scan but {type(found).__name__}")
        return found

    def read_volumes(self, path: Path) -> list[tuple[str, Any, tuple[float, float, float]]]:
        """Return the volumes of a file: name, values (z, y, x), voxel size in mm.

        Raises
        ------
        RawDataError
            If the reader fails, or reads no images.
        """
        if not hasattr(self.reader, "read_volumes"):
            raise self.plugin.error(f"reads no images such as {path.name}")
        with self.plugin.blamed():
            return [(str(name), values, tuple(size)) for name, values, size in self.reader.read_volumes(path)]
