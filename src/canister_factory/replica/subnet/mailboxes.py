"""The messages that wait for execution: one queue for each canister, which take turns.

Owns the order: within a canister that of arrival, among canisters one message each in turn, so that nobody waits for
somebody else's queue. Does not own which canisters may take a message just now (`schedule`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from copy import copy
from dataclasses import dataclass, field

from canister_factory.replica.subnet.messages import Message, Request


def addressee(message: Message) -> bytes:
    """The canister in whose queue a message waits."""
    return message.callee if isinstance(message, Request) else message.canister_id


@dataclass(slots=True)
class Mailboxes:
    """Plain data: the queues by canister id, none of them empty, in the order of their turns."""

    queues: dict[bytes, deque[Message]] = field(default_factory=dict)
    _added: list[bytes] = field(default_factory=list, repr=False, compare=False, metadata={"runtime": True})

    def __len__(self) -> int:
        return sum(map(len, self.queues.values()))

    def __bool__(self) -> bool:
        return bool(self.queues)

    def __iter__(self) -> Iterator[Message]:
        for queue in self.queues.values():
            yield from queue

    def waiting_for(self, canister_id: bytes) -> int:
        """How many messages wait for a canister."""
        queue = self.queues.get(canister_id)
        return 0 if queue is None else len(queue)

    def append(self, message: Message, canister_id: bytes | None = None) -> None:
        """Puts a message behind the others of its addressee, or of `canister_id`."""
        key = addressee(message) if canister_id is None else canister_id
        self._added.append(key)
        queue = self.queues.get(key)
        if queue is None:
            self.queues[key] = deque((message,))
        else:
            queue.append(message)

    def put_first(self, message: Message) -> None:
        """Puts a message before the others of its addressee."""
        self.queues.setdefault(addressee(message), deque()).appendleft(message)

    def take_back_first(self, canister_id: bytes) -> None:
        """Removes what was put first last."""
        self.queues[canister_id].popleft()
        self._forget_empty(canister_id)

    def mark(self) -> None:
        """What is appended from here on is what `take_back` removes."""
        self._added.clear()

    def take_back(self) -> None:
        """Removes what was appended since the mark."""
        while self._added:
            canister_id = self._added.pop()
            self.queues[canister_id].pop()
            self._forget_empty(canister_id)

    def _forget_empty(self, canister_id: bytes) -> None:
        if not self.queues[canister_id]:
            del self.queues[canister_id]

    def take(self, busy: Container[bytes]) -> Message | None:
        """Removes the message whose turn it is; None if there are none but for busy canisters."""
        self._added.clear()
        canister_id = self._next(busy)
        if canister_id is None:
            return None
        queue = self.queues.pop(canister_id)
        message = queue.popleft()
        if queue:
            self.queues[canister_id] = queue  # behind all others
        return message

    def any_for_others_than(self, busy: Container[bytes]) -> bool:
        """Whether `take` would find a message."""
        return self._next(busy) is not None

    def _next(self, busy: Container[bytes]) -> bytes | None:
        return next((canister_id for canister_id in self.queues if canister_id not in busy), None)

    def copied(self) -> Mailboxes:
        """A copy that changes here don't reach; requests change in place, so they are copied too."""
        return Mailboxes(
            {
                canister_id: deque([copy(message) if isinstance(message, Request) else message for message in queue])
                for canister_id, queue in self.queues.items()
            }
        )
