"""Slices so short that ordinary messages take several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from canister_factory.replica.runtime import slices
from canister_factory.replica.subnet.schedule import Pace

SHORT_TURNS = Pace(turn_slices=1, round_slices=3)
"""A message has to wait for its next turn after each slice."""


class InSlices:
    """For a state machine of hypothesis, before its class: messages take several turns, and others run meanwhile."""

    pace = SHORT_TURNS

    def __init__(self) -> None:
        self.slices = slices_of(700)
        self.slices.__enter__()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()  # type: ignore[misc]
        self.slices.__exit__(None, None, None)


@contextmanager
def slices_of(instructions: int) -> Iterator[None]:
    """Executions that begin within the block stop after so many instructions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "SLICE_INSTRUCTIONS", instructions)
        yield
