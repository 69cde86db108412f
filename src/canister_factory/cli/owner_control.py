"""`owner controllers|move-to|accept`: who controls an owner's canister, and who owns the capsule in it.

Owns these commands, and the warnings before them. Does not own: the changes (`owner.control`, `owner.handing_on`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, settings
from canister_factory.cli.errors import InputError
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.identity_source import IdentitySource
from canister_factory.cli.own_canister import Ask, Found, found_canister_command
from canister_factory.cli.parameter_types import IDENTITY_FILE, PRINCIPAL, ROLE_HOLDER
from canister_factory.cli.results import announced, done

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.identity import Identity
    from canister_factory.owner.control import Controllers

_YES = click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
_CAPSULE_STAYS = "The capsule's owner, and who may write it, stay as they are"
_INTERNET_IDENTITY = (
    "note: Internet Identity gives you another principal on each web site. The one of the site where you will use the "
    "canister is the one that counts; that site shows it"
)


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def controllers(ctx: click.Context) -> None:
    """List, add and remove the controllers of your canister.

    A controller can do everything to the canister: replace its module, stop it, delete it. That is another thing than
    owning the capsule, which 'move-to' gives to another key.

    \b
    Example:
      canister-factory owner controllers add $SECOND_KEY \\
        --canister $CANISTER --identity owner.pem
    """
    run_default(ctx, list_controllers)


@controllers.command("list")
@found_canister_command
def list_controllers(ask: Ask[Found]) -> None:
    """List the controllers, as the network certifies them. 'controllers' alone does the same."""

    async def work(found: Found) -> tuple[Found, Sequence[Principal]]:
        return found, await _controllers(found).present()

    found, present = ask(work)
    if settings.current().json:
        output.json_object({"canister_id": found.canister_id, "controllers": present})
    elif not present:
        output.note(f"nobody controls {found.canister_id}")
    else:
        rows = [(one, "you" if one == found.caller else "") for one in present]
        output.table(f"Controllers of {found.canister_id}", rows, ["controller", ""])


@controllers.command("add")
@click.argument("person", type=ROLE_HOLDER, metavar="PRINCIPAL")
@_YES
@found_canister_command
def add(person: Principal, yes: bool, ask: Ask[Found]) -> None:
    """Make PRINCIPAL a controller of your canister, beside those that are."""

    async def work(found: Found) -> tuple[Found, Sequence[Principal]]:
        changing = _controllers(found)
        await changing.after(add=[person])
        announced(f"Make {person} a controller of {found.canister_id}: it can do everything then, also delete it", yes)
        interrupts.if_interrupted("the same command goes on; 'owner controllers' shows how it is")
        return found, await changing.change(add=[person])

    _show(*ask(work))


@controllers.command("remove")
@click.argument("person", type=PRINCIPAL, metavar="PRINCIPAL")
@_YES
@found_canister_command
def remove(person: Principal, yes: bool, ask: Ask[Found]) -> None:
    """Take PRINCIPAL from the controllers of your canister.

    Removing yourself or the last one can't be undone by you.
    """

    async def work(found: Found) -> tuple[Found, Sequence[Principal]]:
        changing = _controllers(found)
        left = await changing.after(remove=[person])
        announced(_removal(found, person, left), yes)
        interrupts.if_interrupted("the same command goes on; 'owner controllers' shows how it is")
        return found, await changing.change(remove=[person])

    _show(*ask(work))


def _controllers(found: Found) -> Controllers:
    from canister_factory.owner.control import Controllers

    return Controllers(found.agent, found.canister_id)


def _removal(found: Found, person: Principal, left: Sequence[Principal]) -> str:
    """What a removal means, in one line."""
    deed = f"Take {person} from the controllers of {found.canister_id}"
    if not left:
        return (
            f"{deed}: nobody will control it then, for ever. Nobody can upgrade it, change its settings, see its "
            "balance or delete it any more"
        )
    if person == found.caller:
        return f"{deed}: that is you. You can't take it back; {', '.join(map(output.ident, left))} will decide over it"
    return deed


def _show(found: Found, present: Sequence[Principal]) -> None:
    names = ", ".join(map(output.ident, present)) or "nobody"
    done(
        f"The controllers of {found.canister_id} are {names} (certified). {_CAPSULE_STAYS}.",
        canister_id=found.canister_id,
        controllers=present,
    )


# --- Another key ----------------------------------------------------------------------------------------------------


@click.command("move-to")
@click.argument("person", type=ROLE_HOLDER, metavar="PRINCIPAL")
@click.option("--new-identity", "new_file", type=IDENTITY_FILE, help="Key file of PRINCIPAL: it accepts at once.")
@click.option("--remove-old", is_flag=True, help="Then take the canister from the key of --identity.")
@_YES
@found_canister_command
def move_to(person: Principal, new_file: Path | None, remove_old: bool, yes: bool, ask: Ask[Found]) -> None:
    """Give your canister to another key of yours, PRINCIPAL.

    PRINCIPAL becomes a controller, and the capsule is offered to it. It accepts with its own key, by 'owner accept', or
    here with --new-identity: so the canister never goes to a key that can't sign. Until --remove-old, both keys can do
    everything. When that is interrupted, the same command goes on.

    The backend keeps the old principal on record: name the canister by --canister from then on.
    """
    new = None if new_file is None else IdentitySource(new_file).load()
    if new is not None and new.sender() != person:
        raise InputError(f"{new_file} is the key of {new.sender()}, not of {person}; nothing was changed")
    if remove_old and new is None:
        raise InputError(
            "--remove-old needs --new-identity; without it, the new key does that by 'owner accept --remove'"
        )

    async def work(found: Found) -> tuple[Found, Sequence[Principal]]:
        from canister_factory.owner.handing_on import HandingOn

        giving = HandingOn(found.agent, found.canister_id)
        gone = new is not None and remove_old and await _is_gone(found, new)
        if not gone:
            await giving.check(person)
        output.note(_INTERNET_IDENTITY)
        taken = f", and take both from {found.caller}" if remove_old else ""
        deed = f"Make {person} a controller of {found.canister_id}, and offer it the capsule"
        if new is not None:
            deed = f"Make {person} controller of {found.canister_id} and owner of its capsule{taken}"
        announced(deed, yes)
        interrupts.if_interrupted("the same command goes on; no key has lost anything that another hasn't")
        controllers: Sequence[Principal] = () if gone else await giving.offer(person)
        return found, controllers if new is None else await _accepted(found, new, remove_old)

    _show_moved(*ask(work), person, accepted=new is not None)


async def _is_gone(found: Found, new: Identity) -> bool:
    """Whether an earlier call has moved the canister, and was cut while the old key lost it."""
    from canister_factory.contract.clients import PersonalClient

    owner = (await PersonalClient(found.agent, found.canister_id).get_personal_info()).owner
    present = await _controllers(found).present()
    return owner == new.sender() and owner in present and found.caller not in present


async def _accepted(found: Found, new: Identity, remove_old: bool) -> Sequence[Principal]:
    from canister_factory.cli.command_agent import CommandAgent
    from canister_factory.owner.control import Controllers
    from canister_factory.owner.handing_on import HandingOn

    async with CommandAgent(new, found.agent.network) as agent:
        taking = HandingOn(agent, found.canister_id)
        await taking.accept()
        if remove_old:
            return await taking.dismiss(found.caller)
        return await Controllers(agent, found.canister_id).present()


def _show_moved(found: Found, present: Sequence[Principal], new: Principal, *, accepted: bool) -> None:
    names = ", ".join(map(output.ident, present))
    canister = found.canister_id
    if accepted:
        told = f"{canister} belongs to {new}; its controllers are {names} (certified)."
    else:
        told = (
            f"{canister} is offered to {new}, who is a controller of it now. With the key of {new}: 'canister-factory "
            f"owner accept --canister {canister}'; with '--remove {found.caller}' the old key loses it."
        )
    done(told, canister_id=canister, new_owner=new, accepted=accepted, controllers=present)


@click.command()
@click.option("--remove", "former", type=PRINCIPAL, metavar="PRINCIPAL", help="Then take the canister from this key.")
@_YES
@found_canister_command
def accept(former: Principal | None, yes: bool, ask: Ask[Found]) -> None:
    """Take a canister that 'owner move-to' offers to your key.

    Name it by --canister. With --remove the key that it comes from loses capsule and control; the same command does
    that also later.
    """

    async def work(found: Found) -> tuple[Found, Sequence[Principal]]:
        from canister_factory.owner.handing_on import HandingOn

        taking = HandingOn(found.agent, found.canister_id)
        taken = f", and take both from {former}" if former is not None else ""
        announced(f"Become the owner of the capsule in {found.canister_id}, which you control{taken}", yes)
        interrupts.if_interrupted("the same command goes on; no key has lost anything that another hasn't")
        await taking.accept()
        return found, await (_controllers(found).present() if former is None else taking.dismiss(former))

    found, present = ask(work)
    names = ", ".join(map(output.ident, present))
    done(
        f"{found.canister_id} is yours; its controllers are {names} (certified).",
        canister_id=found.canister_id,
        new_owner=found.caller,
        accepted=True,
        controllers=present,
    )
