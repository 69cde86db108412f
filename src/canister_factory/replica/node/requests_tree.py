"""`/request_status` in the state tree, for a million requests: labels in small sets, and the digests above in one list.

Owns the digests of all requests, and witnesses for them. Does not own what a status looks like (`request_status`), or
which statuses there are (`subnet`).

The tree is the one that `state_tree` would make of the same labels: forks where their bits part. Request ids are
hashes, so its upper part is a complete binary tree: nodes are numbered from the root's 1, those below n are 2n and
2n + 1, and what is known of n is at place n of a list. A change costs a digest for each level, which is computed once
for all changes of a round.

Source: interface specification, "Certification" and "Request status".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Final

from canister_factory.ic.cbor import head
from canister_factory.ic.hash_tree import FORK
from canister_factory.replica.node.state_tree import (
    EMPTY,
    Compact,
    Fork,
    Labels,
    Node,
    Pruned,
    build,
    insert,
    witness,
)
from canister_factory.replica.subnet.request_status import REQUEST_ID, RequestStatus, digest_of

__all__ = ["RequestsTree"]

_LARGEST: Final = 4
"""Statuses in one set; with more it parts, unless there are so many sets already that others have fewer."""
_KEY_BYTES: Final = 4
_KEY_BITS: Final = 8 * _KEY_BYTES
_FIRST: Final = 1 << _KEY_BITS
_LEFT: Final = b"\x83\x01"
_RIGHT: Final = b"\x83\x01\x82\x04\x58\x20"
_PRUNED: Final = b"\x82\x04\x58\x20"

_Set = tuple[bytes, ...]  # the contents of statuses, by request id


class RequestsTree(Compact):
    """The labels of `/request_status`.

    Taking one away costs as much as adding one, and as many are forgotten as arrive. So what is forgotten goes when its
    set changes for another reason; but never is more than half forgotten of what is here.

    Args:
        contents: of the statuses that there are at first, by request id.
    """

    __slots__ = ("_changed", "_count", "_digests", "_forgotten", "_parted", "_sets")

    def __init__(self, contents: Mapping[bytes, bytes]) -> None:
        super().__init__()
        self._count = len(contents)
        # By node: whether there are nodes below, which aren't all empty then; the set, if it is here; and the digest,
        # unless the node is empty, or one above it has the set.
        self._parted = bytearray(2)
        self._sets: list[_Set] = [(), ()]
        self._digests: list[bytes | None] = [None, None]
        self._forgotten: set[bytes] = set()  # requests that are still here
        self._changed: set[int] = set()  # nodes with sets, of which the digests above aren't known
        if contents:
            self._fill(contents)

    def __len__(self) -> int:
        return self._count

    # --- where something is ------------------------------------------------------------------------------------------

    def _node(self, label: bytes) -> int:
        """The node whose set a label belongs to."""
        key = _FIRST | int.from_bytes(label[:_KEY_BYTES].ljust(_KEY_BYTES, b"\0"))
        parted = self._parted
        shift = min(_KEY_BITS + 3 - len(parted).bit_length(), _KEY_BITS)  # most sets are a level above the deepest
        node = key >> shift
        if parted[node]:
            while parted[node]:
                shift -= 1
                node = key >> shift
        else:
            while node > 1 and not parted[node >> 1]:
                node >>= 1
        return node

    def _is_empty(self, node: int) -> bool:
        return not self._parted[node] and not self._sets[node]

    def __contains__(self, label: bytes) -> bool:
        return self.get(label) is not None

    def neighbours(self, label: bytes) -> Iterable[bytes]:
        node = self._node(label)
        ids = [content[REQUEST_ID] for content in self._sets[node]]
        before = [request_id for request_id in ids if request_id < label][-1:] or self._beside(node, right=False)
        after = [request_id for request_id in ids if request_id > label][:1] or self._beside(node, right=True)
        return before + after

    def _beside(self, node: int, *, right: bool) -> list[bytes]:
        """The nearest label on one side of a node's, if there is one."""
        while node > 1:
            if (node & 1) != right and not self._is_empty(node ^ 1):
                return [self._outermost(node ^ 1, last=not right)]
            node >>= 1
        return []

    def _outermost(self, node: int, *, last: bool) -> bytes:
        while self._parted[node]:
            node = 2 * node + last
            if self._is_empty(node):
                node ^= 1
        return self._sets[node][-1 if last else 0][REQUEST_ID]

    # --- changes -----------------------------------------------------------------------------------------------------

    def put(self, status: RequestStatus) -> None:
        """Adds a request's status, or replaces it."""
        content = status.content
        label = content[REQUEST_ID]
        node = self._node(label)
        former = self._left_of(self._sets[node])
        at, replaced = 0, 0
        for other in former:
            its = other[REQUEST_ID]
            if its >= label:
                replaced = its == label
                break
            at += 1
        self._sets[node] = statuses = (*former[:at], content, *former[at + replaced :])
        self._count += not replaced
        self._changed.add(node)
        self._digest = None
        if len(statuses) > _LARGEST:
            self._part(node)

    def _part(self, node: int) -> None:
        depth = node.bit_length() - 1
        if depth >= self._count.bit_length() - 1:
            return  # by chance there are many here: others have fewer
        if 2 * node >= len(self._parted):
            self._grow(len(self._parted))
        statuses, self._sets[node] = self._sets[node], ()
        self._changed.discard(node)
        self._parted[node] = 1
        at, bit = depth // 8, 0x80 >> depth % 8
        split = sum(not content[REQUEST_ID][at] & bit for content in statuses)
        for below, part in ((2 * node, statuses[:split]), (2 * node + 1, statuses[split:])):
            self._sets[below] = part
            self._changed.add(below)
            if len(part) > _LARGEST:
                self._part(below)

    def _grow(self, more: int) -> None:
        self._parted += bytes(more)
        self._sets += [()] * more
        self._digests += [None] * more

    def _left_of(self, statuses: _Set) -> _Set:
        """Those that aren't forgotten; the others are no more here."""
        forgotten = self._forgotten
        if not forgotten:
            return statuses
        left = []
        for content in statuses:
            request_id = content[REQUEST_ID]
            if request_id in forgotten:
                forgotten.remove(request_id)
                self._count -= 1
            else:
                left.append(content)
        return statuses if len(left) == len(statuses) else tuple(left)

    def get(self, label: bytes) -> RequestStatus | None:
        """A request's status, if it is there."""
        for content in self._sets[self._node(label)]:
            if content[REQUEST_ID] == label:
                return RequestStatus.restored(content)
        return None

    def forget(self, label: bytes) -> None:
        """A request's time is over: its status goes later, if it is there."""
        if label in self:
            self._forgotten.add(label)
            while 2 * len(self._forgotten) > self._count:
                self.remove(self._forgotten.pop())

    def remove_forgotten(self) -> None:
        """Takes away all that is still here though it is forgotten."""
        while self._forgotten:
            self.remove(self._forgotten.pop())

    def remove(self, label: bytes) -> None:
        """Takes a request's status away, if it is there."""
        node = self._node(label)
        former = self._left_of(self._sets[node])
        statuses = tuple([content for content in former if content[REQUEST_ID] != label])
        if len(statuses) == len(self._sets[node]):
            return
        self._count -= len(former) - len(statuses)
        self._sets[node] = statuses
        self._changed.add(node)
        self._digest = None
        while node > 1 and self._join(node >> 1, _LARGEST // 2):
            node >>= 1

    def _join(self, node: int, largest: int) -> bool:
        """Makes one set of the two below a node, unless they are large; whether it did."""
        left, right = 2 * node, 2 * node + 1
        if self._parted[left] or self._parted[right]:
            return False
        statuses = self._sets[left] + self._sets[right]
        if len(statuses) > largest:
            return False
        for below in (left, right):
            self._sets[below] = ()
            self._digests[below] = None
            self._changed.discard(below)
        self._parted[node] = 0
        self._sets[node] = statuses
        self._changed.add(node)
        return True

    def _fill(self, contents: Mapping[bytes, bytes]) -> None:
        """All at once, a third of what one after the other costs."""
        depth = max(0, min(self._count.bit_length() - 2, _KEY_BITS))
        first = 1 << depth
        self._grow(2 * first - 2)
        sets, parted, shift = self._sets, self._parted, _KEY_BITS - depth
        for request_id, content in contents.items():
            sets[(_FIRST | int.from_bytes(request_id[:_KEY_BYTES])) >> shift] += (content,)
        for node in range(first - 1, 0, -1):
            left = 2 * node
            parted[node] = parted[left] or parted[left + 1] or (sets[left] + sets[left + 1] != ())
        self._changed.update(range(first, 2 * first))
        for node in range(first, 2 * first):
            if len(statuses := sets[node]) > 1:
                sets[node] = tuple(sorted(statuses, key=_request_id))
                if len(statuses) > _LARGEST:
                    self._part(node)

    # --- digests -----------------------------------------------------------------------------------------------------

    def _compute(self) -> bytes:
        digests, sets = self._digests, self._sets
        changed = sorted(self._changed, key=_place)
        self._changed.clear()
        # From each set upwards, to where the way from the next one comes in: that goes on with what both have become.
        for node, following in zip_longest(changed, changed[1:], fillvalue=0):
            statuses = sets[node]
            digest = digests[node] = _folded(statuses) if statuses else None
            last = _below_meeting(node, following) if following else 1
            while node != last:
                beside = digests[node ^ 1]
                if digest is None:
                    digest = beside
                elif beside is not None:
                    digest = sha256(FORK + beside + digest if node & 1 else FORK + digest + beside).digest()
                node >>= 1
                digests[node] = digest
        return digests[1] or EMPTY.digest()

    # --- what is shown -----------------------------------------------------------------------------------------------

    def witness_of(self, label: bytes) -> bytes:
        self.digest()
        node = self._node(label)
        statuses = self._sets[node]
        at = next(at for at, content in enumerate(statuses) if content[REQUEST_ID] == label)
        before, after = self._around(node)
        while len(statuses) > 1:
            split = _split(statuses)
            if at < split:
                before.append(_LEFT)
                after.append(_PRUNED + _folded(statuses[split:]))
                statuses = statuses[:split]
            else:
                before.append(_RIGHT + _folded(statuses[:split]))
                statuses, at = statuses[split:], at - split
        after.reverse()
        return b"".join((*before, _LABELED, label, _shown(RequestStatus.restored(statuses[0])), *after))

    def _around(self, node: int) -> tuple[list[bytes], list[bytes]]:
        """What a witness has before a node, and what after it, both from the root."""
        before, after = [], []
        digests = self._digests
        while node > 1:
            digest = digests[node ^ 1]
            if digest is not None:
                if node & 1:
                    before.append(_RIGHT + digest)
                else:
                    before.append(_LEFT)
                    after.append(_PRUNED + digest)
            node >>= 1
        before.reverse()
        after.reverse()
        return before, after

    def opened(self, labels: Iterable[bytes] | None) -> Node:
        if self._count == 0:
            return EMPTY
        self.digest()
        return self._opened(1, None if labels is None else sorted(labels))

    def _opened(self, node: int, labels: Sequence[bytes] | None) -> Labels:
        """The tree at a node, with these labels that belong there."""
        if labels is not None and not labels:
            digest = self._digests[node]
            assert digest is not None, "it isn't empty"
            return Pruned(digest)
        if not self._parted[node]:
            tree: Node = EMPTY
            for content in self._sets[node]:
                status = RequestStatus.restored(content)
                tree = insert(tree, status.request_id, build(status.shown))
            assert isinstance(tree, Labels)
            return tree
        left, right = 2 * node, 2 * node + 1
        if self._is_empty(left):
            return self._opened(right, labels)
        if self._is_empty(right):
            return self._opened(left, labels)
        at, bit = divmod(node.bit_length() - 1, 8)
        its: Sequence[bytes] | None = None
        others: Sequence[bytes] | None = None
        if labels is not None:
            split = sum(not label[at] & 0x80 >> bit for label in labels)
            its, others = labels[:split], labels[split:]
        return Fork(9 * at + 1 + bit, self._opened(left, its), self._opened(right, others))


_LABELED: Final = b"\x83\x02\x58\x20"
_REPLY: Final = b"\x83\x01\x83\x02\x45reply\x82\x03"
_REPLIED: Final = b"\x83\x02\x46status\x82\x03\x47replied"


def _request_id(content: bytes) -> bytes:
    return content[REQUEST_ID]


def _place(node: int) -> int:
    """Where a node is from left to right, if none of those compared is above another."""
    return node << _KEY_BITS + 1 - node.bit_length()


def _below_meeting(node: int, other: int) -> int:
    """The last one on the way up from a node that isn't on the way from the other one."""
    levels = node.bit_length() - other.bit_length()
    node, other = node >> max(levels, 0), other >> max(-levels, 0)
    return node >> (node ^ other).bit_length() - 1


def _split(statuses: _Set) -> int:
    """How many of at least two are on the left of the fork."""
    if len(statuses) == 2:
        return 1
    numbers = [int.from_bytes(content[REQUEST_ID]) for content in statuses]
    highest = (numbers[0] ^ numbers[-1]).bit_length() - 1
    return sum(not number >> highest & 1 for number in numbers)


def _folded(statuses: _Set) -> bytes:
    """The digest of some statuses' labels."""
    if len(statuses) == 1:
        return digest_of(statuses[0])
    if len(statuses) == 2:  # as below, which takes longer
        return sha256(FORK + digest_of(statuses[0]) + digest_of(statuses[1])).digest()
    split = _split(statuses)
    return sha256(FORK + _folded(statuses[:split]) + _folded(statuses[split:])).digest()


def _shown(status: RequestStatus) -> bytes:
    """The witness of all that is below a request id; written out for a reply, which most have."""
    reply = status.reply
    if reply is None:
        return witness(build(status.shown), [()])
    return b"".join((_REPLY, head(2, len(reply)), reply, _REPLIED))
