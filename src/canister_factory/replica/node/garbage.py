"""Python's search for cycles in a process that is a replica: it looks at what is new, never again at what stayed.

Owns the process's settings of `gc`, so it is for processes of our own (`cli.replica_server`), not for programs that
embed a replica. Without them each search looks through all that stays, a pause that grows with it. What nobody refers
to is freed at once all the same, since it is counted; a cycle that outlives the second search for it stays, so our
long-lived objects have none.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["look_at_new_objects_only", "without_searches"]

_FIRST_GENERATION = 5_000
"""Objects made and kept until the next search among the youngest. Python's 700 is four requests."""


@contextmanager
def without_searches() -> Iterator[None]:
    """While a state is read, which stays: searches would look through all of it again and again. They never do."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def look_at_new_objects_only() -> None:
    """Sets the process up; to be called when everything that stays for good is there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_FIRST_GENERATION, *gc.get_threshold()[1:])
    gc.callbacks.append(_freeze_what_stays)


def _freeze_what_stays(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()
