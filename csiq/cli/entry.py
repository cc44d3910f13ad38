"""Entry point of the ``csiq`` command: every way it can end has an exit code and at most one line."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

from csiq.cli.group import COMMANDS, csiq
from csiq.errors import CsiqError, Interrupted

#: Commands that print events, the last of which may be an error.
_WITH_EVENTS = ("recon", "demo", "tune")
#: Commands whose threads may compute for a long time after a signal; they have no processes to end.
_AT_ONCE = ("recon", "demo", "tune")
#: click's names of types, longest first, and what people call them.
_PLAIN_TYPES = (
    ("is not a valid float range", "is not a number"),
    ("is not a valid integer range", "is not a whole number"),
    ("is not a valid float", "is not a number"),
    ("is not a valid integer", "is not a whole number"),
)
#: What batch systems send some time before they kill.
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Terminated(BaseException):
    """SIGTERM or its like arrived; no ``Exception``, so that nothing on the way swallows it."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    args : sequence of str, optional
        Without the name of the program; those of the process by default.
    """
    code = _run(list(sys.argv[1:] if args is None else args))
    if args is None and code in (130, 143) and sys.argv[1:2] and sys.argv[1] in _AT_ONCE:
        # everything is written and let go; the interpreter would wait for threads in the midst of a transform
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    return code


def _run(arguments: list[str]) -> int:
    if "_CSIQ_COMPLETE" in os.environ:
        csiq.main(arguments, prog_name="csiq", complete_var="_CSIQ_COMPLETE")
    try:
        with _signals_raise(), csiq.make_context("csiq", arguments) as context:
            csiq.invoke(context)
            sys.stdout.flush()
    except BaseException as error:
        return _end(error, arguments)
    return 0


@contextmanager
def _signals_raise() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    try:
        before = [(number, signal.signal(number, terminate)) for number in _SIGNALS]
    except ValueError:  # not the main thread: signals are somebody else's business
        yield
        return
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _end(error: BaseException, arguments: list[str]) -> int:
    """Return the exit code of what was raised, after one line about it."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if isinstance(error, BrokenPipeError):
        return _close_quietly()
    if type(error).__name__ == "NoArgsIsHelpError":  # by name: click has it since 8.2
        click.echo(error.ctx.get_help(), err=True)  # type: ignore[attr-defined]
        return 2
    if _given("--debug", arguments):
        traceback.print_exception(error)
    content = describe(error, arguments)
    try:
        _show(content, arguments)
    except BrokenPipeError:
        _close_quietly()
    return int(content["code"])


def describe(error: BaseException, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Return the object that ``--json`` prints for an error: status, code, file, field, message, hint."""
    if isinstance(error, CsiqError):
        return error.as_dict()
    if isinstance(error, KeyboardInterrupt | click.Abort | Terminated):
        return _interrupted(error, arguments)
    if isinstance(error, click.ClickException):
        return _plain(error.exit_code, _usage_message(error), hint=_usage_hint(error))
    from csiq.failures import as_csiq_error

    known = as_csiq_error(error)
    if known is not None:
        return known.as_dict()
    where = "" if _given("--debug", arguments) else "--debug shows where; "
    hint = f"{where}please report it with the command and csiq.log"
    return _plain(1, f"this is a bug in csiq: {type(error).__name__}: {error}", hint=hint)


def _interrupted(error: BaseException, arguments: Sequence[str]) -> dict[str, Any]:
    by_person = not isinstance(error, Terminated)
    number = signal.SIGINT if by_person else signal.SIGTERM
    content = Interrupted("stopped by Ctrl-C" if by_person else "terminated", signal=number).as_dict()
    resumable = any(name in arguments[:1] for name in ("recon", "tune", "cohort", "study"))
    return content if resumable else {**content, "hint": None}


def _plain(code: int, message: str, hint: str | None) -> dict[str, Any]:
    return {
        "status": "error",
        "code": code,
        "file": None,
        "field": None,
        "message": " ".join(message.split()).rstrip("."),
        "hint": hint,
    }


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    for words, plain in _PLAIN_TYPES:
        message = message.replace(words, plain)
    return message[:1].lower() + message[1:]


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else None


def _show(content: dict[str, Any], arguments: Sequence[str]) -> None:
    if _given("--json", arguments):
        from csiq.cli.output import json_line

        with_event = any(name in arguments[:1] for name in _WITH_EVENTS)
        click.echo(json_line({"event": "error", **content} if with_event else content))
        return
    where = [content[key] for key in ("file", "field") if content[key]]
    sentence = ": ".join([*where, content["message"]])
    hint = f"; {content['hint']}" if content["hint"] else ""
    click.echo(f"csiq: {content['status']}: {sentence}{hint}", err=True)


def _given(flag: str, arguments: Sequence[str]) -> bool:
    before_dashes = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    return flag in before_dashes


def _close_quietly() -> int:
    """Point stdout at nothing: the reader has gone, and the interpreter's last flush must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


__all__ = ["COMMANDS", "describe", "main"]
