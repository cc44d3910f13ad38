"""The log of one run, ``csiq.log``, as long as it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_log = logging.getLogger("csiq")


class _LogFile(logging.FileHandler):
    """A log that a full disk ends without a word: what it was to say is said by the error itself."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Print no traceback."""

    def close(self) -> None:
        """Let go of the file, whatever of it could be written."""
        with suppress(OSError):
            super().close()


def line_of(event: Mapping[str, Any]) -> str:
    """Return an event of a run as a line of the log: the words of a warning, else ``key value, key value``.

    Parameters
    ----------
    event : mapping
        As :func:`csiq.pipeline.reconstruct` tells it. Real numbers get six digits, the entries of a list
        stand beside each other.
    """
    kind = event["event"]
    if kind == "warning":
        return str(event["message"])
    words = ", ".join(f"{key} {_shown(value)}" for key, value in event.items() if key != "event")
    return words if kind in event else f"{kind}: {words}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return " ".join(_shown(one) for one in value)
    return "none" if value is None else str(value)


@contextmanager
def log_into(folder: Path) -> Iterator[None]:
    """Write the log of this run to ``csiq.log``."""
    handler = _LogFile(folder / "csiq.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.DEBUG)
    try:
        yield
    except Exception:
        _log.exception("stopped by an error")
        raise
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        handler.close()
