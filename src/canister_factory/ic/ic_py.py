"""ic-py's agent interface, answered by ours: existing ic-py code gets verification, time-outs and typed errors.

Owns the translation of names and of blocking calls. Does not own behaviour: that is `agent.Agent`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import ic.agent

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Type
from canister_factory.ic import cbor
from canister_factory.ic.errors import OutcomeUnknownError, RejectedError

T = TypeVar("T")

CanisterId: TypeAlias = Principal | str
"""A principal or its text form; ic-py's own principals, which have no types, are taken too."""


def as_principal(value: CanisterId) -> Principal:
    """Our principal. Raises `PrincipalError` for text that isn't one."""
    if isinstance(value, Principal):
        return value
    return Principal.from_str(value) if isinstance(value, str) else Principal(value.bytes)


class IcPyAgent(ic.agent.Agent):  # type: ignore[misc]
    """ic-py's methods in terms of `update`, `query` and `read_state_cbor`.

    Differences from ic-py, all of them deliberate: a rejected query raises `RejectedError` instead of returning the
    text; `return_type` takes our Candid types and gives a tuple of values, and without them the raw bytes are returned.
    The blocking methods run an event loop of their own, with connections for one call: not for `async` code.
    """

    @abstractmethod
    async def update(
        self, canister_id: CanisterId, method: str, arg: bytes, *, effective_canister_id: CanisterId | None = None
    ) -> bytes: ...

    @abstractmethod
    async def query(
        self, canister_id: CanisterId, method: str, arg: bytes, *, effective_canister_id: CanisterId | None = None
    ) -> bytes: ...

    @abstractmethod
    async def read_state_cbor(self, effective_canister_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> bytes: ...

    @abstractmethod
    async def wait_for(
        self, request_id: bytes, effective_canister_id: CanisterId, *, expiry_ns: int | None = None
    ) -> bytes: ...

    @abstractmethod
    def run_blocking(self, call: Callable[[Any], Awaitable[T]]) -> T: ...

    async def query_raw_async(
        self,
        canister_id: CanisterId,
        method_name: str,
        arg: bytes,
        return_type: Any = None,
        effective_canister_id: CanisterId | None = None,
    ) -> Any:
        """As `query`; the reply decoded if `return_type` is given."""
        reply = await self.query(canister_id, method_name, arg, effective_canister_id=effective_canister_id)
        return _decoded(reply, return_type)

    async def update_raw_async(
        self,
        canister_id: CanisterId,
        method_name: str,
        arg: bytes,
        return_type: Any = None,
        effective_canister_id: CanisterId | None = None,
        **_: Any,
    ) -> Any:
        """As `update`; the reply decoded if `return_type` is given. ic-py's polling options have no effect."""
        reply = await self.update(canister_id, method_name, arg, effective_canister_id=effective_canister_id)
        return _decoded(reply, return_type)

    async def read_state_raw_async(self, canister_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> Any:
        """A verified certificate in ic-py's form: a dict with the tree as nested lists."""
        return cbor.loads(await self.read_state_cbor(canister_id, paths), "certificate")

    async def poll_async(self, canister_id: CanisterId, req_id: bytes, *_: Any, **__: Any) -> tuple[str, bytes | None]:
        """ic-py's pair of a status and the reply or reject message; the outcome may stay unknown."""
        try:
            return "replied", await self.wait_for(req_id, canister_id)
        except RejectedError as error:
            return "rejected", error.message.encode()
        except OutcomeUnknownError:
            return "unknown", None

    def query_raw(self, *args: Any, **kwargs: Any) -> Any:
        """Blocking `query_raw_async`."""
        return self.run_blocking(lambda agent: agent.query_raw_async(*args, **kwargs))

    def update_raw(self, *args: Any, **kwargs: Any) -> Any:
        """Blocking `update_raw_async`."""
        return self.run_blocking(lambda agent: agent.update_raw_async(*args, **kwargs))

    def read_state_raw(self, canister_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> Any:
        """Blocking `read_state_raw_async`."""
        return self.run_blocking(lambda agent: agent.read_state_raw_async(canister_id, paths))

    def poll(self, canister_id: CanisterId, req_id: bytes, *_: Any, **__: Any) -> tuple[str, bytes | None]:
        """Blocking `poll_async`."""
        outcome: tuple[str, bytes | None] = self.run_blocking(lambda agent: agent.poll_async(canister_id, req_id))
        return outcome


def run_in_own_loop(call: Callable[[], Awaitable[T]]) -> T:
    """Runs an awaitable to its end in a new event loop. Raises `RuntimeError` inside a running one."""

    async def main() -> T:
        return await call()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    raise RuntimeError("a blocking call inside a running event loop would stop everything in it: use the async form")


def _decoded(reply: bytes, return_type: Any) -> Any:
    types = [return_type] if isinstance(return_type, Type) else return_type
    if isinstance(types, (list, tuple)) and all(isinstance(item, Type) for item in types):
        return decode(reply, types)
    return reply
