"""What a subnet asks of the place that keeps its state, and what that place may ask of the subnet.

Owns these two interfaces and the error. Does not own how state is kept (`store`), which imports the subnet's state: so
that the rooms know each other one way only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import OutcallAnswer, Request
from canister_factory.replica.subnet.schedule import Round
from canister_factory.replica.subnet.state import SubnetState


class CheckpointError(CanisterFactoryError):
    """A state directory can't be read or written; the message names it and says what to do.

    Attributes:
        durable: whether what was noted before is durable all the same; None: it isn't known.
        passing: what was asked for may be asked for again, and succeeds as soon as there is room.
    """

    durable: bool | None = False
    passing: bool = False


class Replayable(Protocol):
    """What inputs are executed on again: a subnet."""

    @property
    def state(self) -> SubnetState: ...

    def enqueue(self, request: Request | OutcallAnswer) -> None: ...

    def repeat_round(self, executed: Round) -> None: ...


class Durability(Protocol):
    """Keeps a subnet's state: what was noted is durable once it is committed.

    Raises:
        CheckpointError: by each method, when the place can't be read or written.
    """

    def load(self) -> SubnetState | None: ...

    def listening(self, listeners: Listeners) -> Listeners:
        """Listeners to be told of changes from here on, also of those that are executed again."""

    def replay(self, subnet: Replayable) -> None: ...

    def note_submitted(self, request: Request | OutcallAnswer) -> None:
        """Before the message is queued. Where there is no room for it, it must not be."""

    def make_room(self) -> None:
        """Before a round. Where there is no room to note it, it must not be executed."""

    def note_round(self, executed: Round, state: SubnetState) -> None: ...

    def commit(self, state: SubnetState, meanwhile: Callable[[], None] | None = None, *, at_rest: bool = False) -> None:
        """`meanwhile` may be done before this returns, while the disk is at work. It must not raise. `at_rest`: nothing
        has happened for a while, so it is a good time for what has to be done some time.
        """

    @property
    def awaited(self) -> list[Future[None]]:
        """What is being done for the place, of which `commit` makes use when it is done."""

    def close(self, state: SubnetState, *, in_full: bool = False) -> None:
        """At an orderly end. `in_full`: the next start has nothing to execute again, however long that takes now."""
