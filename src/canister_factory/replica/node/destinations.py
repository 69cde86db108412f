"""Whether a request was sent where it belongs: the canister or subnet in the URL against those that it names.

Owns these checks. Does not own reading the URL (`routes`).

Source: interface specification, "Effective canister id", "Request: Call" and "Request: Query call".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from canister_factory.candid.principal import Principal
from canister_factory.ic.requests import CallRequest, QueryRequest
from canister_factory.replica.node.http_error import HttpError
from canister_factory.replica.node.routes import Route
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.management_interface import decode_argument

__all__ = ["Destinations"]

_MANAGEMENT_CANISTER: Final = b""
_CREATION_METHODS: Final = ("create_canister", "provisional_create_canister_with_cycles")


@dataclass(frozen=True, slots=True)
class Destinations:
    """The checks, for one subnet. Each refuses with an `HttpError` of status 400."""

    subnet_id: bytes

    def require_our_subnet(self, route: Route) -> None:
        """Refuses the URL of another subnet."""
        if route.effective_id != self.subnet_id:
            raise HttpError(400, f"This replica belongs to the subnet {Principal(self.subnet_id)}, not to the URL's")

    def check_call(self, route: Route, call: CallRequest) -> None:
        """Refuses a call that was sent to another canister than it is for, or that no subnet takes."""
        if not route.about_subnet:
            _require_effective_id(route, call)
            return
        self.require_our_subnet(route)
        if call.canister_id != _MANAGEMENT_CANISTER or call.method_name not in _CREATION_METHODS:
            raise HttpError(400, "A call to a subnet can only create a canister; send others to /api/v4/canister/…")

    def check_query(self, route: Route, query: QueryRequest) -> None:
        """Refuses a query that was sent to another canister than it is about, or that no subnet takes."""
        listing = query.canister_id == _MANAGEMENT_CANISTER and query.method_name == "list_canisters"
        if route.about_subnet:
            self.require_our_subnet(route)
            if not listing:
                raise HttpError(
                    400, "A query to a subnet can only list its canisters; send others to /api/v3/canister/…"
                )
            return
        _require_effective_id(route, query)
        if query.canister_id == _MANAGEMENT_CANISTER and not listing:
            _require_target(route, query)


def _require_effective_id(route: Route, request: CallRequest | QueryRequest) -> None:
    """Refuses requests for other canisters than the URL's.

    Which id a management call must name depends on its argument: the subnet checks that, of queries `_require_target`.

    Raises:
        HttpError: 400, the ids differ.
    """
    canister_id = request.canister_id
    if canister_id not in (route.effective_id, _MANAGEMENT_CANISTER):
        raise HttpError(
            400,
            f"The request is for the canister {Principal(canister_id)}, but the URL names the effective canister id "
            f"{Principal(route.effective_id)}",
        )


def _require_target(route: Route, query: QueryRequest) -> None:
    """Refuses a query of the management canister that is about another canister than the URL names.

    Raises:
        HttpError: 400, the ids differ.
    """
    try:
        target = decode_argument(query.method_name, query.arg).get("canister_id")
    except CanisterError:  # said in the answer
        return
    if target is not None and target.bytes != route.effective_id:
        raise HttpError(
            400,
            f"The query is about the canister {target}, but the URL names the effective canister id "
            f"{Principal(route.effective_id)}",
        )
