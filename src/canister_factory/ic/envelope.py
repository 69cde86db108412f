"""Request envelopes, both halves: signing one (client) and deciding whether to believe one (replica).

Owns the authentication rules of the interface specification ("Authentication"). Does not own: keys (`identity`,
`public_key`), the fields of a request (`requests`), what a request then does, and which delegated `read_state` paths a
target list covers (the replica).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from canister_factory.ic import cbor
from canister_factory.ic.errors import (
    DelegationError,
    ExpiryError,
    MalformedCborError,
    MalformedEnvelopeError,
    SenderError,
    SignatureError,
)
from canister_factory.ic.public_key import Verify, canister_key, self_authenticating_id, verify_signature
from canister_factory.ic.request_id import hash_of_map, request_id
from canister_factory.ic.requests import CallRequest, ReadStateRequest, Request, check_field, request_from_content

REQUEST_DOMAIN = b"\x0aic-request"
DELEGATION_DOMAIN = b"\x1aic-request-auth-delegation"
SENDER_INFO_DOMAIN = b"\x0eic-sender-info"

ANONYMOUS = b"\x04"
MAX_INGRESS_TTL_NS = 300 * 10**9
PERMITTED_DRIFT_NS = 60 * 10**9
MAX_DELEGATIONS = 20
_DELEGATION_FIELDS = frozenset(("pubkey", "expiration", "targets", "permissions"))
MAX_DELEGATION_TARGETS = 1000


class Signer(Protocol):
    """What signs: ic-py's identities and ours."""

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        """The DER public key and the signature over `msg`; both `None` for the anonymous identity."""


def sign_envelope(content: Mapping[str, Any], identity: Signer, *, content_id: bytes | None = None) -> bytes:
    """The signed CBOR envelope of a request. `content_id`: the content's request id, if it is known already.

    Fields of `content` that are `None` are left out, as they are in the request id. An identity with `delegations`
    sends them along with its own `der_pubkey`, the key that the chain starts from.
    """
    envelope: dict[str, Any] = {"content": {name: value for name, value in content.items() if value is not None}}
    public_key, signature = identity.sign(REQUEST_DOMAIN + (content_id or request_id(content)))
    if signature is not None:
        delegations = getattr(identity, "delegations", None)
        envelope["sender_pubkey"] = getattr(identity, "der_pubkey", public_key) if delegations else public_key
        if delegations:
            envelope["sender_delegation"] = delegations
        envelope["sender_sig"] = signature
    return cbor.dumps(envelope)


class VerifiedEnvelope(NamedTuple):
    """A request whose sender is authentic and whose fields have the specified types and sizes."""

    request: Request
    request_id: bytes
    targets: frozenset[bytes] | None
    """The only canisters that the delegations allow, if they restrict them. Calls and queries were checked against it;
    `read_state` is for the caller to check: only the status of a request is limited to them."""


def verify_envelope(
    body: bytes,
    now_ns: int,
    *,
    max_ttl_ns: int = MAX_INGRESS_TTL_NS,
    permitted_drift_ns: int = PERMITTED_DRIFT_NS,
    verify: Verify = verify_signature,
) -> VerifiedEnvelope:
    """Decodes and authenticates a request body at time `now_ns` (nanoseconds since 1970).

    `verify` checks single signatures, of the request and of delegations.

    Raises:
        EnvelopeError: the one that says what is wrong: `MalformedEnvelopeError`, `ExpiryError`, `SenderError`,
            `DelegationError` or `SignatureError`.
    """
    try:
        envelope = cbor.loads_map(body, "envelope")
    except MalformedCborError as error:
        raise MalformedEnvelopeError(str(error)) from None
    content: Any = envelope.get("content")
    request = request_from_content(content)
    sender = request.sender
    # The specification lets anonymous reads carry any expiry: nothing that they return can be replayed against anyone.
    if sender != ANONYMOUS or isinstance(request, CallRequest):
        _check_expiry(request.ingress_expiry_ns, now_ns, max_ttl_ns, permitted_drift_ns)
    content_id = request_id(content)

    public_key, signature = envelope.get("sender_pubkey"), envelope.get("sender_sig")
    delegations = envelope.get("sender_delegation")
    if sender == ANONYMOUS:
        _check_sender_info(request, b"", verify)
        _check_unsigned(public_key, signature, delegations)
        return VerifiedEnvelope(request, content_id, None)
    if public_key is None or signature is None:
        missing = "sender_pubkey" if public_key is None else "sender_sig"
        raise SenderError(f"Missing signature: {missing} is required for a sender that isn't anonymous")
    if type(public_key) is not bytes or type(signature) is not bytes:
        raise MalformedEnvelopeError("envelope: sender_pubkey and sender_sig must be byte strings")
    if self_authenticating_id(public_key) != sender:
        raise SenderError("The user id does not match the public key: sender is not the principal of sender_pubkey")
    signing_key, targets, queries_only = follow_delegations(public_key, delegations, now_ns, verify)
    if queries_only and isinstance(request, CallRequest):
        raise DelegationError("The delegation's permissions are for queries and read_state requests, not for calls")
    if targets is not None and not isinstance(request, ReadStateRequest) and request.canister_id not in targets:
        raise DelegationError("The delegation's targets do not include the canister that the request is for")
    _check_sender_info(request, public_key, verify)
    verify(signing_key, REQUEST_DOMAIN + content_id, signature)
    return VerifiedEnvelope(request, content_id, targets)


