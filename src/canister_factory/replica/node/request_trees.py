"""What is below `/request_status` in the state tree: one request's status, and those of all requests at a start.

Owns what a status looks like there. Does not own the tree (`state_tree`), or which statuses there are (`subnet`).

Source: interface specification, "Request status".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from canister_factory.candid import leb128
from canister_factory.replica.node.state_tree import (
    EMPTY,
    FORK,
    LABELED,
    LEAF,
    Deferred,
    Fork,
    Labeled,
    Leaf,
    Node,
    build,
    critical_bit,
    insert,
)
from canister_factory.replica.runtime.execution import Response
from canister_factory.replica.subnet.messages import RequestState, RequestStatus

__all__ = ["RequestTree", "tree_of_requests"]

_STATES: Final = {state: build({b"status": state.value.encode()}) for state in RequestState}
_REPLIED: Final = _STATES[RequestState.REPLIED].digest()


class RequestTree(Deferred):
    """The tree below a request id. Made when somebody asks: there may be a million of them."""

    __slots__ = ("_status",)

    def __init__(self, status: RequestStatus) -> None:
        super().__init__()
        self._status = status

    def make(self) -> Node:
        tree: Node = _STATES[self._status.state]
        if self._status.response is not None:
            for name, value in _outcome(self._status.response).items():
                tree = insert(tree, name, Leaf(value))
        return tree

    def _compute(self) -> bytes:
        """Written out for a reply, which most are: everything is hashed at a start, and each once in its round."""
        response = self._status.response
        if response is None or response.code is not None:
            return super()._compute()
        leaf = sha256(LEAF)
        leaf.update(response.data)
        reply = sha256(LABELED + b"reply" + leaf.digest()).digest()
        return sha256(FORK + reply + _REPLIED).digest()


def tree_of_requests(statuses: Mapping[bytes, RequestStatus]) -> Node:
    """The tree of many requests, sooner than by inserting them one by one."""
    right: list[Fork] = []  # from the root to the last label so far: of those, each parts at a later bit
    last: Labeled | None = None
    for label in sorted(statuses):
        new = Labeled(label, RequestTree(statuses[label]))
        if last is not None:
            bit = critical_bit(last.label, label)
            below: Fork | Labeled = last
            while right and right[-1].bit > bit:
                below = right.pop()
            fork = Fork(bit, below, new)
            if right:
                right[-1].right = fork
            right.append(fork)
        last = new
    return right[0] if right else last or EMPTY


def _outcome(response: Response) -> dict[bytes, bytes]:
    if response.code is None:
        return {b"reply": response.data}
    fields = {b"reject_code": leb128.unsigned(response.code), b"reject_message": response.message.encode()}
    if response.error_code:
        fields[b"error_code"] = response.error_code.encode()
    return fields
