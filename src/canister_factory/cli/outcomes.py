"""The outcome of a creation as people and programs see it.

Owns this form. Does not own: the creation (`factory`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.results import as_text, done, moment

if TYPE_CHECKING:
    from canister_factory.cli.present_canister import PresentCanister
    from canister_factory.factory.outcome import Outcome


def show_outcome(outcome: Outcome) -> None:
    """Shows what a run did."""
    if settings.current().json:
        output.json_object(outcome_fields(outcome))
        return
    output.table(
        "Personal canister",
        [
            ("status", outcome.creation.status),
            ("owner", output.ident(outcome.creation.owner)),
            ("canister", outcome.creation.canister_id),
            ("controllers after", ", ".join(map(output.ident, outcome.controllers_after))),
            ("module hash", output.ident(outcome.module_hash or b"")),
            ("manifest", output.ident(outcome.target_manifest or b"")),
            ("cycles consumed", quantities.cycles(outcome.creation.cycles_consumed)),
            ("paid until", moment(outcome.creation.paid_until)),
            ("copied", quantities.size(outcome.bytes_moved)),
            ("creation", quantities.duration(outcome.seconds)),
        ],
    )


def show_completed(present: PresentCanister) -> None:
    """Shows a creation that was complete before the run."""
    creation = present.creation
    done(
        f"The creation of {output.ident(creation.owner)} is already complete: canister {creation.canister_id}"
        + (f", paid until {moment(creation.paid_until)}." if present.usable else f", but {present.message}."),
        owner=creation.owner,
        canister_id=creation.canister_id,
        status=creation.status,
        cycles_consumed=creation.cycles_consumed,
        paid_until=as_text(creation.paid_until),
        completed_before=True,
        canister=present.presence,
    )


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """A run's outcome as JSON has it."""
    return {
        "owner": outcome.creation.owner,
        "canister_id": outcome.creation.canister_id,
        "status": outcome.creation.status,
        "controllers_before": sorted(map(str, outcome.controllers_before)),
        "controllers_after": sorted(map(str, outcome.controllers_after)),
        "module_hash": outcome.module_hash,
        "source_manifest": outcome.source_manifest,
        "target_manifest": outcome.target_manifest,
        "cycles_consumed": outcome.creation.cycles_consumed,
        "paid_until": as_text(outcome.creation.paid_until),
        "bytes_moved": outcome.bytes_moved,
        "transfer_seconds": round(outcome.transfer_seconds, 3),
        "seconds": round(outcome.seconds, 3),
        "traffic": outcome.traffic.total.fields(),
    }
