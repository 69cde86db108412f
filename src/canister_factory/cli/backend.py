"""Commands that talk to a backend: their options in one decorator, and pages followed to their end.

Owns this frame. Does not own: what is asked (`contract`), how it is shown (`results`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli.backend_check import CheckedBackend
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import F, backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.roles import Role, note_missing_role
from canister_factory.contract.pages import pages

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

T = TypeVar("T")
Item = TypeVar("Item", covariant=True)
Cursor = TypeVar("Cursor")

PAGE_ITEMS = 1_000
"""The most items that the backend puts on a page."""


class Ask(Protocol):
    """Runs calls of the backend as the command's identity, and returns what they return."""

    def __call__(self, work: Callable[[CheckedBackend], Awaitable[T]]) -> T:
        """Runs `work` to its end. Raises what the calls raise."""


class Page(Protocol[Item]):
    """A page of a list."""

    @property
    def items(self) -> Sequence[Item]:
        """What is on it."""

    @property
    def next(self) -> Any:
        """Where the next page begins; `None` on the last one."""


def backend_command(role: Role) -> Callable[[F], F]:
    """`--backend`, the network's options, a key and the output's options: passed to the command as `ask: Ask`.

    `role` is what the backend asks for; who is refused is told of it.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def with_backend(*args: Any, backend: Principal, network: Network, identity: Identity, **rest: Any) -> Any:
            def ask(work: Callable[[CheckedBackend], Awaitable[T]]) -> T:
                async def with_client(agent: Agent) -> T:
                    return await work(CheckedBackend(agent, backend))

                return run_with_agent(identity, network, with_client)

            return command(*args, ask=ask, **rest)

        told = needs_role(role)(with_backend)
        decorated: F = backend_option(network_options(signing_identity_option(output_options(told))))  # type: ignore[assignment]
        return decorated

    return decorate


def needs_role(role: Role) -> Callable[[F], F]:
    """For a command that gets `backend` and `identity`: who is refused is told of the role that is missing.

    The command has the role as its attribute `role`.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def with_role(*args: Any, backend: Principal, identity: Identity, **rest: Any) -> Any:
            try:
                return command(*args, backend=backend, identity=identity, **rest)
            except Exception as error:
                note_missing_role(error, role, identity.sender(), backend)
                raise

        with_role.role = role  # type: ignore[attr-defined]  # `wraps` copies it to what wraps this
        return with_role  # type: ignore[return-value]

    return decorate


def worker_option(default: str | None) -> Callable[[F], F]:
    """`--worker NAME`: passed to the command as `worker`; without a default `None` stands for a random one."""
    return click.option(
        "--worker",
        metavar="NAME",
        default=default,
        help="Name under which leases are claimed; no two that run at the same time may share one.  "
        f"[default: {default or 'random'}]",
    )


def limit_option(command: F) -> F:
    """`--limit N`: passed to the command as `limit: int | None`."""
    return click.option("--limit", type=click.IntRange(min=1), help="At most this many.  [default: all]")(command)


async def follow(fetch: Callable[[Any, int], Awaitable[Page[Item]]], limit: int | None = None) -> AsyncIterator[Item]:
    """All items of a paged list, or the first `limit`. `fetch(after, count)` returns a page."""
    left = limit

    async def some(after: Any) -> Page[Item]:
        return await fetch(after, PAGE_ITEMS if left is None else min(left, PAGE_ITEMS))

    async for page in pages(some):
        for item in page.items[:left]:
            yield item
        if left is not None:
            left -= len(page.items)
            if left <= 0:
                return
