"""Certificates: what a subnet signed about its state, checked down to the root key before anyone reads it.

Owns verification (signature, delegation, scope, freshness) and reading values. Does not own: hash trees, BLS, fetching.
Source: interface specification, "Certification", and "Request: Read state" for the scope of delegations.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError
from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES, Principal
from canister_factory.ic import cbor
from canister_factory.ic.bls import check_key, verify_bls
from canister_factory.ic.errors import (
    CertificateError,
    CertificateScopeError,
    MalformedCborError,
    MalformedCertificateError,
    StaleCertificateError,
)
from canister_factory.ic.hash_tree import (
    Absent,
    Found,
    Node,
    Unknown,
    encode_tree,
    labels,
    lookup_path,
    tree_from_items,
)
from canister_factory.ic.public_key import self_authenticating_id

STATE_ROOT_DOMAIN = b"\x0dic-state-root"
MAX_AGE_NS = 300 * 10**9
MAX_FUTURE_NS = 300 * 10**9
"""How far a certificate's time may be before or ahead of ours: what the official JavaScript agent allows. Nobody can
make a certificate of the future without the subnet, so one only shows that the clock here is slow."""

CanisterRange = tuple[bytes, bytes]
"""The lowest and highest canister id of a closed interval, ordered as bytes."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate. `time_ns`: the state's time; `subnet_id`: who signed (the root subnet if no delegation).

    `ranges` are the canister ids that the delegation lets this subnet speak about, `subnet_type` is the type that the
    delegation says; `None` for the root subnet, and a type that isn't said.
    """

    tree: Node
    time_ns: int
    subnet_id: bytes
    ranges: tuple[CanisterRange, ...] | None
    subnet_type: bytes | None = None

    def __repr__(self) -> str:
        return f"Certificate(subnet={Principal(self.subnet_id)}, time_ns={self.time_ns}, root={self.tree.digest.hex()})"

    def lookup(self, path: Sequence[bytes]) -> Found[bytes] | Absent | Unknown:
        """The value at a path, or that it is proven absent, or unknown.

        Raises:
            HashTreeError: a subtree is there instead of a value.
        """
        return lookup_path(self.tree, path)

    def value(self, path: Sequence[bytes]) -> bytes | None:
        """The value at a path, `None` if proven absent.

        Raises:
            CertificateError: the certificate doesn't tell.
        """
        result = self.lookup(path)
        if isinstance(result, Found):
            return result.value
        if isinstance(result, Unknown):
            name = "/".join(label.decode(errors="backslashreplace") for label in path if label.isascii())
            raise CertificateError(f"the certificate doesn't tell whether /{name} exists: that part was left out of it")
        return None


class CertificateVerifier:
    """Verifies certificates against one root key, remembering the delegations and states it has already verified.

    A delegation is the same bytes in every answer of a subnet, so remembering the last `max_delegations` saves one of
    two signature checks. Entries are keyed by the SHA-256 of the delegation's own bytes.

    All calls that a block answers have certificates of one state, which show different parts of it under one signature.
    So the last `max_states` are remembered, by key, root hash and signature: whoever makes many calls at once checks
    hardly any signature twice. A signature that was wrong isn't remembered.
    """

    def __init__(
        self,
        root_key: bytes,
        *,
        max_age_ns: int = MAX_AGE_NS,
        max_future_ns: int = MAX_FUTURE_NS,
        max_delegations: int = 256,
        max_states: int = 64,
    ) -> None:
        check_key(root_key)
        self.root_key = bytes(root_key)
        self.root_subnet_id = self_authenticating_id(self.root_key)
        self._max_age_ns = max_age_ns
        self._max_future_ns = max_future_ns
        self._max_delegations = max_delegations
        self._delegations: OrderedDict[bytes, _Delegation] = OrderedDict()
        self._max_states = max_states
        self._states: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()

    def __repr__(self) -> str:
        return (
            f"CertificateVerifier(root_subnet={Principal(self.root_subnet_id)}, delegations={len(self._delegations)})"
        )

    def verify(
        self, data: bytes, *, now_ns: int | None, canister_id: bytes | None = None, subnet_id: bytes | None = None
    ) -> Certificate:
        """Verifies a CBOR certificate that has to speak for a canister (by its effective id) or for a subnet.

        Exactly one of `canister_id` and `subnet_id` is given. `now_ns`: nanoseconds since 1970; `None` leaves out the
        check of freshness, for whoever has another proof of it. A delegated subnet can't speak for the management
        canister's own id, which is in no range; the root key can speak for all ids.

        Raises:
            MalformedCertificateError: it isn't of the specified form.
            CertificateSignatureError: it isn't signed by the network.
            CertificateScopeError: it speaks for another canister or subnet.
            StaleCertificateError: its time is too far from `now_ns`.
        """
        if (canister_id is None) == (subnet_id is None):
            raise ValueError("a certificate is verified for either a canister or a subnet")
        tree, signature, delegation_items = _parse(data)
        delegation = self._delegation(delegation_items) if delegation_items is not None else None
        key = delegation.public_key if delegation else self.root_key
        self._check_signature(key, tree.digest, signature)
        signer = delegation.subnet_id if delegation else self.root_subnet_id
        if canister_id is not None and delegation and not delegation.covers(canister_id):
            raise CertificateScopeError(
                f"the certificate is from subnet {Principal(signer)}, whose canister ranges do not include "
                f"{Principal(canister_id)}"
            )
        if subnet_id is not None and delegation and subnet_id != signer:
            raise CertificateScopeError(
                f"the certificate is from subnet {Principal(signer)} instead of {Principal(subnet_id)}"
            )
        time = lookup_path(tree, (b"time",))
        if not isinstance(time, Found):
            raise MalformedCertificateError("the certificate has no /time")
        time_ns = read_leb128(time.value)
        if now_ns is not None:
            self._check_fresh(time_ns, now_ns)
        if delegation is None:
            return Certificate(tree, time_ns, signer, None)
        return Certificate(tree, time_ns, signer, delegation.ranges, delegation.subnet_type)

    def _check_signature(self, key: bytes, root_hash: bytes, signature: bytes) -> None:
        state = (key, root_hash, signature)
        if state in self._states:
            self._states.move_to_end(state)
            return
        verify_bls(key, STATE_ROOT_DOMAIN + root_hash, signature)
        self._states[state] = None
        if len(self._states) > self._max_states:
            self._states.popitem(last=False)

    def _check_fresh(self, time_ns: int, now_ns: int) -> None:
        if time_ns < now_ns - self._max_age_ns:
            raise StaleCertificateError(
                f"the certificate is {(now_ns - time_ns) / 1e9:.1f} s old, above the limit of "
                f"{self._max_age_ns / 1e9:g} s; check this computer's clock if that can't be"
            )
        if time_ns > now_ns + self._max_future_ns:
            raise StaleCertificateError(
                f"the certificate's time is {(time_ns - now_ns) / 1e9:.1f} s in the future, above the limit of "
                f"{self._max_future_ns / 1e9:g} s: check this computer's clock"
            )

    def _delegation(self, items: Any) -> _Delegation:
        """Verifies a delegation, or finds that this very one was verified before.

        Its time isn't limited: subnets renew delegations only when they are upgraded, on mainnet about weekly.
        """
        match items:
            case {"subnet_id": bytes(subnet_id), "certificate": bytes(data)} if len(subnet_id) <= MAX_PRINCIPAL_BYTES:
                pass
            case _:
                raise MalformedCertificateError("a delegation is not a map of subnet_id and certificate")
        fingerprint = sha256(bytes((len(subnet_id),)) + subnet_id + data).digest()
        known = self._delegations.get(fingerprint)
        if known is not None:
            self._delegations.move_to_end(fingerprint)
            return known
        tree, signature, nested = _parse(data)
        if nested is not None:
            raise MalformedCertificateError(
                "the certificate of a delegation has itself a delegation, which isn't allowed"
            )
        verify_bls(self.root_key, STATE_ROOT_DOMAIN + tree.digest, signature)
        key = lookup_path(tree, (b"subnet", subnet_id, b"public_key"))
        if not isinstance(key, Found):
            raise MalformedCertificateError(f"the delegation has no public key of subnet {Principal(subnet_id)}")
        kind = lookup_path(tree, (b"subnet", subnet_id, b"type"))
        subnet_type = kind.value if isinstance(kind, Found) else None
        delegation = _Delegation(subnet_id, key.value, canister_ranges(tree, subnet_id) or (), subnet_type)
        self._delegations[fingerprint] = delegation
        if len(self._delegations) > self._max_delegations:
            self._delegations.popitem(last=False)
        return delegation


@dataclass(frozen=True, slots=True)
class _Delegation:
    """What a verified delegation says: a subnet's key, the canister ids that it speaks about, and its type."""

    subnet_id: bytes
    public_key: bytes
    ranges: tuple[CanisterRange, ...]
    subnet_type: bytes | None

    def covers(self, canister_id: bytes) -> bool:
        return in_ranges(self.ranges, canister_id)


