"""What `verify` checks: whether a personal canister is what the records of its backend say.

Owns the list of checks. Does not own: how certificates are verified (`ic`), what a manifest is (`factory.manifest`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.results import Check, Verdict, moment
from canister_factory.cli.verify_past import check_history, check_life, check_settings
from canister_factory.contract.artifacts import compatible
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus, Release
from canister_factory.contract.errors import CapsuleRefused, ContractMismatchError, CreationRefused
from canister_factory.factory.errors import VerifyError
from canister_factory.factory.verify import check_certificate
from canister_factory.ic.errors import CanisterNotFoundError, CertificateError, RejectedError
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.contract.manifest_models import CapsuleManifest
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.canister_info import CanisterInfo


async def check_canister(
    agent: Agent, backend: BackendClient, creation: DetailedCreationStatus, canister_id: Principal
) -> AsyncIterator[Check]:
    """Creation, registry, controllers, module, interface, manifest, and what changed since.

    Raises:
        IcError: the network fails.
    """
    completed = creation.status == CreationStatus.Completed
    yield Check(
        "creation",
        Verdict.OK if completed else Verdict.FAILED,
        str(creation.status) + ("" if creation.verified else ", not verified by the backend"),
        "" if completed else "'status' shows its progress; an operator's 'run' or 'worker' completes it",
    )
    yield await _registry(backend, creation, canister_id)
    try:
        info = await agent.canister_info(canister_id)
    except CanisterNotFoundError as error:
        yield Check("canister", Verdict.FAILED, str(error))
        return
    yield _controllers(info, creation.owner)
    releases = await backend.list_releases()
    yield _module(releases, info)
    if info.module_hash is not None:
        personal = PersonalClient(agent, canister_id)
        backends = await backend.get_backend_ids()
        try:
            yield await _interface(personal, creation.owner, backends)
            async for check in _manifests(agent, personal, creation):
                yield check
            yield await check_history(agent, creation, backends, releases)
        except (ContractMismatchError, RejectedError) as error:
            # Its owner may run there whatever they like.
            yield Check("what it says", Verdict.FAILED, f"it doesn't answer as a personal canister: {error}")
    viewers = await backend.get_backend_ids() if creation.config.show_status else ()
    yield await check_settings(agent, canister_id, creation.owner, viewers)
    yield await check_life(agent, canister_id, creation)


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
    controllers = ", ".join(map(output.ident, sorted(info.controllers, key=str))) or "nobody"
    if set(info.controllers) == {owner}:
        return Check("controllers", Verdict.OK, f"the owner alone: {controllers} (certified)")
    if owner not in info.controllers:
        return Check("controllers", Verdict.FAILED, f"{controllers} (certified)", "the owner is not one of them")
    return Check(
        "controllers",
        Verdict.FAILED,
        f"{controllers} (certified)",
        "the owner should be the only one. Ask the owner whether the others were added on purpose",
    )


def _module(releases: Sequence[Release], info: CanisterInfo) -> Check:
    if info.module_hash is None:
        return Check("module", Verdict.FAILED, "none is installed (certified)")
    approved = {release.module_hash: release for release in releases}
    module = f"{output.ident(info.module_hash)} (certified)"
    if info.installed_ns is not None:
        module += f", installed {moment(info.installed_ns)}"
    if info.module_hash in approved:
        return Check(
            "module", Verdict.OK, f"{module}, approved release {quoted(approved[info.module_hash].note)}".rstrip()
        )
    advice = "this is not an approved release, or no longer. Ask the owner, who may have upgraded it"
    return Check("module", Verdict.FAILED, module, advice)


async def _interface(personal: PersonalClient, owner: Principal, backends: Sequence[Principal]) -> Check:
    about = await personal.get_personal_info()
    version = f"API version {quoted(about.api_version, 40)}"
    claims = f"{version}, for owner {output.ident(about.owner)} and backend {about.backend}"
    right = compatible(about.api_version) and about.owner == owner and about.backend in backends
    if right and about.backend != backends[-1]:
        claims += f", which has the id {backends[-1]} now: 'owner backend' tells the canister"
    return Check("what it says", Verdict.OK if right else Verdict.FAILED, claims)


async def _manifests(agent: Agent, personal: PersonalClient, creation: DetailedCreationStatus) -> AsyncIterator[Check]:
    """The finished import's manifest, which the canister certifies for good, against what the backend recorded; and
    what the owner has made of it since.
    """
    name = "manifest"
    source = creation.source_manifest
    if source is None:
        yield Check(name, Verdict.FAILED, "the backend has no manifest on record")
        return
    try:
        held = await personal.get_manifest()
    except CapsuleRefused as refusal:
        if refusal.kind != "Unauthorized":
            raise
        state = "verified" if creation.verified else "not verified"
        recorded = f"shown to the owner only; the backend recorded {output.ident(source.manifest_hash)}, {state}"
        yield Check(name, Verdict.SKIPPED, recorded)
        return
    try:
        imported = check_certificate(held, personal.canister_id, agent.certificates, agent.clock())
    except (VerifyError, CertificateError) as error:
        yield Check(name, Verdict.FAILED, str(error))
        return
    shown = f"{output.ident(imported.manifest_hash)} (certified)"
    if imported.manifest_hash == source.manifest_hash:
        yield Check(name, Verdict.OK, f"{shown}, equal to the source's: {_counts(imported)}")
    else:
        yield Check(name, Verdict.FAILED, f"{shown}, but the source's is {output.ident(source.manifest_hash)}")
    if held.manifest.manifest_hash == imported.manifest_hash:
        yield Check("since then", Verdict.OK, "nothing has changed")
    else:
        now = f"now {output.ident(held.manifest.manifest_hash)} (certified): {_counts(held.manifest)}"
        yield Check("since then", Verdict.OK, f"changed by those who may write it, {now}")


def _counts(manifest: CapsuleManifest) -> str:
    return f"{manifest.memories} memories, {manifest.content_size:,} bytes"
