"""How a creation must have ended, whatever was done to it on its way: everything that is wrong, in words.

Owns what is asked for and compared. Does not own what was done before (`fault_world`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.cli.failures import exit_code, words_of
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus, OwnerPageRequest
from canister_factory.contract.import_models import ImportState
from canister_factory.contract.memory_models import PageRequest
from canister_factory.ic.errors import IcError
from support import contents_books
from support.creation_contents import read_back
from support.fault_world import FaultWorld, Life, Person

LONGEST_LINE = 1_500
PAYMENT_S = 70.0
"""The backend tries again each minute to pay the second part of a canister's cycles, where it couldn't before."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Attempts that the owner asked for, and how many canisters may be lost to what was done to them.

    `cleared`: an admin has cleared an earlier creation, whose canister is up for clean-up.
    `is_owners`: since the handoff the owner has changed what only they may change: controllers, code, data.
    """

    attempts: int = 1
    losses: int = 0
    cleared: bool = False
    is_owners: bool = False


async def faults_at_the_end(world: FaultWorld, person: Person, expected: Expected = Expected()) -> list[str]:
    """What isn't as it must be at the end of this person's creation."""
    await world.at_rest()
    await asyncio.sleep(PAYMENT_S)
    creation = await person.creation()
    if creation.status != CreationStatus.Completed:
        why = f" ({creation.error.kind}: {creation.error.message})" if creation.error else ""
        return [f"the creation is {creation.status}, not Completed{why}; it says: {creation.progress_message}"]
    if creation.canister_id is None:
        return ["a completed creation has no canister"]
    wrong = Wrong()
    wrong.differ("attempts", creation.attempts, expected.attempts)
    if len(creation.lost_canisters) > expected.losses:
        wrong.add(f"{len(creation.lost_canisters)} canisters were lost, at most {expected.losses} may be")
    wrong.differ("the lock", creation.locked_until, None)
    await _of_the_books(world, person, creation, wrong, cleared=expected.cleared)
    await _of_work_left(world, person, wrong)
    if not expected.is_owners:
        await _of_the_canister(person, creation, creation.canister_id, wrong)
    contents_books.check(world.subnet, world.loop.now_ns())
    return wrong.found


class Wrong:
    """What was found wrong so far."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __repr__(self) -> str:
        return f"Wrong({self.found})"

    def add(self, what: str) -> None:
        self.found.append(what)

    def differ(self, what: str, found: Any, expected: Any) -> None:
        """Notes it where both aren't equal."""
        if found != expected:
            self.found.append(f"{what}: {found}, but must be {expected}")


async def _of_the_books(
    world: FaultWorld, person: Person, creation: DetailedCreationStatus, wrong: Wrong, *, cleared: bool
) -> None:
    """One canister that isn't up for clean-up, no other anywhere, and each paid for once."""
    registry = (await world.as_admin.list_registry(OwnerPageRequest())).items
    mine = [entry for entry in registry if entry.created_by == person.principal]
    good = [entry.canister_id for entry in mine if entry.status != CreationStatus.Failed]
    wrong.differ("canisters that aren't up for clean-up", good, [creation.canister_id])
    lost = {entry.canister_id for entry in mine if entry.status == CreationStatus.Failed}
    before = lost - set(creation.lost_canisters) if cleared else set()
    wrong.differ("canisters for clean-up", lost - before, set(creation.lost_canisters))
    known = {entry.canister_id for entry in registry} | {world.backend_id}
    unknown = {Principal(id_) for id_ in world.subnet.canisters if Principal(id_) not in known}
    wrong.differ("canisters that are on no books", unknown, set())

    consumption = (await world.as_admin.list_consumption(NumberedPageRequest())).items
    of_mine = [entry for entry in consumption if entry.owner == person.principal]
    paid = {entry.canister_id: entry.attached - entry.refunded for entry in of_mine if entry.attached > entry.refunded}
    wrong.differ("canisters that were paid for", set(paid), {entry.canister_id for entry in mine})
    wrong.differ("debits", sum(entry.attached > entry.refunded for entry in of_mine), len(mine))
    of_this = [cycles for canister_id, cycles in paid.items() if canister_id not in before]
    wrong.differ("cycles of the creation", creation.cycles_consumed, sum(of_this))
    reserve = await world.as_admin.get_reserve_status()
    wrong.differ("cycles of the reserve in flight", reserve.in_flight, 0)
    spent = sum(entry.attached - entry.refunded for entry in consumption)
    wrong.differ("cycles that the reserve says to have spent", reserve.total_consumed, spent)
    stats = await world.as_admin.get_personal_canister_creation_stats()
    wrong.differ("cycles of the statistics", stats.total_cycles_consumed, spent)


async def _of_work_left(world: FaultWorld, person: Person, wrong: Wrong) -> None:
    """Nothing is open and nobody holds a lease; the shared capsule says where it went."""
    async with world.agent(world.operator) as operator:
        requests = (await BackendClient(operator, world.backend_id).list_open_requests(OwnerPageRequest())).items
    wrong.differ("open requests", [r for r in requests if r.owner == person.principal], [])


async def _of_the_canister(
    person: Person, creation: DetailedCreationStatus, canister_id: Principal, wrong: Wrong
) -> None:
    """It is its owner's alone, open, and has exactly what was accepted."""
    personal = person.personal(canister_id)
    info = await person.agent.canister_info(canister_id)
    wrong.differ("controllers", set(info.controllers), {person.principal})
    held = await personal.get_manifest()
    source = creation.source_manifest
    imported = held.imported and held.imported.manifest_hash.hex()
    wrong.differ("root of the import", imported, source and source.manifest_hash.hex())
    status = await personal.get_import_status(PageRequest(limit=1))
    if status.session is None or status.session.state != ImportState.Completed or status.pending:
        wrong.add(f"the import isn't over: {status}")
    wrong.differ("stored chunks of modules", await person.management.stored_chunks(canister_id), [])
    wrong.differ("snapshots", await person.management.list_canister_snapshots(canister_id), [])
    found = await read_back(personal)
    missing, added = set(person.contents) - set(found), set(found) - set(person.contents)
    wrong.differ("accepted writes that are missing", missing, set())
    wrong.differ("memories that nobody wrote", added, set())
    other = {id_ for id_ in found if id_ in person.contents and found[id_] != person.contents[id_]}
    wrong.differ("memories with other bytes", other, set())
    try:
        if not await person.write("after the move"):
            wrong.add("the owner can't write into the personal canister")
    except IcError as error:
        wrong.add(f"the owner can't write into the personal canister: {error}")


def faults_of_the_line(life: Life) -> list[str]:
    """What is wrong with what a person sees of the first process: an outcome, or one line that says something."""
    if life.outcome is not None or life.error is None:
        return []
    error, line = life.error, words_of(life.error)
    if not isinstance(error, Exception) or exit_code(error) is None:
        return [f"the first process ended by a defect of ours: {error!r}"]
    if not 20 <= len(line) <= LONGEST_LINE or not line.isprintable():
        return [f"the first process doesn't say in one line why it ended: {line!r}"]
    return []


def assert_nothing_wrong(what: str, wrong: Iterable[str]) -> None:
    """Fails with everything that is wrong, one a line."""
    found = list(wrong)
    assert not found, "\n  ".join([f"{what}:", *found])
