"""What `doctor` looks at in a backend: whether creations can run there, and what the caller may do.

Owns these checks. Does not own: the rest of them (`doctor`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.backend_check import why_no_backend
from canister_factory.cli.results import Check, Verdict
from canister_factory.contract.admin_models import AlertLevel
from canister_factory.contract.artifacts import API_VERSION, backend_wasm, compatible, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import OwnerPageRequest
from canister_factory.contract.errors import CreationRefused
from canister_factory.ic.agent import Agent
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.foreign_text import quoted

_LEVELS = {
    AlertLevel.Normal: Verdict.OK,
    AlertLevel.Warning: Verdict.WARNING,
    AlertLevel.Critical: Verdict.FAILED,
}


async def check_backend(agent: Agent, backend_id: Principal) -> AsyncIterator[Check]:
    """Module, API version, releases, switch, roles and reserve. Raises `IcError` when the network fails."""
    backend = BackendClient(agent, backend_id)
    why = await why_no_backend(agent, backend_id)
    if why is not None:
        yield Check("backend", Verdict.FAILED, why, "another id or network? 'deploy' makes a new one")
        return
    info = await agent.canister_info(backend_id)
    api_version = await backend.get_api_version()
    yield _module(backend_id, info, api_version)
    if not compatible(api_version):
        return
    yield await _releases(backend)
    enabled = await backend.is_personal_canister_creation_enabled()
    if enabled:
        yield Check("creation", Verdict.OK, "enabled")
    else:
        yield Check("creation", Verdict.WARNING, "disabled", "an admin switches it on with 'admin enable'")
    async for check in _staff(backend, Principal(agent.identity.sender().bytes), info):
        yield check


def _module(backend_id: Principal, info: CanisterInfo, api_version: str) -> Check:
    assert info.module_hash is not None
    module = f"module {output.ident(info.module_hash)} (certified)"
    found = f"{backend_id}, API version {quoted(api_version, 40)}, {module}"
    if not compatible(api_version):
        advice = f"this is made for {API_VERSION}: upgrade the backend, or use another version of canister-factory"
        return Check("backend", Verdict.FAILED, found, advice)
    if info.module_hash != backend_wasm().module_hash:
        advice = f"not the one that comes along: 'canister-factory upgrade {backend_id}' if that is newer"
        return Check("backend", Verdict.WARNING, found, advice)
    return Check("backend", Verdict.OK, found)


async def _releases(backend: BackendClient) -> Check:
    approved = {release.module_hash for release in await backend.list_releases()}
    bundled = personal_wasm().module_hash
    if bundled in approved:
        return Check("release", Verdict.OK, f"the bundled personal canister {output.ident(bundled)} is approved")
    return Check(
        "release",
        Verdict.FAILED,
        f"the bundled personal canister {output.ident(bundled)} is not approved, so no creation can run from here",
        "an admin approves it with 'canister-factory admin releases register'",
    )


async def _staff(backend: BackendClient, caller: Principal, info: CanisterInfo) -> AsyncIterator[Check]:
    """The caller's roles, and for them the reserve."""
    roles = ["controller"] if caller in info.controllers else []
    if await _answers(backend.list_admins()):
        roles.append("admin")
        if caller in await backend.list_operators():
            roles.append("operator")
    elif await _answers(backend.list_open_requests(OwnerPageRequest(limit=1))):
        roles.append("operator")
    if not roles:
        yield Check("roles", Verdict.OK, "none: the caller can be an owner")
        yield Check("reserve", Verdict.SKIPPED, "shown to admins and operators only")
        return
    yield Check("roles", Verdict.OK, ", ".join(roles))
    reserve = await backend.get_reserve_status()
    advice = f"'canister-factory reserve top-up {reserve.recommended_top_up}'" if reserve.recommended_top_up else ""
    yield Check(
        "reserve",
        _LEVELS[reserve.alert_level],
        f"{output.cycles(reserve.available)} cycles available, {reserve.alert_level}",
        advice,
    )


async def _answers(asked: Awaitable[object]) -> bool:
    """Whether the backend answers this to the caller."""
    try:
        await asked
    except CreationRefused:
        return False
    return True
