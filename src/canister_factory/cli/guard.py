"""The frame around a run: the exit code, the streams, and what a signal says that ends the run at once.

Owns this frame. Does not own: the words for errors (`failures`), which are loaded when there is an error to show.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from canister_factory import interrupts
from canister_factory.cli import settings, streams
from canister_factory.cli.errors import DONE, FAILED


def guarded(main: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs click's `main`; errors are shown and end the process with their exit code.

    With `standalone_mode=False` (tests, embedding) it raises them instead, as click does.

    Raises:
        SystemExit: always, unless `standalone_mode` is false.
    """
    if not kwargs.get("standalone_mode", True):
        return main(*args, **kwargs)
    kwargs["standalone_mode"] = False
    streams.accept_any_text()
    interrupts.say_through(_say_at_once)
    try:
        code = _run(main, *args, **kwargs)
        sys.stdout.flush()
    except OSError as error:  # results, or what was to be said of an error, can't be written
        from canister_factory.cli import failures

        code = failures.show_lost_results(error)
    sys.exit(code)


def _run(main: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """The exit code of a command, whose error is shown."""
    try:
        result = main(*args, **kwargs)
        return result if isinstance(result, int) else DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:  # click's own answer to a closed pipe
        return stop.code if isinstance(stop.code, int) else FAILED
    except (Exception, interrupts.Interrupted, KeyboardInterrupt) as error:
        from canister_factory.cli import failures

        return failures.show(error)


def _say_at_once(number: int) -> None:
    """In a signal's handler: whatever runs may hold the streams' locks."""
    if settings.current().json:
        body = {"error": {"kind": "Interrupted", "message": interrupts.message(number)}}
        os.write(1, (json.dumps(body) + "\n").encode())
    else:
        interrupts.say_plainly(number)
