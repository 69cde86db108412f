"""`owner status`: the state of an owner's canister, once or again and again.

Owns the command and its screen. Does not own: the reckoning (`owner.life`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import click
from rich.control import Control
from rich.segment import ControlType

from canister_factory import interrupts
from canister_factory.cli import consoles, output, quantities, settings
from canister_factory.cli.amounts import DURATION
from canister_factory.cli.errors import RUNNING_OUT, CommandError
from canister_factory.cli.own_canister import Ask, Found, found_canister_command

if TYPE_CHECKING:
    from canister_factory.ic.management_types import Audience, CanisterSettings, EffectiveSettings
    from canister_factory.owner.life import Life

_ERASE_BELOW: Final = "\x1b[J"


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="The exit code is 4 when the canister stops within so many days.",
)
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option("--every", "every_ns", type=DURATION, default="1m", show_default=True, help="Time between two looks.")
@found_canister_command
def status(days: int, watch: bool, every_ns: int, ask: Ask[Found]) -> None:
    """Show your canister: its cycles, and until when they last.

    A canister takes no updates when its cycles fall to the freezing threshold ('stops'), and is deleted with all it
    has when they are used up ('deleted'). Both dates suppose that it goes on burning what it burns idle.

    Controllers see it, and those whom the setting 'status_visibility' allows. With --watch and --json each look is a
    line.
    """
    if watch:
        _watch(ask, every_ns / 10**9)
        return
    life = ask(_look_and_tidy)
    _show(life)
    if life.has_stopped:
        output.note(_stopped(life))
    if life.days_left is not None and life.days_left < days:
        if not life.has_stopped:
            output.note(f"It stops within {days} days: 'owner top-up' gives it cycles.")
        click.get_current_context().exit(RUNNING_OUT)


def _stopped(life: Life) -> str:
    """What holds of a frozen canister, and what its owner does."""
    from canister_factory.owner.life import shown_date

    return (
        "It has stopped: it takes no updates, since its cycles are down to its freezing threshold. All it has is there "
        f"until {shown_date(life.deleted_ns)}; 'owner top-up' gives it cycles, and it goes on."
    )


async def _look_and_tidy(found: Found) -> Life:
    """The canister's life, after a snapshot was deleted that an upgrade left for a time that is over.

    Raises:
        Exception: what `_look` raises, or the deletion.
    """
    from canister_factory.factory.kept_snapshot import delete_expired
    from canister_factory.ic.management import ManagementCanister

    life = await _look(found)
    if found.agent.principal not in life.settings.controllers:
        return life
    management = ManagementCanister(found.agent)
    present = await management.canister_status(found.canister_id, certified=False)
    if not await delete_expired(found.agent, found.canister_id, present, found.agent.clock()):
        return life
    output.note("The snapshot that the last upgrade left was deleted: its time is over.")
    return await _look(found)


async def _look(found: Found) -> Life:
    """The canister's life.

    Raises:
        CommandError: there is no such canister.
        RejectedError: the caller may not see it.
        IcError: a call failed.
    """
    from canister_factory.contract.clients import PersonalClient
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.retry import Retry
    from canister_factory.ic.errors import CanisterNotFoundError, CertificateScopeError
    from canister_factory.owner.life import look

    try:
        await found.agent.canister_info(found.canister_id)
    except (CanisterNotFoundError, CertificateScopeError) as error:
        raise CommandError(no_canister(found)) from error
    return await look(found.agent, PersonalClient(found.agent, found.canister_id, repeat=Retry(FactoryConfig())))


def no_canister(found: Found) -> str:
    """What is said where the network certifies that there is none."""
    if found.by_backend is not None:
        return (
            f"your canister {found.canister_id} doesn't exist any more: a controller deleted it. Its record is on "
            f"{found.by_backend}: 'status' says how you get another one; a backup goes into it by 'owner restore'"
        )
    return f"there is no canister {found.canister_id} on {found.agent.network.url}: deleted, or on another network"


def _watch(ask: Ask[Found], every_s: float) -> None:
    screen = _Screen()
    interrupts.if_interrupted("nothing was changed")

    async def work(found: Found) -> None:
        await again_and_again(lambda: _look(found), screen.show, screen.trouble, lambda: asyncio.sleep(every_s))

    try:
        ask(work)
    except interrupts.Interrupted as stop:  # that is how a watch ends: no failure
        if isinstance(stop.__context__, Exception):
            raise stop.__context__ from None


async def again_and_again(
    look: Callable[[], Awaitable[Life]],
    show: Callable[[Life], None],
    trouble: Callable[[Exception], None],
    pause: Callable[[], Awaitable[object]],
) -> None:
    """Looks and shows, for ever. What fails in passing is told, and looked at again.

    Raises:
        Exception: what `look` raises, where another look doesn't help.
    """
    from canister_factory.ic.errors import IcError

    while True:
        try:
            life = await look()
        except IcError as error:
            if not error.retry_helps:
                raise
            trouble(error)
        else:
            show(life)
        await pause()


class _Screen:
    """The last look: on a terminal it is drawn over the one before."""

    def __init__(self) -> None:
        self._lines = 0

    def show(self, life: Life) -> None:
        """Shows a look in the place of the last."""
        if settings.current().json:
            output.json_object(life.fields(), flush=True)
            return
        console = consoles.stdout()
        drawn_over = consoles.is_terminal(console)
        with console.capture() as captured:
            _show(life)
        text = captured.get()
        if drawn_over and self._lines:
            console.control(Control((ControlType.CURSOR_UP, self._lines), ControlType.CARRIAGE_RETURN))
            console.file.write(_ERASE_BELOW)
        console.file.write(text if drawn_over else f"{text}\n")
        console.file.flush()
        self._lines = text.count("\n")

    def trouble(self, error: Exception) -> None:
        """Says why there is no look; the last one stays above it."""
        output.note(f"no look at it, going on: {error}")
        self._lines = 0


def _show(life: Life) -> None:
    if settings.current().json:
        output.json_object(life.fields())
    else:
        output.table("Your personal canister", _rows(life))


def _rows(life: Life) -> list[tuple[str, object]]:
    from canister_factory.owner.life import shown_date

    kept = life.settings
    release = f" ({life.release})" if life.release else ""
    held = "it can't say" if life.content_size is None else f"{life.memories}, {quantities.size(life.content_size)}"
    return [
        ("canister", life.canister_id),
        ("state", f"{life.state}, but frozen" if life.has_stopped else life.state),
        ("cycles", quantities.cycles(life.cycles)),
        ("burns a day", quantities.cycles(life.burned_per_day)),
        ("stops", "it has stopped" if life.has_stopped else shown_date(life.stops_ns)),
        ("deleted", shown_date(life.deleted_ns)),
        ("memory size", quantities.size(life.memory_size)),
        ("memories", held),
        ("controllers", ", ".join(output.ident(controller) for controller in kept.controllers) or "nobody"),
        ("module hash", f"{output.ident(life.module_hash.hex())}{release}" if life.module_hash else "none"),
        ("API version", life.api_version or "it can't say"),
        *setting_rows(kept),
    ]


def setting_rows(kept: EffectiveSettings | CanisterSettings) -> list[tuple[str, str]]:
    """What a canister is set to, as its owner reads it, by name."""
    return [
        ("freezing threshold", quantities.duration(kept.freezing_threshold or 0)),
        ("memory limit", _limit(kept.wasm_memory_limit)),
        ("who sees status", _audience(kept.status_visibility)),
        ("who sees logs", _audience(kept.log_visibility)),
        ("who sees snapshots", _audience(kept.snapshot_visibility)),
    ]


def _limit(limit: int | None) -> str:
    return f"{quantities.size(limit)} of Wasm memory" if limit else "none"


def _audience(audience: Audience | None) -> str:
    if audience is None or audience.tag == "controllers":
        return "controllers"
    if audience.allowed_viewers is None:
        return "everybody"
    viewers = [output.ident(viewer) for viewer in audience.allowed_viewers]
    return ", ".join(["controllers", *viewers])
