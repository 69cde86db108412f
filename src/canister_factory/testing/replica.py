"""An embedded replica in this process, for tests: anchored, put ahead in time, asked for a round.

Owns the thread with the replica's event loop, and its clock. Does not own the replica (`replica.node.server`).

It runs in a thread of the tests' own process instead of a child: anchors and time are plain calls then, and there is
no endpoint that could be left open. Clients reach it as any network, by HTTP on a loopback address.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.testing.clock import TravelClock
from canister_factory.testing.outcalls import HttpOutcalls
from canister_factory.testing.transport import SharedTransport

T = TypeVar("T")

# A canister that sets its timer to a time in the past is due in each round.
_MOST_ROUNDS: Final = 100
_END_OF_TIME_NS: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class ReplicaAnchor:
    """A state to which the replica can go back, and how far its clock was ahead."""

    anchor: Anchor
    offset_ns: int

    @property
    def copied_bytes(self) -> int:
        """What is kept of canisters' memories: the blocks of 4 KiB that were written since."""
        return self.anchor.copied_bytes


class EmbeddedReplica:
    """A replica that lives as long as a `with` block, in memory only. Its methods may be called by any thread.

    Args:
        prices: "configured" (the official replica's, the dearer ones and the default) or "documented".

    Attributes, once started:
        url: where it listens, on a loopback address.
        network: the same with the root key, for agents.
        clock: its time in nanoseconds since 1970; this computer's, and what `advance` added.
    """

    def __init__(self, *, prices: str | None = None) -> None:
        self.clock = TravelClock()
        self._prices = prices
        self.url = ""
        self.network: Network
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embedded replica", daemon=True)
        self._server: ReplicaServer
        self._transport: SharedTransport

    def __repr__(self) -> str:
        return f"<EmbeddedReplica {self.url or 'not started'} {self.clock!r}>"

    def start(self) -> Self:
        """Starts it and waits until it listens."""
        self._thread.start()

        async def serve() -> ReplicaServer:
            return await ReplicaServer(clock_ns=self.clock, prices=self._prices).start()

        self._server = self._run(serve())
        self.url = self._server.url
        self.network = Network("embedded", self.url, self._server.root_key)
        self._transport = SharedTransport(self._loop, self.url, clock_ns=self.clock)
        return self

    def stop(self) -> None:
        """Stops it; all that was in it is gone."""

        async def end() -> None:
            await self._transport.close_connections()
            await self._server.stop()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- clients -----------------------------------------------------------------------------------------------------

    def agent(self, identity: Identity | None = None) -> Agent:
        """An agent on this network, by the replica's time; it needs no closing.

        Args:
            identity: whom to call as; a fresh one by default.
        """
        return Agent(identity or Identity.generate(), self.network, transport=self._transport)

    # --- going back --------------------------------------------------------------------------------------------------

    def anchor(self) -> ReplicaAnchor:
        """Remembers the state of the whole network. Anchors nest."""
        return self._do(lambda: ReplicaAnchor(self._server.anchor(), self.clock.offset_ns))

    def revert(self, anchor: ReplicaAnchor) -> None:
        """Makes everything what it was at the anchor, and ends that and those inside of it.

        Time goes on, less what `advance` added since the anchor: certificates that are made now are valid by the
        replica's clock, and no canister that is left has seen a later time.

        Raises:
            AnchorError: the anchor has ended.
        """

        def back() -> None:
            offset_ns, self.clock.offset_ns = self.clock.offset_ns, anchor.offset_ns
            try:
                self._server.revert(anchor.anchor)
            except BaseException:
                self.clock.offset_ns = offset_ns
                raise

        self._do(back)

    @contextmanager
    def anchored(self) -> Iterator[ReplicaAnchor]:
        """What happens within the block is undone at its end."""
        anchor = self.anchor()
        try:
            yield anchor
        finally:
            self.revert(anchor)

    # --- the world outside -------------------------------------------------------------------------------------------

    @contextmanager
    def http_outcalls(self) -> Iterator[HttpOutcalls]:
        """Within the block the test answers the HTTP outcalls of canisters; elsewhere they reach loopback servers."""
        outcalls = HttpOutcalls()
        before = self._server.outcalls.perform
        self._server.outcalls.perform = outcalls.perform
        try:
            yield outcalls
        finally:
            self._server.outcalls.perform = before

    # --- time and rounds ---------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Puts the clock ahead and executes what is due: timers, heartbeats, deadlines, and the calls that they make.

        Clients that don't use this replica's clock (other processes) see a network whose clock is ahead.

        Raises:
            ValueError: the time is negative, or too far ahead.
        """
        if seconds < 0:
            raise ValueError(f"time goes ahead only, not by {seconds} s")
        if not self.clock() + seconds * 1e9 < _END_OF_TIME_NS:
            raise ValueError(f"{seconds} s are too far ahead: time ends in the year 2554, since it has 64 bits")

        def go() -> None:
            self.clock.offset_ns += round(seconds * 1e9)
            for _ in range(_MOST_ROUNDS):
                more = self._server.tick()
                due_ns = self._server.subnet.next_wakeup_ns()
                if not more and (due_ns is None or due_ns > self.clock()):
                    return

        self._do(go)

    def tick(self) -> None:
        """Executes one round. Rounds happen without it, whenever there is work: this one happens now."""
        self._do(self._server.tick)

    def _do(self, action: Callable[[], T]) -> T:
        """Performs an action in the replica's event loop, hence never during a round."""

        async def perform() -> T:
            return action()

        return self._run(perform())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
