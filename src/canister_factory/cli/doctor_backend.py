"""What `doctor` checks of a backend: whether creations can run there, and what the caller may do.

Owns these checks. Does not own: the rest of them (`doctor`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING

from canister_factory.candid.principal import Principal
from canister_factory.cli import backend_life, output, quantities
from canister_factory.cli.backend_check import why_no_backend
from canister_factory.cli.quota import COUNTED
from canister_factory.cli.results import Check, Verdict
from canister_factory.contract.admin_models import AlertLevel
from canister_factory.contract.artifacts import API_VERSION, backend_wasm, compatible, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import OwnerPageRequest
from canister_factory.contract.errors import CreationRefused
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent

_LEVELS = {
    AlertLevel.Normal: Verdict.OK,
    AlertLevel.Warning: Verdict.WARNING,
    AlertLevel.Critical: Verdict.FAILED,
}

_FULL = 0.9
"""The share of a limit from which on admins should look at it."""


async def check_backend(agent: Agent, backend_id: Principal) -> AsyncIterator[Check]:
    """Module, API version, releases, switch, roles and reserve.

    Raises:
        IcError: the network fails.
        ContractError: the backend answers in an unknown form.
    """
    backend = BackendClient(agent, backend_id)
    problem = await why_no_backend(agent, backend_id)
    if problem is not None:
        yield Check("backend", Verdict.FAILED, problem, "check id and network; 'deploy' creates a backend")
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
        yield Check("creation", Verdict.WARNING, "disabled", "an admin enables it with 'admin enable'")
    yield await _capsules(backend)
    caller = Principal(agent.identity.sender().bytes)
    async for check in _staff(backend, caller, info):
        yield check
    yield await backend_life.check(agent, backend)
    if caller in info.controllers:
        yield await _settings(agent, backend)


def _module(backend_id: Principal, info: CanisterInfo, api_version: str) -> Check:
    assert info.module_hash is not None
    module = f"module {output.ident(info.module_hash)} (certified)"
    backend = f"{backend_id}, API version {quoted(api_version, 40)}, {module}"
    if not compatible(api_version):
        advice = f"this version needs {API_VERSION}: upgrade the backend, or use another version of canister-factory"
        return Check("backend", Verdict.FAILED, backend, advice)
    if info.module_hash != backend_wasm().module_hash:
        advice = f"not the bundled module; if that is newer, run 'canister-factory upgrade {backend_id}'"
        return Check("backend", Verdict.WARNING, backend, advice)
    return Check("backend", Verdict.OK, backend)


async def _releases(backend: BackendClient) -> Check:
    approved = {release.module_hash for release in await backend.list_releases()}
    bundled = personal_wasm().module_hash
    if bundled in approved:
        return Check("release", Verdict.OK, f"the bundled personal canister {output.ident(bundled)} is approved")
    return Check(
        "release",
        Verdict.FAILED,
        f"the bundled personal canister {output.ident(bundled)} is not approved, so this version can run no creation",
        "an admin approves it with 'canister-factory admin releases register'",
    )


async def _capsules(backend: BackendClient) -> Check:
    """What the switches let people bring."""
    switches = await backend.get_capsule_switches()
    if switches.writes and switches.new_capsules:
        return Check("capsules", Verdict.OK, "new ones and writes are taken")
    refused = "new ones are refused" if switches.writes else "writes are refused"
    told = f": {quoted(switches.message)}" if switches.message else ""
    advice = "an admin changes that with 'admin capsules --new --writes'"
    return Check("capsules", Verdict.WARNING, f"{refused}{told}", advice)


async def _room(backend: BackendClient) -> Check:
    """How much of what all together may use is used."""
    report = await backend.get_quotas()
    shares = {
        what: getattr(report.used, field) / max(getattr(report.quotas.total, field), 1)
        for field, (_, what) in COUNTED.items()
    }
    shares["heap"] = report.heap_bytes_used / max(report.quotas.heap_bytes, 1)
    fullest = max(shares, key=shares.__getitem__)
    detail = f"{shares[fullest]:.0%} of what there may be, of {fullest}"
    if shares[fullest] < _FULL:
        return Check("quotas", Verdict.OK, detail)
    return Check("quotas", Verdict.WARNING, detail, "'admin quotas' shows and changes the limits")


async def _settings(agent: Agent, backend: BackendClient) -> Check:
    """What the network keeps the backend to, which its controllers can see; and whether the backend reckons with it."""
    settings = (await ManagementCanister(agent).canister_status(backend.canister_id)).settings
    reckoned = (await backend.get_personal_canister_settings()).freezing_threshold
    heap = (await backend.get_quotas()).quotas.heap_bytes
    threshold = quantities.duration(settings.freezing_threshold)
    limit = settings.wasm_memory_limit or 0
    memory = f"at most {quantities.size(limit)}" if limit else "without a limit"
    detail = f"frozen below {threshold} of idling, Wasm memory {memory}"
    again = f"'deploy --canister {backend.canister_id}'"
    if settings.freezing_threshold != reckoned:
        advice = (
            f"the backend reckons with {quantities.duration(reckoned)}: {again} with --freezing-threshold sets both"
        )
        return Check("settings", Verdict.WARNING, detail, advice)
    if 0 < limit < heap * 4 // 3:
        advice = (
            f"too little to collect a heap of {quantities.size(heap)}: set another limit with {again} "
            "--wasm-memory-limit, or another heap with 'admin quotas --heap'"
        )
        return Check("settings", Verdict.WARNING, detail, advice)
    return Check("settings", Verdict.OK, detail)


async def _staff(backend: BackendClient, caller: Principal, info: CanisterInfo) -> AsyncIterator[Check]:
    """The caller's roles, and the reserve if they may see it."""
    roles = ["controller"] if caller in info.controllers else []
    if await _answers(backend.list_admins()):
        roles.append("admin")
        if caller in await backend.list_operators():
            roles.append("operator")
    elif await _answers(backend.list_open_requests(OwnerPageRequest(limit=1))):
        roles.append("operator")
    if not roles:
        yield Check("roles", Verdict.OK, "none; the caller can be an owner")
        yield Check("reserve", Verdict.SKIPPED, "only admins and operators can see it")
        return
    yield Check("roles", Verdict.OK, ", ".join(roles))
    reserve = await backend.get_reserve_status()
    advice = f"'canister-factory reserve top-up {reserve.recommended_top_up}'" if reserve.recommended_top_up else ""
    yield Check(
        "reserve",
        _LEVELS[reserve.alert_level],
        f"{quantities.cycles(reserve.available)} cycles available, {reserve.alert_level}",
        advice,
    )
    yield await _room(backend)


async def _answers(asked: Awaitable[object]) -> bool:
    """Whether the backend answers this to the caller."""
    try:
        await asked
    except CreationRefused:
        return False
    return True
