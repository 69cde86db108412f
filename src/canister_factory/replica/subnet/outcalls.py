"""Canister HTTP outcalls as data: the request, and who waits for its answer (which is a message: see `messages`).

Owns the data types only, all of them plain, so that a checkpoint can store them. What happens with them is in
`http_outcalls`; who makes the request is the business of `node`.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.replica.subnet.messages import Origin

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that a canister made. `method` in capitals; the answer may have `max_response_bytes` at most."""

    url: str
    method: str
    headers: Headers
    body: bytes
    max_response_bytes: int


@dataclass(frozen=True, slots=True)
class Outcall:
    """An outcall that isn't answered yet. `transform`: the caller's query that sees the answer first, if any."""

    id: int
    origin: Origin
    caller: bytes
    request: HttpRequest
    transform: str | None
    context: bytes
    refund: int
    deadline_ns: int
