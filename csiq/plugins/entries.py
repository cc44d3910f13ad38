"""Entry points of other packages: found by name, loaded when wanted, blamed for what they do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass
from typing import Any, NoReturn

from csiq.errors import ConfigError, CsiqError, ModelError, RawDataError

#: Kind -> group of entry points, and what a failure of it is.
GROUPS = {
    "reader": "csiq.readers",
    "grader": "csiq.graders",
    "rule": "csiq.rules",
    "solver": "csiq.solvers",
}
_ERRORS: dict[str, type[CsiqError]] = {"reader": RawDataError, "grader": ModelError}


@dataclass(frozen=True)
class Plugin:
    """An entry point of another package.

    Attributes
    ----------
    kind : str
        reader, grader, rule or solver.
    name : str
        How it is asked for; ``-`` and ``_`` are the same.
    distribution : str
        The package and its version.
    """

    kind: str
    name: str
    distribution: str
    _entry: EntryPoint = field(repr=False)

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution}"

    def load(self) -> Any:
        """Import and return what the entry point names.

        Raises
        ------
        ModelError, RawDataError or ConfigError
            If that fails, however it fails.
        """
        try:
            return self._entry.load()
        except (Exception, SystemExit) as error:
            self._fail("cannot be loaded", error)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Turn whatever its code raises within the block into an error that names it."""
        try:
            yield
        except (CsiqError, MemoryError):
            raise
        except Exception as error:
            self._fail("failed", error)

    def error(self, what: str) -> CsiqError:
        """Return an error of this plug-in."""
        distribution = self.distribution.partition(" ")[0]
        hint = f"repair or uninstall {distribution}"
        return _ERRORS.get(self.kind, ConfigError)(f"{self} {what}", hint=hint)

    def _fail(self, what: str, error: BaseException) -> NoReturn:
        raise self.error(f"{what}: {type(error).__name__}: {error}") from error


def plugins_of(kind: str) -> list[Plugin]:
    """Return the plug-ins of a kind by name, without loading them."""
    found = [
        Plugin(kind, entry.name, _distribution(entry), entry) for entry in entry_points(group=GROUPS[kind])
    ]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown package"


def plugin_named(kind: str, name: str) -> Plugin | None:
    """Return the plug-in of a kind and name; None if there is none.

    Raises
    ------
    ConfigError
        If several packages have one of that name.
    """
    wanted = name.replace("-", "_")
    found = [plugin for plugin in plugins_of(kind) if plugin.name.replace("-", "_") == wanted]
    if len(found) > 1:
        names = ", ".join(plugin.distribution for plugin in found)
        raise ConfigError(f"{kind} '{name}' is in several packages: {names}", hint="uninstall all but one")
    return found[0] if found else None


def own_names(kind: str) -> list[str]:
    """Return the names that csiq itself has of a kind: they win over those of a plug-in."""
    if kind == "grader":
        from csiq.quality.model_file import shipped_models

        return ["default", *shipped_models()]
    if kind == "rule":
        from csiq.stopping.registry import BUILT_IN

        return list(BUILT_IN)
    if kind == "solver":
        from csiq.solvers import SOLVERS

        return list(SOLVERS)
    return []


def made(thing: Any) -> Any:
    """Return a thing, or what a class makes without arguments."""
    return thing() if isclass(thing) else thing
