"""The statuses of requests, in the order of their arrival: how long they are kept, and how many bytes of answers.

Owns that order and these bounds. Does not own what a status is (`request_status`) or when somebody looks (`upkeep`).

Whatever happens once for a request costs the same however many there are: nothing walks over all of them.

Source: interface specification, "Request: Read state": a replica may forget an answer before the status of its request,
which is "done" from then on, and a request after its expiry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final, TypeVar, overload

from canister_factory.replica.subnet.request_status import RequestState, RequestStatus, answer_bytes_of

T = TypeVar("T")

SECOND_NS: Final = 10**9
STATUS_RETENTION_NS: Final = 300 * SECOND_NS
"""How long a status is kept after its request's expiry."""
AT_ONCE: Final = 1_000
"""How many are forgotten in one round, so that a million whose time is over don't hold up others."""
MAX_REPLY_BYTES: Final = 128 << 20
_LEFT_BY_PRUNING: Final = MAX_REPLY_BYTES * 9 // 10  # so that not every answer makes somebody look for another


class Statuses(MutableMapping[bytes, RequestStatus]):
    """Statuses by request id. What is final stays so, until it is done.

    Args:
        contents: of those that there are at first, by request id.

    Attributes:
        answer_bytes: how long all answers are.
    """

    __slots__ = ("_bare", "_by_id", "_ended", "_others", "_overdue", "answer_bytes")

    def __init__(self, contents: dict[bytes, bytes] | None = None) -> None:
        self._by_id: dict[bytes, bytes] = {} if contents is None else contents
        self.answer_bytes = sum(map(answer_bytes_of, self._by_id.values()))
        # The order of arrival. That of a dict can't be read without walking over all that was removed. First those that
        # were to be forgotten and have no answer yet, then those without an answer any more, then all others.
        self._overdue: dict[bytes, None] = {}
        self._ended: list[bytes] = []  # overdue, and changed since
        self._bare: deque[bytes] = deque()
        self._others: deque[bytes] = deque(self._by_id)

    def __repr__(self) -> str:
        return f"<Statuses {len(self)} answer_bytes={self.answer_bytes}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._by_id)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._by_id

    def __getitem__(self, request_id: bytes) -> RequestStatus:
        return RequestStatus.restored(self._by_id[request_id])

    @property
    def contents(self) -> Mapping[bytes, bytes]:
        """Those of all statuses."""
        return self._by_id

    @overload
    def get(self, request_id: bytes, /) -> RequestStatus | None: ...
    @overload
    def get(self, request_id: bytes, default: RequestStatus | T, /) -> RequestStatus | T: ...
    def get(self, request_id: bytes, default: object = None, /) -> object:
        content = self._by_id.get(request_id)
        return default if content is None else RequestStatus.restored(content)

    def copied(self) -> Statuses:
        """The same statuses, to be changed by themselves."""
        return Statuses(self._by_id.copy())

    def __setitem__(self, request_id: bytes, status: RequestStatus) -> None:
        former = self._by_id.get(request_id)
        more = status.answer_bytes - (0 if former is None else answer_bytes_of(former))
        if former is None:
            self._others.append(request_id)
        self.answer_bytes += more
        self._by_id[request_id] = status.content
        if self._overdue and request_id in self._overdue:
            self._ended.append(request_id)

    def __delitem__(self, request_id: bytes) -> None:
        """For any of them: to be used for few."""
        self._removed(request_id)
        self._overdue.pop(request_id, None)
        for order in (self._bare, self._others, self._ended):
            if request_id in order:
                order.remove(request_id)

    def _removed(self, request_id: bytes) -> None:
        self.answer_bytes -= answer_bytes_of(self._by_id.pop(request_id))

    def forget(self, now_ns: int) -> list[bytes]:
        """Forgets those that are final and whose time is over, so many at once.

        Expiries are minutes apart at most, so one whose time isn't over ends the search.

        Returns:
            Their request ids.
        """
        forgotten = []
        for request_id in self._ended:
            if request_id in self._overdue and self[request_id].is_final:
                del self._overdue[request_id]
                forgotten.append(request_id)
        self._ended.clear()
        while (order := self._bare or self._others) and len(forgotten) < AT_ONCE:
            status = self[order[0]]
            if status.expiry_ns + STATUS_RETENTION_NS > now_ns:
                break
            request_id = order.popleft()
            if status.is_final:
                forgotten.append(request_id)
            else:
                self._overdue[request_id] = None
        for request_id in forgotten:
            self._removed(request_id)
        return forgotten

    def prune(self) -> list[bytes]:
        """Forgets the answers to the requests that came first, where there are too many bytes; their request ids."""
        pruned: list[bytes] = []
        if self.answer_bytes > MAX_REPLY_BYTES:
            for request_id in self._with_answers():
                self[request_id] = RequestStatus(RequestState.DONE, self[request_id].origin)
                pruned.append(request_id)
                if self.answer_bytes <= _LEFT_BY_PRUNING:
                    break
        return pruned

    def _with_answers(self) -> Iterator[bytes]:
        """The requests with an answer; whoever takes one makes it bare."""
        others = self._others
        while others and (status := self[others[0]]).is_final:
            if status.answer_bytes:
                yield others[0]
            self._bare.append(others.popleft())
        for request_id in tuple(others):
            if self[request_id].answer_bytes:
                yield request_id
