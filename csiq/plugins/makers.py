"""What makes the rules and solvers that other packages add."""

from __future__ import annotations

from inspect import isclass
from typing import Any

from csiq.plugins.entries import Plugin, plugin_named


def rule_maker(word: str) -> Any | None:
    """Return what makes the rule that a package adds by a name; None if there is none.

    Raises
    ------
    ConfigError
        If it cannot be loaded, or makes nothing.
    """
    plugin = plugin_named("rule", word)
    return None if plugin is None else _callable(plugin)


def solver_class(name: str) -> Any | None:
    """Return the solver that a package adds by a name; None if there is none.

    Raises
    ------
    ConfigError
        If it cannot be loaded, or is no child of :class:`csiq.solvers.base.Solver`.
    """
    from csiq.solvers.base import Solver

    plugin = plugin_named("solver", name)
    if plugin is None:
        return None
    found = plugin.load()
    if not (isclass(found) and issubclass(found, Solver)):
        raise plugin.error("is no child of csiq.solvers.base.Solver")
    return found


def _callable(plugin: Plugin) -> Any:
    found = plugin.load()
    if not callable(found):
        raise plugin.error(f"is no class or function but {type(found).__name__}")
    return found
