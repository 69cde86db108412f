"""What can be decided about a request, and said in an answer, without the subnet: form, sender, signatures.

Owns the checks before a request reaches the subnet, and the signed form of query answers. Does not own what a request
does (`http_api`).

Source: interface specification, "Authentication" and "Request: Query call".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from canister_factory.ic.cbor import dumps
from canister_factory.ic.envelope import VerifiedEnvelope, verify_envelope
from canister_factory.ic.errors import EnvelopeError
from canister_factory.ic.public_key import Verify
from canister_factory.ic.request_id import hash_of_map
from canister_factory.replica.node.http_error import HttpError
from canister_factory.replica.node.http_server import Answer
from canister_factory.replica.node.node_key import NodeKey, verify_quickly
from canister_factory.replica.node.routes import Route, route_of
from canister_factory.replica.runtime.execution import Response

__all__ = ["CBOR", "TEXT", "Checked", "check", "refusal", "signed_answer"]

CBOR: Final = "application/cbor"
TEXT: Final = "text/plain; charset=utf-8"
MAX_INGRESS_BYTES: Final = 2 * 1024 * 1024


class Checked(NamedTuple):
    """A request that is well-formed, of the kind that its path is for, and made by whom it says."""

    route: Route
    envelope: VerifiedEnvelope
    size_bytes: int
    """Of the signed request."""


def check(
    method: str, path: str, body: bytes, clock_ns: Callable[[], int], verify: Verify = verify_quickly
) -> Checked | None:
    """Checks a request; None where the path isn't one of those that take signed requests.

    Raises:
        HttpError, EnvelopeError: it is refused; `refusal` makes the answer.
    """
    route = route_of(path)
    if route is None:
        return None
    if method != "POST":
        raise HttpError(405, f"{path} takes POST requests only")
    if len(body) > MAX_INGRESS_BYTES:
        raise HttpError(413, f"The request is {len(body)} bytes, above the limit of {MAX_INGRESS_BYTES} bytes")
    envelope = verify_envelope(body, clock_ns(), verify=verify)
    request = envelope.request
    if request.kind != route.operation:
        raise HttpError(400, f"The request_type is {request.kind!r}, but the URL is for {route.operation!r}")
    return Checked(route, envelope, len(body))


def refusal(error: HttpError | EnvelopeError) -> Answer:
    """The answer to a request that was refused."""
    return error.status if isinstance(error, HttpError) else 400, TEXT, str(error).encode()


def signed_answer(node: NodeKey, response: Response, request_id: bytes, now_ns: int) -> Answer:
    """The answer to a query, with the node's signature."""
    answer: dict[str, Any]
    if response.code is None:
        answer = {"status": "replied", "reply": {"arg": response.data}}
    else:
        answer = {"status": "rejected", "reject_code": int(response.code), "reject_message": response.message}
        if response.error_code:
            answer["error_code"] = response.error_code
    signature = node.sign_response(hash_of_map({**answer, "timestamp": now_ns, "request_id": request_id}))
    answer["signatures"] = [{"timestamp": now_ns, "signature": signature, "identity": node.principal}]
    return 200, CBOR, dumps(answer)
