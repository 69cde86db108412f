"""What a failure says about the thing that was tried."""

from __future__ import annotations

import pytest

from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    CertificateSignatureError,
    EnvelopeError,
    IdentityError,
    IngressTooLargeError,
    MalformedCborError,
    NetworkConfigError,
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    QuerySignatureError,
    RejectedError,
    StaleCertificateError,
    TransportError,
)
from canister_factory.ic.verdict import Verdict, verdict

PASSING = [
    OutcomeUnknownError(b"id", 1, "no answer"),
    TransportError("broken"),
    RejectedError(2, "busy", certified=False),
    RejectedError(5, "stopped for its upgrade", "IC0508", certified=False),
    RejectedError(5, "stopping for its upgrade", "IC0509", certified=True),
    CertificateSignatureError("signed by a stranger"),
    CertificateScopeError("another subnet's"),
    StaleCertificateError("of yesterday"),
    QuerySignatureError("not signed"),
    MalformedCborError("not CBOR"),
    ProtocolError("neither a reply nor a rejection"),
]
UNSETTLED = [
    NetworkUnreachableError("nobody there"),
    ProtocolError("HTTP 403: a portal wants a login", status=403),
    EnvelopeError("the replica refuses the envelope"),
    RejectedError(4, "one replica says no", certified=False),
]
FINAL = [
    RejectedError(4, "no", certified=True),
    RejectedError(5, "trapped", "IC0503", certified=True),
    CanisterNotFoundError("deleted"),
    IdentityError("no key"),
    IngressTooLargeError("the call", 3, 2),
    NetworkConfigError("a proxy that can't be used"),
    ValueError("a defect"),
]


@pytest.mark.parametrize("failure", PASSING, ids=repr)
def test_what_the_next_answer_may_mend_passes(failure: Exception) -> None:
    assert verdict(failure) is Verdict.PASSING


@pytest.mark.parametrize("failure", UNSETTLED, ids=repr)
def test_what_nobody_certifies_settles_nothing(failure: Exception) -> None:
    assert verdict(failure) is Verdict.UNSETTLED


@pytest.mark.parametrize("failure", FINAL, ids=repr)
def test_what_is_certain_is_final(failure: Exception) -> None:
    assert verdict(failure) is Verdict.FINAL
