"""Graders by name: csiq's own, or those of other packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.errors import ConfigError
from csiq.plugins.entries import Plugin, made, plugin_named

if TYPE_CHECKING:
    from csiq.arrays import Device
    from csiq.quality.assessor import Assessor


def load_assessor(name_or_file: str | Path = "default", device: Device | str = "cpu") -> Assessor:
    """Return what grades: csiq's model of a name or file, else the grader that a package adds by that name.

    Parameters
    ----------
    name_or_file : str or path
    device : Device or str
        Where csiq's model grades; a grader of another package chooses for itself.

    Raises
    ------
    ModelError
        If there is none, or it cannot be loaded.
    """
    from csiq.quality.grade import Grader
    from csiq.quality.model_file import shipped_models

    name = str(name_or_file)
    own = (
        name == "default" or name.endswith(".safetensors") or name in shipped_models() or Path(name).exists()
    )
    plugin = None if own else plugin_named("grader", name)
    return Grader.load(name_or_file, device) if plugin is None else _assessor(plugin)


def _assessor(plugin: Plugin) -> Assessor:
    from csiq.quality.assessor import as_assessor

    thing = plugin.load()
    with plugin.blamed():
        grader = made(thing)
    try:
        return _Blamed(plugin, as_assessor(grader, plugin.name))
    except ConfigError as error:
        raise plugin.error(error.what) from None


class _Blamed:
    """A grader of another package whose failures name it."""

    def __init__(self, plugin: Plugin, assessor: Assessor) -> None:
        self._plugin, self._assessor = plugin, assessor
        self.name, self.sha256 = assessor.name, assessor.sha256
        self.card, self.warnings = assessor.card, assessor.warnings

    def grade(self, volume: Any, voxel_size: tuple[float, float, float]) -> Any:
        """Return the plugin's grade of a volume (z, y, x), voxels in mm; its errors name the plugin."""
        with self._plugin.blamed():
            return self._assessor.grade(volume, voxel_size)

    def side_line(self) -> Any:
        """Return the plugin's own side line, to grade beside the solver on a GPU; None without one."""
        return self._assessor.side_line()
