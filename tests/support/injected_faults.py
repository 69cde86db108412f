"""Defects that a test puts into the replica's own code: an exception before any one line of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

from canister_factory.replica import subnet, system_canisters
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.subnet import Subnet

_ROOMS = tuple(str(Path(room.__path__[0])) for room in (subnet, system_canisters))
# What takes a message back must work, as must what decides that: a defect there breaks the subnet, as it should.
_SPARED_FILES = ("transaction.py", "subnet.py", "failures.py", "work.py", "mailboxes.py", "statuses.py")
_SPARED_FUNCTIONS = ("process", "_end_failed")


class DefectError(Exception):
    """Stands for a mistake of ours."""


class Fault:
    """Raises `DefectError` before the line that is executed as number `at`; counts the lines that could be."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    @property
    def struck(self) -> bool:
        return self.lines >= self.at

    def __call__(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        spared = code.co_name in _SPARED_FUNCTIONS or code.co_filename.endswith(_SPARED_FILES)
        if self.struck or spared or not code.co_filename.startswith(_ROOMS):
            return None
        if event == "line":
            self.lines += 1
            if self.struck:
                raise DefectError(f"{Path(code.co_filename).name}:{frame.f_lineno}")
        return self


@contextmanager
def injected(fault: Fault) -> Iterator[None]:
    """The fault strikes meanwhile."""
    before = sys.gettrace()
    sys.settrace(fault)
    try:
        yield
    finally:
        sys.settrace(before)


def picture(of: Subnet) -> dict[str, Any]:
    """All of a subnet's state, memories included, as values that can be compared."""
    apart = ("transaction", "canisters", "messages_executed")
    seen = {
        field.name: deepcopy(getattr(of.state, field.name)) for field in fields(SubnetState) if field.name not in apart
    }
    seen["canisters"] = [_canister_picture(canister) for canister in of.canisters.values()]
    seen["deadlines"] = sorted(of._calls.deadlines._heap)
    return seen


def _canister_picture(canister: CanisterState) -> dict[str, Any]:
    seen = {
        field.name: deepcopy(getattr(canister, field.name))
        for field in fields(CanisterState)
        if "runtime" not in field.metadata and field.name != "snapshots"
    }
    seen["snapshots"] = dict(canister.snapshots)  # they never change, and equal themselves only
    seen["module"] = canister.module
    seen["instance"] = id(canister.instance)
    seen["memory"] = canister.instance.export_state() if canister.instance is not None else None
    seen["stable"] = canister.stable.export_state()
    return seen
