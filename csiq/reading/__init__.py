"""Readers at work: an offline page for blinded reading, and the tables its results become.

The page shows volumes only; it knows nothing of networks, grades of others or reconstructions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csiq.reading.collected import collect
    from csiq.reading.order import ReadingConfig
    from csiq.reading.session import write_session

__all__ = ["ReadingConfig", "collect", "write_session"]

_HOMES = {"ReadingConfig": "order", "collect": "collected", "write_session": "session"}


def __getattr__(name: str) -> Any:
    # Loaded on use: the command line must not wait for scipy and jinja2.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"csiq.reading.{_HOMES[name]}"), name)
    raise AttributeError(name)
