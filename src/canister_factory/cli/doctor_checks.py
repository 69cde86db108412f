"""What `doctor` checks on this computer and on the network.

Owns these checks. Does not own: those of the backend (`doctor_backend`), and their order (`doctor`).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from canister_factory.cli import output, quantities
from canister_factory.cli.doctor_backend import check_backend
from canister_factory.cli.identity_source import IdentitySource
from canister_factory.cli.results import Check, Verdict
from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.errors import ArtifactError, ContractError
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    IcError,
    IdentityError,
    NetworkUnreachableError,
    RequestExpiryError,
    StaleCertificateError,
)
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.identity import Identity
from canister_factory.replica import missing_libraries

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.network import Network

_SKEW_NOTED_S = 5.0
_SKEW_HARMFUL_S = 60.0
"""Requests carry their expiry by this computer's clock; the network takes those that expire within 5 minutes, and so
has less than that for clocks that differ."""

_NEW_KEY = "'canister-factory identity new FILE.pem' creates one; give it with --identity"


# --- This computer --------------------------------------------------------------------------------------------------


def installation() -> Check:
    """The versions of Python and of this package."""
    versions = f"Python {platform.python_version()}, canister-factory {version('canister-factory')}"
    return Check("installation", Verdict.OK, versions)


def embedded_replica(network_name: str) -> Check:
    """Whether the optional packages are there."""
    if not missing_libraries():
        return Check("embedded replica", Verdict.OK, "installed")
    needed = network_name == "embedded"
    return Check(
        "embedded replica",
        Verdict.WARNING if needed else Verdict.SKIPPED,
        "not installed" + ("" if needed else "; this network does not need it"),
        "pip install 'canister-factory[replica]'" if needed else "",
    )


def bundled_canisters() -> Check:
    """Whether the Wasm modules are what their checksums say."""
    try:
        modules = ", ".join(
            f"{module.name} {output.ident(module.module_hash)}" for module in (backend_wasm(), personal_wasm())
        )
    except ArtifactError as error:
        return Check("bundled canisters", Verdict.FAILED, str(error))
    return Check("bundled canisters", Verdict.OK, f"{modules}, as their checksums say")


def key(source: IdentitySource) -> tuple[Check, Identity]:
    """The identity that was given, anonymous when it can't be used."""
    if not source.is_given:
        return Check("identity", Verdict.WARNING, "none given: calls are anonymous", _NEW_KEY), Identity.anonymous()
    warnings: list[str] = []
    try:
        identity = source.load(warnings.append)
    except IdentityError as error:
        return Check("identity", Verdict.FAILED, str(error), _NEW_KEY), Identity.anonymous()
    owner = f"{output.ident(identity.sender())}, {identity.key_type}"
    if warnings:
        return Check("identity", Verdict.WARNING, owner, warnings[0]), identity
    return Check("identity", Verdict.OK, owner), identity


# --- The network ----------------------------------------------------------------------------------------------------


def root_key(network: Network, network_name: str, root_key_hex: str | None, fetched: bool) -> Check:
    """Where the root key comes from."""
    if network.is_mainnet:
        return Check("root key", Verdict.OK, "the Internet Computer's, pinned")
    if root_key_hex is not None:
        return Check("root key", Verdict.OK, "as given")
    if network_name == "embedded":
        return Check("root key", Verdict.OK, "the embedded replica's own, from its state file")
    if network.is_loopback and not fetched:
        return Check("root key", Verdict.OK, "fetched from the network on this computer")
    return Check("root key", Verdict.WARNING, f"fetched from {network.url}", "for test networks only; give --root-key")


async def online(network: Network, identity: Identity, backend: Principal | None) -> tuple[list[Check], bool]:
    """The checks that need the network, and whether it could be reached."""
    async with Agent(identity, network) as agent:
        try:
            checks = [await _health(agent)]
        except NetworkUnreachableError as error:
            return [Check("network", Verdict.FAILED, str(error))], False
        except IcError as error:
            return [Check("network", Verdict.FAILED, str(error), "is this an Internet Computer network?")], True
        checks.append(await check_clock(agent))
        if backend is None:
            advice = "give --backend, or create a backend with 'canister-factory deploy'"
            checks.append(Check("backend", Verdict.SKIPPED, "none given", advice))
        else:
            try:
                checks.extend([check async for check in check_backend(agent, backend)])
            except (IcError, ContractError) as error:
                checks.append(Check("backend", Verdict.FAILED, f"{backend}: {error}"))
    return checks, True


async def _health(agent: Agent) -> Check:
    status = await agent.status()
    seen = f"{agent.network.url}, {quoted(status.health or 'of unknown health', 100)}"
    if status.implementation:
        seen += f", {quoted(status.implementation, 100)}"
    if status.root_key is not None and status.root_key != agent.network.root_key:
        return Check(
            "network", Verdict.FAILED, seen, "its root key is not the expected one: was the network restarted?"
        )
    healthy = status.health in (None, "healthy")
    if status.reason is not None:
        return Check("network", Verdict.FAILED, seen, status.reason)
    return Check("network", Verdict.OK if healthy else Verdict.WARNING, seen)


async def check_clock(agent: Agent, now: Callable[[], float] = time.time) -> Check:
    """This computer's clock against the network's certified time."""
    advice = "set this computer's clock (NTP), which decides when requests expire"
    try:
        effective = await agent.default_effective_canister_id()
        before = now()
        certificate = await agent.read_state(effective, [[b"time"]])
        after = now()
    except (StaleCertificateError, RequestExpiryError) as error:
        return Check("clock", Verdict.FAILED, str(error), advice)
    except IcError as error:
        return Check("clock", Verdict.WARNING, f"the network's time can't be read: {error}")
    certified = certificate.time_ns / 1e9
    # The certificate was made between the two readings, and may be as old as the network's latest round.
    skew = before - certified if certified < before else min(0.0, after - certified)
    offset = f"{quantities.duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the network's certified time"
    if abs(skew) < _SKEW_NOTED_S:
        return Check("clock", Verdict.OK, f"within {_SKEW_NOTED_S:.0f} s of the network's certified time")
    return Check("clock", Verdict.FAILED if abs(skew) >= _SKEW_HARMFUL_S else Verdict.WARNING, offset, advice)
