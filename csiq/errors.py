"""The errors csiq raises on purpose, each with the exit code of the command line.

Anything else that reaches the command line is a bug (exit code 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class CsiqError(Exception):
    """What went wrong, where, and what to do about it.

    Parameters
    ----------
    what : str
        What was expected and what came, in one line.
    file : path, optional
        The file it is about; people see its base name.
    field : str, optional
        HDF5 path, header element, config key, option or axis.
    hint : str, optional
        What to do.
    """

    exit_code = 1
    status = "error"

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = " ".join(what.split())
        self.file = Path(file).name if file is not None else None
        self.field = field
        self.hint = hint
        super().__init__(self.one_line())

    def one_line(self) -> str:
        """Return ``FILE: FIELD: what is wrong; what to do`` without the missing parts."""
        where = [part for part in (self.file, self.field) if part]
        sentence = ": ".join([*where, self.what])
        return f"{sentence}; {self.hint}" if self.hint else sentence

    def as_dict(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "status": self.status,
            "code": self.exit_code,
            "file": self.file,
            "field": self.field,
            "message": self.what,
            "hint": self.hint,
        }


class ConfigError(CsiqError):
    """A wrong option, config key or value."""

    exit_code = 2


class RawDataError(CsiqError):
    """Raw data that cannot be read, or that says something impossible."""

    exit_code = 3


class ShapeError(RawDataError):
    """Arrays whose shapes do not fit together."""


class ModelError(CsiqError):
    """A grading model that is missing, damaged or of another kind."""

    exit_code = 4


class ResourceError(CsiqError):
    """Too little memory, disk or permission."""

    exit_code = 5


class DeviceError(ResourceError):
    """A compute device that is not there or does not work."""


class CohortError(CsiqError):
    """A cohort that finished, some of its scans failed."""

    exit_code = 6


class OutputError(CsiqError):
    """Output that exists already, or that another run is writing."""

    exit_code = 7


class Interrupted(CsiqError):
    """Stopped by a signal; ``exit_code`` is 128 + its number."""

    exit_code = 130
    status = "interrupted"

    def __init__(self, what: str, *, signal: int = 2) -> None:
        self.exit_code = 128 + signal
        super().__init__(what, hint="go on with --resume")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to ``word``, or all of them."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(choices)}"


def one_line(error: BaseException, limit: int = 120) -> str:
    """Return what an exception of another library says, in one line of at most ``limit`` characters.

    Parameters
    ----------
    error : BaseException
        One that says nothing is called by its type.
    limit : int
        What is longer ends in `` ...``.
    """
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= limit else f"{words[: limit - 4].rstrip()} ..."
