"""The agent of a command: an interruption names the call that may have been executed.

Owns telling `interrupts` of calls. Does not own: calls (`ic.agent`), and the words of commands that know more
(`interrupts.if_interrupted`).
"""

from __future__ import annotations

from canister_factory import interrupts
from canister_factory.candid.principal import PrincipalLike
from canister_factory.ic.agent import Agent, CallerIdentity
from canister_factory.ic.foreign_text import escaped
from canister_factory.ic.network import Network
from canister_factory.ic.trace import Event, log, told_to
from canister_factory.ic.traffic import Traffic


class CommandAgent(Agent):
    """An `Agent` that tells `interrupts` of each update call before it is sent, and of its request id when it ends.

    When it is closed, the log says at DEBUG what its traffic came to.
    """

    def __init__(self, identity: CallerIdentity, network: Network) -> None:
        self.traffic = Traffic()
        super().__init__(identity, network, trace=told_to(log, self.traffic, _note_call))

    async def close(self) -> None:
        """As `Agent.close`."""
        await super().close()
        self.traffic.log()

    async def update(
        self,
        canister_id: PrincipalLike,
        method: str,
        arg: bytes,
        *,
        effective_canister_id: PrincipalLike | None = None,
        latest_ns: int | None = None,
    ) -> bytes:
        """As `Agent.update`."""
        interrupts.call_begins(escaped(method))
        return await super().update(
            canister_id, method, arg, effective_canister_id=effective_canister_id, latest_ns=latest_ns
        )


def _note_call(event: Event) -> None:
    if event.kind == "call" and event.complete and event.request_id:
        interrupts.call_begins(escaped(event.method), event.request_id)
