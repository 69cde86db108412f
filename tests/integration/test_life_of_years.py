"""The life of a personal canister, for years: made, warned of, paid for, upgraded, copied, lost, restored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import NotificationKind, NumberedPageRequest
from canister_factory.contract.artifacts import WasmModule
from canister_factory.contract.clients import BackendClient, CapsuleClient, PersonalClient
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig, CreationStatus
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.memory_models import AccessEvent, MemoryType, NewMemory, PageRequest
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import PersonalHealth
from canister_factory.factory.upgrading import Upgraded, Upgrading
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.life import Life, look
from canister_factory.owner.open_payments import OpenPayments
from canister_factory.owner.payers import FromLedger
from canister_factory.owner.top_up import TopUp
from canister_factory.testing import EmbeddedReplica
from support.capsule_world import PUBLIC, after_event, full_metadata
from support.creation_contents import fill, pattern, read_back
from support.creation_world import World, inline, note
from support.owner_copies import CONFIG, OwnersCopies
from support.upgrade_world import OLD, good, misreading

DAY_S = 86_400
DAY_NS = DAY_S * 10**9
DEATH, WEDDING = AccessEvent.of("AfterDeath"), AccessEvent.of("Wedding")
RETRY = Retry(CONFIG)


@dataclass
class Years:
    """The people around one canister, on a network whose time they make pass."""

    world: World
    replica: EmbeddedReplica
    executor: CapsuleClient
    copies: OwnersCopies

    @property
    def canister_id(self) -> Principal:
        return self.copies.canister_id

    def travel(self, to_ns: int) -> None:
        self.replica.advance((to_ns - self.replica.clock()) / 10**9)

    async def look(self) -> Life:
        """What `owner status` tells."""
        return await look(self.world.owner, self.copies.client)

    async def mark(self) -> int | None:
        """The days within which it ends, as the backend tells its owner."""
        return (await self.world.creation()).expires_within_days

    async def until(self) -> int:
        """The date that the backend knows."""
        known = (await self.world.creation()).paid_until
        assert known is not None, "a completed creation has a date"
        return known

    async def warned(self) -> int:
        """How often admins were warned of the canister."""
        page = await self.world.as_admin.list_notifications(NumberedPageRequest())
        kinds = {(item.kind, item.subject) for item in page.items}
        assert kinds <= {(NotificationKind.CanisterExpires, self.canister_id)}, "nothing else went wrong"
        return len(page.items)

    async def root(self) -> bytes:
        """The hash over everything in it."""
        return (await self.copies.client.get_manifest()).manifest.manifest_hash

    def upgrading(self, module: WasmModule) -> Upgrading:
        """The owner's upgrade, whose waiting is time travel."""

        async def sleep(seconds: float) -> None:
            self.replica.advance(seconds)

        owner = self.world.owner
        health = PersonalHealth(owner, self.canister_id, CONFIG, RETRY)
        return Upgrading(owner, module, health, retry=RETRY, sleep=sleep)


