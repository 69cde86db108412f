"""`connect`: from a network and an identity, as people name them, to an agent.

Owns what may be given for each, and opening and closing the agent. Does not own: finding networks (`ic.network`),
keys (`ic.identity`), the blocking form (`blocking`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from canister_factory.face.blocking import Blocking, blocking
from canister_factory.ic.agent import Agent, CallerIdentity
from canister_factory.ic.errors import IdentityError, NetworkConfigError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network


@runtime_checkable
class HasNetwork(Protocol):
    """What runs a network, such as a `Replica`."""

    @property
    def network(self) -> Network:
        """The network that it runs."""


NetworkLike: TypeAlias = str | Network | HasNetwork


def connect(
    network: NetworkLike,
    identity: CallerIdentity | Path | None = None,
    *,
    root_key: bytes | None = None,
    fetch_root_key: bool = False,
) -> Connection:
    """Opens an agent for the time of an `async with` block, or in its blocking form for the time of a `with` block.

    Args:
        network: `ic`, `local` (dfx, icp-cli), `embedded` (what `canister-factory replica start` runs), a URL, a
            `Network`, or a running `Replica`.
        identity: whom to call as: an identity, or the path of a PEM file. None: anonymously.
        root_key: the network's root key (DER), for a URL.
        fetch_root_key: ask the network at a URL for its root key: for test networks only, since nothing proves it.

    Entering raises `NetworkConfigError`, `IdentityError`, `NetworkUnreachableError`, `TransportError`, `ProtocolError`.
    """
    return Connection(network, identity, root_key=root_key, fetch_root_key=fetch_root_key)


class Connection:
    """A connection that is opened by `async with` (an `Agent`) or by `with` (the same agent, blocking)."""

    def __init__(
        self,
        network: NetworkLike,
        identity: CallerIdentity | Path | None,
        *,
        root_key: bytes | None,
        fetch_root_key: bool,
    ) -> None:
        self._network = network
        self._identity = identity
        self._trust: dict[str, Any] = {"root_key": root_key, "fetch_root_key": fetch_root_key}
        self._agent: Agent | None = None
        self._blocking: Blocking | None = None

    def __repr__(self) -> str:
        return f"Connection({self._agent or self._network!r})"

    async def __aenter__(self) -> Agent:
        if self._agent is not None:
            raise RuntimeError("this connection is open already: each block needs a `connect` of its own")
        # Finding a network may read a file or ask the network, and a key is read from disk.
        self._agent = await asyncio.to_thread(self._open)
        return self._agent

    async def __aexit__(self, *_: object) -> None:
        agent, self._agent = self._agent, None
        if agent is not None:
            await agent.close()

    def __enter__(self) -> Any:
        opened = blocking(self)
        agent = opened.__enter__()
        self._blocking = opened
        return agent

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._blocking = self._blocking, None
        if opened is not None:
            opened.__exit__(kind, error, trace)

    def _open(self) -> Agent:
        return Agent(_identity(self._identity), _network(self._network, self._trust))


def _network(given: NetworkLike, trust: dict[str, Any]) -> Network:
    if isinstance(given, str):
        return Network.resolve(given, **trust)
    if any(trust.values()):
        raise NetworkConfigError("a root key is only given or fetched for a URL; this network has one")
    network = given if isinstance(given, Network) else given.network if isinstance(given, HasNetwork) else None
    if network is None:
        raise NetworkConfigError(
            f"no network {given!r}: use embedded, local, ic, a URL, a Network or a running Replica"
        )
    return network


def _identity(given: CallerIdentity | Path | None) -> CallerIdentity:
    if given is None:
        return Identity.anonymous()
    if isinstance(given, Path):
        return Identity.from_pem_file(given)
    if isinstance(given, str | bytes):  # perhaps a key: it isn't shown
        raise IdentityError(
            "an identity is an Identity or the pathlib.Path of a PEM file; Identity.from_pem takes a PEM file's content"
        )
    return given
