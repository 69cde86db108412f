"""How methods of the management canister are called: encoded, sent to their effective canister id, decoded.

Owns the call. Does not own the methods (`management`, `management_snapshots`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from canister_factory.candid.binding import candid_type, from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal, PrincipalLike, as_principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.management_types import Target
from canister_factory.ic.trace import noting_call

T = TypeVar("T")
_MANAGEMENT = Principal.management_canister()


class ManagementCalls:
    """What the methods have in common: the agent that calls.

    `latest_ns` is asked before each call that is sent by consensus: after which time it must not be executed,
    nanoseconds since 1970. By default it may wait as long as any call of the agent.
    """

    def __init__(self, agent: Agent, latest_ns: Callable[[], Awaitable[int]] | None = None) -> None:
        self.agent = agent
        self._latest_ns = latest_ns

    async def _call(self, method: str, effective: Principal, argument: Any, *, latest_ns: int | None = None) -> bytes:
        if latest_ns is None and self._latest_ns is not None:
            latest_ns = await self._latest_ns()
        with noting_call(_MANAGEMENT, method):
            return await self.agent.update(
                _MANAGEMENT, method, encoded(argument), effective_canister_id=effective, latest_ns=latest_ns
            )

    async def _call_about(self, method: str, canister_id: PrincipalLike) -> bytes:
        canister = as_principal(canister_id)
        return await self._call(method, canister, Target(canister_id=canister))

    async def _query_about(self, method: str, canister_id: PrincipalLike) -> bytes:
        canister = as_principal(canister_id)
        argument = encoded(Target(canister_id=canister))
        with noting_call(_MANAGEMENT, method):
            return await self.agent.query(_MANAGEMENT, method, argument, effective_canister_id=canister)


def encoded(argument: Any) -> bytes:
    """A model as the only argument of a method."""
    kind = type(argument)
    return encode([candid_type(kind)], [to_candid(kind, argument)])


async def answer(call: Awaitable[bytes], annotation: type[T]) -> T:
    """The value in the reply to a call of the management canister."""
    with noting_call(_MANAGEMENT):
        (value,) = decode(await call, [candid_type(annotation)])
        answered: T = from_candid(annotation, value)
        return answered
