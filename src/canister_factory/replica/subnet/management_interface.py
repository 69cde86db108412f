"""The management canister's methods and their Candid arguments.

Owns the interface (`management.did`), decoding of arguments, encoding of results, and which methods ingress may call.
What the methods do is in `management`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError
from canister_factory.candid.types import Func, Service, resolve
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response

Argument = dict[str, Any]
"""The argument record of a method, by its fields; absent options are None."""
Result = tuple[Any, ...]
"""The values that a method returns: one or none."""

# Methods that users may call, by the field of the argument that is the effective canister id ("Effective canister id").
# The provisional creation has none: any canister id of the subnet serves.
INGRESS_METHODS: dict[str, str | None] = {
    "provisional_create_canister_with_cycles": None,
    "provisional_top_up_canister": "canister_id",
    "update_settings": "canister_id",
    "upload_chunk": "canister_id",
    "clear_chunk_store": "canister_id",
    "stored_chunks": "canister_id",
    "install_code": "canister_id",
    "install_chunked_code": "target_canister",
    "uninstall_code": "canister_id",
    "start_canister": "canister_id",
    "stop_canister": "canister_id",
    "delete_canister": "canister_id",
    "canister_status": "canister_id",
    "canister_metrics": "canister_id",
    "take_canister_snapshot": "canister_id",
    "load_canister_snapshot": "canister_id",
    "list_canister_snapshots": "canister_id",
    "delete_canister_snapshot": "canister_id",
    "read_canister_snapshot_metadata": "canister_id",
    "read_canister_snapshot_data": "canister_id",
    "upload_canister_snapshot_metadata": "canister_id",
    "upload_canister_snapshot_data": "canister_id",
}

# Methods that change nothing that a message in progress on the canister depends on; all others wait for its end.
HARMLESS_METHODS = frozenset(
    {
        "canister_info",
        "canister_metadata",
        "canister_metrics",
        "canister_status",
        "deposit_cycles",
        "fetch_canister_logs",
        "list_canister_snapshots",
        "provisional_top_up_canister",
        "read_canister_snapshot_metadata",
        "stored_chunks",
    }
)
# Methods that are answered later, or done in turns.
NOT_AT_ONCE = frozenset(
    {
        *("stop_canister", "http_request"),
        *("install_code", "install_chunked_code", "take_canister_snapshot", "load_canister_snapshot"),
    }
)
# Methods that can be called as queries only: by users, and by composite queries.
QUERY_ONLY = frozenset({"fetch_canister_logs", "list_canisters"})

_NO_KEYS = "it has no threshold keys"
_NO_BITCOIN = "it isn't connected to a Bitcoin network"
NOT_OFFERED: dict[str, str] = {
    "ecdsa_public_key": _NO_KEYS,
    "sign_with_ecdsa": _NO_KEYS,
    "schnorr_public_key": _NO_KEYS,
    "sign_with_schnorr": _NO_KEYS,
    "vetkd_public_key": _NO_KEYS,
    "vetkd_derive_key": _NO_KEYS,
    "bitcoin_get_balance": _NO_BITCOIN,
    "bitcoin_get_utxos": _NO_BITCOIN,
    "bitcoin_get_block_headers": _NO_BITCOIN,
    "bitcoin_get_current_fee_percentiles": _NO_BITCOIN,
    "bitcoin_send_transaction": _NO_BITCOIN,
}
"""The specification's methods that this replica doesn't have, each with the reason: calls of them are rejected."""


@cache
def _methods() -> dict[str, Func]:
    from canister_factory.candid.did import parse_did  # a replica answers before it is managed

    text = files("canister_factory.replica.subnet").joinpath("management.did").read_text(encoding="utf-8")
    service = parse_did(text).service
    assert service is not None
    resolved = resolve(service)
    assert isinstance(resolved, Service)
    return {name: resolved.method(name) for name, _ in resolved.methods}


def method_type(method: str) -> Func:
    """The Candid type of a method.

    Raises:
        CanisterError: IC0406, this replica doesn't offer it; IC0536, there is no such method.
    """
    if method in NOT_OFFERED:
        raise CanisterError(
            RejectCode.CANISTER_REJECT,
            f"The embedded replica doesn't offer the management method {method}: {NOT_OFFERED[method]}.",
            "IC0406",
        )
    declared = _methods().get(method)
    if declared is None:
        raise CanisterError(
            RejectCode.CANISTER_ERROR, f"Management canister aaaaa-aa has no method '{method}'", "IC0536"
        )
    return declared


def decode_argument(method: str, data: bytes) -> Argument:
    """The argument record of a call; an empty one for methods without arguments.

    Raises:
        CanisterError: IC0536, no such method; IC0408, the bytes are not its argument.
    """
    expected = method_type(method).args
    try:
        values = decode(data, expected)
    except CandidError as error:
        raise CanisterError(
            RejectCode.CANISTER_ERROR, f"Method {method} of aaaaa-aa failed to decode its argument: {error}", "IC0408"
        ) from error
    return values[0] if values else {}


def target(method: str, data: bytes) -> bytes | None:
    """The canister that a call is about; None where its argument names none.

    Raises:
        CanisterError: as `decode_argument`.
    """
    return target_of(decode_argument(method, data))


def target_of(argument: Argument) -> bytes | None:
    """The canister that an argument is about; None where it names none."""
    canister = argument.get("target_canister", argument.get("canister_id"))
    return None if canister is None else bytes(canister.bytes)


def encode_result(method: str, values: Result) -> Response:
    """The reply of a method."""
    return Response(encode(method_type(method).results, values))
