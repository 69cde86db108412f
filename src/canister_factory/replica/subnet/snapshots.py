"""Snapshots of canisters: taking, loading, listing and deleting them.

Owns these methods and ids. Does not own what a snapshot consists of (`snapshot`), downloads and uploads
(`snapshot_transfer`), or who pays for the work (`charges`).

Source: interface specification, "IC method take_canister_snapshot" and those that follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from canister_factory.replica.runtime.engine import Engine, Module
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Steps
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory_copy import copy_in, copy_out
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory
from canister_factory.replica.runtime.visible_globals import UnkeptGlobalError, kept_values, visible_globals
from canister_factory.replica.runtime.wasmtime_ffi import WasmTrapError
from canister_factory.replica.subnet.access import managed, require_controller
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.canister_history import Change, LoadedSnapshot
from canister_factory.replica.subnet.charges import Charges
from canister_factory.replica.subnet.cycles import SNAPSHOT_INSTRUCTIONS
from canister_factory.replica.subnet.install import uninstall
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.low_memory import is_low
from canister_factory.replica.subnet.management_interface import Argument, Result
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.snapshot import MAX_SNAPSHOTS, GlobalValue, LowMemoryHook, Snapshot
from canister_factory.replica.subnet.state import SubnetState

_NUMBER_BYTES = 8


class MakeChange(Protocol):
    """Makes an entry of a canister's history, with the caller as its origin."""

    def __call__(
        self, request: Request, argument: Argument, canister: CanisterState, kind: str, **details: Any
    ) -> Change: ...


def next_snapshot_id(canister: CanisterState) -> bytes:
    """The id of the snapshot that is added next: its number on the canister (8 bytes), and the canister's id."""
    return (canister.snapshots_taken + 1).to_bytes(_NUMBER_BYTES, "big") + canister.id


def add_snapshot(canister: CanisterState, snapshot: Snapshot, replaced: bytes | None) -> None:
    """Keeps a snapshot with the next id, in the place of another one where that is given."""
    canister.snapshots_taken += 1
    kept = {key: other for key, other in canister.snapshots.items() if key != replaced}
    canister.snapshots = {**kept, snapshot.id: snapshot}


def find_snapshot(canister: CanisterState, snapshot_id: bytes) -> Snapshot:
    """A snapshot of this canister.

    Raises:
        CanisterError: IC0406, it belongs to another canister; IC0305, there is none.
    """
    snapshot = canister.snapshots.get(snapshot_id)
    if snapshot is not None:
        return snapshot
    owner = snapshot_id[_NUMBER_BYTES:]
    if len(owner) == len(canister.id) and owner != canister.id:
        raise CanisterError(
            RejectCode.CANISTER_REJECT,
            f"The snapshot {snapshot_id.hex()} does not belong to canister {text_of(canister.id)}.",
            "IC0406",
        )
    raise CanisterError(
        RejectCode.DESTINATION_INVALID,
        f"Could not find the snapshot ID {snapshot_id.hex()} for canister {text_of(canister.id)}.",
        "IC0305",
    )


def require_room(canister: CanisterState, replaced: bytes | None) -> None:
    """Refuses a further snapshot unless it replaces one of this canister's, or there are fewer than ten.

    Raises:
        CanisterError: IC0406, there are ten; IC0305 or IC0406, the one to replace isn't there.
    """
    if replaced is not None:
        find_snapshot(canister, replaced)
    elif len(canister.snapshots) >= MAX_SNAPSHOTS:
        raise CanisterError(
            RejectCode.CANISTER_REJECT,
            f"Canister {text_of(canister.id)} has reached the maximum number of snapshots allowed: {MAX_SNAPSHOTS}.",
            "IC0406",
        )


@dataclass(frozen=True, slots=True)
class _Restored:
    snapshot: Snapshot
    module: Module
    instance: Instance
    stable: StableMemory


