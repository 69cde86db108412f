"""One canister's live Wasm instance: runs entry points, each as a transaction over memory, globals and stable memory.

Owns: instantiation (late, and again where a rollback needs it), commit and rollback, export and restore of the state.
Does not own: which execution comes next, or applying effects on anything but these memories.
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.runtime.engine import Engine, Module
from canister_factory.replica.runtime.execution import (
    CanisterError,
    Entry,
    Env,
    ExecutionAbandonedError,
    Outcome,
    Steps,
    finish,
)
from canister_factory.replica.runtime.execution_errors import (
    execution_error,
    failed_execution,
    memory_error,
    missing_method,
)
from canister_factory.replica.runtime.guest_memory import GuestMemory, InstructionLimitReachedError
from canister_factory.replica.runtime.memory import InstanceState, MemoryState, MemoryTransaction, check_extents
from canister_factory.replica.runtime.slices import Groups
from canister_factory.replica.runtime.stable_memory import WASM_PAGE_BYTES, StableMemory
from canister_factory.replica.runtime.system_api import SystemApi
from canister_factory.replica.runtime.wasmtime_ffi import HostCallbacks, HostFunctionError, WasmInstance, WasmTrapError

# "Resource limits" in the IC's documentation.
MAX_MEMORY32_BYTES: Final = 4 << 30
MAX_MEMORY64_BYTES: Final = 6 << 30
_MAX_TABLE_ENTRIES: Final = 1_000_000


class Instance:
    """A canister's code at work. One thread at a time; `close` it.

    Args:
        engine: compiled the module, and says how memory is kept.
        module: the code.
        stable: the canister's stable memory; it outlives the instance.
        memory_limit: bytes that the Wasm memory may grow to; by default what the IC allows.
        memory: holds the Wasm memory's content if there is one already.

    Attributes:
        busy: an execution is suspended in it; no other one may begin.
    """

    def __init__(
        self,
        engine: Engine,
        module: Module,
        stable: StableMemory,
        *,
        memory_limit: int | None = None,
        memory: MemoryTransaction | None = None,
    ) -> None:
        self.engine = engine
        self.module = module
        self._stable = stable
        most = MAX_MEMORY64_BYTES if module.instrumented.memory64 else MAX_MEMORY32_BYTES
        self._memory_limit = most if memory_limit is None else min(memory_limit, most)
        self._memory = memory or engine.new_memory()
        self._has_image = memory is not None
        self.busy = False
        self._globals: tuple[int, ...] | None = None  # None: as the module defines them
        self._guest = GuestMemory()
        self._api = SystemApi(self._guest, stable)
        self._callbacks = HostCallbacks()
        for kind, function in module.imports:
            self._callbacks.add(self._api.bind(function), [str(t) for t in kind.params], bool(kind.results))
        self._live: WasmInstance | None = None
        self._held: WasmInstance | None = None  # an execution waits for `conclude`
        self._closed = False
        self._stale = False  # the live instance can't be brought back to the committed state
        self._globals_at_anchors: list[tuple[int, ...] | None] = []  # innermost last; None: not changed since

    def __repr__(self) -> str:
        state = "live" if self._live else "not instantiated"
        return f"<Instance {self.module!r} {state} memory_bytes={self._memory.committed}>"

    def close(self) -> None:
        """Frees everything; it can't execute any more. Closing twice is allowed.

        While an anchor is open, what it needs is kept: `revert` opens the instance again, `release` frees the rest.
        A suspended execution ends with `ExecutionAbandonedError`.
        """
        self._closed = True
        self._release()
        if not self._memory.anchored:
            self._memory.close()

    def _release(self) -> None:
        if self._live is not None:
            self._globals = self._live.noted_globals
            self._guest.attach(None)
            self._memory.detach()
            self._live.close()
            self._live = None

    @property
    def largest_memory_bytes(self) -> int:
        """What the Wasm memory may grow to."""
        return self._memory_limit

    # --- execution ---

    def execute(self, entry: Entry, env: Env, *, instruction_limit: int, commit: bool = True) -> Outcome:
        """Runs an entry point to its end: `execution`, without a pause."""
        return finish(self.execution(entry, env, instruction_limit=instruction_limit, commit=commit))

    def execution(
        self, entry: Entry, env: Env, *, instruction_limit: int, commit: bool = True, hold: bool = False
    ) -> Steps[Outcome]:
        """Runs an entry point in slices. System entry points that the module doesn't have do nothing.

        Without an error and with `commit`, the memories keep what it did; otherwise they are as they were before. Until
        it has ended nothing of what it does can be seen, but by itself.

        Args:
            entry: for methods, `env.method` names which; for callbacks, `env.callback` says where.
            env: what it may ask for.
            instruction_limit: instructions after which it is stopped.
            commit: False for queries and message inspection.
            hold: what would be kept is kept, or not, by `conclude`, which must follow.

        Returns:
            What it did. Traps, limits and missing methods are in `error`; nothing is raised for them.

        Raises:
            ExecutionAbandonedError: the instance was closed between two slices.
        """
        assert not self.busy and self._held is None, "an execution in this instance hasn't ended"  # noqa: PT018
        try:
            live = self.ready()
        except WasmTrapError as trap:
            return Outcome(error=execution_error(env, "IC0505", trap.reason))
        export = self.module.export_name(entry, env.method)
        if export is None and not self.module.has(entry, env.method):
            return Outcome(error=missing_method(entry, env))
        self._api.begin(entry, env)
        self._guest.begin(instruction_limit, self.engine.slices.first)
        self._stable.begin()
        self.busy = True
        keep = False
        try:
            error = yield from self._run(live, export, env, instruction_limit)
            if error is None and commit:
                for _ in self._memory.preparing(live.memory_bytes()):
                    yield None
                    self._require(live)
                keep = True
            instructions = self._guest.instructions_used()
            if keep and hold:
                self._held = live
        finally:  # also when it is given up while it is suspended
            self._end(live, keep)
        return self._outcome(error, instructions)

    def _end(self, live: WasmInstance, keep: bool) -> None:
        self.busy = False
        if self._live is not live:  # it was closed meanwhile
            self._stable.rollback()
        elif self._held is None:
            live.abandon()
            self._finish(live, keep)

    def _outcome(self, error: CanisterError | None, instructions: int) -> Outcome:
        outcome = self._api.outcome if error is None else Outcome(error=error)
        outcome.log, outcome.log_dropped = self._api.log.lines, self._api.log.dropped
        outcome.instructions = instructions
        return outcome

    def conclude(self, *, keep: bool) -> None:
        """Ends an execution if one is held: the memories keep what it did, or are as they were before."""
        live, self._held = self._held, None
        if live is not None:
            self._finish(live, keep)

    def _require(self, live: WasmInstance) -> None:
        if self._live is not live:
            raise ExecutionAbandonedError

    def _run(self, live: WasmInstance, export: str | None, env: Env, limit: int) -> Steps[CanisterError | None]:
        try:
            if export is not None:
                live.begin_export(export)
            else:
                callback = env.callback
                assert callback is not None, "a callback's execution needs env.callback"
                live.begin_table(callback.fun, callback.env, is_64=self.module.instrumented.memory64)
            groups = Groups(self.engine.slices, live, self._guest)
            while not (yield from self._next(live, groups)):
                pass
            self._guest.require_paid()
            return memory_error(env.canister_id, env.wasm_memory_limit, live.memory_bytes())
        except (WasmTrapError, InstructionLimitReachedError, HostFunctionError) as failure:
            error, backtrace = failed_execution(failure, env, limit)
        self._api.log.append("\n".join([error.message, *(f"  in {name}" for name in backtrace)]).encode())
        return error

    def _next(self, live: WasmInstance, groups: Groups) -> Steps[bool]:
        """The next group of slices, but for the first after others had their turn; whether it was the last."""
        if groups.executed:
            yield None
            self._require(live)
        return groups.execute()

    def _finish(self, live: WasmInstance, keep: bool) -> None:
        length = live.memory_bytes()
        if keep:
            self._stable.commit()
            self._memory.commit(length)
            if self._globals_at_anchors and self._globals_at_anchors[-1] is None:
                self._globals_at_anchors[-1] = live.noted_globals
            live.read_globals()
        else:
            self._stale = True  # should something here fail: the next execution starts from the image
            self._stable.rollback()
            self._memory.rollback()
            live.write_globals()
            self._stale = length > self._memory.committed  # a Wasm memory can't shrink
        self._stale = self._stale or self.module.instrumented.needs_fresh_instance

    def ready(self) -> WasmInstance:
        """The live instance, in the committed state; it is made, where there is none.

        Raises:
            WasmTrapError: instantiation fails.
        """
        if self._live is not None:
            if not self._stale:
                return self._live
            self._release()
        if self._closed:
            raise RuntimeError(f"{self!r} is closed and can't be used any more")
        module = self.module
        live = WasmInstance(
            self.engine.native,
            module.native,
            [import_type for import_type, _ in module.imports],
            self._callbacks,
            [self.engine.pieces(function) for _, function in module.imports],
            global_exports=module.instrumented.global_exports,
            memory_limit=max(self._memory_limit, self._memory.committed),
            table_limit=_MAX_TABLE_ENTRIES,
        )
        try:
            self._populate(live)
        except BaseException:
            self._memory.detach()
            live.close()
            raise
        self._guest.attach(live)
        self._live = live
        self._stale = False
        return live

    def _populate(self, live: WasmInstance) -> None:
        if self._has_image:
            missing = self._memory.committed - live.memory_bytes()
            if missing > 0:
                live.grow_memory(missing // WASM_PAGE_BYTES)
            self._memory.attach(live.memory_base())
            if missing < 0:
                self._memory.commit(live.memory_bytes())
        else:
            self._memory.adopt(live.memory_base(), live.memory_bytes())
            self._has_image = True
        if self._globals is None:
            live.read_globals()
        else:
            live.noted_globals = self._globals
            live.write_globals()

    # --- anchors ---

    @property
    def copied_bytes(self) -> int:
        """What the open anchors keep of the Wasm memory: the blocks that were written since."""
        return self._memory.copied_bytes

    def anchor(self) -> None:
        """Remembers the state for `revert`, at the price of what is written from here on. Anchors nest.

        The stable memory has its own.
        """
        self.memory.anchor()
        self._globals_at_anchors.append(None)

    def revert(self) -> None:
        """Makes the state what it was at the innermost anchor, and ends that; the Wasm instance stays if it can."""
        if self._memory.grown:  # a Wasm memory can't shrink
            self._release()
        self._memory.revert()
        before = self._globals_at_anchors.pop()
        if before is not None and self._live is not None:
            self._live.noted_globals = before
            self._live.write_globals()
        elif before is not None:
            self._globals = before
        self._closed = False

    def release(self) -> None:
        """Ends the innermost anchor and leaves the state as it is."""
        self._memory.release()
        before = self._globals_at_anchors.pop()
        if self._globals_at_anchors and self._globals_at_anchors[-1] is None:
            self._globals_at_anchors[-1] = before
        if self._closed and not self._memory.anchored:
            self._memory.close()

    # --- state ---

    @property
    def memory_bytes(self) -> int:
        """Length of the Wasm memory, bytes. Instantiates the module if that wasn't done yet."""
        if self._held is not None:
            return self._held.memory_bytes()
        return self.memory.length

    @property
    def memory(self) -> MemoryTransaction:
        """The Wasm memory's image, to be read between executions. Instantiates the module as `memory_bytes` does."""
        if not self._has_image:
            self.ready()
        return self._memory

    @property
    def global_values(self) -> tuple[int, ...]:
        """The mutable globals, as `InstanceState` has them."""
        values = self._live.noted_globals if self._live else self._globals
        return self.ready().noted_globals if values is None else values

    def export_state(self) -> InstanceState:
        """All of the state."""
        return InstanceState(self.memory.export_state(), self.global_values)

    def restore(self, state: InstanceState) -> None:
        """Replaces the whole state by an exported one; neither start function nor initialization runs.

        Raises:
            ValueError: another number of globals, a length that isn't whole pages, or extents beyond the memory.
        """
        self._check(state.globals, state.memory.length)
        self._replace_image(state.memory)
        self._globals = state.globals

    def resume(self, memory: MemoryTransaction, values: tuple[int, ...]) -> None:
        """Goes on with a memory and the globals that were saved with it; to be called first. It raises as `restore`."""
        self._check(values, memory.length)
        self._memory.close()
        self._memory, self._globals, self._has_image = memory, values, True

    def _check(self, values: tuple[int, ...], length: int) -> None:
        expected = len(self.module.instrumented.global_exports)
        if len(values) != expected:
            raise ValueError(f"the state has {len(values)} globals, the module {expected}")
        if length % WASM_PAGE_BYTES:
            raise ValueError(f"a memory of {length} bytes isn't whole pages of {WASM_PAGE_BYTES}")

    def fork(self, stable: StableMemory) -> Instance:
        """An independent instance in the same state, which is copied; `stable` is usually a fork of this one's."""
        twin = Instance(self.engine, self.module, stable, memory_limit=self._memory_limit)
        twin.restore(self.export_state())
        return twin

    def _replace_image(self, state: MemoryState) -> None:
        check_extents(state)
        assert not self._memory.anchored, "an anchor on this instance is open"
        self._release()
        self._memory.close()
        self._memory = self.engine.new_memory()
        self._memory.restore(state)
        self._has_image = True
