"""A canister with its interface: its methods are Python methods.

Owns turning a Python call into a Candid call. Does not own Candid, or sending (`ic.agent`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.did import Interface
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Func, Service, resolve
from canister_factory.ic.agent import Agent


class Canister:
    """A canister as one agent's identity calls it: `await counter.increment(1)`.

    A method returns its only result, `None` where it has none, or a tuple. Query methods are sent as queries.
    """

    def __init__(self, agent: Agent, canister_id: Principal, interface: Interface) -> None:
        self.agent = agent
        self.canister_id = canister_id
        self.interface = interface
        service = resolve(interface.service) if interface.service is not None else None
        self._methods: dict[str, Func] = {}
        if isinstance(service, Service):
            self._methods = {name: service.method(name) for name, _ in service.methods}

    def __repr__(self) -> str:
        return f"<Canister {self.canister_id} methods={len(self._methods)}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._methods]

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if name.startswith("_") or name not in self._methods:
            near = get_close_matches(name, self._methods) or sorted(self._methods)
            raise AttributeError(f"the canister has no method {name}; it has: {', '.join(near) or 'none'}")

        async def call(*values: Any) -> Any:
            return await self.call(name, *values)

        call.__name__ = call.__qualname__ = name
        return call

    async def call(self, method: str, *values: Any) -> Any:
        """Calls a method by its name, for names that aren't Python's. Raises as `Agent.update` and `Agent.query`."""
        function = self._methods[method]
        send = self.agent.query if function.is_query else self.agent.update
        results = decode(await send(self.canister_id, method, encode(function.args, values)), function.results)
        return results[0] if len(results) == 1 else results or None

    def as_identity(self, agent: Agent) -> Canister:
        """The same canister, called by another agent."""
        return Canister(agent, self.canister_id, self.interface)
