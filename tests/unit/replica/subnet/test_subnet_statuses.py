"""The statuses of requests in their order: what is forgotten when, and that nothing walks over all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canister_factory.replica.runtime.execution import Response
from canister_factory.replica.subnet.messages import FromIngress
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.statuses import AT_ONCE, STATUS_RETENTION_NS, Statuses

SECOND = 10**9


def status(number: int, *, final: bool = True, expiry_s: int | None = None) -> RequestStatus:
    """Of a request that expires after as many seconds as its number says."""
    expiry_ns = (number if expiry_s is None else expiry_s) * SECOND
    origin = FromIngress(number.to_bytes(32, "big"), expiry_ns, b"sender", b"effective", b"canister")
    if final:
        return RequestStatus(RequestState.REPLIED, origin, Response(b"answer"))
    return RequestStatus(RequestState.PROCESSING, origin)


def put(statuses: Statuses, *each: RequestStatus) -> None:
    for one in each:
        statuses[one.request_id] = one


def over(seconds: int) -> int:
    """When the time of a request is over that expires after so many seconds."""
    return seconds * SECOND + STATUS_RETENTION_NS


def numbers(request_ids: list[bytes]) -> list[int]:
    return [int.from_bytes(request_id) for request_id in request_ids]


def test_statuses_are_forgotten_five_minutes_after_their_expiry() -> None:
    statuses = Statuses()
    put(statuses, *map(status, range(10)))
    assert statuses.forget(over(3) - 1) == [status(number).request_id for number in range(3)]
    assert statuses.forget(over(3) - 1) == []
    assert numbers(statuses.forget(over(3))) == [3]
    assert numbers(list(statuses)) == [4, 5, 6, 7, 8, 9]


def test_what_is_not_answered_stays_until_it_is() -> None:
    statuses = Statuses()
    put(statuses, status(0, final=False), status(1), status(2, final=False), status(3))
    assert numbers(statuses.forget(over(9))) == [1, 3]
    assert statuses.forget(over(9)) == []
    put(statuses, status(2), status(0))
    put(statuses, status(0, final=False))  # a message that was taken back
    assert numbers(statuses.forget(over(9))) == [2]
    put(statuses, status(0), status(0))
    assert numbers(statuses.forget(over(9))) == [0]
    assert not statuses
    assert statuses.answer_bytes == 0


def test_one_that_is_taken_back_leaves_nothing() -> None:
    statuses = Statuses()
    put(statuses, *map(status, range(3)))
    del statuses[status(1).request_id]
    assert statuses.answer_bytes == 2 * len(b"answer")
    put(statuses, status(1, expiry_s=5))
    assert numbers(list(statuses)) == [0, 2, 1]
    assert numbers(statuses.forget(over(9))) == [0, 2, 1]


def test_not_all_of_a_million_are_forgotten_at_once() -> None:
    statuses = Statuses()
    put(statuses, *(status(number, expiry_s=0) for number in range(2 * AT_ONCE + 1)))
    assert [len(statuses.forget(over(0))) for _ in range(4)] == [AT_ONCE, AT_ONCE, 1, 0]


class Kept(Statuses):
    """Counts how many statuses are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = 0
        self._by_id = _Counting(self)


class _Counting(dict[bytes, bytes]):
    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept

    def __getitem__(self, request_id: bytes) -> bytes:
        self._kept.looked_at += 1
        return super().__getitem__(request_id)


def test_a_search_looks_at_what_it_forgets_and_one_more() -> None:
    statuses = Kept()
    put(statuses, *map(status, range(1_000)))
    for seconds in range(500):
        statuses.looked_at = 0
        assert len(statuses.forget(over(seconds))) == 1
        assert statuses.looked_at <= 3
    statuses.looked_at = 0
    assert statuses.forget(over(499)) == []
    assert statuses.looked_at <= 1


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["open", "final", "forget", "delete", "copy"]))))
def test_order_and_bytes_are_those_of_a_plain_dict(steps: list[tuple[int, str]]) -> None:
    statuses, model = Statuses(), dict[bytes, RequestStatus]()
    for number, what in steps:
        request_id = number.to_bytes(32, "big")
        if what == "delete" and request_id in model:
            del statuses[request_id], model[request_id]
        elif what == "forget":
            due = [key for key, its in model.items() if its.expiry_ns + STATUS_RETENTION_NS <= over(5)]
            assert sorted(statuses.forget(over(5))) == sorted(key for key in due if model[key].is_final)
            model = {key: its for key, its in model.items() if key not in due or not its.is_final}
        elif what == "copy":
            statuses = statuses.copied()
        elif what in ("open", "final"):
            former = model.get(request_id)
            its = status(number, final=what == "final", expiry_s=len(steps) if former is None else 0)
            if former is None or not former.is_final:
                its = status(number, final=what == "final", expiry_s=0 if number % 2 else 5)
                statuses[request_id] = model[request_id] = its
    assert list(statuses.items()) == list(model.items())
    assert statuses.answer_bytes == sum(its.answer_bytes for its in model.values())