def in_ranges(ranges: Sequence[CanisterRange], canister_id: bytes) -> bool:
    """Whether a canister id lies in one of the closed intervals."""
    return any(lowest <= canister_id <= highest for lowest, highest in ranges)


def canister_ranges(tree: Node, subnet_id: bytes) -> tuple[CanisterRange, ...] | None:
    """The canister ranges that a tree reveals for a subnet, in either layout; `None` if it reveals neither.

    Layouts: one list at `/subnet/<id>/canister_ranges`, or one list for each label at `/canister_ranges/<id>/<lowest>`.
    """
    leaves: list[bytes] = []
    whole = lookup_path(tree, (b"subnet", subnet_id, b"canister_ranges"))
    if isinstance(whole, Found):
        leaves.append(whole.value)
    for lowest in labels(tree, (b"canister_ranges", subnet_id)):
        part = lookup_path(tree, (b"canister_ranges", subnet_id, lowest))
        if isinstance(part, Found):
            leaves.append(part.value)
    if not leaves:
        return None
    ranges: list[CanisterRange] = []
    for leaf in leaves:
        items = cbor_list(leaf, "canister ranges")
        for item in items:
            match item:
                case [bytes(lowest), bytes(highest)]:
                    ranges.append((lowest, highest))
                case _:
                    raise MalformedCertificateError("canister ranges are not a list of pairs of principals")
    return tuple(ranges)


