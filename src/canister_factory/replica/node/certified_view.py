"""The subnet's state as the outside may see it certified: keeps the state tree in step with the subnet.

Owns which parts of the subnet appear in the tree and when a new state is signed. Does not own the subnet, signatures
(`certification`), or who may read what (`read_state`).

Source: interface specification, "The system state tree".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from canister_factory.candid import leb128
from canister_factory.ic.cbor import dumps
from canister_factory.replica.node.certification import (
    SUBNET_TYPE,
    CertifiedState,
    Certifier,
    RangesLayout,
    encoded_ranges,
    range_shards,
)
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.requests_tree import RequestsTree
from canister_factory.replica.node.state_tree import Node, StateTree, build
from canister_factory.replica.subnet.request_status import RequestStatus

if TYPE_CHECKING:
    from canister_factory.replica.subnet.canister import CanisterState

__all__ = ["CertifiedView", "ObservableSubnet"]

# An idle subnet still makes a block about every second, which keeps `/time` recent; so do we, when somebody asks.
_MAX_AGE_NS: Final = 10**9
_METRICS_PAUSE_NS: Final = 10**6  # for each canister


class ObservableSubnet(Protocol):
    """What the certified view needs of a subnet."""

    @property
    def canisters(self) -> Mapping[bytes, CanisterState]: ...

    @property
    def request_statuses(self) -> Mapping[bytes, RequestStatus]: ...

    @property
    def request_contents(self) -> Mapping[bytes, bytes]: ...

    @property
    def consumed_cycles(self) -> int: ...

    @property
    def executed_messages(self) -> int: ...


class CertifiedView:
    """The newest certified state of a subnet, and the data certificates that canisters get from it.

    Changes go into the tree at once with the next state, so that a request which is received, processed and replied to
    in one round is hashed once.

    Attributes:
        held: there are changes that aren't durable yet; until they are, nothing new is certified.
    """

    def __init__(
        self, keys: ReplicaKeys, subnet: ObservableSubnet, changes: Changes, clock_ns: Callable[[], int]
    ) -> None:
        self._subnet = subnet
        self._clock_ns = clock_ns
        self._subnet_id = keys.subnet.principal
        self._certifier = Certifier(keys, clock_ns)
        self._requests = RequestsTree(subnet.request_contents)
        self._tree = StateTree({self._subnet_id: range_shards()}, self._requests)
        self._unchanging = {
            b"public_key": build(keys.subnet.public_key),
            b"type": build(SUBNET_TYPE),
            b"canister_ranges": build(encoded_ranges()),
            b"node": build({keys.node.principal: {b"public_key": keys.node.public_key}}),
        }
        self._metadata: dict[bytes, tuple[object, Node]] = {}
        self._data_certificates: dict[bytes, bytes] = {}
        self._changes = changes
        changes.canisters.update(subnet.canisters)
        changes.requests.clear()  # those of messages that were executed again: all are here
        self.held = False
        self._metrics_due_ns = 0
        self._newest_ns = 0
        self._state: CertifiedState | None = None
        self._prepared: CertifiedState | None = None
        self.certify()

    def __repr__(self) -> str:
        return f"<CertifiedView {self._state!r} {self._changes!r}>"

    def current(self) -> CertifiedState:
        """A state that has all durable changes so far and is at most a second old."""
        if self._prepared is not None and not self.held:
            self._state, self._prepared = self._prepared, None
        state = self._state
        if state is None or (not self.held and (self._changes or self._clock_ns() - state.time_ns > _MAX_AGE_NS)):
            return self.certify()
        return state

    def prepare(self) -> None:
        """Makes the state that `current` gives once all is durable, and signs it.

        From here on the last one gives no certificates any more, so nobody is to ask in between.
        """
        with suppress(Exception):  # `current` makes it then, and raises what there is to raise
            self._prepared = self._next()
            self._prepared.signature()

    def certify(self) -> CertifiedState:
        """A new state with all changes so far, at the clock's time (never before the last state's)."""
        self._prepared = None
        state = self._state = self._next()
        return state

    def _next(self) -> CertifiedState:
        changes = self._changes
        if self._state is not None:
            self._state.superseded = True
        for request_id, status in changes.requests.items():
            if status is None:
                self._requests.forget(request_id)
            else:
                self._requests.put(status)
        changes.requests.clear()
        for canister_id in changes.canisters:
            self._put_canister(canister_id)
        changes.canisters.clear()
        now = self._clock_ns()
        if now >= self._metrics_due_ns:
            self._tree.set_subnet({self._subnet_id: {**self._unchanging, b"metrics": self._metrics()}})
            # Adding up all memories takes a microsecond a canister: a thousandth of the time, however many there are.
            self._metrics_due_ns = now + max(_MAX_AGE_NS, len(self._subnet.canisters) * _METRICS_PAUSE_NS)
        self._newest_ns = max(now, self._newest_ns)
        self._data_certificates.clear()
        return self._certifier.certify(self._tree, self._newest_ns)

    def rewind(self) -> None:
        """The subnet went back to an earlier state, whose changes were told, and maybe the clock with it.

        What is certified from here on has the clock's time, even if that lies before the last state's.
        """
        self._requests.remove_forgotten()  # of these, some hadn't come yet
        for request_id, status in self._changes.requests.items():
            if status is None:
                self._requests.remove(request_id)
        self._newest_ns = self._metrics_due_ns = 0
        self._certifier.delegation.renew()
        self.certify()

    def status_shown(self, request_id: bytes) -> RequestStatus | None:
        """A request's status in the newest state; the subnet may have forgotten it."""
        return self._requests.get(request_id)

    def data_certificate(self, canister_id: bytes) -> bytes:
        """The certificate that `ic0.data_certificate` gives a canister in a query; made once a state."""
        state = self.current()
        certificate = self._data_certificates.get(canister_id)
        if certificate is None:
            path = (b"canister", canister_id, b"certified_data")
            certificate = self._data_certificates[canister_id] = state.certificate([path], RangesLayout.BOTH)
        return certificate

    def _put_canister(self, canister_id: bytes) -> None:
        canister = self._subnet.canisters.get(canister_id)
        if canister is None:
            self._tree.remove_canister(canister_id)
            self._metadata.pop(canister_id, None)
            return
        content: dict[bytes, bytes | Node] = {
            b"controllers": dumps(list(canister.settings.controllers)),
            b"canister_creation_timestamp": leb128.unsigned(canister.created_ns),
        }
        if canister.installed_ns is not None:
            content[b"last_install_timestamp"] = leb128.unsigned(canister.installed_ns)
        module = canister.module
        if module is not None:
            content[b"module_hash"] = module.hash
            content[b"certified_data"] = canister.certified_data
            # Kept by module: certified data may change with every message, the interface text beside it doesn't.
            known, metadata = self._metadata.get(canister_id, (None, None))
            if metadata is None or known is not module:
                sections = {name.encode(): data for name, (_, data) in module.custom_sections.items()}
                metadata = build(sections)
                self._metadata[canister_id] = (module, metadata)
            if module.custom_sections:
                content[b"metadata"] = metadata
        self._tree.set_canister(canister_id, content)

    def _metrics(self) -> bytes:
        subnet = self._subnet
        consumed = subnet.consumed_cycles
        return dumps(
            {
                0: len(subnet.canisters),
                1: sum(canister.memory_bytes for canister in subnet.canisters.values()),
                2: {0: consumed & (1 << 64) - 1, 1: consumed >> 64},
                3: subnet.executed_messages,
            }
        )
