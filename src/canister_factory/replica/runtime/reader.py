"""Instances that execute on a canister's committed state, and leave nothing behind in it.

Owns where their executions go on when they take long, and using an instance again for a later state. Does not own the
views of memories (`memory`, `stable_memory`), or who reads (`subnet.queries`).
"""

from __future__ import annotations

import atexit
from concurrent.futures import Future, wait
from typing import Final
from weakref import WeakSet

from canister_factory.replica.runtime.execution import Steps
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.slices import Groups
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.runtime.wasmtime_ffi import WasmInstance


class Reader(Instance):
    """Executes on another instance's committed state as it is now, and keeps what it does to itself; `close` it.

    The other one may execute and commit meanwhile. Executions see what those before committed here. Where the engine
    has threads for it, executions that take long go on in one of these: their steps are futures then, and closing
    waits for a slice.

    Args:
        owner: whose state it is. Its module keeps everything in memories and globals: see `reader_of`.
        stable: a fork or a reader of the owner's.
        once: the next execution is the only one.
        here: so many groups of an execution's slices are executed by whoever asks, before another thread goes on.
    """

    def __init__(self, owner: Instance, stable: StableMemory, *, once: bool, here: int = 1) -> None:
        view = owner.memory.view()
        super().__init__(owner.engine, owner.module, stable, memory_limit=owner.largest_memory_bytes, memory=view)
        self._globals = owner.global_values
        self._once = once
        self._here = here
        self._groups: Groups | None = None  # what a thread executes
        self._executing: Future[bool] | None = None
        _READERS.add(self)

    def renew(self, owner: Instance, stable: StableMemory, *, once: bool, here: int = 1) -> None:
        """Reads another state of the same canister; to be called after `park`. The arguments are those of the class."""
        live, view = self._live, owner.memory.view()
        assert live is not None, "it wasn't parked"
        if live.memory_bytes() > view.committed:  # a Wasm memory can't shrink: another instance is made
            self._release()
        self._once, self._here = once, here
        self._memory, self._globals = view, owner.global_values
        self._stable = self._api.stable = stable
        if self._live is not None:
            self._populate(live)
            self._stale = False

    def park(self) -> bool:
        """Lets go of the state, and keeps what `renew` can use; whether there is something, else it is closed."""
        live = self._live
        if live is None or self.busy or live.memory_bytes() > self._memory.committed:
            self.close()
            return False
        self._memory.vacate()
        self._memory.close()
        self._stable = self._api.stable = StableMemory()
        return True

    def _next(self, live: WasmInstance, groups: Groups) -> Steps[bool]:
        workers = self.engine.query_workers
        if workers is None or groups.executed < self._here:
            return (yield from super()._next(live, groups))
        # Meanwhile this thread does nothing with this instance, but that its view keeps what is overwritten.
        self._groups, self._executing = groups, workers.submit(groups.execute_beside)
        try:
            while not self._executing.done():
                yield self._executing
                self._require(live)
        finally:  # also when it is given up: then the call is deleted, which no thread may be executing
            self._stop_executing()
        return self._executing.result()

    def _finish(self, live: WasmInstance, keep: bool) -> None:
        if self._once and not keep:
            self._stable.rollback()
            self._stale = True  # what it wrote is dropped with all else
        else:
            super()._finish(live, keep)

    def _release(self) -> None:
        self._stop_executing()
        super()._release()

    def _stop_executing(self) -> None:
        executing = self._executing
        if executing is not None and self._groups is not None and not executing.cancel():
            self._groups.stopping = True
            wait([executing])


_READERS: Final[WeakSet[Reader]] = WeakSet()


@atexit.register
def _stop_all() -> None:
    """Ends what threads execute while they still can end: in a process without Python nobody can wait for them."""
    for reader in list(_READERS):
        reader._stop_executing()


def reader_of(owner: Instance, stable: StableMemory, *, once: bool = False, here: int = 1) -> Instance:
    """An instance for executions on the owner's committed state; arguments as `Reader` has them.

    Of modules whose instances can't be used twice it is a copy of the owner.
    """
    if owner.module.instrumented.needs_fresh_instance:  # each execution in another: what was written is lost
        return owner.fork(stable)
    return Reader(owner, stable, once=once, here=here)
