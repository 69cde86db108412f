"""What `verify` asks of the past of a personal canister, for its owner: how it came to be, and what it was left with.

Owns these two checks. Does not own: which histories are good (`factory.history`), which settings (`factory.handoff`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from canister_factory.candid.principal import Principal
from canister_factory.cli import output, quantities
from canister_factory.cli.results import Check, Verdict, moment
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import DetailedCreationStatus, Release
from canister_factory.contract.history_models import CanisterHistory
from canister_factory.factory.errors import HistoryError
from canister_factory.factory.handoff import changed_settings
from canister_factory.factory.history import Known, author, judge
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience
from canister_factory.owner.life import dates

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent


async def check_history(
    agent: Agent, creation: DetailedCreationStatus, backends: Sequence[Principal], releases: Sequence[Release]
) -> Check:
    """What was ever done to the canister, judged here, by the rules that the backend judges by.

    The reply is certified: the network says that this canister gave it. Its module, an approved one, asks the network.

    Raises:
        CapsuleRefused: the network told the canister nothing at this moment.
        RejectedError: the canister doesn't answer as a personal canister.
    """
    name, owner = "history", creation.owner
    assert creation.canister_id is not None
    if agent.identity.sender().bytes != owner.bytes:
        return Check(name, Verdict.SKIPPED, "told to the owner only")
    history = await PersonalClient(agent, creation.canister_id).get_history()
    try:
        attested = judge(_known(history, creation, backends, releases), history)
    except HistoryError as problem:
        return Check(
            name, Verdict.FAILED, problem.message, "ask an admin; until then, trust this canister with nothing"
        )
    total = history.total_num_changes
    if not attested.handed_over:
        return Check(
            name, Verdict.FAILED, f"{total} changes (certified), none of which left the owner alone in control"
        )
    told = history.recent_changes[len(history.recent_changes) - total + attested.changes - 1]
    by = author(told)
    since = total - attested.changes
    return Check(
        name,
        Verdict.OK,
        f"{attested.changes} changes until {output.ident(by) if by else 'somebody'} handed it over at "
        f"{moment(told.timestamp_nanos)}, {since or 'none'} since (certified)",
    )


def _known(
    history: CanisterHistory,
    creation: DetailedCreationStatus,
    backends: Sequence[Principal],
    releases: Sequence[Release],
) -> Known:
    """Owners don't learn who the operators are. Here it is whom the backend made a controller beside the owner, and to
    whom the creation was handed on by its record.
    """
    approved = {personal_wasm().module_hash, *(release.module_hash for release in releases)}
    first = next(iter(history.recent_changes), None)
    created = first.details.creation if first and first.details else None
    owner = creation.owner
    operators = {*creation.operators, *(created.controllers if created else ())} - {owner}
    return Known(backends, owner, lambda who, at_ns: who in operators, approved.__contains__)


async def check_life(agent: Agent, canister_id: Principal, creation: DetailedCreationStatus) -> Check:
    """Until when the canister is paid: for its owner as it is now, for others as the backend has it on record."""
    name = "paid until"
    if agent.identity.sender().bytes != creation.owner.bytes:
        return Check(
            name, Verdict.SKIPPED, f"{moment(creation.paid_until)} when it was completed; now told to the owner"
        )
    try:
        status = await ManagementCanister(agent).canister_status(canister_id)
    except RejectedError as refusal:
        return Check(name, Verdict.FAILED, f"told to controllers only: {refusal}")
    stops, _, days = dates(status, agent.clock())
    if stops is None:
        return Check(name, Verdict.OK, "it burns nothing (certified)")
    told = f"{moment(stops)}, by {quantities.cycles(status.cycles)} cycles and what it burns idle (certified)"
    if days == 0:
        return Check(name, Verdict.FAILED, told, "it takes no updates any more: give it cycles")
    return Check(name, Verdict.OK, told)


async def check_settings(
    agent: Agent, canister_id: Principal, owner: Principal, viewers: Sequence[Principal] = ()
) -> Check:
    """What the canister is set to, and what else it holds: nothing that its owner didn't ask for.

    `viewers`: the backend by all its ids, the present one last, where the owner let it see the status.
    """
    name = "settings"
    if agent.identity.sender().bytes != owner.bytes:
        return Check(name, Verdict.SKIPPED, "told to the owner only")
    management = ManagementCanister(agent)
    try:
        status = await management.canister_status(canister_id)
        chunks = len(await management.stored_chunks(canister_id))
        snapshots = len(await management.list_canister_snapshots(canister_id))
    except RejectedError as refusal:
        return Check(name, Verdict.FAILED, f"told to controllers only: {refusal}")
    allowed = [each for each in viewers if status.settings.status_visibility == Audience(allowed_viewers=[each])]
    changed = changed_settings(status.settings, allowed[0] if allowed else None)
    changed += [f"{count} {what}" for count, what in ((chunks, "stored chunks"), (snapshots, "snapshots")) if count]
    days = status.settings.freezing_threshold / 86_400
    kept = f"frozen below {days:,.0f} days of idling, {status.settings.wasm_memory_limit or 0:,} bytes of Wasm memory"
    if viewers:
        kept += f"; the backend {'may' if viewers[-1] in allowed else 'can not'} see its status, which you allowed"
        if allowed and viewers[-1] not in allowed:
            kept += ", by the id that it has now: 'owner backend' tells the canister"
    if not changed:
        return Check(name, Verdict.OK, f"as at the handoff: {kept} (certified)")
    advice = "the handoff left it otherwise. If it wasn't you who changed this, set it back"
    return Check(name, Verdict.FAILED, f"{'; '.join(changed)}; {kept} (certified)", advice)
