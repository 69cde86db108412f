"""`owner undo|move-back|erase`: what owners do about the copy that a completed creation left on the backend.

Owns these commands. Does not own: what has to be written (`owner.move_back`), and what the backend grants.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import CommandError
from canister_factory.cli.results import confirm, done, moment
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.cli.progress import Advance
    from canister_factory.contract.creation_models import DetailedCreationStatus, ErasureReceipt
    from canister_factory.contract.personal_client import PersonalClient
    from canister_factory.owner.difference_back import Difference
    from canister_factory.owner.move_back import MoveBack, MovedBack

_DAY_NS = 86_400 * 10**9
_LOST = (
    "What is added gets new ids and dates: links to it by its old id don't work any more. What the backend has and "
    "your canister hasn't is deleted there."
)


async def _completed(backend: CheckedBackend, verb: str) -> tuple[DetailedCreationStatus, Principal]:
    """The caller's completed creation, and its canister.

    Raises:
        CommandError: there is none.
    """
    from canister_factory.contract.creation_models import CreationStatus

    creation = await backend.get_detailed_creation_status()
    if creation is None:
        raise CommandError(f"there is nothing to {verb}: you have not asked for a personal canister")
    if creation.status != CreationStatus.Completed or creation.canister_id is None:
        where = "your capsule is on the backend, and takes writes there"
        if creation.status not in (CreationStatus.Undone, CreationStatus.Failed):
            where = "'status' shows its progress"
        raise CommandError(f"there is nothing to {verb}: the creation is {creation.status}; {where}")
    return creation, creation.canister_id


async def _require_answer(backend: CheckedBackend, canister_id: Principal) -> None:
    """Sees to it that the canister answers this backend. One that doesn't answer at all is the backend's to judge.

    Raises:
        CommandError: it answers another one, as after a restore of the backend.
    """
    from canister_factory.contract.errors import ContractError
    from canister_factory.ic.errors import IcError

    try:
        about = await _personal(backend, canister_id).get_personal_info()
    except (ContractError, IcError):
        return
    if about.backend != backend.canister_id:
        raise CommandError(
            f"{canister_id} answers the backend {about.backend}, and this is {backend.canister_id}. If this is the "
            f"same one, restored from a backup, tell your canister so: 'owner backend {backend.canister_id}'; nothing "
            "was changed"
        )


def _personal(backend: CheckedBackend, canister_id: Principal) -> PersonalClient:
    from canister_factory.contract.clients import PersonalClient
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.retry import Retry

    return PersonalClient(backend.ic, canister_id, repeat=Retry(FactoryConfig()))


@click.command()
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.OWNER)
def undo(yes: bool, ask: Ask) -> None:
    """Have your capsule on the backend again, while nothing was written on your canister.

    Your canister is closed for ten minutes, in which nothing is written there, and the backend asks it what it holds.
    If that is what it got when it was made, or if the canister was deleted, the capsule on the backend takes writes
    again. The canister remains yours, with its contents: keep it, or delete it. If something was written there, use
    'owner move-back'.

    \b
    Example:
      canister-factory owner undo --backend $BACKEND --identity owner.pem
    """

    async def look(backend: CheckedBackend) -> tuple[DetailedCreationStatus, Principal, bool]:
        from canister_factory.cli.present_canister import Presence, look_at

        creation, canister_id = await _completed(backend, "undo")
        await _require_answer(backend, canister_id)
        return creation, canister_id, (await look_at(backend.ic, creation)).presence != Presence.DELETED

    creation, canister_id, remains = ask(look)
    fate = "remains yours, with what is in it" if remains else "was deleted"
    confirm(
        f"Let the capsule on the backend take writes again, as it was on {moment(creation.completed_at)}? "
        f"{canister_id} {fate}.",
        yes,
    )
    interrupts.if_interrupted("the creation may be undone. 'status' shows it, and it is safe to repeat the command")

    async def work(backend: CheckedBackend) -> DetailedCreationStatus:
        from canister_factory.owner.move_back import undo as taken_back

        await backend.make_sure()
        return await taken_back(backend, _personal(backend, canister_id))

    ask(work)
    _undone(canister_id, remains)


def _undone(canister_id: Principal, remains: bool, said: str = "", **fields: object) -> None:
    fate = "was deleted"
    if remains:
        fate = (
            f"is yours to keep or to delete ('owner delete --canister {canister_id}'); what is written there from now "
            "on stays there alone"
        )
    done(
        f"{said}The capsule is on the backend again, and takes writes there. {canister_id} {fate}.",
        canister_id=canister_id,
        status="Undone",
        **fields,
    )


@click.command("move-back")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.OWNER)
def move_back(yes: bool, ask: Ask) -> None:
    """Write on the backend what was written on your canister since it was made, then undo.

    Both sides are compared. What your canister has more, has changed or has deleted is written on the backend, which
    takes writes by you alone meanwhile. In the end the backend asks your canister whether it still holds what was
    read, and the capsule on the backend is the one that is used again. If the command is interrupted, run it again.

    What can't be kept is said before: new ids and dates of what is added, and events that still wait.

    \b
    Example:
      canister-factory owner move-back --backend $BACKEND --identity owner.pem
    """

    async def look(backend: CheckedBackend) -> tuple[Principal, Difference]:
        move, canister_id = await _move(backend)
        _held, _there, found = await move.look()
        return canister_id, found

    canister_id, found = ask(look)
    counts = found.counts
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"
    left = "".join(f" Not brought back: {each}." for each in found.left)
    confirm(f"Bring back from {canister_id}: {words}? {_LOST if found else ''}{left}", yes)
    interrupts.if_interrupted("some of it may be written; the same command goes on")

    async def work(backend: CheckedBackend) -> MovedBack:
        from canister_factory.cli.progress import bytes_bar

        with bytes_bar("moving back", None) as advance:
            move, _canister = await _move(backend, advance)
            return await move.run()

    moved = ask(work)
    for each in moved.left:
        output.note(f"not brought back: {each}")
    _undone(
        canister_id,
        True,
        f"Brought back: {', '.join(f'{count} {name}' for name, count in moved.counts.items() if count) or 'nothing'}. ",
        **{"added": 0, "changed": 0, "deleted": 0, "events": 0, **moved.counts},
        sent_bytes=moved.bytes,
        left=moved.left,
    )


async def _move(backend: CheckedBackend, advance: Advance = lambda _more: None) -> tuple[MoveBack, Principal]:
    from canister_factory.contract.clients import BackendClient
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.retry import Retry
    from canister_factory.owner.move_back import MoveBack

    await backend.make_sure()
    _creation, canister_id = await _completed(backend, "move back")
    await _require_answer(backend, canister_id)
    personal = _personal(backend, canister_id)
    capsule_id = (await personal.get_personal_info()).capsule_id
    if capsule_id is None:
        raise CommandError(f"{canister_id} has no capsule: its import isn't finished")
    config = FactoryConfig()
    client = BackendClient(backend.ic, backend.canister_id, repeat=Retry(config))
    return MoveBack(backend.ic, client, personal, capsule_id, config, on_bytes=advance), canister_id


@click.command()
@click.option(
    "--days", type=click.IntRange(1, 90), default=7, show_default=True, help="Days until then, in which you may cancel."
)
@click.option("--cancel", is_flag=True, help="Cancel what you asked for, before it has begun.")
@click.option(
    "--receipt",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the certified receipt of what was erased to FILE.",
)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.OWNER)
def erase(days: int, cancel: bool, receipt: Path | None, yes: bool, ask: Ask) -> None:
    """Have the copy on the backend erased, some days from now.

    Your canister must be there and yours, when you ask and when the days are over. Until then --cancel takes it back.
    Afterwards the backend has no more of your capsule than that it is in your canister, and 'owner undo' isn't
    possible any more. --receipt FILE keeps what the network certifies about it.

    \b
    Example:
      canister-factory owner erase --backend $BACKEND --identity owner.pem
      canister-factory owner erase --receipt erased.json --backend $BACKEND \\
        --identity owner.pem
    """
    if cancel and receipt is not None:
        raise click.UsageError("give --cancel, or --receipt, not both")
    if receipt is not None:
        _receipt(receipt, ask)
    elif cancel:
        ended = ask(lambda backend: backend.cancel_erasure())
        done("Nothing is erased: the copy on the backend stays.", canister_id=ended.canister_id, erasure=None)
    else:
        _request(days, yes, ask)


def _request(days: int, yes: bool, ask: Ask) -> None:
    async def look(backend: CheckedBackend) -> tuple[DetailedCreationStatus, Principal]:
        creation, canister_id = await _completed(backend, "erase")
        if creation.erasure is None:
            await _require_answer(backend, canister_id)
        return creation, canister_id

    creation, canister_id = ask(look)
    if creation.erasure is None:
        confirm(
            f"Erase on the backend, in {days} days, all of the capsule that is in {canister_id} now? The only copy is "
            "there then. 'owner erase --cancel' takes it back until then.",
            yes,
        )
        interrupts.if_interrupted("the erasure may be asked for. 'status' shows it; it is safe to repeat the command")
        creation = ask(lambda backend: backend.request_erasure(days * _DAY_NS))
    erasure = creation.erasure
    assert erasure is not None, "what was asked for is on record"
    told = {
        "Waiting": f"The copy on the backend is erased from {moment(erasure.due_at)} on. Until then "
        "'owner erase --cancel' takes it back.",
        "Erasing": f"The copy on the backend is being erased: {erasure.memories_left:,} memories are left.",
        "Erased": f"The copy on the backend was erased on {moment(erasure.erased_at)}. 'owner erase --receipt FILE' "
        "keeps the receipt.",
    }[str(erasure.stage)]
    held = f" Held up: {erasure.message}" if erasure.message else ""
    done(told + held, canister_id=canister_id, erasure=erasure.model_dump(mode="json"))


def _receipt(path: Path, ask: Ask) -> None:
    async def work(backend: CheckedBackend) -> ErasureReceipt:
        from canister_factory.owner.erasure_receipt import keep, verified

        told, agent = await backend.get_erasure_receipt(), backend.ic
        found = verified(told, backend.canister_id, agent.identity.sender(), agent.certificates, agent.clock())
        keep(told, found, path)
        return found

    found = ask(work)
    done(
        f"{path} has the receipt, which the network certifies: {found.memories:,} memories, "
        f"{quantities.size(found.content_size)}, were erased on {moment(found.erased_at)}.",
        file=str(path),
        receipt=found.model_dump(mode="json"),
    )
