"""Instances for queries that can't use the canister's own: those in use, and a few that can be used again.

Owns both. Does not own what is executed (`queries`), or how an instance reads (`runtime.reader`).
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.reader import Reader, reader_of
from canister_factory.replica.subnet.canister import CanisterState

MAX_PARKED: Final = 8
"""So many are kept for the next queries, of one or several canisters. A new one costs as much as SHA-256 of 0.3 MB."""


class Readers:
    """Opens and closes readers. All of one canister are on the state that was committed when they were opened."""

    def __init__(self) -> None:
        self._open: dict[Instance, Instance] = {}  # with whose state they read
        self._parked: list[tuple[Instance, Reader]] = []  # with whose state they read, the last one last

    def __repr__(self) -> str:
        return f"<Readers open={len(self._open)} parked={len(self._parked)}>"

    def open(self, canister: CanisterState, *, once: bool, here: int = 1) -> Instance:
        """A reader; it is for one execution, or for some that see what those before committed. `close` it.

        `here`: as `runtime.reader.Reader` has it.
        """
        _, owner = canister.running_module
        stable = canister.stable.reader()
        position = next((at for at, (whose, _) in enumerate(self._parked) if whose is owner), None)
        reader: Instance
        if position is None:
            reader = reader_of(owner, stable, once=once, here=here)
        else:
            _, parked = self._parked.pop(position)
            parked.renew(owner, stable, once=once, here=here)
            reader = parked
        self._open[reader] = owner
        return reader

    def close(self, reader: Instance) -> None:
        """Ends a reader's use. Closing twice is allowed."""
        owner = self._open.pop(reader, None)
        if owner is None:
            return
        if not isinstance(reader, Reader):
            reader.close()
        elif reader.park():
            self._parked.append((owner, reader))
            if len(self._parked) > MAX_PARKED:
                self._parked.pop(0)[1].close()

    def close_all(self) -> None:
        """Closes all; executions that are suspended in them end with `ExecutionAbandonedError`."""
        for reader in [*self._open, *(parked for _, parked in self._parked)]:
            reader.close()
        self._open.clear()
        self._parked.clear()