async def everything(client: CapsuleClient, executor: CapsuleClient) -> dict[str, Any]:
    """All that a capsule has, by what it is: what its owner reads, every byte of it, and what its executor sees."""
    (capsule,) = await client.list_my_capsules()
    page = await client.list_capsule_memories(None, PageRequest(limit=1_000))
    return {
        "capsule": await client.get_capsule(capsule.id),
        "memories": [await client.get_memory_from_capsule(item.memory.id) for item in page.items],
        "bytes": await read_back(client),
        "galleries": await client.get_my_galleries(),
        "connections": await client.list_connections(),
        "groups": await client.list_connection_groups(),
        "event rules": await client.get_event_rules(capsule.id),
        "events": await executor.list_capsule_events(capsule.id),
    }


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Names what differs first: the whole of it fills many pages."""
    assert [what for what in expected if found[what] != expected[what]] == []


async def furnish(owner: BackendClient, executor: CapsuleClient) -> dict[str, bytes]:
    """Memories of all kinds and sizes, a gallery, people, and an event that an executor recorded; the bytes by id."""
    contents = await fill(owner)
    (capsule,) = await owner.list_my_capsules()
    await owner.add_executor(capsule.id, executor.agent.principal)  # type: ignore[attr-defined]
    await owner.set_event_wait(capsule.id, EventKind.Wedding, 3 * DAY_NS)
    for kind in MemoryType:
        data = pattern(2_017, kind.value)
        memory = NewMemory(
            memory_type=kind,
            name=f"{kind.value} für Žofie",
            content_type="application/x-test",
            metadata=full_metadata(kind, len(data)),
            access=after_event(DEATH, PUBLIC),
        )
        contents[await owner.add_memory_to_capsule(inline(data), memory)] = data
    await executor.record_capsule_event(capsule.id, WEDDING)
    return contents


@pytest.fixture
def travels(own_replica: EmbeddedReplica | None) -> EmbeddedReplica:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    return own_replica


@pytest.fixture
def world(world: World, travels: EmbeddedReplica) -> World:
    return world.by_clock(travels.clock)


async def test_a_canister_lives_through_years_and_its_own_loss(
    world: World, travels: EmbeddedReplica, tmp_path: Path
) -> None:
    years = await a_canister_is_made(world, travels, tmp_path)
    whole = await everything(years.copies.client, years.executor)
    assert whole["bytes"] == years.copies.contents
    await the_first_backup_has_everything(years)
    await a_year_passes_with_warnings_at_their_dates(years)
    await a_top_up_moves_the_date(years, tmp_path / "payments")
    await a_failing_release_is_rolled_back_and_a_good_one_stays(years)
    assert_equal(await everything(years.copies.client, years.executor), whole)
    await the_second_backup_moves_only_what_changed(years)
    whole = await everything(years.copies.client, years.executor)
    await it_runs_dry_and_is_lost(years)
    await a_new_canister_has_everything(years, whole)


async def a_canister_is_made(world: World, replica: EmbeddedReplica, tmp_path: Path) -> Years:
    """By a real orchestrator; paid for a year, and the backend may look at it."""
    executor = world.agent()
    contents = await furnish(world.as_owner, CapsuleClient(executor, world.backend_id))
    await world.as_owner.create_personal_canister(CreatePersonalCanisterConfig(name="ours", show_status=True))
    creation = (await world.orchestrator().run(world.owner_id)).creation
    assert (creation.status, creation.expires_within_days) == (CreationStatus.Completed, None)
    assert creation.canister_id is not None
    copies = OwnersCopies(world, creation.canister_id, contents, tmp_path / "backup")
    years = Years(world, replica, CapsuleClient(executor, creation.canister_id), copies)
    until = await years.until()
    assert abs(until - replica.clock() - 365 * DAY_NS) < DAY_NS, "it is paid for a year"
    told = (await years.look()).stops_ns
    assert told is not None
    assert abs(told - until) < DAY_NS, "the network tells the owner the same date"
    return years


async def the_first_backup_has_everything(years: Years) -> None:
    taken = await years.copies.back_up()
    assert taken.is_new
    assert taken.bytes == sum(map(len, set(years.copies.contents.values())))


async def a_year_passes_with_warnings_at_their_dates(years: Years) -> None:
    """The owner sees a mark at once, admins at the backend's next daily look."""
    seen = []
    for half_days in (185, 178, 65, 58, 19, 12):
        years.travel(await years.until() - half_days * DAY_NS // 2)
        mark = await years.mark()
        years.replica.advance(DAY_S)
        seen.append((half_days / 2, mark, await years.warned()))
    assert seen == [(92.5, None, 0), (89, 90, 1), (32.5, 90, 1), (29, 30, 2), (9.5, 30, 2), (6, 7, 3)]


async def a_top_up_moves_the_date(years: Years, payments: Path) -> None:
    """With the owner's own cycles; the network tells the owner at once, and the backend when it looks."""
    before = await years.look()
    assert before.stops_ns is not None
    amount = 400 * before.burned_per_day
    owner = years.world.owner
    paying = TopUp(owner, years.canister_id, FromLedger(owner), OpenPayments(payments / "open.json"), str)
    await paying.check(amount, any_canister=False)
    await paying.pay(amount)
    after = await years.look()
    assert after.stops_ns is not None
    assert abs(after.stops_ns - before.stops_ns - 400 * DAY_NS) < DAY_NS
    years.replica.advance(DAY_S)
    assert abs(await years.until() - after.stops_ns) < DAY_NS, "the backend, which may look, knows the new date"
    assert (await years.mark(), await years.warned()) == (None, 3)


async def a_failing_release_is_rolled_back_and_a_good_one_stays(years: Years) -> None:
    """Everything is there after both, by the root that the canister certifies."""
    root, management = await years.root(), ManagementCanister(years.world.owner)
    with pytest.raises(UpgradeError, match=r"was taken back, and its module .* runs with everything"):
        await years.upgrading(misreading()).run()
    status = await management.canister_status(years.canister_id)
    assert (status.module_hash, await years.root()) == (OLD, root)
    done = await years.upgrading(good()).run()
    assert done == Upgraded(before=OLD, after=good().module_hash, kept=None)
    status = await management.canister_status(years.canister_id)
    assert (status.module_hash, await years.root()) == (good().module_hash, root)
    assert await management.list_canister_snapshots(years.canister_id) == []


async def the_second_backup_moves_only_what_changed(years: Years) -> None:
    added = pattern(4_321, "a year later")
    years.copies.contents[await years.copies.client.add_memory_to_capsule(inline(added), note("a year later"))] = added
    taken = await years.copies.back_up()
    assert (taken.is_new, taken.chunks, taken.bytes) == (True, 1, len(added))
    assert taken.records == 2, "the new memory's, and the capsule's"
    assert taken.state.manifest.manifest_hash == await years.root()


async def it_runs_dry_and_is_lost(years: Years) -> None:
    """The owner was told when, and nobody pays: the network deletes code and memory."""
    ends = (await years.look()).deleted_ns
    assert ends is not None
    years.travel(ends - 2 * DAY_NS)
    assert (await years.world.owner.canister_info(years.canister_id)).module_hash == good().module_hash
    years.travel(ends + 2 * DAY_NS)
    assert (await years.world.owner.canister_info(years.canister_id)).module_hash is None
    assert await years.warned() == 4, "once more, of the date that the top-up had moved"


async def a_new_canister_has_everything(years: Years, whole: dict[str, Any]) -> None:
    """From the files alone."""
    fresh = await years.copies.fresh()
    restored = await years.copies.restore(fresh)
    assert restored.bytes == sum(map(len, years.copies.contents.values()))
    assert whole["bytes"] == years.copies.contents
    client = PersonalClient(years.world.owner, fresh)
    assert (await client.get_personal_info()).name == "ours"
    executor = CapsuleClient(years.executor.agent, fresh)
    assert_equal(await everything(client, executor), whole)
    added = await client.add_memory_to_capsule(inline(b"and on"), note("and on"))
    assert (await read_back(client))[added] == b"and on", "its life goes on"
