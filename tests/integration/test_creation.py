"""A whole creation through HTTP: what the owner has afterwards, and what the books say."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig, CreationStatus, OwnerPageRequest
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.contract.memory_models import PageRequest
from canister_factory.factory.worker import Worker
from support.creation_contents import fill, pattern, read_back
from support.creation_world import World, inline, note


async def test_the_owner_gets_a_canister_with_everything_in_it_and_alone_controls_it(world: World) -> None:
    contents = await fill(world.as_owner)
    answer = await world.as_owner.create_personal_canister(CreatePersonalCanisterConfig(name="Mine"))
    assert (answer.success, answer.canister_id) == (True, None)

    outcome = await world.orchestrator().run(world.owner_id)

    canister_id = outcome.creation.canister_id
    assert canister_id is not None
    assert outcome.creation.status == CreationStatus.Completed
    assert outcome.controllers_before == {world.operator_id, world.owner_id}
    assert outcome.controllers_after == {world.owner_id}
    info = await world.owner.canister_info(canister_id)
    assert set(info.controllers) == {world.owner_id}
    assert info.module_hash == personal_wasm().module_hash

    personal = world.personal(canister_id)
    assert await read_back(personal) == contents
    assert await personal.get_my_galleries() == await world.as_owner.get_my_galleries()
    assert await personal.list_connections() == await world.as_owner.list_connections()
    assert await personal.list_connection_groups() == await world.as_owner.list_connection_groups()
    source, target = await world.as_owner.list_my_capsules(), await personal.list_my_capsules()
    assert [capsule.id for capsule in target] == [capsule.id for capsule in source]
    assert (await personal.get_personal_info()).name == "Mine"
    assert outcome.source_manifest == outcome.target_manifest


async def test_after_completion_the_backend_reads_and_refuses_writes_naming_the_canister(world: World) -> None:
    contents = await fill(world.as_owner)
    outcome = await world.create()

    with pytest.raises(CapsuleRefused, match=str(outcome.creation.canister_id)) as refused:
        await world.as_owner.add_memory_to_capsule(inline(b"late"), note("late"))
    assert refused.value.kind == "Moved"
    assert await read_back(world.as_owner) == contents
    assert await world.as_owner.get_my_personal_canister_id() == outcome.creation.canister_id
    personal = world.personal(outcome.creation.canister_id)
    memory_id = await personal.add_memory_to_capsule(inline(b"here it works"), note("new"))
    assert await personal.read_memory_chunk(memory_id, 0) == b"here it works"


async def test_a_request_after_completion_returns_the_canister_and_runs_nothing(world: World) -> None:
    outcome = await world.create()
    again = await world.as_owner.create_personal_canister(None)
    assert again.canister_id == outcome.creation.canister_id
    assert (await world.as_operator.list_open_requests(OwnerPageRequest())).items == []
    with pytest.raises(CreationRefused, match="not in progress"):
        await world.orchestrator().run(world.owner_id)


async def test_cycles_are_consumed_once_and_the_books_agree_with_the_balance(world: World) -> None:
    await fill(world.as_owner)
    before = await world.as_admin.get_reserve_status()
    outcome = await world.create()
    after = await world.as_admin.get_reserve_status()

    consumed = outcome.creation.cycles_consumed
    content = sum(map(len, (await read_back(world.as_owner)).values()))
    parts = await world.need(content)
    assert parts.first < consumed <= parts.total
    assert after.total_consumed - before.total_consumed == consumed
    assert before.balance - after.balance >= consumed
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert (stats.total_attempts, stats.total_successes, stats.total_failures) == (1, 1, 0)
    assert stats.total_cycles_consumed == consumed


async def test_an_empty_capsule_moves_too(world: World) -> None:
    outcome = await world.create()
    assert outcome.creation.status == CreationStatus.Completed
    assert await read_back(world.personal(outcome.creation.canister_id)) == {}


async def test_many_small_memories_travel_in_few_messages(world: World) -> None:
    contents = {}
    for i in range(60):
        data = pattern(700 + i, f"small {i}")
        contents[await world.as_owner.add_memory_to_capsule(inline(data), note(f"small {i}"))] = data
    outcome = await world.create(entries_per_page=7, items_per_message=9)
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_a_capsule_above_the_default_import_limit_raises_the_limit_at_installation(world: World) -> None:
    contents = await fill(world.as_owner)
    size = sum(map(len, contents.values()))
    await world.as_owner.create_personal_canister(None)
    margin = 200_000_000
    outcome = await world.orchestrator(import_margin_bytes=margin).run(world.owner_id)
    status = await world.personal(outcome.creation.canister_id).get_import_status(PageRequest())
    assert status.session is not None
    assert status.session.limits.max_import_bytes == size + margin


async def test_an_owner_who_is_the_operator_gets_a_canister_as_well(world: World) -> None:
    client = world.as_operator
    await client.register()
    await client.register_capsule()
    memory_id = await client.add_memory_to_capsule(inline(b"mine"), note("mine"))
    await client.create_personal_canister(None)
    outcome = await world.orchestrator().run(world.operator_id)
    assert outcome.controllers_after == {world.operator_id}
    personal = world.personal(outcome.creation.canister_id, world.operator)
    assert await personal.read_memory_chunk(memory_id, 0) == b"mine"


async def test_a_worker_runs_all_open_requests(world: World) -> None:
    agents = [world.owner] + [world.agent() for _ in range(2)]
    owners = []
    for agent in agents:
        client = type(world.as_owner)(agent, world.backend_id)
        await client.register()
        await client.register_capsule()
        await client.add_memory_to_capsule(inline(b"something"), note("something"))
        await client.create_personal_canister(None)
        owners.append(Principal(agent.identity.sender().bytes))
    finished: list[Principal] = []
    worker = Worker(world.orchestrator(), parallel=3, finished=lambda owner, result: finished.append(owner))
    assert await worker.run_once() == 3
    assert sorted(finished) == sorted(owners)
    canisters = {await world.as_owner.get_personal_canister_id(owner) for owner in owners}
    assert len(canisters) == 3
    assert None not in canisters
