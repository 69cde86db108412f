"""Why an HTTP request of a canister has no answer."""

from __future__ import annotations


class OutcallError(Exception):
    """A request has no answer; the message, which the canister is told, says why."""
