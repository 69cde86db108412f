"""Starting and stopping a canister: a stop is answered when no call context is open any more.

Owns the status of a canister and who waits for its stop. Does not own who may stop it (`management`) or when contexts
close (`calls`).

Source: interface specification, "IC method stop_canister" and "IC method start_canister".
"""

from __future__ import annotations

from typing import Protocol

from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.canister import CanisterState, Status, text_of
from canister_factory.replica.subnet.cycles import SECOND_NS
from canister_factory.replica.subnet.messages import Origin, StopWaiter, reject

STOP_TIMEOUT_NS = 300 * SECOND_NS
EMPTY_REPLY = Response(b"DIDL\x00\x00")


class Respond(Protocol):
    """Sends an answer, and cycles that were not accepted, back to where a call came from."""

    def __call__(self, origin: Origin, response: Response, refund: int = 0) -> None: ...


def stop(canister: CanisterState, origin: Origin, cycles: int, now_ns: int, respond: Respond) -> None:
    """Begins stopping; the answer to `origin` follows when no call context is open."""
    if canister.status is Status.RUNNING:
        canister.status = Status.STOPPING
    canister.version += 1
    waiter = StopWaiter(origin, cycles, now_ns + STOP_TIMEOUT_NS)
    canister.stop_waiters = [*canister.stop_waiters, waiter]
    finish(canister, respond)


def start(canister: CanisterState, respond: Respond) -> None:
    """Makes the canister run; whoever waits for its stop is told that it was cancelled."""
    canister.version += 1
    canister.status = Status.RUNNING
    message = f"Canister {text_of(canister.id)}'s stop request was cancelled."
    _dismiss(canister, list(canister.stop_waiters), reject(RejectCode.CANISTER_ERROR, message, "IC0511"), respond)


def finish(canister: CanisterState, respond: Respond) -> None:
    """Completes a stop if nothing is open; to be called whenever a call context was closed."""
    if canister.contexts or canister.status is Status.RUNNING:
        return
    if canister.status is Status.STOPPING:
        canister.status = Status.STOPPED
        canister.version += 1
    _dismiss(canister, list(canister.stop_waiters), EMPTY_REPLY, respond)


def give_up(canister: CanisterState, now_ns: int, respond: Respond) -> None:
    """Rejects stop requests whose deadline has passed. The canister goes on stopping."""
    late = [waiter for waiter in canister.stop_waiters if waiter.deadline_ns <= now_ns]
    message = f"Stop request of canister {text_of(canister.id)} timed out: it still has open calls."
    _dismiss(canister, late, reject(RejectCode.SYS_TRANSIENT, message, "IC0206"), respond)


def _dismiss(canister: CanisterState, waiters: list[StopWaiter], response: Response, respond: Respond) -> None:
    canister.stop_waiters = [waiter for waiter in canister.stop_waiters if waiter not in waiters]
    for waiter in waiters:
        respond(waiter.origin, response, waiter.cycles)
