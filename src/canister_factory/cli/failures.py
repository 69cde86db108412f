"""What a person sees of an error: one line that says what to do, and the exit code; with --json one object.

Owns the words for errors that no layer could word, and which exit code an error has. Does not own: the layers' errors
and their messages, the errors of commands (`errors`).
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback

import click
from pydantic_core import ValidationError

from canister_factory import interrupts
from canister_factory.base_error import CanisterFactoryError
from canister_factory.cli import consoles, output, settings, streams
from canister_factory.cli.errors import FAILED, UNREACHABLE, USAGE, CommandError
from canister_factory.ic.errors import IdentityError, NetworkConfigError, NetworkUnreachableError
from canister_factory.ic.key_file import redacted

ISSUES = "the project's issue tracker"


def show(error: BaseException) -> int:
    """Shows what ended a command; the exit code."""
    match error:
        case click.UsageError():
            return _show_usage(error)
        case click.ClickException():
            output.error(type(error).__name__, redacted(error.format_message()))
            return error.exit_code
        case interrupts.Interrupted():
            return _show_interruption(error.number)
        case click.Abort() | KeyboardInterrupt():
            return _show_interruption(signal.SIGINT)
        case Exception():
            return _show_failure(error)
    raise error


def show_lost_results(error: OSError) -> int:
    """Says why results can't be written, unless the reader has left (`| head`) and knows; the exit code."""
    streams.silence(sys.stdout)
    if error.errno != errno.EPIPE:
        # Never as JSON: there is no stdout to put it on.
        output.error_line(f"the output can't be written: {error.strerror or error}")
    return FAILED


def _show_usage(error: click.UsageError) -> int:
    """Click's words quote what was typed: it is escaped, and a key in a wrong place isn't repeated."""
    if error.ctx is not None and not settings.current().json:
        output.note(error.ctx.get_usage())
        if error.ctx.command.get_help_option(error.ctx) is not None:
            output.note(f"Try '{error.ctx.command_path} {error.ctx.help_option_names[0]}' for help.")
    output.error("UsageError", redacted(error.format_message()))
    return USAGE


def _show_interruption(number: int) -> int:
    if settings.current().json:
        output.error("Interrupted", interrupts.message(number))
    else:
        consoles.begin_line()
        output.note(interrupts.message(number))
    return 128 + number


def _show_failure(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename is None and not streams.can_write_results():
        return show_lost_results(error)
    if settings.current().debug:
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


def words_of(error: BaseException) -> str:
    """An error's message, with the notes that were added to it on its way up (`add_note`)."""
    notes: list[str] = getattr(error, "__notes__", [])
    message = str(error)
    if isinstance(error, ValidationError):
        message = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in error.errors())
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return ". ".join([message.rstrip("."), *notes]) if notes else message


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that we know how to word; `None` for one that is a defect of ours."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, NetworkUnreachableError):
        return UNREACHABLE
    if isinstance(error, IdentityError | NetworkConfigError | ValidationError):
        return USAGE
    return FAILED if isinstance(error, CanisterFactoryError | OSError) else None


def context_of(error: Exception) -> dict[str, object]:
    """What a typed error carries besides its message: names to plain values."""
    context = getattr(error, "context", None)
    return dict(context) if isinstance(context, dict) else {}
