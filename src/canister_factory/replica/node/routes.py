"""The paths of the HTTP interface that take requests for canisters and subnets.

Owns reading a path. Does not own what is answered there (`http_api`).

Source: interface specification, "HTTPS Interface".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.replica.node.http_error import HttpError

__all__ = ["CANISTER_RANGES", "ROUTES", "Route", "route_of"]

# All canister ids: those that this subnet gives out, and the well-known ids of system canisters that it emulates.
CANISTER_RANGES: Final = ((bytes(8) + b"\x01\x01", b"\xff" * 8 + b"\x01\x01"),)

ROUTES: Final = {
    ("canister", "call"): ("v2", "v3", "v4"),
    ("canister", "query"): ("v2", "v3"),
    ("canister", "read_state"): ("v2", "v3"),
    ("subnet", "call"): ("v4",),
    ("subnet", "query"): ("v3",),
    ("subnet", "read_state"): ("v2", "v3"),
}


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint with the canister or subnet id in its path."""

    version: int
    about_subnet: bool
    operation: str
    effective_id: bytes


@lru_cache(maxsize=4096)
def route_of(path: str) -> Route | None:
    """The route of a path, or None where there is none.

    Raises:
        HttpError: 400, a principal in it is malformed or not of this subnet.
    """
    parts = path.split("/")
    if len(parts) != 6 or parts[:2] != ["", "api"] or parts[2] not in ROUTES.get((parts[3], parts[5]), ()):
        return None
    try:
        effective_id = Principal.from_str(parts[4]).bytes
    except CandidError as error:
        raise HttpError(400, f"The {parts[3]} id in the URL is malformed: {error}") from None
    if parts[3] == "canister" and not any(low <= effective_id <= high for low, high in CANISTER_RANGES):
        raise HttpError(
            400,
            f"The effective canister id {parts[4]} in the URL is not a canister of this subnet; calls that create "
            "canisters take the default_effective_canister_id of GET /_/topology",
        )
    return Route(int(parts[2][1:]), parts[3] == "subnet", parts[5], effective_id)
