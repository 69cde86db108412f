"""Judges a personal canister by all that was ever changed about it, up to the moment when its owner alone controls it.

The backend judges by the same rules (`canisters/backend/History.mo`); here an owner or a worker does so on their own
machine. Owns the rules and how a change reads. Does not own: asking for a history.

Source: interface specification, "IC method canister_info".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from canister_factory.candid.principal import Principal
from canister_factory.contract.history_models import CanisterChange, CanisterHistory
from canister_factory.factory.config import NS_PER_SECOND
from canister_factory.factory.errors import HistoryError


@dataclass(frozen=True, slots=True)
class Known:
    """Against what is judged. `backends`: all ids that the backend has had. `was_operator` is asked for the time of a
    change, nanoseconds since 1970.
    """

    backends: Sequence[Principal]
    owner: Principal
    was_operator: Callable[[Principal, int], bool]
    is_approved: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Attested:
    """What was found good: so many changes from the first, and whether the last left the owner as only controller."""

    changes: int
    handed_over: bool


def judge(
    known: Known, history: CanisterHistory, attested: Attested | None = None, *, after_verification: bool = False
) -> Attested:
    """Judges what wasn't judged before.

    Args:
        attested: what the latest verification that found both sides equal had judged before it compared them.
        after_verification: no more code may be deployed before the handoff.

    Raises:
        HistoryError: a change isn't one that a creation makes, or isn't told; says which, by whom and when.
    """
    if attested is not None and attested.handed_over:
        return attested
    seen = 0 if attested is None else attested.changes
    total, told = history.total_num_changes, len(history.recent_changes)
    if told > total or total < seen or total == 0:
        raise HistoryError(f"the network tells {told} of {total} changes of it, and {seen} were there before")
    first = total - told
    if first > seen:
        raise HistoryError(
            f"the network tells only the last {told} of its {total} changes, and those before may have been any"
        )
    for number in range(seen, total):
        change = history.recent_changes[number - first]
        if problem := _problem(known, change, number, after_verification):
            raise HistoryError(f"change {number + 1} of {total}, {describe(change)}, {problem}")
        if controllers_set(change) == [known.owner]:
            return Attested(number + 1, True)
    return Attested(total, False)


def _problem(known: Known, change: CanisterChange, number: int, after_verification: bool) -> str:
    """Why the change isn't accepted; "" when it is. `number` counts from 0."""
    details = change.details
    if details is not None and details.creation is not None:
        if number:
            return "comes after the first change"
        if author(change) not in known.backends:
            return "isn't by this backend"
        controllers = details.creation.controllers
        return "" if len(controllers) <= 2 and known.owner in controllers else "isn't for this owner"
    if number == 0:
        return "comes before the creation"
    if details is not None and details.code_deployment is not None:
        if after_verification:
            return "comes between the verification and the handoff"
        return "" if known.is_approved(details.code_deployment.module_hash) else "is of no approved release"
    if (controllers_now := controllers_set(change)) is not None:
        return _problem_of_controllers(known, controllers_now, change.timestamp_nanos)
    if details is not None and details.tag == "settings_change":
        return ""  # the environment only, of which the settings in force tell what matters (`handoff`)
    return "is nothing that a creation does"


def _problem_of_controllers(known: Known, controllers: list[Principal], at_ns: int) -> str:
    if not controllers:
        return "leaves it without a controller"
    others = [controller for controller in controllers if controller != known.owner]
    for other in others:
        if not known.was_operator(other, at_ns):
            return f"lets {other} control it, which is no operator"
    return "lets more than one operator control it" if len(others) > 1 else ""


def controllers_set(change: CanisterChange) -> list[Principal] | None:
    """The controllers that the change left, where it is a change of these."""
    if change.details is None:
        return None
    if change.details.controllers_change is not None:
        return change.details.controllers_change.controllers
    return None if change.details.settings_change is None else change.details.settings_change.controllers


def author(change: CanisterChange) -> Principal | None:
    """Whoever made the change: a user or a canister."""
    if change.origin is None:
        return None
    if change.origin.from_user is not None:
        return change.origin.from_user.user_id
    return None if change.origin.from_canister is None else change.origin.from_canister.canister_id


def describe(change: CanisterChange) -> str:
    """What was done, by whom and when, such as `code_uninstall by aaaaa-aa at 2026-01-31T09:05:00Z`."""
    what = "an unknown kind of change" if change.details is None else change.details.tag
    if change.details is not None and (deployed := change.details.code_deployment) is not None:
        what = f"{what} ({deployed.mode} of the module {deployed.module_hash.hex()})"
    moment = datetime.fromtimestamp(change.timestamp_nanos // NS_PER_SECOND, UTC)
    return f"{what} by {author(change) or 'an unknown author'} at {moment:%Y-%m-%dT%H:%M:%SZ}"
