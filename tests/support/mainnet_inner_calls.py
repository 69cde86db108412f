"""How many calls canisters make for a user's call, and wait for: each takes blocks of its own on mainnet.

Owns counting. Does not own what it costs (`mainnet`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from canister_factory.ic import cbor
from canister_factory.ic.request_id import request_id
from canister_factory.replica.subnet.messages import Answer, FromCanister, FromIngress, Origin
from canister_factory.replica.subnet.subnet import Subnet


class InnerCalls:
    """Counts the answers that canisters get, by the user's call that they are for."""

    def __init__(self, subnet: Subnet) -> None:
        self._subnet = subnet
        self._answered: dict[bytes, set[tuple[bytes, int]]] = {}  # a message that is interrupted is processed again
        process = subnet._calls.process_answer

        def counting(answer: Answer, *rest: object) -> None:
            call = answer.canister_id, answer.call_id
            if (root := self._root(FromCanister(*call))) in self._answered:
                self._answered[root].add(call)
            process(answer, *rest)  # type: ignore[arg-type]

        subnet._calls.process_answer = counting  # type: ignore[method-assign,assignment]

    def __repr__(self) -> str:
        return f"InnerCalls(of {len(self._answered)} calls)"

    @contextmanager
    def counted(self, path: str, body: bytes) -> Iterator[Callable[[], int]]:
        """Counts those of the call in an envelope while the block lasts; what it gives says how many there were."""
        call = request_id(cbor.loads_map(body, path)["content"])
        self._answered[call] = set()
        try:
            yield lambda: len(self._answered[call])
        finally:
            self._answered.pop(call, None)

    def _root(self, origin: Origin) -> bytes:
        """The id of the user's call at the beginning; empty where a canister began by itself."""
        while isinstance(origin, FromCanister):
            canister = self._subnet.canisters.get(origin.canister_id)
            pending = None if canister is None else canister.pending_calls.get(origin.call_id)
            context = None if canister is None or pending is None else canister.contexts.get(pending.context_id)
            if context is None:
                return b""
            origin = context.origin
        return origin.request_id if isinstance(origin, FromIngress) else b""
