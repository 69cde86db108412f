"""Small facts that networks tell about themselves and their canisters, read from their answers.

Owns the form of these answers. Does not own asking, or verifying certificates.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES, Principal
from canister_factory.ic.certificate import Certificate, cbor_list
from canister_factory.ic.errors import CanisterNotFoundError, MalformedCertificateError, ProtocolError

# The first canister id of the first range of a network that isn't told otherwise: what single-subnet replicas without
# a topology endpoint (dfx before PocketIC) have.
FIRST_CANISTER_ID = Principal(bytes(8) + b"\x01\x01")


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """What a network says of itself, unverified; `None` where it doesn't say."""

    health: str | None
    implementation: str | None
    root_key: bytes | None = field(repr=False)
    reason: str | None = None
    """Why it isn't healthy: the embedded replica says so in the field `health_reason`."""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> NetworkStatus:
        """Reads the map of the status endpoint (interface specification, "Status endpoint")."""
        health, implementation = fields.get("replica_health_status"), fields.get("impl_version")
        key, reason = fields.get("root_key"), fields.get("health_reason")
        return cls(
            health if isinstance(health, str) else None,
            implementation if isinstance(implementation, str) else None,
            key if isinstance(key, bytes) else None,
            reason if isinstance(reason, str) else None,
        )


@dataclass(frozen=True, slots=True)
class CanisterInfo:
    """Certified facts about a canister; `module_hash` is the SHA-256 of its Wasm, `None` if it has none."""

    controllers: tuple[Principal, ...]
    module_hash: bytes | None

    @staticmethod
    def paths(canister_id: Principal) -> list[list[bytes]]:
        """The paths of the state tree that `from_certificate` needs."""
        return [[b"canister", canister_id.bytes, name] for name in (b"controllers", b"module_hash")]

    @classmethod
    def from_certificate(cls, certificate: Certificate, canister_id: Principal) -> CanisterInfo:
        """Reads them. Raises `CanisterNotFoundError`, or `CertificateError` if the certificate doesn't tell."""
        controllers, module_hash = map(certificate.value, cls.paths(canister_id))
        if controllers is None:
            error = CanisterNotFoundError(f"the canister {canister_id} does not exist, as its subnet certifies")
            error.note_call(None, canister_id)
            raise error
        items = cbor_list(controllers, f"the controllers of {canister_id}")
        if not all(type(item) is bytes and len(item) <= MAX_PRINCIPAL_BYTES for item in items):
            raise MalformedCertificateError(f"the controllers of {canister_id} are not principals")
        return cls(tuple(map(Principal, items)), module_hash)


def topology_default(body: bytes) -> Principal:
    """The `default_effective_canister_id` of a PocketIC-based network's `/_/topology` (JSON, the id in base64)."""
    try:
        encoded = json.loads(body)["default_effective_canister_id"]["canister_id"]
        return Principal(base64.b64decode(encoded, validate=True))
    except (ValueError, KeyError, TypeError, CandidError):
        raise ProtocolError("the network's /_/topology has no usable default_effective_canister_id") from None
