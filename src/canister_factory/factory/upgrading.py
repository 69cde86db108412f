"""Gives a running canister another module so that nothing is lost, whatever happens on the way: it gets the new module,
or keeps the old one with everything that it had.

Owns the order of the steps, and what follows when one fails. All that a later run needs is on the chain: the record in
the canister's settings, its module, its snapshots, and whether it runs. So a run can be killed anywhere, and the next
one goes on. Does not own: the record's form (`upgrade_record`), whether the module fits (`upgrade_checks`), and whether
the canister is sound (`upgrade_health`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule
from canister_factory.contract.errors import ContractError
from canister_factory.factory.errors import FactoryError, UpgradeError
from canister_factory.factory.kept_snapshot import delete, delete_expired
from canister_factory.factory.retry import Retry, Sleep
from canister_factory.factory.upgrade_checks import Cycles, cycles_of, incompatibility, keeps_heap, upgrade_mode
from canister_factory.factory.upgrade_health import Health
from canister_factory.factory.upgrade_record import (
    FACTS,
    SNAPSHOT,
    UNTIL,
    VARIABLE,
    Kept,
    Record,
    changed,
    facts_in,
    kept_in,
    record_in,
    until_in,
)
from canister_factory.factory.upgrade_turn import Turn
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import OUT_OF_CYCLES, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_snapshot_types import CanisterSnapshot, SnapshotMetadata
from canister_factory.ic.management_types import CanisterSettings, CanisterStatus, RunState
from canister_factory.ic.verdict import Verdict, verdict

NO_ARGUMENT = b"DIDL\0\0"
_SETTLE_S = 1.5
"""A module looks each second whether its maintenance has ended; from then on it takes writes. One that was left in it
for more than a quarter of an hour looks less often (`canisters/capsule/Maintenance.mo`).
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade would do; `problem`: why it wouldn't."""

    canister_id: Principal
    before: bytes | None
    after: bytes
    cycles: Cycles
    goes_on: bool
    problem: str | None

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.goes_on or self.before != self.after


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Certified module hashes (32 bytes) before and after; `kept`: the snapshot that stays for now."""

    before: bytes
    after: bytes
    kept: Kept | None

    @property
    def changed(self) -> bool:
        """Whether an upgrade was necessary."""
        return self.before != self.after


class Upgrading:
    """One canister's upgrade to one module, by one of its controllers.

    Args:
        health: judges the canister, before and after.
        argument: Candid, for a module that wants one.
        keep_ns: how long the snapshot stays after an upgrade.
        retry: makes calls again that may be repeated.
        say: told of each step.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        agent: Agent,
        module: WasmModule,
        health: Health,
        *,
        argument: bytes = NO_ARGUMENT,
        keep_ns: int = 0,
        retry: Retry,
        say: Callable[[str], None] = lambda _: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._agent = agent
        self._sleep = sleep
        self._canister_id = health.canister_id
        self._module = module
        self._health = health
        self._argument = argument
        self._keep_ns = keep_ns
        self._retry = retry
        self._say = say
        self._management = ManagementCanister(agent)
        self._turn = Turn(agent, self._canister_id, retry, say, sleep)

    def __repr__(self) -> str:
        return f"Upgrading({self._canister_id} to {self._module!r})"

    async def plan(self) -> Plan:
        """Looks at everything, and changes nothing.

        Raises:
            UpgradeError: the canister has no module, or isn't the caller's to upgrade.
            ArtifactError: the module is none.
            IcError: a call failed.
        """
        status = await self._status()
        record = record_in(status.settings)
        cycles = cycles_of(status, keeps_heap(self._module))
        problem = None
        if record is None and status.module_hash != self._module.module_hash:
            problem = await self._problem(status, cycles)
        return Plan(
            self._canister_id, status.module_hash, self._module.module_hash, cycles, record is not None, problem
        )

    async def run(self) -> Upgraded:
        """Upgrades the canister, or goes on with what an earlier run began.

        Raises:
            UpgradeError: it isn't possible, or was taken back; the old module runs.
            IcError: a call failed for good, or more often than it may be repeated; another run goes on.
        """
        status = self._with_module(await self._turn.waited_for())
        record = record_in(status.settings)
        if record is not None:
            await self._see_that_it_is_under_way(status, record)
            done = await self._go_on(status, record)
            if done is not None:
                return done
            status = await self._status()
        if status.module_hash == self._module.module_hash:
            await delete_expired(self._agent, self._canister_id, status, self._agent.clock())
            return Upgraded(self._module.module_hash, self._module.module_hash, None)
        problem = await self._problem(status, cycles_of(status, keeps_heap(self._module)))
        if problem is not None:
            raise UpgradeError(f"{self._canister_id} was left as it is: {problem}")
        record = await self._begin(status)
        done = await self._go_on(await self._status(), record)
        assert done is not None, "an upgrade that was just begun is to this module"
        return done

    # --- what an upgrade needs ---------------------------------------------------------------------------------------

    async def _status(self) -> CanisterStatus:
        return self._with_module(await self._turn.status())

    def _with_module(self, status: CanisterStatus) -> CanisterStatus:
        if status.module_hash is None:
            raise UpgradeError(f"{self._canister_id} has no module: it was never installed, or it ran out of cycles")
        return status

    async def _problem(self, status: CanisterStatus, cycles: Cycles) -> str | None:
        if status.status != RunState.running:
            return f"it is {status.status}; start it first"
        mismatch = await incompatibility(self._agent, self._canister_id, self._module)
        if mismatch is not None:
            return f"the module {self._module.module_hash.hex()} doesn't fit: {mismatch}"
        if cycles.missing:
            return (
                f"it has {cycles.balance:,} cycles, and needs {cycles.missing:,} more: the snapshot doubles what it "
                f"keeps, and with it the freezing threshold, to {cycles.frozen:,}; the work takes up to {cycles.work:,}"
            )
        return None

    async def _begin(self, status: CanisterStatus) -> Record:
        """From here on a module that starts takes no writes, until it was judged."""
        assert status.module_hash is not None
        facts = await self._health.before()
        kept = kept_in(status.settings)
        if kept is not None:
            await self._delete(kept.snapshot_id)
        snapshots = await self._snapshots()
        earlier_ns = max((each.taken_at_timestamp for each in snapshots), default=0)
        record = Record(status.module_hash, self._module.module_hash, earlier_ns)
        await self._set(status, {VARIABLE: record.text, FACTS: facts, SNAPSHOT: None})
        return record

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _go_on(self, status: CanisterStatus, record: Record) -> Upgraded | None:
        """To the end of what is on record; `None` when that was another module, and this one's turn begins."""
        if record.goes_back:
            await self._go_back(status, record)
            raise UpgradeError(self._taken_back(record, "an earlier run found the new module unsound"))
        if record.was(status.module_hash):
            if record.target != self._module.module_hash:
                await self._forsake(status)
                return None
            await self._install(status, record)
            status = await self._status()
        elif status.module_hash != record.target:
            await self._close(status, None)
            raise UpgradeError(
                f"{self._canister_id} runs the module {_hex(status.module_hash)}, which is neither that of before nor "
                f"{record.target.hex()}: somebody else installed it. The snapshot of before is still there"
            )
        await self._judge(status, record)
        return await self._finish(status, record) if record.target == self._module.module_hash else None

    async def _see_that_it_is_under_way(self, status: CanisterStatus, record: Record) -> None:
        """Nothing goes back that could have been written to since its snapshot. A module that an upgrade has installed
        takes no writes; one that does was there before somebody else put the upgrade on record, as an earlier
        controller could, or the upgrade was ended by hand.
        """
        if record.was(status.module_hash) or not (record.goes_back or status.module_hash == record.target):
            return
        if status.status != RunState.running:
            await self._start()
        if await self._health.takes_writes():
            raise UpgradeError(
                f"{self._canister_id} was left as it is: its environment variable {VARIABLE} says that it is being "
                "upgraded, but it takes writes, which going back would lose. Remove the variable with `icp canister "
                "settings update`; 'verify' names snapshots that you don't need"
            )

    async def _install(self, status: CanisterStatus, record: Record) -> None:
        """Up to the new module, in a canister that is stopped; or back at the old one."""
        try:
            await self._stop()
            await self._snapshot(record, status.status == RunState.stopped)
            self._say("installing the new module")
            await self._retry("install_code", self._install_once)
        except Exception as error:
            if verdict(error) is not Verdict.FINAL:
                raise
            await self._forsake(await self._status())
            raise UpgradeError(self._taken_back(record, str(error)), cause=error) from error

    async def _install_once(self) -> None:
        if (await self._agent.canister_info(self._canister_id)).module_hash == self._module.module_hash:
            return
        mode = upgrade_mode(self._module)
        await self._turn.management.install(self._canister_id, self._module.wasm, self._argument, mode=mode)

    async def _stop(self) -> None:
        self._say("stopping the canister")
        await self._retry("stop_canister", self._turn.management.stop_canister, self._canister_id)

    async def _snapshot(self, record: Record, was_stopped: bool) -> None:
        """Of the stopped canister. That of an earlier run counts while the canister stays stopped, also since
        its installation may be under way still; else another one replaces it.
        """
        stale = await self._taken(record)
        if stale is not None and was_stopped:
            return

        async def once() -> None:
            taken = await self._taken(record)
            if taken is None or taken == stale:
                replaced = None if stale is None else stale.id
                await self._turn.management.take_canister_snapshot(self._canister_id, replace_snapshot=replaced)

        self._say("taking a snapshot")
        await self._retry("take_canister_snapshot", once)

    async def _taken(self, record: Record) -> CanisterSnapshot | None:
        later = [each for each in await self._snapshots() if each.taken_at_timestamp > record.earlier_ns]
        return min(later, key=lambda each: each.taken_at_timestamp, default=None)

    async def _snapshots(self) -> list[CanisterSnapshot]:
        return await self._retry("list_canister_snapshots", self._management.list_canister_snapshots, self._canister_id)

    async def _judge(self, status: CanisterStatus, record: Record) -> None:
        """Starts the new module, which takes no writes yet, and asks it.

        Raises:
            UpgradeError: it is unsound, and the old one is back.
        """
        snapshot = await self._taken(record)
        certified = None if snapshot is None else (await self._metadata(snapshot)).certified_data
        await self._start()
        self._say("looking whether everything is there")
        try:
            await self._health.check(facts_in(status.settings), certified)
        except (FactoryError, ContractError, RejectedError) as error:
            if isinstance(error, RejectedError) and (error.retry_helps or error.error_code == OUT_OF_CYCLES):
                raise
            if snapshot is None:
                raise UpgradeError(f"{self._canister_id} is unsound, and its snapshot is gone: {error}") from error
            self._say("the new module is unsound: going back")
            back = Record(record.before, record.target, record.earlier_ns, goes_back=True)
            await self._set(status, {VARIABLE: back.text})
            await self._go_back(await self._status(), back)
            raise UpgradeError(self._taken_back(record, str(error)), cause=error) from error

    async def _metadata(self, snapshot: CanisterSnapshot) -> SnapshotMetadata:
        read = self._management.read_canister_snapshot_metadata
        return await self._retry("read_canister_snapshot_metadata", read, self._canister_id, snapshot.id)

    async def _start(self) -> None:
        await self._retry("start_canister", self._turn.management.start_canister, self._canister_id)

    # --- the ends ----------------------------------------------------------------------------------------------------

    async def _finish(self, status: CanisterStatus, record: Record) -> Upgraded:
        """The new module stays; it takes writes from now on."""
        snapshot = await self._taken(record)
        kept = None
        if snapshot is not None and self._keep_ns:
            kept = Kept(snapshot.id, self._agent.clock() + self._keep_ns)
        await self._close(status, snapshot, kept)
        await self._sleep(_SETTLE_S)
        return Upgraded(record.before, record.target, kept)

    async def _forsake(self, status: CanisterStatus) -> None:
        """The old module was never replaced; it goes on."""
        await self._start()
        record = record_in(status.settings)
        assert record is not None
        await self._close(status, await self._taken(record))

    async def _go_back(self, status: CanisterStatus, record: Record) -> None:
        """To the snapshot, unless that is done; to none that could hold anything, as one that was uploaded does."""
        snapshot = await self._taken(record)
        if not record.was(status.module_hash):
            if snapshot is None:
                raise UpgradeError(f"{self._canister_id} can't go back: its snapshot is gone")
            if (await self._metadata(snapshot)).source.tag != "taken_from_canister":
                raise UpgradeError(
                    f"{self._canister_id} was left as it is: its snapshot {snapshot.id.hex()} was uploaded, which no "
                    f"upgrade does. Unless you want it, delete it, and the environment variable {VARIABLE}"
                )
            await self._stop()
            load = self._turn.management.load_canister_snapshot
            await self._retry("load_canister_snapshot", load, self._canister_id, snapshot.id)
        await self._forsake(status)

    async def _close(self, status: CanisterStatus, snapshot: CanisterSnapshot | None, kept: Kept | None = None) -> None:
        """Ends the maintenance, and deletes the snapshot unless it is to stay."""
        going = None if snapshot is None or kept is not None else Kept(snapshot.id, 0)
        left = kept or going
        ends: dict[str, str | None] = {VARIABLE: None, FACTS: None, SNAPSHOT: left.text if left else None}
        if going is not None:
            await self._set(status, ends)
            await self._delete(going.snapshot_id)
            status, ends = await self._status(), {SNAPSHOT: None}
        await self._set(status, {**ends, UNTIL: None})
        self._turn.ended()

    async def _set(self, status: CanisterStatus, changes: dict[str, str | None]) -> None:
        ends, sent = changes.get(UNTIL, "") is None, False

        async def once() -> None:
            nonlocal sent
            if ends and sent and not until_in((await self._status()).settings):
                return  # an attempt whose outcome wasn't known
            latest_ns = await self._turn.latest_ns()
            sent = True
            variables = changed(status.settings, {UNTIL: str(latest_ns), **changes})
            settings = CanisterSettings(environment_variables=variables)
            await self._management.update_settings(self._canister_id, settings, latest_ns=latest_ns)

        await self._retry("update_settings", once)

    async def _delete(self, snapshot_id: bytes) -> None:
        await self._retry("delete_canister_snapshot", delete, self._turn.management, self._canister_id, snapshot_id)

    def _taken_back(self, record: Record, why: str) -> str:
        return (
            f"the upgrade of {self._canister_id} was taken back, and its module {record.before.hex()[:16]}… runs with "
            f"everything that it had: {why}"
        )


def _hex(module_hash: bytes | None) -> str:
    return "none" if module_hash is None else module_hash.hex()
