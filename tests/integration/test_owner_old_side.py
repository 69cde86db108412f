"""The copy that a completed creation leaves on the backend: taken back by its owner, with what was written since."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.memory_models import (
    AccessEvent,
    CustomAccess,
    MemoryAccess,
    MemoryInfoUpdate,
    MemoryUpdate,
    UploadRequest,
)
from canister_factory.contract.person_models import ConnectionStatus, NewConnectionGroup, PersonRef
from canister_factory.factory.config import FactoryConfig
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.capsule_side import read_backend, read_personal
from canister_factory.owner.difference_back import difference_back
from canister_factory.owner.move_back import MoveBack, MovedBack, undo
from support.backend_world import another_build
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import DyingAgent, Killed

CONFIG = FactoryConfig(backoff_seconds=0.05)
WEDDING = AccessEvent(Wedding=None)


async def _moved(world: World) -> tuple[Principal, dict[str, bytes]]:
    contents = await fill(world.as_owner)
    canister_id = (await world.create()).creation.canister_id
    assert canister_id is not None
    return canister_id, contents


async def move_back(world: World, canister_id: Principal, agent: Agent | None = None) -> MovedBack:
    agent = agent or world.owner
    personal, backend = PersonalClient(agent, canister_id), BackendClient(agent, world.backend_id)
    capsule_id = (await personal.get_personal_info()).capsule_id
    assert capsule_id is not None
    return await MoveBack(agent, backend, personal, capsule_id, CONFIG).run()


async def write_memories(world: World, canister_id: Principal, contents: dict[str, bytes]) -> None:
    """On the personal canister: a memory is deleted, one changed, one added in chunks."""
    client = world.personal(canister_id)
    first, second, *_ = contents
    await client.delete_memory_from_capsule(first)
    await client.update_memory_in_capsule(
        second, MemoryUpdate(info=MemoryInfoUpdate(name="renamed"), data=inline(b"other bytes"))
    )
    upload = await client.begin_memory_upload(
        UploadRequest(memory=note("uploaded"), total_size=1_500, chunk_size=1_000)
    )
    for index, data in enumerate((b"a" * 1_000, b"b" * 500)):
        await client.put_memory_upload_chunk(upload.upload_id, index, data, hashlib.sha256(data).digest())
    await client.commit_memory_upload(upload.upload_id)


async def write_people(world: World, canister_id: Principal, _contents: dict[str, bytes]) -> None:
    """On the personal canister: somebody comes, into a group that may read a memory, and may record events."""
    client = world.personal(canister_id)
    capsule_id = (await client.get_personal_info()).capsule_id
    assert capsule_id is not None
    friend = Identity.generate().sender()
    await client.add_connection(PersonRef(Principal=friend))
    await client.update_connection_status(PersonRef(Principal=friend), ConnectionStatus.Accepted)
    group = await client.create_connection_group(
        NewConnectionGroup(name="new group", members=[PersonRef(Principal=friend)])
    )
    for_group = MemoryAccess(Custom=CustomAccess(individuals=[], groups=[group]))
    await client.add_memory_to_capsule(inline(b"for the group"), note("for the group", access=for_group))
    await client.add_executor(capsule_id, friend)
    await client.set_event_wait(capsule_id, EventKind.Wedding, 5 * 86_400 * 10**9)
    await client.record_capsule_event(capsule_id, WEDDING)


async def differences(world: World, canister_id: Principal) -> Any:
    held = await read_personal(world.personal(canister_id), world.owner.certificates, CONFIG, world.owner.clock)
    there = await read_backend(world.as_owner, held.side.capsule_id, CONFIG)
    return difference_back(held.side, there, world.owner.clock())


async def test_while_nothing_was_written_there_the_capsule_is_taken_back_and_another_canister_may_be_had(
    world: World,
) -> None:
    canister_id, contents = await _moved(world)
    with pytest.raises(CapsuleRefused) as moved:
        await world.as_owner.add_memory_to_capsule(inline(b"x"), note("x"))
    assert moved.value.kind == "Moved"

    with pytest.raises(CreationRefused) as closed:
        await world.as_owner.undo_personal_canister()
    assert closed.value.kind == "TooEarly", "nobody tells the backend what the canister holds but its owner"
    undone = await undo(world.as_owner, world.personal(canister_id))
    assert (undone.status, undone.canister_id) == (CreationStatus.Undone, canister_id)
    assert await world.as_owner.get_my_personal_canister_id() is None
    entry = await world.as_admin.get_registry_entry(canister_id)
    assert entry is not None
    assert entry.status == CreationStatus.Undone
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert (stats.total_successes, stats.total_failures, stats.total_undone) == (1, 0, 1)
    contents[await world.as_owner.add_memory_to_capsule(inline(b"here again"), note("here again"))] = b"here again"
    assert await read_back(world.as_owner) == contents
    assert (await world.as_owner.undo_personal_canister()).status == CreationStatus.Undone, "once more is a success"

    again = (await world.create()).creation
    assert again.status == CreationStatus.Completed
    assert again.canister_id not in (None, canister_id)
    assert await read_back(world.personal(again.canister_id)) == contents
    entry = await world.as_admin.get_registry_entry(canister_id)
    assert entry is not None
    assert entry.status == CreationStatus.Undone


async def test_what_was_written_there_is_brought_back_in_both_directions_and_then_undone(world: World) -> None:
    canister_id, contents = await _moved(world)
    await write_memories(world, canister_id, contents)
    await write_people(world, canister_id, contents)
    enemy = PersonRef(Principal=Identity.generate().sender())
    await world.personal(canister_id).add_connection(enemy)
    await world.personal(canister_id).update_connection_status(enemy, ConnectionStatus.Blocked)
    with pytest.raises(CreationRefused) as written:
        await undo(world.as_owner, world.personal(canister_id))
    assert (written.value.error.kind, written.value.retry_helps) == (CreationErrorKind.Written, False)
    root = (await world.personal(canister_id).get_manifest()).manifest.manifest_hash
    with pytest.raises(CreationRefused, match="Nothing was moved back yet") as early:
        await world.as_owner.undo_personal_canister(root)
    assert early.value.kind == "TooEarly"
    with pytest.raises(CapsuleRefused) as locked:
        await world.personal(canister_id).add_memory_to_capsule(inline(b"x"), note("x"))
    assert locked.value.kind == "Locked", "it is closed while the backend compares it"

    moved = await move_back(world, canister_id)
    assert moved.creation.status == CreationStatus.Undone
    assert moved.left == []
    assert moved.counts["added"] == 3, "two memories and a group"
    assert moved.counts["deleted"] == 1
    assert not await differences(world, canister_id)
    there = sorted((await read_back(world.personal(canister_id))).values())
    assert sorted((await read_back(world.as_owner)).values()) == there
    assert b"other bytes" in there


async def killed(world: World, canister_id: Principal, dies_at: int) -> str | None:
    """A move back that ends when its message of this number was executed: which that is; `None` if there are fewer."""
    agent = await world.stack.enter_async_context(DyingAgent(world.owner.identity, world.network))
    agent.executed, agent.dies_at = True, dies_at
    try:
        await move_back(world, canister_id, agent)
    except Killed:
        last: str = agent.sent[-1]
        return last
    return None


Writing = Callable[[World, Principal, dict[str, bytes]], Awaitable[None]]
REPEATED = {"begin_memory_upload", "put_memory_upload_chunk", "undo_personal_canister"}
AT_BOTH_ENDS = {"begin_move_back", "close_for_undo", "undo_personal_canister"}
MESSAGES: dict[Writing, set[str]] = {
    write_memories: {
        *("delete_memory_from_capsule", "update_memory_in_capsule"),
        *("begin_memory_upload", "put_memory_upload_chunk", "commit_memory_upload"),
    },
    write_people: {
        *("set_event_wait", "add_connection", "update_connection_status", "create_connection_group"),
        *("add_memory_to_capsule", "add_executor", "record_capsule_event"),
    },
}
"""The updates of a move back of what was written, beside those at its ends."""


@pytest.mark.parametrize("write", MESSAGES)
async def test_a_move_back_that_is_killed_after_each_of_its_messages_goes_on_and_writes_nothing_twice(
    world: World, write: Writing
) -> None:
    contents = {
        await world.as_owner.add_memory_to_capsule(inline(data), note(data.decode())): data
        for data in (b"a", b"b", b"c")
    }
    canister_id = (await world.create()).creation.canister_id
    assert canister_id is not None
    await write(world, canister_id, contents)
    deaths: list[str | None] = []
    dies_at = 1
    while (await world.creation()).status == CreationStatus.Completed:
        deaths.append(await killed(world, canister_id, dies_at))
        # The first two are the same each time, the third is new; but an upload is begun anew, the backend asked again.
        # In the end, when nothing is left to write, it isn't asked at the beginning.
        first_new = 2 if deaths[-1] == "close_for_undo" else 3
        dies_at = dies_at + 1 if deaths[-1] in REPEATED else first_new
    assert set(deaths) == MESSAGES[write] | AT_BOTH_ENDS
    assert not await differences(world, canister_id)
    there = sorted((await read_back(world.personal(canister_id))).values())
    assert sorted((await read_back(world.as_owner)).values()) == there


async def test_what_is_written_there_while_it_is_brought_back_is_not_left_behind(world: World) -> None:
    canister_id, contents = await _moved(world)
    await world.personal(canister_id).add_memory_to_capsule(inline(b"one"), note("one"))
    before = (await world.personal(canister_id).get_manifest()).manifest.manifest_hash
    await world.as_owner.begin_move_back()
    await world.personal(canister_id).add_memory_to_capsule(inline(b"two"), note("two"))
    with pytest.raises(CreationRefused, match="while the rest was moved back") as written:
        await undo(world.as_owner, world.personal(canister_id), before)
    assert written.value.kind == "Written"

    await move_back(world, canister_id)
    there = (await read_back(world.as_owner)).values()
    assert {b"one", b"two"} <= set(there)
    assert len(there) == len(contents) + 2


async def test_what_would_not_be_undone_in_the_end_is_not_brought_back(world: World) -> None:
    canister_id, contents = await _moved(world)
    await world.personal(canister_id).add_memory_to_capsule(inline(b"one"), note("one"))
    init = PersonalInit(owner=world.owner_id, backend=world.backend_id).encoded()
    unknown = another_build("personal")
    await ManagementCanister(world.owner).install(canister_id, unknown, init, mode="upgrade")
    with pytest.raises(CreationRefused, match="not an approved release"):
        await move_back(world, canister_id)
    assert (await world.creation()).move_back_until is None, "nobody writes on the backend for nothing"
    assert await read_back(world.as_owner) == contents


async def test_while_it_is_brought_back_the_backend_takes_the_owners_writes_alone(world: World) -> None:
    canister_id, _contents = await _moved(world)
    until = await world.as_owner.begin_move_back()
    assert (await world.creation()).move_back_until == until
    await world.as_owner.add_memory_to_capsule(inline(b"x"), note("x"))
    assert await world.as_owner.get_my_personal_canister_id() == canister_id, "it is the owner's personal canister yet"


async def test_a_canister_that_was_deleted_leaves_the_copy_here_which_is_taken_back(world: World) -> None:
    canister_id, contents = await _moved(world)
    await world.personal(canister_id).add_memory_to_capsule(inline(b"lost"), note("lost"))
    management = ManagementCanister(world.owner)
    await management.stop_canister(canister_id)
    with pytest.raises(CreationRefused, match="gave no manifest") as stopped:
        await world.as_owner.undo_personal_canister()
    assert stopped.value.retry_helps
    await management.delete_canister(canister_id)
    assert (await world.as_owner.undo_personal_canister()).status == CreationStatus.Undone
    assert await read_back(world.as_owner) == contents


async def test_nobody_else_undoes_moves_back_or_erases_and_none_of_it_comes_before_the_completion(world: World) -> None:
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    client = world.as_owner
    calls = ("undo_personal_canister", "begin_move_back", "request_erasure", "cancel_erasure", "get_erasure_receipt")
    for call in calls:
        with pytest.raises(CreationRefused) as early:
            await getattr(client, call)()
        assert early.value.kind == "TooEarly", call
    await world.orchestrator().run(world.owner_id)
    stranger = world.agent()
    await BackendClient(stranger, world.backend_id).register_capsule()
    for agent in (stranger, world.operator, world.admin):
        other = BackendClient(agent, world.backend_id)
        for call in calls:
            with pytest.raises(Exception, match=r"is not the owner of a personal canister|canister_inspect_message"):
                await getattr(other, call)()
    assert (await world.creation()).status == CreationStatus.Completed


async def test_a_completed_creation_is_not_cleared_so_that_there_are_not_two_capsules_that_take_writes(
    world: World,
) -> None:
    canister_id, _contents = await _moved(world)
    with pytest.raises(CreationRefused, match=r"owner undo") as refused:
        await world.as_admin.clear_creation_state(world.owner_id)
    assert refused.value.kind == "InvalidRequest"
    with pytest.raises(CapsuleRefused) as moved:
        await world.as_owner.add_memory_to_capsule(inline(b"x"), note("x"))
    assert moved.value.kind == "Moved"
    await world.personal(canister_id).add_memory_to_capsule(inline(b"there"), note("there"))


async def test_an_event_that_waits_opens_at_the_same_moment_on_both_sides_and_one_recorded_anew_is_left(
    world: World,
) -> None:
    executor = world.agent()
    await fill(world.as_owner)
    capsule_id = (await world.as_owner.register_capsule()).capsule_id
    await world.as_owner.add_executor(capsule_id, executor.identity.sender())
    as_executor = BackendClient(executor, world.backend_id)
    first = await as_executor.record_capsule_event(capsule_id, WEDDING)
    canister_id = (await world.create()).creation.canister_id
    assert canister_id is not None
    there = world.personal(canister_id)
    await there.revoke_capsule_event(capsule_id, WEDDING)
    later = await world.personal(canister_id, executor).record_capsule_event(capsule_id, WEDDING)
    assert later.opens_at > first.opens_at

    moved = await move_back(world, canister_id)
    assert await world.as_owner.list_capsule_events(capsule_id) == [], "what was vetoed opens nothing here"
    assert len(moved.left) == 1
    assert "has to record it again" in moved.left[0]
