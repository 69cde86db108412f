"""What would be refused: each refusal that a request, an approval or a run would meet by what is known now.

Owns these rules, which are the backend's and the run's own, told beforehand. Does not own: the facts (`plan_facts`),
what a creation takes (`plan_cost`). A refusal that only the backend can know of is `unknown`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import (
    Admission,
    CreatePersonalCanisterConfig,
    CreationErrorKind,
    CreationStatus,
)
from canister_factory.factory.condition import JUDGED
from canister_factory.factory.plan_cost import Cost
from canister_factory.factory.plan_facts import MOST_WAITING, Facts, Office, creation_is_over

MOST_LOSSES = 3
"""Canisters that a creation may lose before an admin has to clear it (`CreationPolicy.mostLosses` of the backend)."""
FREE_FAILURES = 5
"""Failures in a row before an attempt has to wait (`CreationPolicy.freeFailures`)."""
NAME_CHARACTERS = 100
"""Of a canister's name (`CreationPolicy.nameChars`)."""
_IN_NAMES = "0123456789 -_"


class Command(StrEnum):
    """Whose plan it is: of a command, or of all that is left until the canister is its owner's."""

    ALL = "plan"
    REQUEST = "request"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `command` would be refused with. `kind`: of a creation's error, or a state of its canister."""

    command: str
    kind: str
    message: str
    retry_helps: bool = True


def refusals(
    facts: Facts,
    cost: Cost,
    of: Command,
    module_hash: bytes,
    *,
    worker: str,
    asked: CreatePersonalCanisterConfig | None,
) -> list[Refusal]:
    """In the order in which they would be met."""
    if of == Command.REQUEST:
        found = [*_of_request(facts, cost, asked)]
    elif of == Command.RUN:
        found = [*_of_run(facts, cost, module_hash, worker, caller_runs=True)]
    elif creation_is_over(facts.creation):
        found = []
    else:
        before = _of_request(facts, cost, asked) if asks(facts) else ()
        found = [*before, *_of_run(facts, cost, module_hash, worker, caller_runs=False)]
    return list({(each.kind, each.message): each for each in reversed(found)}.values())[::-1]


def asks(facts: Facts) -> bool:
    """Whether a request, or a retry, is the next thing."""
    return facts.creation is None or facts.status == CreationStatus.Failed or facts.is_undone or facts.waits


def would_wait(facts: Facts) -> bool:
    """Whether the request would wait for an admin's approval."""
    if facts.waits:
        return True
    return facts.admission == Admission.Approval and not (facts.office is not None and facts.office.is_listed)


def unknown(facts: Facts, of: Command) -> list[str]:
    """What may be refused besides, and isn't told to the caller before."""
    creation, office = facts.creation, facts.office
    if creation_is_over(creation) or (of == Command.RUN and not asks(facts)):
        return []
    said = []
    if office is None:
        said.append("whether the reserve covers it, and how many creations there may be: admins and operators are told")
        if facts.admission == Admission.Listed and creation is None:
            said.append("whether the owner is on the list of those who get a canister: admins and operators are told")
        if facts.admission == Admission.Approval and creation is None:
            said.append("whether the request waits for approval: owners on the admins' list needn't wait")
    if creation is not None and creation.status == CreationStatus.Failed and creation.attempts > FREE_FAILURES:
        said.append("whether a pause after so many failed attempts is over: the backend says so when it is asked")
    if facts.is_undone:
        said.append("whether the owner has undone creations too often: the backend says so when it is asked")
    if creation is not None and not facts.content.is_exact:
        said.append("how large the capsule is: this is all that the owner has on the backend")
    return said


def _of_request(facts: Facts, cost: Cost, asked: CreatePersonalCanisterConfig | None) -> Iterator[Refusal]:
    """Of the owner's request or retry; then of its start, which an admin's approval may be."""
    creation, canister = facts.creation, facts.canister
    if not facts.enabled:
        yield _disabled("request")
    if canister is not None and canister.problem is not None and canister.info is None:
        yield Refusal("request", str(canister.problem.state), str(canister.problem), retry_helps=False)
    if not asks(facts):
        return
    if creation is not None and len(creation.lost_canisters) >= MOST_LOSSES:
        yield _refused(
            "request",
            CreationErrorKind.HistoryFailed,
            f"{len(creation.lost_canisters)} canisters of this creation were lost by what was done to them; an admin "
            f"has to clear it ('admin clear {facts.owner}')",
            retry_helps=False,
        )
    if not facts.content.has_capsule:
        yield _refused(
            "request",
            CreationErrorKind.InvalidRequest,
            f"{facts.owner} has no capsule here; 'call BACKEND register_capsule' makes one",
            retry_helps=False,
        )
    for problem in _config_problems(asked):
        yield _refused("request", CreationErrorKind.InvalidRequest, problem, retry_helps=False)
    yield from _of_admission(facts)
    yield from _of_start(facts, cost, "admin requests approve" if would_wait(facts) else "request")