def cbor_list(data: bytes, what: str) -> list[Any]:
    """Decodes a CBOR array found in a certificate.

    Raises:
        MalformedCertificateError: it isn't one.
    """
    try:
        items = cbor.loads(data, what)
    except MalformedCborError as error:
        raise MalformedCertificateError(str(error)) from None
    if not isinstance(items, list):
        raise MalformedCertificateError(f"{what}: expected a CBOR array")
    return items


def read_leb128(data: bytes) -> int:
    """A natural number of the state tree.

    Raises:
        MalformedCertificateError: it isn't a LEB128 number in shortest form, below 2**70.
    """
    try:
        value = leb128.read_unsigned(data, 0)[0] if len(data) <= 10 else -1
    except DecodeError:
        value = -1
    if value < 0 or leb128.unsigned(value) != data:
        raise MalformedCertificateError(
            "a number in the certificate is not a LEB128 number below 2**70 in shortest form"
        )
    return value


def encode_certificate(tree: Node, signature: bytes, delegation: tuple[bytes, bytes] | None = None) -> bytes:
    """The CBOR form of a certificate; `delegation` is a subnet id and that subnet's CBOR certificate."""
    entries = b"\x64tree" + encode_tree(tree) + b"\x69signature" + cbor.head(2, len(signature)) + signature
    if delegation is None:
        return cbor.SELF_DESCRIBE + b"\xa2" + entries
    subnet_id, certificate = delegation
    link = cbor.dumps({"subnet_id": subnet_id, "certificate": certificate}).removeprefix(cbor.SELF_DESCRIBE)
    return cbor.SELF_DESCRIBE + b"\xa3" + entries + b"\x6adelegation" + link


def _parse(data: bytes) -> tuple[Node, bytes, Any]:
    try:
        fields = cbor.loads_map(data, "certificate")
    except MalformedCborError as error:
        raise MalformedCertificateError(str(error)) from None
    signature = fields.get("signature")
    if type(signature) is not bytes:
        raise MalformedCertificateError("the certificate has no signature")
    return tree_from_items(fields.get("tree"), max_nodes=len(data)), signature, fields.get("delegation")
