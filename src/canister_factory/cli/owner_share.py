"""`owner share`: who may read a memory, and from when on.

Owns this command, and how its options become a rule. Does not own: what a rule opens (the canister), and its words
(`access`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli.events import EVENT
from canister_factory.cli.own_canister import Ask, Own, own_canister_command
from canister_factory.cli.owner_files import capsule_of
from canister_factory.cli.parameter_types import ROLE_HOLDER
from canister_factory.cli.results import confirm, done

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.memory_models import AccessEvent, MemoryAccess, MemorySummary


class DateType(click.ParamType[int]):
    """A date or a time, in nanoseconds since 1970; without a zone it is UTC."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time.

        Raises:
            click.BadParameter: the text is none, or it is before 1970 or after 2554.
        """
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as 2030-12-31 or 2030-12-31T18:00:00Z", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        time_ns = int(moment.timestamp()) * 10**9
        if not 0 <= time_ns < 2**64:
            self.fail(f"{value!r} is no time that a canister knows: those are from 1970 to 2554", param, ctx)
        return time_ns


@click.command()
@click.argument("wanted", metavar="ID|NAME")
@click.option("--with", "people", multiple=True, type=ROLE_HOLDER, metavar="PRINCIPAL", help="This person; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="ID", help="The people of this connection group; repeatable.")
@click.option("--public", is_flag=True, help="Everybody.")
@click.option("--private", is_flag=True, help="Nobody but you.")
@click.option("--after", type=DateType(), metavar="DATE", help="From then on: 2030-12-31, or with a time, in UTC.")
@click.option("--event", type=EVENT, help="Once this event is on record, such as AfterDeath ('owner events').")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@own_canister_command
def share(wanted: str, yes: bool, ask: Ask[Own], **wish: Any) -> None:
    """Choose who may read a memory, and from when on.

    The new rule takes the place of the one before: name everybody again. --after and --event say when, and --with,
    --group or --public say who; with both, both must have come. What somebody has read can't be taken back.

    \b
    Example:
      canister-factory owner share letter.pdf --with $DAUGHTER \\
        --event AfterDeath --identity owner.pem
    """
    from canister_factory.cli.access import access_words

    rule = _rule(**wish)

    async def look(own: Own) -> MemorySummary:
        from canister_factory.owner.memories import find

        return await find(own.client, capsule_of(own), wanted)

    async def change(own: Own) -> None:
        from canister_factory.contract.memory_models import MemoryUpdate

        await own.client.update_memory_in_capsule(memory.id, MemoryUpdate(access=rule))

    memory = ask(look).memory
    name, before, now = memory.info.name, access_words(memory.access), access_words(rule)
    changed = memory.access != rule
    if changed:
        confirm(f"{name}: who may read it was '{before}'. Change it to '{now}'?", yes)
        ask(change)
    done(
        f"{name}: who may read it " + (f"was '{before}', and is '{now}' now." if changed else f"is '{now}' already."),
        id=memory.id,
        name=name,
        before=memory.access.model_dump(mode="json"),
        access=rule.model_dump(mode="json"),
        changed=changed,
    )


def _rule(
    people: tuple[Principal, ...],
    groups: tuple[str, ...],
    public: bool,
    private: bool,
    after: int | None,
    event: AccessEvent | None,
) -> MemoryAccess:
    """The rule that the options say.

    Raises:
        click.UsageError: they say none, or several.
    """
    from canister_factory.contract.memory_models import (
        CustomAccess,
        EventTriggeredAccess,
        MemoryAccess,
        ScheduledAccess,
    )
    from canister_factory.contract.person_models import PersonRef

    if [bool(people or groups), public, private].count(True) != 1:
        raise click.UsageError("give --with PRINCIPAL (or --group ID), --public or --private")
    if private and (after is not None or event is not None):
        raise click.UsageError("--private needs no --after and no --event: nobody else reads the memory at any time")
    if public or private:
        rule = MemoryAccess.of("Public" if public else "Private")
    else:
        individuals = [PersonRef(Principal=person) for person in dict.fromkeys(people)]
        rule = MemoryAccess(Custom=CustomAccess(individuals=individuals, groups=list(dict.fromkeys(groups))))
    if event is not None:
        rule = MemoryAccess(EventTriggered=EventTriggeredAccess(trigger_event=event, access=rule))
    if after is not None:
        rule = MemoryAccess(Scheduled=ScheduledAccess(accessible_after=after, access=rule))
    return rule
