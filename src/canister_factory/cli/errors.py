"""What a person sees of an error: one line that says what to do, and the exit code; with --json one object.

Owns exit codes and the words for errors that no layer could word. Does not own: the layers' errors and their messages.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import click
from pydantic import ValidationError

from canister_factory.candid.errors import CandidError
from canister_factory.cli import output
from canister_factory.ic.errors import IcError, IdentityError, NetworkConfigError, NetworkUnreachableError
from canister_factory.ic.key_file import redacted

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
INTERRUPTED = 130
ISSUES = "the project's issue tracker"


class CommandError(Exception):
    """A command can't go on; the message is complete and ends with what to do next. `exit_code`: 1 unless said."""

    def __init__(self, message: str, *, exit_code: int = FAILED, **context: object) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.context = context
        self.retry_helps = False


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
    try:
        result = main(*args, **kwargs)
        sys.exit(result if isinstance(result, int) else DONE)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.UsageError as error:
        _show_usage(error)
        sys.exit(USAGE)
    except click.ClickException as error:
        output.error(type(error).__name__, redacted(error.format_message()))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        output.error(
            "Interrupted", "interrupted; a creation on a network that still runs goes on when its command is run again"
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as error:
        sys.exit(_show(error))


def _show_usage(error: click.UsageError) -> None:
    """Click's words quote what was typed: it is escaped, and a key in a wrong place isn't repeated."""
    message = redacted(error.format_message())
    if output.settings.json:
        output.error("UsageError", message)
    else:
        click.UsageError(output.printable(message), error.ctx).show()


def _show(error: Exception) -> int:
    if output.settings.debug:
        sys.stderr.write(output.printable("".join(traceback.format_exception(error)), keep_lines=True))
    name, code = type(error).__name__, exit_code(error)
    if code is None:
        output.error(
            name,
            f"unexpected error: {name}: {error}. Run again with --debug and send the output to {ISSUES}",
        )
        return FAILED
    message = words_of(error)
    if isinstance(error, ValidationError):
        message = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in error.errors())
    output.error(name, message, context=context_of(error), retry_helps=getattr(error, "retry_helps", False))
    return code


def words_of(error: BaseException) -> str:
    """An error's message, with the notes that were added to it on its way up (`add_note`)."""
    notes: list[str] = getattr(error, "__notes__", [])
    return ". ".join([str(error).rstrip("."), *notes]) if notes else str(error)


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
