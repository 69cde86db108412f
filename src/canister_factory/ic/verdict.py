"""What a failure says about the thing that was tried: it passes, it settles nothing, or it is final.

Owns this judgement, for whoever repeats calls and whoever gives up. Does not own: repeating (`factory.retry`), which
calls may be repeated (`contract`), and `retry_helps`, which tells a person whether to try the same thing later.
"""

from __future__ import annotations

from enum import Enum, auto

from canister_factory.ic.errors import (
    CanisterNotFoundError,
    IcError,
    IdentityError,
    IngressTooLargeError,
    NetworkConfigError,
    NetworkUnreachableError,
    ProtocolError,
    RejectedError,
)

_CERTAIN = (CanisterNotFoundError, IdentityError, IngressTooLargeError, NetworkConfigError)
"""An error of these kinds is certified, or a fact about what we ourselves were about to send."""


class Verdict(Enum):
    """What follows from a failure, for calls that may be repeated."""

    PASSING = auto()
    """The same call may well succeed in a moment. So it is after an unknown outcome, a failing network, and an answer
    that can't be read or trusted: the next one may come from another replica or another way."""

    UNSETTLED = auto()
    """Calling again right away hardly helps, but nobody certifies the failure: a refused connection, an HTTP status of
    somebody on the way, a rejection by a single replica. What was under way stays open for a later run."""

    FINAL = auto()
    """Canisters or the network certify it, it was found by comparing, or it is a defect of our own."""


def verdict(error: Exception) -> Verdict:
    """Judges a failure of any layer; what isn't an `IcError` is final."""
    if isinstance(error, RejectedError):
        if error.retry_helps:
            return Verdict.PASSING
        return Verdict.FINAL if error.certified else Verdict.UNSETTLED
    if not isinstance(error, IcError) or isinstance(error, _CERTAIN):
        return Verdict.FINAL
    refused = isinstance(error, ProtocolError) and error.status is not None
    return Verdict.UNSETTLED if refused or isinstance(error, NetworkUnreachableError) else Verdict.PASSING
