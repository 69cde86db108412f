"""Whatever happens between an anchor and its end, going back undoes it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from canister_factory.candid.principal import Principal
from canister_factory.replica.runtime.memory import FullCopyMemory
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins
from support.anchored_subnet import Follower, everything
from support.replica_bench import MANAGEMENT, OWNER, management_argument
from support.replica_cycles_machine import CyclesAreConserved
from support.runtime_harness import STRATEGIES
from support.runtime_harness import engine as engine_with
from support.slicing import InSlices


class AnchorsUndoEverything(CyclesAreConserved):
    """Whatever happened between an anchor and its end, the state is what it was; and what follows the listeners too."""

    strategy: type = STRATEGIES[0]
    pace = Pace()

    def __init__(self) -> None:
        self.follower = Follower()
        super().__init__(
            lambda clock: Subnet(
                engine_with(self.strategy),
                clock_ns=clock,
                builtins=builtins(),
                listeners=self.follower.listeners,
                pace=self.pace,
            )
        )
        self.anchors: list[tuple[Anchor, object, int, int]] = []
        self.follower.follow(self.bench.subnet)

    @rule()
    @precondition(lambda self: len(self.anchors) < 4)
    def anchor(self) -> None:
        before = everything(self.bench.subnet)
        self.anchors.append((self.bench.subnet.anchor(), before, self.bench.clock.now_ns, self.bench._requests))

    @rule(depth=st.integers(0, 3))
    @precondition(lambda self: self.anchors)
    def revert(self, depth: int) -> None:
        ended = self.anchors[depth % len(self.anchors) :]
        anchor, before, self.bench.clock.now_ns, self.bench._requests = ended[0]
        self.bench.subnet.revert(anchor)
        del self.anchors[-len(ended) :]
        assert everything(self.bench.subnet) == before

    @rule(depth=st.integers(0, 3))
    @precondition(lambda self: self.anchors)
    def release(self, depth: int) -> None:
        before = everything(self.bench.subnet)
        ended = self.anchors[depth % len(self.anchors) :]
        self.bench.subnet.release(ended[0][0])
        del self.anchors[-len(ended) :]
        assert everything(self.bench.subnet) == before

    @rule(index=st.integers(0, 4), content=st.binary(min_size=1, max_size=20))
    def write_stable_and_certified(self, index: int, content: bytes) -> None:
        self.bench.submit(self._any(index), "remember", content)
        self.bench.submit(self._any(index), "certify", content)

    @rule(index=st.integers(0, 4), chunk=st.binary(max_size=5))
    def store_a_chunk(self, index: int, chunk: bytes) -> None:
        argument = {"canister_id": Principal(self._any(index)), "chunk": chunk}
        self.bench.submit(MANAGEMENT, "upload_chunk", management_argument("upload_chunk", argument))

    @rule(index=st.integers(0, 4), limit=st.sampled_from([1 << 20, 1 << 30]))
    def change_settings(self, index: int, limit: int) -> None:
        settings_ = {"wasm_memory_limit": limit, "controllers": [Principal(OWNER), Principal(limit.to_bytes(8, "big"))]}
        argument = {"canister_id": Principal(self._any(index)), "settings": settings_}
        self.bench.submit(MANAGEMENT, "update_settings", management_argument("update_settings", argument))

    @invariant()
    def listeners_were_toldeverything(self) -> None:
        assert self.follower.agrees()

    def teardown(self) -> None:
        if self.anchors:
            self.revert(0)
        self.bench.subnet.close()


class AnchorsUndoEverythingInFullCopies(AnchorsUndoEverything):
    strategy = FullCopyMemory


class AnchorsUndoEverythingInSlices(InSlices, AnchorsUndoEverything):
    """Messages take several turns, and others are executed meanwhile."""


_SETTINGS = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
AnchorsUndoEverything.TestCase.settings = _SETTINGS
AnchorsUndoEverythingInFullCopies.TestCase.settings = _SETTINGS
AnchorsUndoEverythingInSlices.TestCase.settings = _SETTINGS
test_any_history_in_slices_is_undone = AnchorsUndoEverythingInSlices.TestCase
test_any_history_is_undone = AnchorsUndoEverything.TestCase
test_any_history_is_undone_in_full_copies = AnchorsUndoEverythingInFullCopies.TestCase