def _check_unsigned(*parts: Any) -> None:
    if any(part is not None for part in parts):
        raise SenderError(
            "The anonymous sender must not come with sender_pubkey, sender_sig or sender_delegation: "
            "leave them out, or set sender to the principal of the public key"
        )


def _check_sender_info(request: Request, public_key: bytes, verify: Verify) -> None:
    """Checks that `sender_info`, if there is one, is signed by the canister whose signatures `public_key` is for."""
    sender_info = None if isinstance(request, ReadStateRequest) else request.sender_info
    if sender_info is None:
        return
    key = canister_key(public_key)
    if key is None:
        raise SenderError(
            "sender_info must be left out: it is for senders whose key is one of canister signatures only"
        )
    if key.canister_id != sender_info.signer:
        raise SenderError("The signer of sender_info is another canister than the one that signs for the sender")
    verify(public_key, SENDER_INFO_DOMAIN + sender_info.info, sender_info.signature)


def _check_expiry(expiry_ns: int, now_ns: int, max_ttl_ns: int, drift_ns: int) -> None:
    latest = now_ns + max_ttl_ns + drift_ns
    if not now_ns <= expiry_ns <= latest:
        # The opening words are the ones by which agents recognise that their clock differs from the replica's.
        raise ExpiryError(
            "Invalid request expiry: Specified ingress_expiry not within expected range: "
            f"Minimum allowed expiry: {_utc(now_ns)}, Maximum allowed expiry: {_utc(latest)}, "
            f"Provided expiry: {_utc(expiry_ns)}"
        )


def _utc(time_ns: int) -> str:
    try:
        return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns since 1970"


class Delegated(NamedTuple):
    """What a chain of delegations comes to."""

    public_key: bytes
    """The key that it ends at."""
    targets: frozenset[bytes] | None = None
    """The canisters that this key may speak to; `None`: all."""
    queries_only: bool = False
    """Whether it may send no calls, only queries and `read_state` requests."""


def follow_delegations(
    public_key: bytes, chain: Sequence[Any] | None, now_ns: int, verify: Verify = verify_signature
) -> Delegated:
    """What the holder of a chain's last key may do for `public_key`, the first one.

    Raises:
        DelegationError: the chain doesn't hold.
        MalformedEnvelopeError: a delegation isn't of the specified form.
    """
    if chain is None:
        return Delegated(public_key)
    if not isinstance(chain, list):
        raise MalformedEnvelopeError("envelope: sender_delegation must be an array")
    if len(chain) > MAX_DELEGATIONS:
        raise DelegationError(f"Chain of {len(chain)} delegations, above the limit of {MAX_DELEGATIONS}")
    seen = {public_key}
    targets: frozenset[bytes] | None = None
    queries_only = False
    for link in chain:
        delegation, signature = _checked_delegation(link)
        try:
            verify(public_key, DELEGATION_DOMAIN + hash_of_map(delegation), signature)
        except SignatureError as error:
            raise DelegationError(f"Invalid delegation: {error}") from None
        if delegation["expiration"] < now_ns:
            raise DelegationError(
                f"Invalid delegation expiry: it expired at {_utc(delegation['expiration'])}, now is {_utc(now_ns)}"
            )
        if delegation.get("targets") is not None:
            allowed = frozenset(delegation["targets"])
            targets = allowed if targets is None else targets & allowed
        queries_only = queries_only or delegation.get("permissions") == "queries"
        public_key = delegation["pubkey"]
        if public_key in seen:
            raise DelegationError("Invalid delegation: a public key appears twice in the chain")
        seen.add(public_key)
    return Delegated(public_key, targets, queries_only)


def _checked_delegation(link: Any) -> tuple[dict[str, Any], bytes]:
    delegation = link.get("delegation") if isinstance(link, dict) else None
    signature = link.get("signature") if isinstance(link, dict) else None
    if not isinstance(delegation, dict) or type(signature) is not bytes:
        raise MalformedEnvelopeError("envelope: each delegation must be a map of delegation and signature")
    if not set(delegation) <= _DELEGATION_FIELDS:
        raise MalformedEnvelopeError("envelope: a delegation has fields that the specification doesn't know")
    if delegation.get("permissions") not in (None, "all", "queries"):
        raise DelegationError("Invalid delegation: its permissions are neither 'all' nor 'queries'")
    check_field(delegation, "pubkey", bytes, None)
    check_field(delegation, "expiration", int, 2**64 - 1)
    targets = delegation.get("targets")
    if targets is not None:
        if not isinstance(targets, list) or not all(type(target) is bytes for target in targets):
            raise MalformedEnvelopeError("envelope: a delegation's targets must be an array of byte strings")
        if len(targets) > MAX_DELEGATION_TARGETS:
            raise DelegationError(f"{len(targets)} delegation targets, above the limit of {MAX_DELEGATION_TARGETS}")
    return delegation, signature
