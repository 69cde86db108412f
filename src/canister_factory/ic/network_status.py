"""What a network says about itself: its status, and where new canisters go.

Owns the form of these answers. Does not own asking. Nothing of it is certified.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.ic.errors import ProtocolError

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

    @property
    def is_embedded(self) -> bool:
        """Whether it says to be the embedded replica."""
        return (self.implementation or "").startswith("canister-factory ")

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


def topology_default(body: bytes) -> Principal:
    """The `default_effective_canister_id` of a PocketIC-based network's `/_/topology` (JSON, the id in base64)."""
    try:
        encoded = json.loads(body)["default_effective_canister_id"]["canister_id"]
        return Principal(base64.b64decode(encoded, validate=True))
    except (ValueError, KeyError, TypeError, CandidError):
        raise ProtocolError("the network's /_/topology has no usable default_effective_canister_id") from None
