"""What an upgrade does in the bad cases: a canister without cycles, a wrong argument, another controller in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from canister_factory.contract.import_models import ImportLimits, PersonalInit
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.kept_snapshot import delete_expired
from canister_factory.factory.upgrade_record import SNAPSHOT, VARIABLE, Record, changed
from canister_factory.factory.upgrading import Upgraded
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management_types import CanisterSettings, EnvironmentVariable
from support.broken_way import BrokenWay, Deliver, killed_after_execution
from support.creation_contents import read_back
from support.creation_world import inline, note
from support.fault_world import FaultWorld, Stage, stage
from support.upgrade_world import OLD, Owned, good, misreading, owned, trapping

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def made() -> Iterator[Stage]:
    pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
    with stage() as world:
        yield world


def after(method: str, what: object) -> object:
    """Kills the sender once a call of this method was executed."""
    return lambda number, name: what if name == f"call {method}" else None


def test_an_argument_changes_nothing_and_a_wrong_one_is_taken_back(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        limits = ImportLimits(max_chunk_bytes=1, max_import_bytes=1, session_timeout_ns=1)
        other = PersonalInit(owner=world.admin.principal, backend=mine.canister_id, limits=limits).encoded()
        with pytest.raises(UpgradeError, match=r"was taken back.* IDL error"):
            await mine.upgrading(good(), argument=b"no Candid").run()
        assert await mine.faults(OLD) == []
        before = await mine.person.personal(mine.canister_id).get_personal_info()
        await mine.upgrading(good(), argument=other).run()
        assert await mine.person.personal(mine.canister_id).get_personal_info() == before

    made.play(scenario)


def test_a_module_that_traps_or_misreads_is_taken_back_with_its_reason(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        said: list[str] = []
        with pytest.raises(
            UpgradeError, match=r"was taken back, and its module .* runs with everything .*: .*violated contract"
        ):
            await mine.upgrading(trapping(), say=said.append).run()
        assert "the new module is unsound: going back" not in said, "the network took it back"
        with pytest.raises(UpgradeError, match="was taken back"):
            await mine.upgrading(misreading(), say=said.append).run()
        assert "the new module is unsound: going back" in said
        assert await mine.faults(OLD) == []

    made.play(scenario)


def test_a_canister_that_cannot_pay_for_it_is_left_alone_with_the_amount_that_is_missing(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        status = await mine.management.canister_status(mine.canister_id)
        days = status.cycles // status.idle_cycles_burned_per_day
        threshold = CanisterSettings(freezing_threshold=days * 86_400 * 2 // 3)
        await mine.management.update_settings(mine.canister_id, threshold)
        plan = await mine.upgrading(good()).plan()
        assert plan.cycles.missing > 0
        with pytest.raises(UpgradeError, match=r"needs [\d,]+ more: the snapshot doubles"):
            await mine.upgrading(good()).run()
        added = plan.cycles.missing + 10**11
        await mine.management.provisional_top_up_canister(mine.canister_id, added)
        assert (await mine.upgrading(good()).run()).changed
        assert await mine.faults(good().module_hash) == []

    made.play(scenario)


@pytest.mark.parametrize("method", ["update_settings", "stop_canister", "take_canister_snapshot", "install_code"])
def test_cycles_that_run_out_in_the_middle_lose_nothing(made: Stage, method: str) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        status = await mine.management.canister_status(mine.canister_id)
        usual = status.settings.freezing_threshold

        async def starved(way: BrokenWay, deliver: Deliver) -> object:
            answer = await deliver()
            canister = world.subnet.canisters[mine.canister_id.bytes]
            canister.balance = 10**9
            return answer

        first = {"done": False}

        def once(number: int, name: str) -> object:
            if name != f"call {method}" or first["done"]:
                return None
            first["done"] = True
            return starved

        life = await mine.life(good(), once)  # type: ignore[arg-type]
        assert isinstance(life.error, (RejectedError, UpgradeError)), life
        await mine.management.provisional_top_up_canister(mine.canister_id, status.cycles)
        ended = await mine.go_on(good())
        assert isinstance(ended, Upgraded)
        assert await mine.faults(good().module_hash) == []
        assert (await mine.management.canister_status(mine.canister_id)).settings.freezing_threshold == usual

    made.play(scenario)


def test_what_an_owner_wrote_between_two_runs_is_kept(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        await mine.life(good(), after("take_canister_snapshot", killed_after_execution))  # type: ignore[arg-type]
        await mine.management.start_canister(mine.canister_id)
        personal = mine.person.personal(mine.canister_id)
        written = await personal.add_memory_to_capsule(inline(b"between"), note("between"))
        assert (await mine.upgrading(good()).run()).changed
        assert (await read_back(personal))[written] == b"between"
        held = Owned(world, mine.person, mine.canister_id, {**mine.contents, written: b"between"})
        assert await held.faults(good().module_hash) == []

    made.play(scenario)


def test_another_module_goes_on_with_what_one_began(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        for method in ("take_canister_snapshot", "install_code"):
            life = await mine.life(misreading(), after(method, killed_after_execution))  # type: ignore[arg-type]
            assert life.way.is_dead, life
        plan = await mine.upgrading(good()).plan()
        assert (plan.goes_on, plan.before) == (True, misreading().module_hash)
        with pytest.raises(UpgradeError, match="was taken back"):
            await mine.upgrading(good()).run()
        assert (await mine.upgrading(good()).run()).changed
        assert await mine.faults(good().module_hash) == []

    made.play(scenario)


def test_a_snapshot_stays_as_long_as_its_owner_wants_and_one_of_their_own_for_good(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        own = await _own_snapshot(mine)
        variable = EnvironmentVariable(name="MINE", value="kept")
        await mine.management.update_settings(mine.canister_id, CanisterSettings(environment_variables=[variable]))
        done = await mine.upgrading(good(), keep_ns=7 * DAY_NS).run()
        assert done.kept is not None
        now = world.loop.now_ns()
        for days, gone in ((6, False), (8, True)):
            status = await mine.management.canister_status(mine.canister_id)
            assert await delete_expired(mine.person.agent, mine.canister_id, status, now + days * DAY_NS) is gone
        left = await mine.management.list_canister_snapshots(mine.canister_id)
        assert [each.id for each in left] == [own]
        status = await mine.management.canister_status(mine.canister_id)
        assert status.settings.environment_variables == [variable]

    made.play(scenario)


async def _own_snapshot(mine: Owned) -> bytes:
    await mine.management.stop_canister(mine.canister_id)
    taken = await mine.management.take_canister_snapshot(mine.canister_id)
    await mine.management.start_canister(mine.canister_id)
    await asyncio.sleep(1)
    return taken.id


def test_what_somebody_else_installed_meanwhile_stays_and_so_does_the_snapshot(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        await mine.life(misreading(), after("take_canister_snapshot", killed_after_execution))  # type: ignore[arg-type]
        await mine.management.install(mine.canister_id, good().wasm, b"DIDL\0\0", mode="upgrade")
        with pytest.raises(UpgradeError, match=r"somebody else installed it.*snapshot of before is still there"):
            await mine.upgrading(misreading()).run()
        assert len(await mine.management.list_canister_snapshots(mine.canister_id)) == 1
        status = await mine.management.canister_status(mine.canister_id)
        assert (status.module_hash, status.settings.environment_variables) == (good().module_hash, [])

    made.play(scenario)


def test_a_record_that_no_upgrade_wrote_is_refused_by_name(made: Stage) -> None:
    async def scenario(world: FaultWorld) -> None:
        mine = await owned(world)
        status = await mine.management.canister_status(mine.canister_id)
        variables = changed(status.settings, {VARIABLE: "by hand", SNAPSHOT: "by hand"})
        settings = CanisterSettings(environment_variables=variables)
        await mine.management.update_settings(mine.canister_id, settings)
        with pytest.raises(UpgradeError, match=f"{VARIABLE} isn't one that an upgrade wrote: 'by hand'"):
            await mine.upgrading(good()).run()
        assert len(Record(OLD, OLD, 2**64, goes_back=True).text) <= 128

    made.play(scenario)
