"""The errors that commands raise themselves, and the exit codes.

Owns both. Does not own: the layers' errors and their messages, and how errors are shown (`failures`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from canister_factory.base_error import CanisterFactoryError

DONE, FAILED, USAGE, UNREACHABLE, RUNNING_OUT = 0, 1, 2, 3, 4
"""`RUNNING_OUT`: of `owner status` and `fleet`: one stops soon. Besides these: 130 interrupted, 143 terminated."""


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


@contextmanager
def done_already(what: str) -> Iterator[None]:
    """Adds to an error what the command had done before it; with `what` empty nothing."""
    try:
        yield
    except Exception as error:
        if what:
            error.add_note(what)
        raise
