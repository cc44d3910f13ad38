"""The log of one run, ``csiq.log``, as long as it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_log = logging.getLogger("csiq")


class _LogFile(logging.FileHandler):
    """A log that a full disk ends without a word: what it was to say is said by the error itself."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Print no traceback."""

    def close(self) -> None:
        """Let go of the file, whatever of it could be written."""
        with suppress(OSError):
            super().close()


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
