"""`admin quotas|capsules|canisters`: how much people may keep on a backend, and what personal canisters are set to.

Owns these commands. Does not own: what is counted and refused (the backend), what owners see of it (`quota`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, quantities
from canister_factory.cli.amounts import SECONDS, SIZE
from canister_factory.cli.backend import Ask, backend_command, changed
from canister_factory.cli.errors import InputError
from canister_factory.cli.options import F
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.quota import COUNTED, shown, status_rows
from canister_factory.cli.results import record
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.quota_models import QuotaReport, Quotas

_COUNT = click.IntRange(0, 2**64 - 1)


def _quota_options(command: F) -> F:
    """`--person-…` and `--total-…` for all that is counted: passed to the command as `person_…` and `total_…`."""
    for whose, of in (("total", "all together"), ("person", "one principal")):
        for field, (option, what) in reversed(COUNTED.items()):
            kind = SIZE if field.endswith("_bytes") else _COUNT
            command = click.option(
                f"--{whose}-{option}", f"{whose}_{field}", type=kind, help=f"{what.capitalize()} of {of}."
            )(command)
    return command


@click.command()
@_quota_options
@click.option("--heap", "heap_bytes", type=SIZE, help="Size of the heap from which on the backend takes nothing more.")
@click.option("--user", type=PRINCIPAL, help="Show what this principal uses, and nothing else.")
@backend_command(Role.ADMIN)
def quotas(ask: Ask, user: Principal | None, heap_bytes: int | None, **limits: int | None) -> None:
    """Show or change how much people may keep on the backend.

    A call that would make a principal, or all together, pass a limit is refused, and the error names the limit. What is
    used may be more than a new limit: then nothing is added, and deleting goes on. Sizes are written as 2GB or 3GiB.

    \b
    Example:
      canister-factory admin quotas --person-content 5GB --total-memories 500000
    """
    if user is not None:
        if heap_bytes is not None or any(limit is not None for limit in limits.values()):
            raise InputError("--user only shows; quotas are the same for all principals: change them without --user")
        status = ask(lambda backend: backend.get_user_quota(user))
        record(status, status_rows(status), f"Quota of {output.ident(user)}")
        return

    async def work(backend: BackendClient) -> QuotaReport:
        report = await backend.get_quotas()
        changed = changed_quotas(report.quotas, heap_bytes, limits)
        if changed == report.quotas:
            return report
        await backend.set_quotas(changed)
        return await backend.get_quotas()

    report = ask(work)
    record(report, report_rows(report), "Quotas")


def changed_quotas(present: Quotas, heap_bytes: int | None, limits: dict[str, int | None]) -> Quotas:
    """The quotas with the limits that were given."""
    given: dict[str, dict[str, int]] = {"person": {}, "total": {}}
    for name, limit in limits.items():
        whose, _, field = name.partition("_")
        if limit is not None:
            given[whose][field] = limit
    update: dict[str, Any] = {
        "person": present.person.model_copy(update=given["person"]),
        "total": present.total.model_copy(update=given["total"]),
    }
    if heap_bytes is not None:
        update["heap_bytes"] = heap_bytes
    return present.model_copy(update=update)


def report_rows(report: QuotaReport) -> list[tuple[str, str]]:
    rows = []
    for field, (_, what) in COUNTED.items():
        used, total, person = (
            getattr(usage, field) for usage in (report.used, report.quotas.total, report.quotas.person)
        )
        rows.append((what, f"{shown(field, used)} of {shown(field, total)}; one principal {shown(field, person)}"))
    heap = f"{quantities.size(report.heap_bytes_used)} of {quantities.size(report.quotas.heap_bytes)}"
    return [*rows, ("heap", heap), ("principals", f"{report.people:,}")]


@click.command()
@click.option("--new/--no-new", "new_capsules", default=None, help="Take new capsules, or refuse them.")
@click.option("--writes/--no-writes", default=None, help="Take writes, or let people read only.")
@click.option("--message", help="What those who are refused are told; '' for the usual words.")
@backend_command(Role.ADMIN)
def capsules(ask: Ask, **changes: bool | str | None) -> None:
    """Show or change whether the backend takes new capsules, and writes.

    Without writes people can read everything, and creations continue: what people have can still move to their personal
    canisters.

    \b
    Example:
      canister-factory admin capsules --no-writes --message "We move on Sunday."
    """
    given = {
        name: value or None if name == "message" else value for name, value in changes.items() if value is not None
    }
    switches = ask(lambda backend: changed(backend.get_capsule_switches, backend.set_capsule_switches, given))
    record(
        switches,
        [
            ("new capsules", "taken" if switches.new_capsules and switches.writes else "refused"),
            ("writes", "taken" if switches.writes else "refused"),
            ("message", quoted(switches.message) if switches.message else "none: the usual words"),
        ],
        "Capsules",
    )


@click.command()
@click.option(
    "--freezing-threshold",
    type=SECONDS,
    help="How long a canister can idle before it is frozen, such as 90d.",
)
@click.option("--wasm-memory-limit", type=SIZE, help="Limit of a canister's Wasm memory: 100MiB to 4GiB.")
@backend_command(Role.ADMIN)
def canisters(ask: Ask, freezing_threshold: int | None, wasm_memory_limit: int | None) -> None:
    """Show or change what new personal canisters are set to.

    Canisters that are there keep their settings: they are their owners'. The backend reckons with the same freezing
    threshold for itself; 'deploy --canister BACKEND --freezing-threshold T' sets both.
    """
    given: dict[str, int] = {}
    if freezing_threshold is not None:
        given["freezing_threshold"] = freezing_threshold
    if wasm_memory_limit is not None:
        given["wasm_memory_limit"] = wasm_memory_limit
    settings = ask(
        lambda backend: changed(backend.get_personal_canister_settings, backend.set_personal_canister_settings, given)
    )
    record(
        settings,
        [
            ("freezing threshold", quantities.duration(settings.freezing_threshold)),
            ("Wasm memory limit", quantities.size(settings.wasm_memory_limit)),
        ],
        "New personal canisters",
    )
