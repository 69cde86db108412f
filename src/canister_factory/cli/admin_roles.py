"""`admin admins` and `admin operators`: who has a role on a backend.

Owns these groups, which one maker makes. Does not own: what the roles may do (the backend).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, settings
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import CommandError
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.hand_on import hand_on
from canister_factory.cli.options import F
from canister_factory.cli.parameter_types import PRINCIPAL, ROLE_HOLDER
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient


@dataclass(frozen=True, slots=True)
class _RoleGroup:
    """A role, and the calls of the backend for it."""

    name: str
    """Of the group, and of the holders: plural."""
    summary: str
    holders: Callable[[BackendClient], Awaitable[list[Principal]]]
    add: Callable[[BackendClient, Principal], Awaitable[None]]
    remove: Callable[[BackendClient, Principal], Awaitable[None]]
    consequence: str = ""
    """What the removal of a holder does besides; a sentence."""
    listed_for: Role = Role.ADMIN
    keeps_the_last: bool = False
    """Whether the last holder is removed with --force only."""

    @property
    def holder(self) -> str:
        """What a holder is called."""
        return self.name.removesuffix("s")

    def show(self, holders: list[Principal]) -> None:
        """Shows who has the role."""
        if settings.current().json:
            output.json_object({self.name: holders})
        else:
            output.text("\n".join(map(str, holders)) or f"no {self.name}")


def _role_group(role: _RoleGroup) -> click.Group:
    """A group with `list`, `add` and `remove`; alone it lists."""
    list_command = _list_command(role)

    @click.group(role.name, cls=CommandGroup, invoke_without_command=True, help=role.summary)
    @click.pass_context
    def group(ctx: click.Context) -> None:
        run_default(ctx, list_command)

    for command in (list_command, _add_command(role), _remove_command(role)):
        group.add_command(command)
    return group


def _list_command(role: _RoleGroup) -> click.Command:
    @click.command("list", help=f"List the {role.name}. '{role.name}' alone does the same.")
    @backend_command(role.listed_for)
    def list_holders(ask: Ask) -> None:
        role.show(ask(role.holders))

    return list_holders


def _add_command(role: _RoleGroup) -> click.Command:
    @click.command("add", help=f"Make PRINCIPAL an {role.holder}.")
    @click.argument("holder", type=ROLE_HOLDER, metavar="PRINCIPAL")
    @backend_command(Role.ADMIN)
    def add(holder: Principal, ask: Ask) -> None:
        ask(lambda backend: role.add(backend, holder))
        role.show(ask(role.holders))

    return add


def _remove_command(role: _RoleGroup) -> click.Command:
    @click.command("remove", help=f"Remove PRINCIPAL from the {role.name}. {role.consequence}")
    @click.argument("holder", type=PRINCIPAL, metavar="PRINCIPAL")
    @_force_option(role)
    @backend_command(Role.ADMIN)
    def remove(holder: Principal, ask: Ask, force: bool = True) -> None:
        async def work(backend: BackendClient) -> list[Principal]:
            before = await role.holders(backend)
            if before == [holder] and not force:
                raise CommandError(
                    f"{holder} is the last {role.holder}; nothing was changed. Add another one first "
                    f"('admin {role.name} add PRINCIPAL'), or repeat with --force: then only controllers of the "
                    "backend can add one"
                )
            if holder not in before:
                output.note(f"note: {holder} was no {role.holder}")
            await role.remove(backend, holder)
            # Not asked again: an admin that has removed itself may not ask.
            return [one for one in before if one != holder]

        role.show(ask(work))

    return remove


def _force_option(role: _RoleGroup) -> Callable[[F], F]:
    if not role.keeps_the_last:
        return lambda command: command
    return click.option(
        "--force", is_flag=True, help=f"Remove the last {role.holder} too. Only a controller of the backend can."
    )


admins = _role_group(
    _RoleGroup(
        name="admins",
        summary="List, add and remove admins. Controllers of the backend are admins without being listed.",
        holders=lambda backend: backend.list_admins(),
        add=lambda backend, holder: backend.add_admin(holder),
        remove=lambda backend, holder: backend.remove_admin(holder),
        keeps_the_last=True,
    )
)

operators = _role_group(
    _RoleGroup(
        name="operators",
        summary="List, add and remove operators, who run creations.",
        holders=lambda backend: backend.list_operators(),
        add=lambda backend, holder: backend.add_operator(holder),
        remove=lambda backend, holder: backend.remove_operator(holder),
        consequence="The leases of the operator end.",
        listed_for=Role.STAFF,
    )
)
operators.add_command(hand_on)
