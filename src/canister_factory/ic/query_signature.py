"""Signatures on query answers: which nodes a subnet has, and whether one of them really gave an answer.

Source: interface specification, "Request: Query call" (`verify_response`). Does not own fetching the certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES, Principal
from canister_factory.ic.certificate import (
    MAX_AGE_NS,
    MAX_FUTURE_NS,
    CanisterRange,
    Certificate,
    canister_ranges,
    in_ranges,
)
from canister_factory.ic.errors import (
    CertificateScopeError,
    ProtocolError,
    QuerySignatureError,
    SignatureError,
    StaleAnswerError,
)
from canister_factory.ic.hash_tree import Found, labels
from canister_factory.ic.public_key import verify_signature
from canister_factory.ic.request_id import hash_of_map

RESPONSE_DOMAIN = b"\x0bic-response"


class UnverifiedAnswerError(QuerySignatureError):
    """The answer is signed by a node, or with a key, that the known keys don't have: they may be out of date."""


@dataclass(frozen=True, slots=True)
class SubnetKeys:
    """The certified node keys (DER, by node id) of the subnet that has these canister ranges."""

    subnet_id: bytes
    ranges: tuple[CanisterRange, ...]
    node_keys: Mapping[bytes, bytes] = field(repr=False)

    @classmethod
    def from_certificate(cls, certificate: Certificate, canister_id: bytes) -> SubnetKeys:
        """Reads them from a certificate with `/subnet`, for the subnet that signed it.

        Raises:
            CertificateScopeError: that subnet doesn't have the canister.
        """
        subnet_id = certificate.subnet_id
        ranges = certificate.ranges
        if ranges is None:  # the root subnet: no delegation says which canisters it has, its own tree does
            ranges = canister_ranges(certificate.tree, subnet_id) or ()
        if not in_ranges(ranges, canister_id):
            raise CertificateScopeError(
                f"subnet {Principal(subnet_id)} does not have the canister {Principal(canister_id)} "
                "and can't vouch for answers to queries of it"
            )
        keys: dict[bytes, bytes] = {}
        for node_id in labels(certificate.tree, (b"subnet", subnet_id, b"node")):
            key = certificate.lookup((b"subnet", subnet_id, b"node", node_id, b"public_key"))
            if isinstance(key, Found):
                keys[node_id] = key.value
        return cls(subnet_id, ranges, keys)

    def covers(self, canister_id: bytes) -> bool:
        """Whether the canister is this subnet's."""
        return in_ranges(self.ranges, canister_id)

    def verify(self, answer: Mapping[str, Any], request_id: bytes, now_ns: int | None) -> int:
        """Checks that every signature of a query answer is fresh and by a node of this subnet.

        Returns the earliest time that a node gave (nanoseconds since 1970). `now_ns`: as `CertificateVerifier.verify`
        takes it.

        Raises:
            UnverifiedAnswerError: a node or key that isn't known; the keys may be out of date.
            StaleAnswerError: a signature's time is too far from `now_ns`.
            QuerySignatureError: a signature doesn't verify, or there is none.
            ProtocolError: the answer isn't of the specified form.
        """
        signatures = answer.get("signatures")
        if not isinstance(signatures, list) or not signatures:
            raise QuerySignatureError("the query answer isn't signed")
        if len(signatures) > max(len(self.node_keys), 1):
            raise QuerySignatureError("the query answer has more signatures than the subnet has nodes")
        signed = _signed_fields(answer)
        times: list[int] = []
        for item in signatures:
            match item:
                case {"timestamp": int(time_ns), "signature": bytes(signature), "identity": bytes(node_id)} if (
                    0 <= time_ns < 2**64 and len(node_id) <= MAX_PRINCIPAL_BYTES
                ):
                    pass
                case _:
                    raise ProtocolError("a signature of a query answer is not a map of timestamp, signature, identity")
            if now_ns is not None and not now_ns - MAX_AGE_NS <= time_ns <= now_ns + MAX_FUTURE_NS:
                raise StaleAnswerError(
                    f"the query answer says that it was signed {(now_ns - time_ns) / 1e9:.1f} s ago, outside of the "
                    f"{MAX_AGE_NS / 1e9:g} s for which answers are taken; check this computer's clock"
                )
            key = self.node_keys.get(node_id)
            if key is None:
                raise UnverifiedAnswerError(
                    f"the query answer is signed by node {Principal(node_id)}, which isn't one of the "
                    f"{len(self.node_keys)} of subnet {Principal(self.subnet_id)}"
                )
            digest = hash_of_map({**signed, "timestamp": time_ns, "request_id": request_id})
            try:
                verify_signature(key, RESPONSE_DOMAIN + digest, signature)
            except SignatureError as error:
                raise UnverifiedAnswerError(
                    f"the query answer is not what node {Principal(node_id)} signed: {error}"
                ) from None
            times.append(time_ns)
        return min(times)


def _signed_fields(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the signature covers besides time and request id; only plain values, as in the specification."""
    if answer.get("status") == "replied":
        reply = answer.get("reply")
        if not isinstance(reply, dict) or type(reply.get("arg")) is not bytes or len(reply) != 1:
            raise ProtocolError("the query answer has no reply")
        return {"status": "replied", "reply": reply}
    fields = {name: answer.get(name) for name in ("reject_code", "reject_message", "error_code")}
    code, message, detail = fields.values()
    if answer.get("status") != "rejected" or type(code) is not int or not 0 <= code < 2**64 or type(message) is not str:
        raise ProtocolError("the query answer is neither a reply nor a rejection")
    if detail is not None and type(detail) is not str:
        raise ProtocolError("the query answer's error_code is not text")
    return {"status": "rejected", **fields}
