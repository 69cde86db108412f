"""`quota`: what the caller uses of a backend, and how much they may.

Owns this command, and how use and limits are shown. Does not own: what is counted (`contract.quota_models`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, quantities
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.results import record
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.quota_models import CapsuleSwitches, QuotaStatus

COUNTED = {
    "content_bytes": ("content", "contents"),
    "record_bytes": ("records", "records"),
    "memories": ("memories", "memories"),
    "galleries": ("galleries", "galleries"),
    "capsules": ("capsules", "capsules"),
    "uploads": ("uploads", "uploads in progress"),
    "nonces": ("nonces", "valid nonces"),
}
"""What is counted, by its field: how options call it, and what people read."""


@click.command()
@backend_command(Role.ANYONE)
def quota(ask: Ask) -> None:
    """Show what you use of a backend, and how much you may.

    What expired uploads held is counted until the backend has freed it, at the latest when you add something.
    """

    async def work(backend: BackendClient) -> tuple[CapsuleSwitches, QuotaStatus]:
        return await backend.get_capsule_switches(), await backend.get_my_quota()

    switches, status = ask(work)
    record(status, status_rows(status), "Quota")
    if not switches.writes:
        output.note(f"note: {quoted(switches.message or 'the backend takes no writes at present')}")


def status_rows(status: QuotaStatus) -> list[tuple[str, str]]:
    """Use and limit of all that is counted."""
    return [
        (what, f"{shown(field, getattr(status.used, field))} of {shown(field, getattr(status.limits, field))}")
        for field, (_, what) in COUNTED.items()
    ]


def shown(field: str, amount: int) -> str:
    """An amount of what is counted, for a person."""
    return quantities.size(amount) if field.endswith("_bytes") else f"{amount:,}"
