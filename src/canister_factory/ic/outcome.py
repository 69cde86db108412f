"""What becomes of an update call: its certified outcome, a refusal that proves that it won't run, or *unknown*.

Owns judging the first answer, and waiting for a better one. Does not own: sending and verifying (`requester`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.certificate import Certificate
from canister_factory.ic.errors import (
    CertificateError,
    CertificateSignatureError,
    IcError,
    OutcomeUnknownError,
    ProtocolError,
    RequestExpiryError,
    TransportError,
)
from canister_factory.ic.request_status import PENDING, certified_rejection, certified_reply, certified_status
from canister_factory.ic.requester import Requester, Signed, refusal, rejection_in
from canister_factory.ic.trace import Span
from canister_factory.ic.transport import Response

logger = logging.getLogger(__name__)

_POLL_FIRST_S, _POLL_FACTOR, _POLL_MAX_S = 0.2, 1.4, 5.0
# After its expiry a call can't start any more. The margin is for a subnet clock behind ours; a call that is already
# being processed may take longer, and its status is kept for at least as long again.
_EXPIRY_MARGIN_NS = 30 * 10**9
_PROCESSING_MARGIN_NS = 300 * 10**9

# A call that the subnet doesn't know of is sent again, as the same bytes: it was lost on the way, or with a node.
_RESEND_AFTER_NS = 5 * 10**9

# Refusals to read the status, one after the other, until it is taken as settled that it may not be read.
_REFUSALS_TAKEN = 5

# Answers signed by a stranger, until a root key that never fitted anything is taken for another network's.
_STRANGERS_TAKEN = 8

# What a time-out on the way looks like, although it is of the kind "the client's fault".
_TIMED_OUT = frozenset((408, 425, 429, 499))

# Expiries that lie within these are surely good (interface specification, "Authentication": at most 5 minutes ahead).
_SURELY_GOOD_NS = (20 * 10**9, 300 * 10**9)


@dataclass(frozen=True, slots=True)
class Call:
    """A call on its way."""

    request: Signed
    effective: Principal

    def unknown(self, reason: str) -> OutcomeUnknownError:
        """The error that says so."""
        return OutcomeUnknownError(self.request.request_id, self.request.expiry_ns, reason)


@dataclass(frozen=True, slots=True)
class Undecided:
    """An answer that leaves open whether the call is executed."""

    reason: str


async def outcome_of(requester: Requester, sign: Callable[[], Signed], effective: Principal, span: Span) -> bytes:
    """Sends a call and returns its certified reply; `sign` makes the request, with the expiry of the moment.

    A refusal for its expiry is the one case in which a call is signed anew, once: by the network's time, which was
    learnt from the network in between. If by that time the expiry was good, the refusal isn't to be believed, and the
    call is waited for like any that may have arrived.

    Raises:
        RejectedError: it was rejected.
        OutcomeUnknownError: it may have been executed.
        TransportError: nothing was accepted (`maybe_delivered` is false).
        ProtocolError: it was refused.
    """
    for is_last in (False, True):
        seen = requester.clock.corrections
        call = Call(sign(), effective)
        span.about(call.request.request_id)
        try:
            response = await requester.post("call", "canister", effective, call.request, span)
            judged = judge(response, call, lambda data: requester.verify(data, "canister", effective))
        except TransportError as error:
            if not error.maybe_delivered:
                raise
            judged = Undecided(str(error))
        except RequestExpiryError as error:
            if is_last or not await requester.learn_time(effective, span):
                raise
            earliest, latest = _SURELY_GOOD_NS
            was_good = earliest <= call.request.expiry_ns - requester.clock() <= latest
            if requester.clock.corrections != seen and not was_good:
                continue
            judged = Undecided(f"refused for an expiry that was good: {error}")
        return judged if isinstance(judged, bytes) else await wait(requester, call, judged.reason, span)
    raise AssertionError("the last attempt returns or raises")


def judge(response: Response, call: Call, verify: Callable[[bytes], Certificate]) -> bytes | Undecided:
    """What the first answer to a call says: the reply, or that nothing is decided yet; rejections are raised.

    | answer | means |
    |---|---|
    | 200, certificate with the status `replied` or `rejected` | that is the outcome, certified |
    | 200, certificate with `received`, `processing`, or without the request | wait |
    | 200, certificate that is stale, of the wrong scope, wrongly signed, malformed | wait: a replica lags or lies |
    | 200, rejection by one replica, well-formed | rejected, not certified: it says that it didn't take the call |
    | 200, anything else: empty, cut off, HTML, other CBOR | wait |
    | 202 | accepted: wait |
    | 4xx | not accepted (interface specification, "Request: Call"): `ProtocolError` |
    | 408, 425, 429, 499 | a time-out or overload on the way, after the request may have been passed on: wait |
    | 5xx, any other status | wait |
    | a rejection or a 4xx after an earlier attempt that may have arrived | wait: it doesn't take that one back |

    The official agents agree on the certified cases and on the rejection by one replica; where they give up with an
    error at an answer that they can't read or trust, this one asks on.
    """
    status = response.status
    if status != 200:
        if _is_refusal(status) and not response.resent:
            raise refusal(response, "the answer to the call")
        return Undecided("accepted, but no outcome in time" if status == 202 else f"HTTP {status}: {response.text}")
    try:
        answer = cbor.loads_map(response.body, "the answer to the call")
        data = answer.get("certificate")
        if answer.get("status") == "replied" and isinstance(data, bytes):
            return _reply_in(verify(data), call)
        if answer.get("status") not in (None, "non_replicated_rejection"):
            raise ProtocolError("the answer to a call is neither a certificate nor a rejection")
        rejection = rejection_in(answer)
    except (ProtocolError, CertificateError) as error:
        return Undecided(_distrust(error))
    if response.resent:
        return Undecided(str(rejection))
    raise rejection


async def wait(requester: Requester, call: Call, reason: str, span: Span) -> bytes:
    """Polls for the outcome of a call that may have been delivered, until it can't be executed any more.

    Returns the certified reply. An answer that can't be read or trusted only means to ask again. `reason`: why it isn't
    known yet.

    It gives up earlier, after some seconds, where asking on tells nothing: the status may not be read, or nothing that
    this network ever said was signed by its root key, so that the root key must be another network's.

    Raises:
        RejectedError: it was rejected, as is certified.
        OutcomeUnknownError: it wasn't learnt in time.
    """
    clock, request = requester.clock, call.request
    path = [b"request_status", request.request_id]
    delay_s, refusals, strangers = _POLL_FIRST_S, 0, 0
    deadline_ns = request.expiry_ns + _EXPIRY_MARGIN_NS
    sent_ns = clock()
    logger.debug("waiting for request %s: %s", request.request_id.hex(), reason)
    while clock() < deadline_ns and refusals < _REFUSALS_TAKEN:
        if strangers >= _STRANGERS_TAKEN and not clock.has_seen:
            reason += "; is the root key this network's?"
            break
        await requester.transport.sleep(delay_s)
        delay_s = min(delay_s * _POLL_FACTOR, _POLL_MAX_S)
        try:
            _, certificate = await requester.read_state("canister", call.effective, [path], span)
            judged = _reply_in(certificate, call)
        except TransportError as error:
            reason = str(error)
            continue
        except (ProtocolError, CertificateError) as error:
            refused = _is_refusal(getattr(error, "status", None))
            refusals = refusals + 1 if refused else 0
            strangers = strangers + 1 if isinstance(error, CertificateSignatureError) else 0
            reason = f"its status can't be read: {error}" if refused else _distrust(error)
            continue
        if isinstance(judged, bytes):
            return judged
        reason, refusals = judged.reason, 0
        if judged is not _NOT_LISTED:
            deadline_ns = request.expiry_ns + _PROCESSING_MARGIN_NS
            continue
        if certificate.time_ns > request.expiry_ns:
            break
        if request.body is not None and clock() >= sent_ns + _RESEND_AFTER_NS:
            with suppress(TransportError):  # whatever the answer: the state is what decides
                await requester.post("call", "canister", call.effective, request, span)
            sent_ns = clock()
    raise call.unknown(reason)


_NOT_LISTED = Undecided("the subnet doesn't know of it")


def _reply_in(certificate: Certificate, call: Call) -> bytes | Undecided:
    """The reply that a trusted certificate has for the call.

    Raises:
        RejectedError: it was rejected, as is certified.
        OutcomeUnknownError: it was executed, and its reply is no longer known.
    """
    request_id = call.request.request_id
    status = certified_status(certificate, request_id)
    if status is None:
        return _NOT_LISTED
    if status in PENDING:
        return Undecided(f"still {status}")
    if status == "rejected":
        raise certified_rejection(certificate, request_id)
    if status == "done":
        raise call.unknown("it was executed, but the subnet no longer has the reply")
    return certified_reply(certificate, request_id)


def _is_refusal(status: int | None) -> bool:
    return status is not None and 400 <= status < 500 and status not in _TIMED_OUT


def _distrust(error: IcError) -> str:
    return f"the answers can't be verified: {error}"
