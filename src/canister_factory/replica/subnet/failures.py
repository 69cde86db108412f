"""Defects of this program as they are told: all of it in the log, a reference to that for whoever called.

Owns the two texts. Does not own what is taken back (`transaction`) or who is answered (`calls`).
"""

from __future__ import annotations

import logging

from canister_factory.ic.foreign_text import quoted
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import text_of
from canister_factory.replica.subnet.messages import Answer, Message, OutcallAnswer, Request

logger = logging.getLogger(__name__)


def internal_error(reference: str, what: str, error: Exception) -> CanisterError:
    """Logs a defect with its traceback under a reference; the error to reject with names that."""
    logger.error("%s failed by an internal error (reference %s)", what, reference, exc_info=error)
    return CanisterError(
        RejectCode.SYS_FATAL, f"An internal error of the replica (reference {reference}): its log says more."
    )


def described(message: Message) -> str:
    """A message, for the log."""
    if isinstance(message, Request):
        return f"a call of {quoted(message.method, 100)!r} on {text_of(message.callee)}"
    if isinstance(message, Answer):
        return f"an answer to {text_of(message.canister_id)}"
    if isinstance(message, OutcallAnswer):
        return f"the answer to HTTP outcall {message.outcall_id}"
    return f"{message.entry.value} on {text_of(message.canister_id)}"
