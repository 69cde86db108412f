"""Canisters, which pass no door, and strangers make others decode more than they take, and what is hard to read."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.subnet.cycles import CONFIGURED
from canister_factory.testing import EmbeddedReplica
from support.candid_bombs import bombs, nulls, variants
from support.doors import SMALL, Cost, Door, DoorsWorld, built_limits, knocks
from support.extreme_arguments import relay, relayed
from support.replica_puppet import call_argument, puppet

MOST_INSTRUCTIONS = 5_000_000
"""What a refusal may take."""
NOT_EVEN_DECODED = 2_500
MOST_SENT = 2_000_000
"""Bytes that a user brings to the canister which makes the call."""


@pytest.fixture
async def strange(world: DoorsWorld, replica: EmbeddedReplica) -> tuple[Agent, Principal]:
    """A stranger with a canister of theirs that makes any call."""
    return await canister_of(replica, relay())


async def canister_of(replica: EmbeddedReplica, module: bytes) -> tuple[Agent, Principal]:
    agent = replica.agent()
    management = ManagementCanister(agent)
    canister = await management.provisional_create_canister_with_cycles(10**14)
    await management.install(canister, module, b"")
    return agent, canister


def instructions(canister: str, cost: Cost) -> int:
    """What the canister executed, in one message."""
    price = 2 if canister == "backend" else 1  # Wasm of 64 bits is charged twice
    executed = cost.execution - CONFIGURED.of_execution(0)
    assert executed > 0, "it was called"
    return executed // price


async def instructions_of(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door], arg: bytes
) -> int:
    """What the called canister executes."""
    canister, door = knock
    agent, caller = strange
    async with world.costs(canister) as cost:
        await agent.update(caller, "relay", relayed(world.canisters[canister].bytes, door.method, arg, 0))
    return instructions(canister, cost)


def id_of(knock: tuple[str, Door]) -> str:
    return f"{knock[0]}-{knock[1].method}"


@pytest.mark.sample(8)
@pytest.mark.parametrize("knock", knocks(), ids=id_of)
async def test_arguments_above_a_canisters_limit_are_not_even_copied(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door]
) -> None:
    for size in (max(20, knock[1].from_canisters + 1), min(knock[1].limit + 1, MOST_SENT - 1_000)):
        argument = nulls(size)
        assert len(argument) == size
        assert await instructions_of(world, strange, knock, argument) < NOT_EVEN_DECODED


@pytest.mark.sample(8)
@pytest.mark.parametrize("knock", [knock for knock in knocks() if knock[1].from_canisters], ids=id_of)
async def test_whatever_a_canister_sends_takes_no_more_than_5_million_instructions(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door]
) -> None:
    canister, door = knock
    hard = bombs(door.from_canisters, built_limits(canister)[door.method].values)
    executed = [await instructions_of(world, strange, knock, argument) for argument in hard]
    assert max(executed) <= MOST_INSTRUCTIONS


@pytest.mark.parametrize("method", ["set_reserve_threshold", "set_reserve_settings"])
async def test_what_only_admins_may_is_put_into_words_for_admins_only(
    world: DoorsWorld, strange: tuple[Agent, Principal], method: str
) -> None:
    """A number of 1,200 bits in decimal digits takes some 30 million instructions."""
    settings = (await BackendClient(world.agents["admin"], world.canisters["backend"]).get_reserve_status()).settings
    huge = settings.model_copy(update={"threshold": 2**1_200})
    declared = BackendClient.method(method)
    argument = declared.encode((huge if method == "set_reserve_settings" else huge.threshold,))
    door = next(door for canister, door in knocks() if (canister, door.method) == ("backend", method))
    assert len(argument) <= door.from_canisters
    assert await instructions_of(world, strange, ("backend", door), argument) <= MOST_INSTRUCTIONS


@pytest.mark.parametrize(
    "method", ["record_capsule_event", "add_memory_to_capsule", "begin_memory_upload", "update_gallery"]
)
async def test_what_a_stranger_may_send_in_small_takes_no_more_than_that(world: DoorsWorld, method: str) -> None:
    limit = built_limits("backend")[method]
    executed = []
    for argument in bombs(min(SMALL, limit.anyones), limit.values):
        async with world.costs("backend") as cost:
            with pytest.raises(RejectedError):
                await world.agents["stranger"].update(world.canisters["backend"], method, argument)
        executed.append(instructions("backend", cost))
    assert max(executed) <= MOST_INSTRUCTIONS


@pytest.mark.parametrize(
    ("canister", "method", "size", "reason"),
    [
        ("backend", "whoami", 257, "the argument has more than the 256 bytes that this method takes"),
        ("moved", "store_gallery_forever", 8_001, "more than the 8,000 bytes that this method takes from a canister"),
        (
            "moved",
            "put_memory_upload_chunk",
            32_001,
            "more than the 32,000 bytes that this method takes from a canister",
        ),
        ("importing", "put_items", 100, "this method takes nothing from a canister"),
        ("backend", "get_export_items", 100_000, "more than the 8,000 bytes that this method takes from a canister"),
    ],
)
async def test_the_refusal_says_what_a_canister_may_send(
    world: DoorsWorld, replica: EmbeddedReplica, canister: str, method: str, size: int, reason: str
) -> None:
    agent, caller = await canister_of(replica, puppet())
    with pytest.raises(RejectedError, match=reason):
        await agent.update(caller, "forward", call_argument(world.canisters[canister].bytes, method, nulls(size)))


COMPILERS_OWN = [
    "__motoko_async_helper",
    "__motoko_gc_trigger",
    "__motoko_runtime_information",
    "__motoko_stable_var_info",
    "__motoko_stabilize_before_upgrade",
    "__motoko_destabilize_after_upgrade",
]


@pytest.mark.parametrize("method", COMPILERS_OWN)
@pytest.mark.parametrize("canister", ["backend", "moved"])
async def test_the_compilers_own_methods_decode_nothing_of_strangers(
    world: DoorsWorld, strange: tuple[Agent, Principal], canister: str, method: str
) -> None:
    agent, caller = strange
    async with world.costs(canister) as cost:
        await agent.update(caller, "relay", relayed(world.canisters[canister].bytes, method, nulls(1_900_000), 0))
    assert cost.execution <= CONFIGURED.of_execution(2 * NOT_EVEN_DECODED)


async def test_the_limits_for_decoding_are_those_of_the_message_only(world: DoorsWorld) -> None:
    """A small message before it, taken or refused, doesn't change what is decoded of a large one."""
    owner, moved = world.agents["owner"], world.canisters["moved"]
    many_values = variants(100_000, 3, 30_000)
    for _ in range(2):
        await owner.update(moved, "register", variants(250, 3, 100))
        with pytest.raises(RejectedError, match="IDL error"):
            await owner.update(moved, "delete_gallery", nulls(300))
        async with world.costs("moved") as cost:
            with pytest.raises(RejectedError, match="IDL error"):
                await owner.update(moved, "store_gallery_forever", many_values)
        assert instructions("moved", cost) > 2 * MOST_INSTRUCTIONS, "all of it was decoded"
