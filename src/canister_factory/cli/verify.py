"""`verify OWNER`: whether a personal canister is what its backend's records say, by what the network certifies.

Owns the list of checks. Does not own: how certificates are verified (`ic`), what a manifest is (`factory.manifest`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.backend import needs_role
from canister_factory.cli.backend_check import CheckedBackend
from canister_factory.cli.errors import FAILED, CommandError
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import PRINCIPAL, backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.results import Check, Verdict, checks
from canister_factory.cli.roles import Role
from canister_factory.contract.artifacts import compatible
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus
from canister_factory.contract.errors import CapsuleRefused, ContractMismatchError, CreationRefused
from canister_factory.factory.errors import VerifyError
from canister_factory.factory.verify import check_certificate
from canister_factory.ic.errors import CanisterNotFoundError, CertificateError, RejectedError
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.canister_info import CanisterInfo
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@backend_option
@network_options
@signing_identity_option
@output_options
@needs_role(Role.STAFF)
def verify(owner: Principal, backend: Principal, network: Network, identity: Identity) -> None:
    """Check a personal canister against the records.

    Compares OWNER's canister, by what the network certifies, with what the backend recorded of its creation. Exit
    code 1 when something differs.

    As the owner: all of it. As an admin or operator: all but the manifest, which the canister shows to its owner alone.

    \b
    Example:
      canister-factory verify $OWNER --backend $BACKEND --identity owner.pem
    """

    async def work(agent: Agent) -> tuple[Principal, list[Check]]:
        client = CheckedBackend(agent, backend)
        as_owner = owner == identity.sender()
        creation = await (client.get_detailed_creation_status() if as_owner else client.get_user_creation_status(owner))
        if creation is None or creation.canister_id is None:
            why = "not asked for a personal canister" if creation is None else "no personal canister yet"
            raise CommandError(f"{output.ident(owner)} has {why} on {backend}")
        return creation.canister_id, [check async for check in _checks(agent, client, creation, creation.canister_id)]

    canister_id, made = run_with_agent(identity, network, work)
    if not checks(
        f"Personal canister {canister_id} of {output.ident(owner)}", made, owner=owner, canister_id=canister_id
    ):
        click.get_current_context().exit(FAILED)


async def _checks(
    agent: Agent, backend: BackendClient, creation: DetailedCreationStatus, canister_id: Principal
) -> AsyncIterator[Check]:
    completed = creation.status == CreationStatus.Completed
    yield Check(
        "creation",
        Verdict.OK if completed else Verdict.FAILED,
        str(creation.status) + ("" if creation.verified else ", not verified by the backend"),
        "" if completed else "it has to be run to its end: 'status' shows where it stands",
    )
    yield await _registry(backend, creation, canister_id)
    try:
        info = await agent.canister_info(canister_id)
    except CanisterNotFoundError as error:
        yield Check("canister", Verdict.FAILED, str(error))
        return
    yield _controllers(info, creation.owner)
    yield await _module(backend, info)
    if info.module_hash is not None:
        personal = PersonalClient(agent, canister_id)
        try:
            yield await _interface(personal, creation.owner, backend.canister_id)
            yield await _manifest(agent, personal, creation)
        except (ContractMismatchError, RejectedError) as error:
            # Its owner may run there whatever they like.
            yield Check("what it says", Verdict.FAILED, f"it doesn't answer as a personal canister: {error}")


async def _registry(backend: BackendClient, creation: DetailedCreationStatus, canister_id: Principal) -> Check:
    name = "registry entry"
    try:
        entry = await backend.get_registry_entry(canister_id)
    except CreationRefused:
        return Check(name, Verdict.SKIPPED, "shown to admins and operators only")
    if entry is None:
        return Check(name, Verdict.FAILED, f"the registry has no canister {canister_id}")
    recorded = f"{entry.status}, created for {output.ident(entry.created_by)}"
    same = (entry.created_by, entry.status) == (creation.owner, creation.status)
    return Check(name, Verdict.OK if same else Verdict.FAILED, recorded)


def _controllers(info: CanisterInfo, owner: Principal) -> Check:
    found = ", ".join(map(output.ident, sorted(info.controllers, key=str))) or "nobody"
    if set(info.controllers) == {owner}:
        return Check("controllers", Verdict.OK, f"the owner alone: {found} (certified)")
    if owner not in info.controllers:
        return Check("controllers", Verdict.FAILED, f"{found} (certified)", "the owner is not among them")
    return Check(
        "controllers",
        Verdict.FAILED,
        f"{found} (certified)",
        "the owner should be the only one, and alone knows whether the others were added on purpose",
    )


async def _module(backend: BackendClient, info: CanisterInfo) -> Check:
    if info.module_hash is None:
        return Check("module", Verdict.FAILED, "none is installed (certified)")
    approved = {release.module_hash: release for release in await backend.list_releases()}
    found = f"{output.ident(info.module_hash)} (certified)"
    if info.module_hash in approved:
        return Check(
            "module", Verdict.OK, f"{found}, approved release {quoted(approved[info.module_hash].note)}".rstrip()
        )
    advice = "not an approved release (any more): ask the owner, who may have upgraded it"
    return Check("module", Verdict.FAILED, found, advice)


async def _interface(personal: PersonalClient, owner: Principal, backend_id: Principal) -> Check:
    about = await personal.get_personal_info()
    said = f"API version {quoted(about.api_version, 40)}, for owner {output.ident(about.owner)}"
    found = f"{said} and backend {about.backend}"
    right = compatible(about.api_version) and (about.owner, about.backend) == (owner, backend_id)
    return Check("what it says", Verdict.OK if right else Verdict.FAILED, found)


async def _manifest(agent: Agent, personal: PersonalClient, creation: DetailedCreationStatus) -> Check:
    """The manifest of the finished import, which the canister certifies, against what the backend recorded."""
    name = "manifest"
    source = creation.source_manifest
    if source is None:
        return Check(name, Verdict.FAILED, "the backend has recorded none")
    try:
        held = await personal.get_manifest()
    except CapsuleRefused as refusal:
        if refusal.kind != "Unauthorized":
            raise
        state = "verified" if creation.verified else "not verified"
        recorded = f"shown to the owner only; the backend recorded {output.ident(source.manifest_hash)}, {state}"
        return Check(name, Verdict.SKIPPED, recorded)
    try:
        check_certificate(
            held.certificate,
            held.manifest,
            personal.canister_id,
            agent.network.root_key,
            agent.clock(),
        )
    except (VerifyError, CertificateError) as error:
        return Check(name, Verdict.FAILED, str(error))
    found = output.ident(held.manifest.manifest_hash)
    if held.manifest.manifest_hash != source.manifest_hash:
        return Check(
            name, Verdict.FAILED, f"{found} (certified), but the source's is {output.ident(source.manifest_hash)}"
        )
    counts = f"{held.manifest.memories} memories, {held.manifest.content_size:,} bytes"
    return Check(name, Verdict.OK, f"{found} (certified), equal to the source's: {counts}")