def _of_admission(facts: Facts) -> Iterator[Refusal]:
    office = facts.office
    if office is None or facts.waits:
        return
    if facts.admission == Admission.Listed and not office.is_listed:
        yield _refused(
            "request",
            CreationErrorKind.NotAdmitted,
            f"{facts.owner} is not on the list of owners who get a personal canister here; 'admin admission add "
            f"{facts.owner}' adds it",
            retry_helps=False,
        )
    if would_wait(facts) and office.waiting >= MOST_WAITING:
        yield _refused(
            "request", CreationErrorKind.Busy, f"{office.waiting:,} requests wait for approval, which is the most"
        )


def _of_start(facts: Facts, cost: Cost, command: str) -> Iterator[Refusal]:
    """What a new attempt has to have room for."""
    office = facts.office
    if office is None:
        return
    limits = office.limits
    if office.in_progress >= limits.max_in_progress:
        message = f"{office.in_progress:,} creations are in progress, and the limit is {limits.max_in_progress:,}"
        yield _refused(command, CreationErrorKind.Busy, f"{message} (max_in_progress)")
    if office.attempts_in_hour >= limits.max_per_hour:
        message = f"the limit of {limits.max_per_hour:,} creations requested within an hour is reached"
        yield _refused(command, CreationErrorKind.Busy, f"{message} (max_per_hour)")
    yield from _of_reserve(office, command, cost.left, held=0)


def _of_reserve(office: Office, command: str, amount: int, *, held: int) -> Iterator[Refusal]:
    """Whether the reserve, and a day's budget, cover `amount`; `held` of what is in flight is this creation's own."""
    reserve = office.reserve
    minimum = max(reserve.settings.operating_minimum, reserve.frozen)
    there = max(0, reserve.balance - minimum - reserve.in_flight + held)
    if there < amount:
        yield _refused(
            command,
            CreationErrorKind.ReserveInsufficient,
            f"the reserve has {there:,} cycles available and this creation needs {amount:,}; 'reserve top-up' adds "
            "some",
        )
    spent, budget = reserve.spent_in_day + reserve.in_flight - held, reserve.settings.cycles_per_day
    if amount and spent + amount > budget:
        yield _refused(
            command,
            CreationErrorKind.BudgetSpent,
            f"creations may use {budget:,} cycles in a day; {spent:,} are used or held, and this one needs {amount:,}",
            retry_helps=amount <= budget,
        )


def _of_run(facts: Facts, cost: Cost, module_hash: bytes, worker: str, *, caller_runs: bool) -> Iterator[Refusal]:
    """Of the run. `caller_runs`: it is the caller who would; else any operator."""
    office = facts.office
    if creation_is_over(facts.creation):
        return
    operators = office.operators if office is not None else None
    if operators is not None and caller_runs and facts.caller not in operators:
        message = f"{facts.caller} is not an operator; 'admin operators add {facts.caller}' makes it one"
        yield _refused("run", CreationErrorKind.Unauthorized, message, retry_helps=False)
    if operators is not None and not operators:
        message = "the backend has no operator; 'admin operators add' makes one"
        yield _refused("run", CreationErrorKind.Unauthorized, message, retry_helps=False)
    if caller_runs and asks(facts):
        yield _not_open(facts)
    yield from _of_operator(facts, caller_runs=caller_runs)
    if not facts.enabled:
        yield _disabled("run")
    yield from _of_lease(facts, worker, caller_runs=caller_runs)
    yield from _of_module(facts, module_hash)
    canister = facts.canister
    if canister is not None and canister.problem is not None:
        problem = canister.problem
        kind = CreationErrorKind.HistoryFailed if problem.state in JUDGED else problem.state
        yield Refusal("run", str(kind), str(problem), problem.retry_helps)
    elif canister is not None and not canister.is_as_left:
        message = (
            "the canister isn't as a creation leaves it: a controller has replaced or removed its module. The backend "
            "gives it up, and the owner's 'retry' takes another one"
        )
        yield _refused("run", CreationErrorKind.HistoryFailed, message)
    elif office is not None and canister is None and not asks(facts):
        yield from _of_reserve(office, "run", cost.left, held=min(cost.left, office.reserve.in_flight))


