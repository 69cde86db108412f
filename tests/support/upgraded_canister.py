"""A canister as the management canister shows it to one that upgrades it: settings, module, snapshots, whether it runs.

Owns what the calls do to it, by a clock of its own, which sleeping sets on. Does not own whether it is sound: a
`Judgement` says what the test wants.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from canister_factory.candid.binding import candid_type, from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.contract.artifacts import WasmModule, personal_wasm
from canister_factory.contract.wasm_sections import metadata_of
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrading import Upgrading
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import OutcomeUnknownError, RejectedError
from canister_factory.ic.management_calls import encoded
from canister_factory.ic.management_snapshot_types import (
    CanisterSnapshot,
    NamedSnapshot,
    SnapshotMetadata,
    SnapshotSource,
    TakeSnapshot,
)
from canister_factory.ic.management_types import (
    CanisterStatus,
    EffectiveSettings,
    EnvironmentVariable,
    InstallCode,
    RunState,
    UpdateSettings,
)
from support.one_canister import ID

BEGIN_NS = 1_900_000_000 * 10**9
OLD = b"o" * 32
NEW = personal_wasm()
ROOT = b"r" * 32
NOTHING = encode([], [])


class UpgradedCanister:
    """An agent on a network with one canister, `running` the module `OLD`.

    `lost`: methods whose next call is executed, and its outcome isn't learnt. `refused`: those that are rejected.
    `sent`: the methods of all calls that change something, with the time until which each could be executed.
    """

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS
        self.module = OLD
        self.state = RunState.running
        self.variables: dict[str, str] = {}
        self.snapshots: dict[bytes, tuple[int, bytes]] = {}
        self.uploaded: set[bytes] = set()
        self.cycles = 10**13
        self.lost: list[str] = []
        self.refused: dict[str, RejectedError] = {}
        self.sent: list[tuple[str, int | None, dict[str, str]]] = []
        self.slept: list[float] = []
        self.after_sleep: Callable[[], None] = lambda: None

    def clock(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)
        self.after_sleep()

    async def read_state(self, canister_id: Any, paths: Any) -> SimpleNamespace:
        assert list(paths) == [[b"time"]]
        return SimpleNamespace(time_ns=self.now_ns)

    async def canister_info(self, canister_id: Any) -> CanisterInfo:
        return CanisterInfo((), self.module)

    async def metadata(self, canister_id: Any, name: str) -> bytes | None:
        return metadata_of(NEW.wasm).get(name)

    async def update(
        self, canister_id: Any, method: str, arg: bytes, *, latest_ns: int | None = None, **_: Any
    ) -> bytes:
        self.now_ns += 10**9
        looks = {"canister_status", "list_canister_snapshots", "read_canister_snapshot_metadata"}
        if method not in looks:
            self.sent.append((method, latest_ns, dict(self.variables)))
        if method in self.refused:
            raise self.refused.pop(method)
        reply: bytes = getattr(self, f"_{method}")(arg)
        if method in self.lost:
            self.lost.remove(method)
            raise OutcomeUnknownError(b"id", self.now_ns, "lost")
        return reply

    # --- the methods -------------------------------------------------------------------------------------------------

    def status(self) -> CanisterStatus:
        variables = [EnvironmentVariable(name=name, value=value) for name, value in self.variables.items()]
        settings = EffectiveSettings(
            controllers=[],
            compute_allocation=0,
            memory_allocation=0,
            freezing_threshold=86_400,
            environment_variables=variables,
        )
        return CanisterStatus(
            status=self.state,
            settings=settings,
            module_hash=self.module,
            memory_size=10**7,
            cycles=self.cycles,
            idle_cycles_burned_per_day=10**9,
        )

    def _canister_status(self, arg: bytes) -> bytes:
        return encoded(self.status())

    def _update_settings(self, arg: bytes) -> bytes:
        variables = _argument(UpdateSettings, arg).settings.environment_variables
        assert variables is not None, "nothing else is an upgrade's to set"
        assert all(len(each.value.encode()) <= 128 for each in variables)
        self.variables = {each.name: each.value for each in variables}
        return NOTHING

    def _stop_canister(self, arg: bytes) -> bytes:
        self.state = RunState.stopped
        return NOTHING

    def _start_canister(self, arg: bytes) -> bytes:
        self.state = RunState.running
        return NOTHING

    def _take_canister_snapshot(self, arg: bytes) -> bytes:
        replaced = _argument(TakeSnapshot, arg).replace_snapshot
        if replaced is not None:
            del self.snapshots[replaced]
        name = self.now_ns.to_bytes(8, "big")
        self.snapshots[name] = (self.now_ns, self.module)
        return encoded(CanisterSnapshot(id=name, taken_at_timestamp=self.now_ns, total_size=1))

    def _list_canister_snapshots(self, arg: bytes) -> bytes:
        listed = [
            CanisterSnapshot(id=name, taken_at_timestamp=taken_ns, total_size=1)
            for name, (taken_ns, _) in self.snapshots.items()
        ]
        kind = list[CanisterSnapshot]
        return encode([candid_type(kind)], [to_candid(kind, listed)])

    def _read_canister_snapshot_metadata(self, arg: bytes) -> bytes:
        name = _argument(NamedSnapshot, arg).snapshot_id
        taken_ns, _ = self.snapshots[name]
        return encoded(
            SnapshotMetadata(
                source=SnapshotSource.of("metadata_upload" if name in self.uploaded else "taken_from_canister"),
                taken_at_timestamp=taken_ns,
                canister_version=1,
                wasm_module_size=1,
                wasm_memory_size=1,
                stable_memory_size=1,
                wasm_chunk_store=[],
                globals=[],
                certified_data=ROOT,
            )
        )

    def _load_canister_snapshot(self, arg: bytes) -> bytes:
        assert self.state == RunState.stopped
        self.module = self.snapshots[_argument(NamedSnapshot, arg).snapshot_id][1]
        return NOTHING

    def _delete_canister_snapshot(self, arg: bytes) -> bytes:
        name = _argument(NamedSnapshot, arg).snapshot_id
        if self.snapshots.pop(name, None) is None:
            raise RejectedError(5, "there is no such snapshot", "IC0305", certified=True)
        return NOTHING

    def _install_code(self, arg: bytes) -> bytes:
        assert self.state == RunState.stopped
        asked = _argument(InstallCode, arg)
        assert asked.wasm_module == NEW.wasm
        self.module = NEW.module_hash
        return NOTHING


class Judgement:
    """What an upgrade learns of its canister's health. `unsound`: what is wrong with the new module. `is_written`: it
    takes writes.
    """

    canister_id = ID

    def __init__(self, unsound: Exception | None = None) -> None:
        self.unsound = unsound
        self.is_written = False
        self.asked: list[tuple[str, bytes | None]] = []

    async def before(self) -> str:
        return "facts"

    async def takes_writes(self) -> bool:
        return self.is_written

    async def check(self, before: str, certified: bytes | None) -> None:
        self.asked.append((before, certified))
        if self.unsound is not None:
            raise self.unsound


def upgrading(canister: Any, health: Judgement | None = None, *, module: WasmModule = NEW, **options: Any) -> Upgrading:
    """A run that upgrades the canister."""
    retry = Retry(FactoryConfig(), sleep=canister.sleep)
    return Upgrading(canister, module, health or Judgement(), retry=retry, sleep=canister.sleep, **options)


def _argument(kind: Any, arg: bytes) -> Any:
    (value,) = decode(arg, [candid_type(kind)])
    return from_candid(kind, value)
