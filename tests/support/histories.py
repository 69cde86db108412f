"""Histories of a personal canister: good ones, bad ones, and any; for judgements in Motoko and in Python alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from canister_factory.candid.principal import Principal
from canister_factory.contract.history_models import (
    CanisterChange,
    CanisterHistory,
    ChangeDetails,
    ChangeOrigin,
    CodeDeployed,
    ControllersChanged,
    Created,
    FromCanister,
    FromUser,
    Renamed,
    RenamedTo,
    SettingsChanged,
    SnapshotLoaded,
)
from canister_factory.factory.history import Attested, Known
from canister_factory.ic.management_snapshot_types import SnapshotSource
from support.backend_world import OPERATOR, OTHER_OPERATOR, OWNER, STRANGER, person

BACKEND = person("backend")
BACKEND_BEFORE = person("former backend")
FORMER = person("former operator")
REMOVED_AT = 50
"""When `FORMER` was removed; changes are at 10, 20, 30 ..."""
APPROVED, UNAPPROVED = b"a" * 32, b"u" * 32


def by_user(user: Principal = OPERATOR) -> ChangeOrigin:
    return ChangeOrigin(from_user=FromUser(user_id=user))


def by_canister(canister: Principal = BACKEND) -> ChangeOrigin:
    return ChangeOrigin(from_canister=FromCanister(canister_id=canister, canister_version=7))


Made = tuple[ChangeOrigin | None, ChangeDetails | None]
"""A change but for its time."""


def created(*controllers: Principal, origin: ChangeOrigin | None = None) -> Made:
    details = ChangeDetails(creation=Created(controllers=list(controllers or (OPERATOR, OWNER))))
    return origin or by_canister(), details


def deployed(module_hash: bytes = APPROVED, mode: Any = "install") -> Made:
    return by_user(), ChangeDetails(code_deployment=CodeDeployed(mode=mode, module_hash=module_hash))


def controlled(*controllers: Principal) -> Made:
    return by_user(), ChangeDetails(controllers_change=ControllersChanged(controllers=list(controllers)))


def settings(*controllers: Principal, change: bool = True) -> Made:
    given = list(controllers) if change else None
    return by_user(), ChangeDetails(settings_change=SettingsChanged(controllers=given))


def unknown() -> Made:
    return by_user(), None


def uninstalled() -> Made:
    return by_user(), ChangeDetails(code_uninstall=None)


def loaded() -> Made:
    snapshot = SnapshotLoaded(
        snapshot_id=b"s",
        canister_version=3,
        taken_at_timestamp=1,
        source=SnapshotSource(metadata_upload=None),
    )
    return by_user(), ChangeDetails(load_snapshot=snapshot)


def renamed() -> Made:
    to = RenamedTo(canister_id=STRANGER, version=1, total_num_changes=1)
    details = Renamed(canister_id=BACKEND, total_num_changes=1, rename_to=to, requested_by=OWNER)
    return by_user(), ChangeDetails(rename_canister=details)


def history(*made: Made, untold: int = 0, told: int | None = None) -> CanisterHistory:
    """The changes in this order, of which the last `told` are told; `untold` more came before."""
    changes = [
        CanisterChange(timestamp_nanos=10 * number, canister_version=number, origin=origin, details=details)
        for number, (origin, details) in enumerate(made, start=1)
    ]
    told = len(changes) if told is None else told
    return CanisterHistory(
        total_num_changes=untold + len(changes),
        recent_changes=changes[len(changes) - told :],
        controllers=[OWNER],
    )


def known() -> Known:
    operators = {OPERATOR: None, OTHER_OPERATOR: None, FORMER: REMOVED_AT}

    def was_operator(who: Principal, at_ns: int) -> bool:
        removed = operators.get(who, 0)
        return removed is None or removed > at_ns

    return Known((BACKEND_BEFORE, BACKEND), OWNER, was_operator, lambda module_hash: module_hash == APPROVED)


@dataclass(frozen=True)
class Case:
    """A history, and what is judged of it: the changes found good and whether they end in the handoff; or why not."""

    name: str
    history: CanisterHistory
    expected: Attested | str
    attested: Attested | None = None
    after: bool = field(default=False)


GOOD = (created(), deployed())
HANDOFF = controlled(OWNER)
CASES = [
    Case("created", history(created()), Attested(1, False)),
    Case("created for an owner who operates the factory", history(created(OWNER)), Attested(1, False)),
    Case("installed and upgraded", history(*GOOD, deployed(mode="upgrade")), Attested(3, False)),
    Case("handed over", history(*GOOD, HANDOFF), Attested(3, True)),
    Case("handed over by settings", history(*GOOD, settings(OWNER)), Attested(3, True)),
    Case("of a changed environment", history(*GOOD, settings(change=False)), Attested(3, False)),
    Case("of the other operator", history(*GOOD, controlled(OTHER_OPERATOR, OWNER), HANDOFF), Attested(4, True)),
    Case("of the operator alone", history(*GOOD, controlled(OPERATOR)), Attested(3, False)),
    Case("of a former operator in their time", history(*GOOD, controlled(FORMER, OWNER)), Attested(3, False)),
    Case("of whatever the owner does", history(*GOOD, HANDOFF, loaded(), controlled(STRANGER)), Attested(3, True)),
    Case(
        "of the backend before it was restored",
        history(created(origin=by_canister(BACKEND_BEFORE))),
        Attested(1, False),
    ),
    Case("nothing", history(), "tells 0 of 0 changes"),
    Case("a starved canister", history(*GOOD, told=0), "only the last 0 of its 2 changes"),
    Case("more than is told", history(*GOOD, HANDOFF, told=2), "only the last 2 of its 3 changes"),
    Case("longer than it can be", CanisterHistory(**{**dict(history(*GOOD)), "total_num_changes": 1}), "tells 2 of 1"),
    Case("another creator", history(created(origin=by_user(OWNER)), deployed()), "isn't by this backend"),
    Case("another backend", history(created(origin=by_canister(STRANGER))), "isn't by this backend"),
    Case("an unknown creator", history((None, created()[1])), "isn't by this backend"),
    Case("another owner", history(created(OPERATOR, STRANGER)), "isn't for this owner"),
    Case("three controllers", history(created(OPERATOR, OWNER, STRANGER)), "isn't for this owner"),
    Case("no creation", history(deployed()), "comes before the creation"),
    Case("two creations", history(created(), created()), "comes after the first change"),
    Case("another module", history(created(), deployed(UNAPPROVED), deployed()), "is of no approved release"),
    Case("uninstalled", history(*GOOD, uninstalled(), deployed()), "nothing that a creation does"),
    Case("a snapshot", history(*GOOD, loaded()), "nothing that a creation does"),
    Case("another id", history(*GOOD, renamed()), "nothing that a creation does"),
    Case("an unknown change", history(*GOOD, unknown(), HANDOFF), "an unknown kind of change"),
    Case("a stranger", history(*GOOD, controlled(OPERATOR, OWNER, STRANGER), HANDOFF), "which is no operator"),
    Case("a stranger by settings", history(*GOOD, settings(OWNER, STRANGER)), "which is no operator"),
    Case("nobody", history(*GOOD, controlled()), "leaves it without a controller"),
    Case("two operators", history(*GOOD, controlled(OPERATOR, OTHER_OPERATOR)), "more than one operator"),
    Case("a former operator", history(*GOOD, deployed(), deployed(), controlled(FORMER)), "which is no operator"),
    Case("pinned", history(*GOOD, HANDOFF), Attested(3, True), Attested(2, False), after=True),
    Case("pinned and told from there", history(*GOOD, HANDOFF, told=1), Attested(3, True), Attested(2, False), True),
    Case("pinned and unchanged", history(*GOOD), Attested(2, False), Attested(2, False), after=True),
    Case("pinned and shorter", history(created()), "and 2 were there before", Attested(2, False), after=True),
    Case("pinned and untold", history(*GOOD, HANDOFF, told=0), "only the last 0", Attested(2, False), after=True),
    Case("deployed since", history(*GOOD, deployed(), HANDOFF), "between the", Attested(2, False), after=True),
    Case("judged anew", history(*GOOD, deployed(), HANDOFF), Attested(4, True), Attested(2, False)),
    Case("verified as the owner's", history(*GOOD, HANDOFF, loaded(), told=1), Attested(3, True), Attested(3, True)),
]

_people = st.sampled_from([OPERATOR, OTHER_OPERATOR, OWNER, STRANGER, FORMER])
_controllers = st.lists(_people, max_size=3, unique=True)
_changes = st.one_of(
    st.just(created()),
    st.sampled_from([deployed(), deployed(UNAPPROVED), uninstalled(), loaded(), renamed(), unknown()]),
    _controllers.map(lambda who: controlled(*who)),
    _controllers.map(lambda who: settings(*who)),
)
_honest = st.one_of(st.just(deployed()), st.just(controlled(OTHER_OPERATOR, OWNER)), st.just(HANDOFF))


@st.composite
def questions(draw: st.DrawFn) -> Case:
    """Any history, often a good one but for a change or two, and any moment."""
    made = [created(), *draw(st.lists(_honest | _changes, max_size=6))]
    told = draw(st.sampled_from([len(made)] * 3 + list(range(len(made) + 1))))
    attested = draw(st.none() | st.builds(Attested, st.integers(0, 8), st.booleans()))
    return Case("any", history(*made, told=told), "", attested, draw(st.booleans()))