def _of_module(facts: Facts, module_hash: bytes) -> Iterator[Refusal]:
    """What keeps the module from being installed. The capsule fits: a backend takes no more of a principal than a
    personal canister holds (`CapsulePolicy.checkQuotas`).
    """
    canister = facts.canister
    has_module = canister is not None and canister.info is not None and canister.info.module_hash is not None
    if not has_module and module_hash not in facts.releases:
        yield _refused(
            "run",
            CreationErrorKind.InstallFailed,
            f"the personal canister's module {module_hash.hex()} is not an approved release; 'admin releases register' "
            "approves it",
        )


def _not_open(facts: Facts) -> Refusal:
    """Why there is nothing to claim."""
    if facts.creation is None:
        message = f"{facts.owner} has not asked for a personal canister; its owner does so with 'request'"
        return _refused("run", CreationErrorKind.InvalidRequest, message, retry_helps=False)
    if facts.waits:
        message = f"the request of {facts.owner} waits for approval; 'admin requests approve {facts.owner}' approves it"
        return _refused("run", CreationErrorKind.NotAdmitted, message)
    again = "request" if facts.is_undone else "retry"
    message = f"the creation of {facts.owner} is {facts.status}; its owner's '{again}' opens it again"
    return _refused("run", CreationErrorKind.InvalidRequest, message)


def _of_operator(facts: Facts, *, caller_runs: bool) -> Iterator[Refusal]:
    """Of a creation that belongs to another operator."""
    creation, office = facts.creation, facts.office
    if creation is None or creation.operator is None or facts.is_undone:
        return
    gone = office is not None and creation.operator not in office.operators
    if creation.operator == facts.caller or (not caller_runs and not gone):
        return
    if gone and facts.status == CreationStatus.Failed and creation.next_operator is not None and not caller_runs:
        return  # the retry that comes first puts the next one in its place
    way = "only that one can go on with it, or hand it on ('admin operators hand-on')"
    if creation.next_operator is not None:
        way = f"that is no operator any more: the owner's 'retry' puts {creation.next_operator} in its place"
    elif gone:
        way = "that is no operator any more, and there is no other: 'admin operators add' makes one"
    message = f"the creation belongs to the operator {creation.operator}, which controls its canister; {way}"
    yield _refused("run", CreationErrorKind.Busy, message, retry_helps=False)


def _of_lease(facts: Facts, worker: str, *, caller_runs: bool) -> Iterator[Refusal]:
    """Of a creation that another worker holds. The same worker of the same operator may claim it at any time."""
    request = facts.office.request if facts.office is not None else None
    if request is None or request.leased_until is None or request.leased_until <= facts.now_ns:
        return
    if caller_runs and request.worker == worker and request.operator in (None, facts.caller):
        return
    seconds = (request.leased_until - facts.now_ns) / 10**9
    message = (
        f"worker {request.worker} works on this creation, at least for {seconds:.0f} s more unless it gives it back"
    )
    yield _refused("run", CreationErrorKind.Busy, message)


def _config_problems(asked: CreatePersonalCanisterConfig | None) -> Iterator[str]:
    """What is wrong with what is asked of a canister to be."""
    name = asked.name if asked is not None else None
    if name is not None and not 1 <= len(name) <= NAME_CHARACTERS:
        yield f"the name has {len(name)} characters; allowed are 1 to {NAME_CHARACTERS}"
    elif name is not None and (not all(map(_may_be_in_a_name, name)) or name.isspace()):
        yield "the name may contain letters, digits, spaces, '-' and '_' only, and not spaces alone"
    subnet = asked.subnet_id if asked is not None else None
    if subnet is not None and (subnet.is_anonymous or subnet == Principal.management_canister()):
        yield f"{subnet} is not a subnet"


def _may_be_in_a_name(character: str) -> bool:
    """False where the backend surely refuses it. It takes what has Unicode's property Alphabetic; besides letters these
    are some marks, numbers and symbols, and which ones Python doesn't tell.
    """
    category = unicodedata.category(character)
    return character in _IN_NAMES or category[0] in "LM" or category in ("Nl", "So")


def _disabled(command: str) -> Refusal:
    message = "the creation of personal canisters is disabled at present; 'admin enable' enables it"
    return _refused(command, CreationErrorKind.Disabled, message)


def _refused(command: str, kind: CreationErrorKind, message: str, *, retry_helps: bool = True) -> Refusal:
    return Refusal(command, str(kind), message, retry_helps)