class Snapshots:
    """The methods, by name in `methods`.

    Args:
        make_change: makes entries of the history.
    """

    def __init__(
        self,
        state: SubnetState,
        calls: Calls,
        engine: Engine,
        charges: Charges,
        listeners: Listeners,
        make_change: MakeChange,
    ) -> None:
        self._state = state
        self._calls = calls
        self._engine = engine
        self._listeners = listeners
        self._make_change = make_change
        self._charges = charges
        self.methods: dict[str, Callable[[Request, Argument], Result]] = {
            "take_canister_snapshot": self._take,
            "load_canister_snapshot": self._load,
            "list_canister_snapshots": self._list,
            "delete_canister_snapshot": self._delete,
        }

    # --- taking ------------------------------------------------------------------------------------------------------

    def _take(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        replaced: bytes | None = argument["replace_snapshot"]
        uninstalls = bool(argument["uninstall_code"])
        require_room(canister, replaced)
        snapshot = self._without_content(canister)
        instructions = SNAPSHOT_INSTRUCTIONS + snapshot.size_bytes
        grown = snapshot.size_bytes - (canister.snapshots[replaced].size_bytes if replaced is not None else 0)
        if uninstalls:
            grown -= canister.code_bytes
        self._charges.take_for_work(canister, instructions, grown)
        self._calls.begin(canister, request, 0)
        _, instance = canister.running_module
        newest = next(reversed(canister.snapshots.values()), None)
        main = self._calls.work.do(lambda: copy_out(instance, None if newest is None else newest.main))
        snapshot = replace(snapshot, main=main)
        add_snapshot(canister, snapshot, replaced)
        if uninstalls:
            uninstall(canister, self._calls, self._state)
            canister.record(self._make_change(request, argument, canister, "code_uninstall"))
            self._listeners.canister_changed(canister.id)
        return (_listed(snapshot),)

    def _without_content(self, canister: CanisterState) -> Snapshot:
        """The canister's present state, with a Wasm memory of zeroes; the stable memory's blocks are shared."""
        if canister.module is None or canister.instance is None:
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                f"Failed to create snapshot for empty canister {text_of(canister.id)}: it has no module.",
                "IC0406",
            )
        try:
            values = visible_globals(canister.instance)
        except UnkeptGlobalError as error:
            raise CanisterError(RejectCode.CANISTER_REJECT, f"Failed to create snapshot: {error}.", "IC0406") from None
        main = StableMemory()
        main.grow(canister.instance.memory_bytes // WASM_PAGE_BYTES)
        kinds = [variable.kind for variable in canister.module.instrumented.visible_globals]
        return Snapshot(
            id=next_snapshot_id(canister),
            taken_at_ns=self._state.time_ns,
            canister_version=canister.version,
            uploaded=False,
            globals=tuple(GlobalValue(kind, bits) for kind, bits in zip(kinds, values, strict=True)),
            certified_data=canister.certified_data,
            global_timer_ns=canister.global_timer_ns,
            low_memory_hook=canister.low_memory_hook,
            chunks=dict(canister.chunks),
            wasm=canister.module.wasm,
            main=main,
            stable=canister.stable.fork(),
        )

    # --- loading -----------------------------------------------------------------------------------------------------

    def _load(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        snapshot_id: bytes = argument["snapshot_id"]
        owner = self._state.canisters.get(snapshot_id[_NUMBER_BYTES:], canister)
        snapshot = find_snapshot(owner, snapshot_id)
        require_controller(owner, request.caller)
        instructions = SNAPSHOT_INSTRUCTIONS + snapshot.size_bytes
        self._charges.require_growth(canister, snapshot.size_bytes - canister.code_bytes, instructions)
        self._calls.begin(canister, request, 0)
        restored = self._calls.work.do(lambda: self._restoring(canister, snapshot))
        while restored.snapshot is not snapshot:  # somebody uploaded to it meanwhile
            restored.instance.close()
            restored = self._calls.work.do(lambda: self._restoring(canister, snapshot))
        module, instance, stable = restored.module, restored.instance, restored.stable
        self._state.transaction.otherwise(instance.close)
        try:
            self._require_consistent_hook(canister, snapshot, instance)
            self._charges.take_for_work(canister, instructions)
        except CanisterError:
            instance.close()
            raise
        if canister.instance is not None:
            self._state.transaction.afterwards(canister.instance.close)
        canister.module, canister.instance, canister.stable = module, instance, stable
        canister.chunks = dict(snapshot.chunks)
        canister.certified_data = snapshot.certified_data
        if snapshot.uploaded and snapshot.global_timer_ns is not None:
            canister.global_timer_ns = snapshot.global_timer_ns
        if snapshot.uploaded and snapshot.low_memory_hook is not None:
            canister.low_memory_hook = snapshot.low_memory_hook
        canister.installed_ns = self._state.time_ns
        canister.version += 1
        canister.record(
            self._make_change(
                request,
                argument,
                canister,
                "load_snapshot",
                snapshot=LoadedSnapshot(
                    id=snapshot.id,
                    owner=None if owner is canister else owner.id,
                    canister_version=snapshot.canister_version,
                    taken_at_ns=snapshot.taken_at_ns,
                    uploaded=snapshot.uploaded,
                ),
            )
        )
        self._listeners.canister_changed(canister.id)
        return ()

    def _restoring(self, canister: CanisterState, snapshot: Snapshot) -> Steps[_Restored]:
        """The snapshot's code with its memories and globals, ready to run.

        Raises:
            CanisterError: IC0505, the module is refused; IC0408, globals or memory don't fit it.
        """
        module = yield from self._engine.compiling(snapshot.wasm)
        stable = snapshot.stable.fork()
        expected = [variable.kind.name.lower() for variable in module.instrumented.visible_globals]
        given = [value.kind.name.lower() for value in snapshot.globals]
        if given != expected:
            raise _inconsistent(f"it has globals of types {', '.join(given) or 'none'}, its module {expected}")
        instance = Instance(self._engine, module, stable)
        try:
            values = kept_values(module.instrumented, [value.bits for value in snapshot.globals])
            yield from copy_in(instance, snapshot.main, values)
            instance.ready()
            if instance.memory_bytes != snapshot.main.size_bytes:
                raise _inconsistent(
                    f"its Wasm memory has {snapshot.main.size_bytes} bytes, fewer than its module's memory begins with"
                )
        except (UnkeptGlobalError, WasmTrapError) as error:
            instance.close()
            raise _inconsistent(str(error)) from None
        except BaseException:  # refused, or given up between two steps
            instance.close()
            raise
        return _Restored(snapshot, module, instance, stable)

    @staticmethod
    def _require_consistent_hook(canister: CanisterState, snapshot: Snapshot, instance: Instance) -> None:
        """Of an uploaded snapshot, the status of the hook must agree with the memory that is left.

        Raises:
            CanisterError: IC0408, it doesn't.
        """
        hook, settings = snapshot.low_memory_hook, canister.settings
        if not snapshot.uploaded or hook is None:
            return
        low = is_low(settings, instance.memory_bytes, instance.largest_memory_bytes)
        if low != (hook is not LowMemoryHook.CONDITION_NOT_SATISFIED):
            raise _inconsistent(
                f"it says that the on-low-Wasm-memory hook is {hook.value}, but the canister's wasm_memory_limit is "
                f"{settings.wasm_memory_limit}, its wasm_memory_threshold {settings.wasm_memory_threshold}, and the "
                f"snapshot's Wasm memory has {instance.memory_bytes} bytes"
            )

    # --- listing and deleting ----------------------------------------------------------------------------------------

    def _list(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        return ([_listed(snapshot) for snapshot in canister.snapshots.values()],)

    def _delete(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        deleted = find_snapshot(canister, argument["snapshot_id"]).id
        canister.snapshots = {key: snapshot for key, snapshot in canister.snapshots.items() if key != deleted}
        return ()


def _listed(snapshot: Snapshot) -> dict[str, Any]:
    return {"id": snapshot.id, "taken_at_timestamp": snapshot.taken_at_ns, "total_size": snapshot.size_bytes}


def _inconsistent(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_REJECT, f"The snapshot can't be loaded: {problem}.", "IC0408")
