"""Commands that talk to a backend: their options in one decorator, and lists followed to their end.

Owns this frame. Does not own: what is asked (`contract`), how it is shown (`results`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import F, backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.results import listing, moment
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from pydantic import BaseModel

    from canister_factory.candid.principal import Principal
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.contract.admin_models import NumberedPageRequest
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")
Item = TypeVar("Item", covariant=True)
Cursor = TypeVar("Cursor")

Columns = Mapping[str, Callable[[Any], object]]

PAGE_ITEMS = 1_000
"""The most items that the backend puts on a page."""


class Ask(Protocol):
    """Runs calls of the backend as the command's identity, and returns what they return."""

    def __call__(self, work: Callable[[CheckedBackend], Awaitable[T]]) -> T:
        """Runs `work` to its end.

        Raises:
            Exception: what the calls raise.
        """


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

    `role` is what the backend asks for; an error names it to those who are refused.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def with_backend(*args: Any, backend: Principal, network: Network, identity: Identity, **rest: Any) -> Any:
            return command(*args, ask=asking(backend, network, identity), **rest)

        return signed_backend_options(output_options(needs_role(role)(with_backend)))  # type: ignore[return-value]

    return decorate


def asking(backend: Principal, network: Network, identity: Identity) -> Ask:
    """Runs calls of that backend, each time with a new agent."""

    def ask(work: Callable[[CheckedBackend], Awaitable[T]]) -> T:
        from canister_factory.cli.backend_check import CheckedBackend

        async def with_client(agent: Agent) -> T:
            return await work(CheckedBackend(agent, backend))

        return run_with_agent(identity, network, with_client)

    return ask


def signed_backend_options(command: F) -> F:
    """`--backend`, the network's options and a key: passed to the command as `backend`, `network` and `identity`."""
    return backend_option(network_options(signing_identity_option(command)))


def needs_role(role: Role) -> Callable[[F], F]:
    """For a command that gets `backend` and `identity`: an error names the role to those who are refused.

    The command has the role as its attribute `role`.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def with_role(*args: Any, backend: Principal, identity: Identity, **rest: Any) -> Any:
            try:
                return command(*args, backend=backend, identity=identity, **rest)
            except Exception as error:
                from canister_factory.cli.refusals import note_missing_role

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
        help="Name that leases are claimed under. Workers that run at the same time need different names.  "
        f"[default: {default or 'random'}]",
    )


async def changed(
    read: Callable[[], Awaitable[M]], write: Callable[[M], Awaitable[None]], given: Mapping[str, object]
) -> M:
    """What is set, once the fields that are given are changed; with none nothing is written."""
    if given:
        before = await read()
        await write(before.model_copy(update=dict(given)))
    return await read()


def limit_option(command: F) -> F:
    """`--limit N`: passed to the command as `limit: int | None`."""
    return click.option("--limit", type=click.IntRange(min=1), help="Maximum number of items.  [default: all]")(command)


def show_list(
    ask: Ask,
    fetch: Callable[[CheckedBackend, Any, int], Awaitable[Page[Any]]],
    limit: int | None,
    columns: Columns,
    nothing: str,
) -> None:
    """Shows a paged list of the backend, or its first `limit` items.

    `fetch(backend, after, count)` returns a page. `columns`: what each header shows of an item. `nothing` notes an
    empty list.
    """

    async def show(backend: CheckedBackend) -> None:
        await listing(
            follow(lambda after, count: fetch(backend, after, count), limit),
            list(columns),
            lambda item: [shown(item) for shown in columns.values()],
            nothing,
        )

    ask(show)


def history_command(
    name: str,
    summary: str,
    fetch: Callable[[CheckedBackend, NumberedPageRequest], Awaitable[Page[Any]]],
    columns: Columns,
    nothing: str,
) -> click.Command:
    """A command for the staff that lists what happened: entries have a number and a time, which come first.

    `summary` begins its help. The other parameters are those of `show_list`.
    """

    @click.command(name, help=f"{summary}\n\nWith --json each line is an object.")
    @limit_option
    @backend_command(Role.STAFF)
    def show(limit: int | None, ask: Ask) -> None:
        from canister_factory.contract.admin_models import NumberedPageRequest

        show_list(
            ask,
            lambda backend, after, count: fetch(backend, NumberedPageRequest(after=after, limit=count)),
            limit,
            {"id": lambda entry: entry.id, "when": lambda entry: moment(entry.at), **columns},
            nothing,
        )

    return show


async def follow(fetch: Callable[[Any, int], Awaitable[Page[Item]]], limit: int | None = None) -> AsyncIterator[Item]:
    """All items of a paged list, or the first `limit`. `fetch(after, count)` returns a page."""
    from canister_factory.contract.pages import Kept, pages

    left = limit

    async def some(after: Any) -> Page[Item]:
        return await fetch(after, PAGE_ITEMS if left is None else min(left, PAGE_ITEMS))

    async for page in pages(some, Kept("the list of the backend")):
        for item in page.items[:left]:
            yield item
        if left is not None:
            left -= len(page.items)
            if left <= 0:
                return
