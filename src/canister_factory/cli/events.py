"""`events …`: the events that a capsule's memories wait for, as owners and executors see them.

Owns these commands. Does not own: what an event opens and when (the canister), and who records them (`executors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output
from canister_factory.cli.amounts import DURATION
from canister_factory.cli.capsule_place import AskCapsule, Place, capsule_command
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.parameters import Choice, did_you_mean
from canister_factory.cli.results import done, duration, listing, moment, record

if TYPE_CHECKING:
    from canister_factory.contract.event_models import EventRules, RecordedEvent
    from canister_factory.contract.memory_models import AccessEvent

ALONE = ("AfterDeath", "Graduation", "Wedding")
NUMBERED = ("Anniversary", "Birthday", "CapsuleMaturity", "ConnectionCount")
KINDS = (*ALONE, *NUMBERED, "Custom")


class EventType(click.ParamType["AccessEvent"]):
    """An event: its kind, and behind a colon its number or name where it has one."""

    name = "event"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AccessEvent:
        """The event.

        Raises:
            click.BadParameter: the text is no event.
        """
        from canister_factory.contract.memory_models import AccessEvent

        if isinstance(value, AccessEvent):
            return value
        given, colon, rest = str(value).partition(":")
        kind = next((kind for kind in KINDS if kind.lower() == given.replace("-", "").lower()), None)
        if kind is None:
            self.fail(f"{given!r} is no kind of event; there are {', '.join(KINDS)}.{did_you_mean(given, KINDS)}")
        if kind in ALONE and not colon:
            return AccessEvent.of(kind)
        if kind in NUMBERED and rest.isascii() and rest.isdigit() and int(rest) < 2**32:
            return AccessEvent.of(kind, int(rest))
        if kind != "Custom" or not rest:
            form = kind if kind in ALONE else f"{kind}:{'NUMBER' if kind in NUMBERED else 'NAME'}"
            self.fail(f"{value!r} is not an event; write it as {form}", param, ctx)
        return AccessEvent.of(kind, rest)


EVENT = EventType()


def event_name(event: AccessEvent) -> str:
    """An event as it is typed."""
    kind, value = event.tag, event.value
    return kind if value is None else f"{kind}:{output.printable(str(value))}"


@click.group(cls=CommandGroup)
def events() -> None:
    """Record and revoke the events that memories wait for.

    An EVENT is AfterDeath, Graduation or Wedding, or has a number or a name: Birthday:18, Anniversary:25,
    CapsuleMaturity:10, ConnectionCount:5, Custom:NAME. What an owner records opens at once. What an executor records
    waits, and the owner can revoke it.

    \b
    Example:
      canister-factory events list --backend $BACKEND --identity owner.pem
      canister-factory events revoke AfterDeath --backend $BACKEND \\
        --identity owner.pem
    """


@events.command("list")
@capsule_command
def list_events(ask: AskCapsule) -> None:
    """List the events on record.

    Executors see what they recorded themselves. With --json each line is an object.
    """

    async def work(place: Place) -> None:
        recorded = await place.client.list_capsule_events(place.capsule_id)

        async def items() -> Any:
            for event in recorded:
                yield event

        await listing(items(), ["event", "recorded", "by", "opens"], _row, "no events on record")

    ask(work)


def _row(event: RecordedEvent) -> list[object]:
    opens = moment(event.opens_at) if event.opens_at > event.recorded_at else "at once"
    return [event_name(event.event), moment(event.recorded_at), output.ident(event.recorded_by), opens]


@events.command("record")
@click.argument("event", type=EVENT)
@capsule_command
def record_event(event: AccessEvent, ask: AskCapsule) -> None:
    """Record that EVENT happened.

    It opens the memories that wait for it: at once when an owner records it, after a waiting period when an executor
    does. Executors give --canister or --backend, and --owner or the --capsule that the owner told them. An event that
    is on record keeps its time.
    """

    async def work(place: Place) -> int:
        return (await place.client.record_capsule_event(place.capsule_id, event)).opens_at

    opens_at = ask(work)
    done(
        f"{event_name(event)} is on record; it opens what waits for it from {moment(opens_at)} on.",
        event=event_name(event),
        opens_at=_rfc3339(opens_at),
    )


def _rfc3339(time_ns: int) -> str:
    from canister_factory.candid.binding import rfc3339

    return rfc3339(time_ns)


@events.command("revoke")
@click.argument("event", type=EVENT)
@capsule_command
def revoke_event(event: AccessEvent, ask: AskCapsule) -> None:
    """Take EVENT off the record, as the owner.

    While it waits, that is a veto. Memories that it has opened are shut again. An executor can record it again: then it
    waits again. Use 'executors remove' for an executor whom you don't trust any more.
    """

    async def work(place: Place) -> None:
        await place.client.revoke_capsule_event(place.capsule_id, event)

    ask(work)
    done(f"{event_name(event)} is off the record.", event=event_name(event), revoked=True)


@events.command("wait")
@click.argument("kind", type=Choice(KINDS), required=False)
@click.argument("period", type=DURATION, required=False)
@click.option("--default", "by_default", is_flag=True, help="Take your choice for KIND back.")
@capsule_command
def wait(kind: str | None, period: int | None, by_default: bool, ask: AskCapsule) -> None:
    """Show or choose how long events wait that executors record.

    PERIOD is for events of KIND, such as 90d: at least 1d, at most 3650d. Events that wait already wait at least so
    long, too; none opens earlier than it would have.
    """
    if (kind is None) != (period is None and not by_default) or (period is not None and by_default):
        raise click.UsageError("give KIND with PERIOD, or KIND with --default, or none of them")

    async def work(place: Place) -> EventRules:
        from canister_factory.contract.event_models import EventKind

        if kind is not None:
            await place.client.set_event_wait(place.capsule_id, EventKind(kind), period)
        return await place.client.get_event_rules(place.capsule_id)

    rules = ask(work)
    record(rules, [(wait.kind, duration(wait.wait_ns)) for wait in rules.waits], "Events of executors wait")
