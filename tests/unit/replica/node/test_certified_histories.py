"""Whatever a subnet does and forgets, and wherever it goes back to: the certified tree has its statuses."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.state_tree import EMPTY, Node, build, insert
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.replica.subnet.request_status import REQUEST_ID, RequestStatus
from support.replica_bench import Bench
from support.replica_http_support import KEYS
from support.replica_puppet import call_argument

YEAR_S = 365 * 86400


class TheCertifiedTreeFollows(RuleBasedStateMachine):
    """Calls, some of which take several rounds; minutes in which requests expire, or a year; anchors within others."""

    def __init__(self) -> None:
        super().__init__()
        changes = Changes()
        self.bench = Bench(listeners=changes.listeners)
        self.one, self.two = self.bench.puppet(), self.bench.puppet()
        self.view = CertifiedView(KEYS, self.bench.subnet, changes, self.bench.clock)
        self.anchors: list[tuple[Anchor, int, int]] = []

    @rule(count=st.integers(1, 4), messages=st.integers(0, 6), certified=st.booleans())
    def calls(self, count: int, messages: int, certified: bool) -> None:
        for _ in range(count):
            self.bench.submit(self.one, "count")
        self._round(messages, certified)

    @rule(messages=st.integers(0, 3), certified=st.booleans())
    def a_call_that_takes_rounds(self, messages: int, certified: bool) -> None:
        self.bench.submit(self.one, "forward", call_argument(self.two, "count"))
        self._round(messages, certified)

    @rule(seconds=st.sampled_from([100, 150, 200, 250, YEAR_S]), messages=st.integers(0, 3), certified=st.booleans())
    def time_passes(self, seconds: int, messages: int, certified: bool) -> None:
        self.bench.clock.advance(seconds)
        self._round(messages, certified)

    @rule()
    @precondition(lambda self: len(self.anchors) < 3)
    def anchor(self) -> None:
        self.anchors.append((self.bench.subnet.anchor(), self.bench.clock.now_ns, self.bench._requests))

    @rule(depth=st.integers(0, 2))
    @precondition(lambda self: self.anchors)
    def revert(self, depth: int) -> None:
        depth %= len(self.anchors)
        anchor, self.bench.clock.now_ns, self.bench._requests = self.anchors[depth]
        del self.anchors[depth:]
        self.bench.subnet.revert(anchor)
        self.view.rewind()
        assert len(self.view._requests) == len(self.bench.subnet.request_statuses), "nothing of what isn't any more"
        self._shows_all()

    def _round(self, messages: int, certified: bool) -> None:
        self.bench.subnet.execute_round(max_messages=messages)
        if certified:
            self.view.certify()
            self._shows_all()

    def _shows_all(self) -> None:
        statuses, tree = self.bench.subnet.request_statuses, self.view._requests
        shown = {content[REQUEST_ID]: content for its in tree._sets for content in its}
        expected: Node = EMPTY
        for request_id, content in shown.items():
            expected = insert(expected, request_id, build(RequestStatus.restored(content).shown))
        assert tree.digest() == expected.digest()
        assert self.bench.subnet.request_contents.items() <= shown.items()
        assert len(shown) == len(tree) <= 2 * len(statuses)

    def teardown(self) -> None:
        self.bench.subnet.close()


TheCertifiedTreeFollows.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
test_the_certified_tree_has_every_status_whatever_happened = TheCertifiedTreeFollows.TestCase
