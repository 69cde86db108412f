"""What a person sees of an error: one line that says what to do, and the exit code; with --json one object.

Owns exit codes and the words for errors that no layer could word. Does not own: the layers' errors and their messages.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from pydantic import ValidationError

from canister_factory import interrupts
from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.errors import CandidError
from canister_factory.cli import output
from canister_factory.ic.errors import IcError, IdentityError, NetworkConfigError, NetworkUnreachableError
from canister_factory.ic.key_file import redacted

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Besides these: 130 interrupted, 143 terminated."""
ISSUES = "the project's issue tracker"


class CommandError(CanisterFactoryError):
    """A command can't go on; the message is complete and ends with what to do next. `exit_code`: 1 unless said."""

    def __init__(self, message: str, *, exit_code: int = FAILED, **context: object) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.context = context


class InputError(CommandError):
    """What the person gave can't be used: a path, a value, a combination of options."""

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message, exit_code=USAGE, **context)


def guarded(main: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs click's `main`; errors are shown and end the process with their exit code.

    With `standalone_mode=False` (tests, embedding) it raises them instead, as click does.
    """
    if not kwargs.get("standalone_mode", True):
        return main(*args, **kwargs)
    kwargs["standalone_mode"] = False
    output.accept_any_text()
    interrupts.say_through(_say_at_once)
    try:
        code = output.finish(_ended(main, *args, **kwargs))
    except OSError as error:  # what was to be said of an error can't be written either
        code = output.lost(error)
    sys.exit(code)


def _ended(main: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """The exit code of a command, and what is to be said of it."""
    try:
        result = main(*args, **kwargs)
        return result if isinstance(result, int) else DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:  # click's own answer to a closed pipe
        return stop.code if isinstance(stop.code, int) else FAILED
    except click.UsageError as error:
        _show_usage(error)
        return USAGE
    except click.ClickException as error:
        output.error(type(error).__name__, redacted(error.format_message()))
        return error.exit_code
    except interrupts.Interrupted as stop:
        return _show_interruption(stop.number)
    except (click.Abort, KeyboardInterrupt):
        return _show_interruption(signal.SIGINT)
    except Exception as error:
        return _show(error)


def _show_usage(error: click.UsageError) -> None:
    """Click's words quote what was typed: it is escaped, and a key in a wrong place isn't repeated."""
    if error.ctx is not None and not output.settings.json:
        output.note(error.ctx.get_usage())
        if error.ctx.command.get_help_option(error.ctx) is not None:
            output.note(f"Try '{error.ctx.command_path} {error.ctx.help_option_names[0]}' for help.")
    output.error("UsageError", redacted(error.format_message()))


def _show_interruption(number: int) -> int:
    if output.settings.json:
        output.error("Interrupted", interrupts.message(number))
    else:
        output.begin_line()
        output.note(interrupts.message(number))
    return 128 + number


def _say_at_once(number: int) -> None:
    """In a signal's handler: whatever runs may hold the streams' locks."""
    if output.settings.json:
        body = {"error": {"kind": "Interrupted", "message": interrupts.message(number)}}
        os.write(1, (json.dumps(body) + "\n").encode())
    else:
        interrupts.say_plainly(number)


def _show(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename is None and not output.can_write_results():
        return output.lost(error)
    if output.settings.debug:
        sys.stderr.write(output.printable("".join(traceback.format_exception(error)), keep_lines=True))
    name, code = type(error).__name__, exit_code(error)
    if code is None:
        output.error(
            name,
            f"unexpected error: {name}: {error}. Run again with --debug and send the output to {ISSUES}",
        )
        return FAILED
    output.error(name, words_of(error), context=context_of(error), retry_helps=getattr(error, "retry_helps", False))
    return code


@contextmanager
def done_already(what: str) -> Iterator[None]:
    """Adds to an error what the command had done before it; with `what` empty nothing."""
    try:
        yield
    except Exception as error:
        if what:
            error.add_note(what)
        raise


def words_of(error: BaseException) -> str:
    """An error's message, with the notes that were added to it on its way up (`add_note`)."""
    notes: list[str] = getattr(error, "__notes__", [])
    said = str(error)
    if isinstance(error, ValidationError):
        said = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in error.errors())
    elif isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return ". ".join([said.rstrip("."), *notes]) if notes else said


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that we know how to word; `None` for one that is a defect of ours."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, NetworkUnreachableError):
        return UNREACHABLE
    if isinstance(error, IdentityError | NetworkConfigError | ValidationError):
        return USAGE
    if isinstance(error, IcError | CandidError | OSError):
        return FAILED
    return FAILED if hasattr(error, "retry_helps") else None


def context_of(error: Exception) -> dict[str, object]:
    """What a typed error carries besides its message: names to plain values."""
    context = getattr(error, "context", None)
    return dict(context) if isinstance(context, dict) else {}
