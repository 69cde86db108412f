"""The error tree of the IC protocol layer: what can go wrong between this process and a network.

Owns the types and whether a retry helps. Does not own: retrying, and errors of Candid or of what canisters answer with.
"""

from __future__ import annotations

from canister_factory.base_error import CanisterFactoryError
from canister_factory.ic.foreign_text import quoted

REJECT_CODES = {
    1: "SYS_FATAL",
    2: "SYS_TRANSIENT",
    3: "DESTINATION_INVALID",
    4: "CANISTER_REJECT",
    5: "CANISTER_ERROR",
    6: "SYS_UNKNOWN",
}
"""Reject codes by number (interface specification, "Reject codes")."""

STOPPED_CODES = ("IC0508", "IC0509")
"""The implementation's codes of a canister that is stopped or stopping: most often while it is upgraded."""
OUT_OF_CYCLES = "IC0207"
"""The implementation's code of what a canister can't pay for, or can't without being frozen."""
NOT_CONTROLLER = "IC0512"
"""The implementation's code of what is for a canister's controllers, or those whom its settings allow."""


class IcError(CanisterFactoryError):
    """Base of every error this layer raises."""


class IdentityError(IcError):
    """A key or identity can't be used: unreadable PEM, unsupported key type, broken delegation chain."""


class NotOfferedError(IcError, AttributeError):
    """An attribute of ic-py's classes that isn't offered here, on purpose; the message says what to use instead."""


class NetworkConfigError(IcError):
    """A network's name, URL or root key can't be used as given."""


# --- Transport ------------------------------------------------------------------------------------------------------


class TransportError(IcError):
    """The network was reached but gave no usable answer in time: time-outs, broken connections, 5xx, too large.

    Of an update call it only says that nothing was delivered; otherwise that call's outcome is unknown instead.
    """

    retry_helps = True

    def __init__(self, message: str, *, maybe_delivered: bool = True) -> None:
        super().__init__(message)
        self.maybe_delivered = maybe_delivered
        """Whether the request may have arrived although no answer came back."""


class NetworkUnreachableError(TransportError):
    """No connection could be made (refused, no such host): nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_delivered=False)


# --- What the network answered --------------------------------------------------------------------------------------


class ProtocolError(IcError):
    """The other side broke the protocol, or says that we did; `status` is the HTTP status if there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RequestExpiryError(ProtocolError):
    """The network refused a request for its expiry: this computer's clock and the network's differ."""


class MalformedCborError(ProtocolError):
    """Bytes that should be CBOR are not, or not of the expected shape."""


class IngressTooLargeError(ProtocolError):
    """A message is larger than the network takes; it was not sent."""

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{what} is {size_bytes:,} bytes, above the limit of {limit_bytes:,} bytes for an ingress message; "
            "send it in several smaller calls"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class RejectedError(IcError):
    """The call was rejected. `certified` tells whether the subnet certified that, or a single replica only says so.

    `code` is the protocol's reject code (see `REJECT_CODES`), `error_code` the implementation's, such as `IC0503`.
    `message` is the canister's or the replica's as it came, for programs; `str()` quotes it escaped and cut.
    """

    def __init__(self, code: int, message: str, error_code: str | None = None, *, certified: bool) -> None:
        name = REJECT_CODES.get(code, "unknown reject code")
        detail = f", {quoted(error_code, 40)}" if error_code else ""
        super().__init__(f"rejected with {name} ({code}{detail}): {quoted(message)}")
        self.code = code
        self.message = message
        self.error_code = error_code
        self.certified = certified
        self.retry_helps = code == 2 or error_code in STOPPED_CODES

    @property
    def is_unaccepted(self) -> bool:
        """Whether the canister's `canister_inspect_message` didn't accept the message: nothing was executed or charged.

        Such a rejection isn't certified. Motoko's canisters trap there, with that name in the message; others just
        don't accept, which the implementation calls IC0406 (interface specification, "Ingress message inspection").
        """
        return not self.certified and (self.error_code == "IC0406" or "canister_inspect_message" in self.message)


class OutcomeUnknownError(IcError):
    """A call was sent and its outcome could not be learnt.

    It may still be executed until `expiry_ns` (nanoseconds since 1970). After that: read the state it would have
    changed and decide; calling again right away may do the thing twice.
    """

    def __init__(self, request_id: bytes, expiry_ns: int, reason: str) -> None:
        super().__init__(
            f"the outcome of request 0x{request_id.hex()} is unknown ({reason}); it can be executed until "
            f"{expiry_ns} ns since 1970: check the state it would have changed before calling again"
        )
        self.request_id = request_id
        self.expiry_ns = expiry_ns
        self.reason = reason


class PaymentRefusedError(IcError):
    """A cycles ledger or wallet answers that it made no payment; `kind` is its own word for the reason."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_helps = kind == "TemporarilyUnavailable"


class CanisterNotFoundError(IcError):
    """A canister doesn't exist, as its subnet certifies."""


class QuerySignatureError(IcError):
    """A query answer isn't signed by a node of the subnet, or the signature is too old to be trusted."""

    retry_helps = True


class StaleAnswerError(QuerySignatureError):
    """The time in a query answer's signature is too old, or lies in the future."""


# --- Certificates ---------------------------------------------------------------------------------------------------


class CertificateError(IcError):
    """A certificate can't be trusted, or doesn't say what it would have to say."""


class MalformedCertificateError(CertificateError):
    """A certificate isn't of the specified form."""


class HashTreeError(MalformedCertificateError):
    """A hash tree isn't of the specified form: wrong nodes, labels out of order, nested too deeply."""


class CertificateSignatureError(CertificateError):
    """A certificate isn't signed by the key that it would have to be signed by."""


class StaleCertificateError(CertificateError):
    """A certificate's time is too old, or lies in the future: a replica that lags, a replay, or a wrong clock here."""

    retry_helps = True


class CertificateScopeError(CertificateError):
    """A certificate of a subnet speaks about a canister or subnet that isn't its own."""


# --- Envelopes, as a replica checks them ----------------------------------------------------------------------------


class EnvelopeError(ProtocolError):
    """A request envelope must be refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=400)


class MalformedEnvelopeError(EnvelopeError):
    """The envelope isn't CBOR, or lacks a field, or has one of the wrong type or size."""


class ExpiryError(EnvelopeError):
    """`ingress_expiry` has passed or lies too far ahead."""


class SenderError(EnvelopeError):
    """The public key isn't the sender's, or the anonymous sender came with a key or signature."""


class SignatureError(EnvelopeError):
    """A signature is wrong, or its key is of a kind that isn't supported."""


class DelegationError(EnvelopeError):
    """The delegation chain is too long, expired, cyclic, or doesn't cover the canister."""
