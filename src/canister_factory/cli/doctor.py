"""`doctor`: looks at everything that a command needs, from Python to the backend's reserve, and says what to do.

Owns the order of the checks on this side. Does not own: those of the backend (`doctor_backend`).
"""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.doctor_backend import check_backend
from canister_factory.cli.errors import DONE, FAILED, UNREACHABLE
from canister_factory.cli.options import (
    backend_option,
    identity_file_option,
    load_identity,
    network_name_options,
    output_options,
    resolve_network,
)
from canister_factory.cli.results import Check, Verdict, checks
from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.errors import ArtifactError, ContractError
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    IcError,
    IdentityError,
    NetworkConfigError,
    NetworkUnreachableError,
    RequestExpiryError,
    StaleCertificateError,
)
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.identity import Identity

if TYPE_CHECKING:
    from canister_factory.ic.network import Network

_SKEW_NOTED_S = 5.0
_SKEW_HARMFUL_S = 60.0
"""Requests carry their expiry by this computer's clock; the network takes those that expire within 5 minutes, and so
has less than that for clocks that differ."""

_NEW_KEY = "make one with 'canister-factory identity new FILE.pem' and give it with --identity"


@click.command()
@network_name_options
@identity_file_option
@partial(backend_option, required=False)
@output_options
def doctor(
    network_name: str,
    root_key_hex: str | None,
    fetch_root_key: bool,
    identity_file: Path | None,
    backend: Principal | None,
) -> None:
    """Check what commands need, and say what to do.

    Looks at the installation, the identity, the network and the backend. Nothing is changed. Exit code 1 when a
    check fails, 3 when the network can't be reached.

    \b
    Example:
      canister-factory doctor --network local --identity admin.pem --backend $BACKEND
    """
    made = [_python(), _extra(network_name), _artifacts()]
    identity_check, identity = _identity(identity_file)
    made.append(identity_check)
    reached = True
    try:
        network = resolve_network(network_name, root_key_hex, fetch_root_key)
    except (IcError, click.BadParameter) as error:
        reached = not isinstance(error, NetworkUnreachableError)
        advice = "" if isinstance(error, NetworkUnreachableError | NetworkConfigError) else "is it a network?"
        made.append(Check("network", Verdict.FAILED, str(error), advice))
    else:
        made.append(_root_key(network, network_name, root_key_hex, fetch_root_key))
        found, reached = interrupts.run(lambda: _online(network, identity, backend))
        made.extend(found)
    passed = checks("", made)
    click.get_current_context().exit(DONE if passed else FAILED if reached else UNREACHABLE)


# --- This computer --------------------------------------------------------------------------------------------------


def _python() -> Check:
    found = f"Python {platform.python_version()}, canister-factory {version('canister-factory')}"
    return Check("installation", Verdict.OK, found)


def _extra(network_name: str) -> Check:
    if importlib.util.find_spec("wasmtime") is not None and importlib.util.find_spec("aiohttp") is not None:
        return Check("embedded replica", Verdict.OK, "installed")
    needed = network_name == "embedded"
    return Check(
        "embedded replica",
        Verdict.WARNING if needed else Verdict.SKIPPED,
        "not installed" + ("" if needed else ", nor needed for this network"),
        "pip install 'canister-factory[replica]'" if needed else "",
    )


def _artifacts() -> Check:
    try:
        found = ", ".join(
            f"{module.name} {output.ident(module.module_hash)}" for module in (backend_wasm(), personal_wasm())
        )
    except ArtifactError as error:
        return Check("bundled canisters", Verdict.FAILED, str(error))
    return Check("bundled canisters", Verdict.OK, f"{found}, as their checksums say")


def _identity(file: Path | None) -> tuple[Check, Identity]:
    if file is None:
        return Check("identity", Verdict.WARNING, "none: calls are anonymous", _NEW_KEY), Identity.anonymous()
    warnings: list[str] = []
    try:
        identity = load_identity(file, warnings.append)
    except IdentityError as error:
        return Check("identity", Verdict.FAILED, str(error), _NEW_KEY), Identity.anonymous()
    found = f"{output.ident(identity.sender())}, {identity.key_type}"
    if warnings:
        return Check("identity", Verdict.WARNING, found, warnings[0]), identity
    return Check("identity", Verdict.OK, found), identity


# --- The network ----------------------------------------------------------------------------------------------------


def _root_key(network: Network, network_name: str, root_key_hex: str | None, fetched: bool) -> Check:
    if network.is_mainnet:
        return Check("root key", Verdict.OK, "the Internet Computer's, pinned")
    if root_key_hex is not None:
        return Check("root key", Verdict.OK, "as given")
    if network_name == "embedded":
        return Check("root key", Verdict.OK, "the embedded replica's own, from its state file")
    if network.is_loopback and not fetched:
        return Check("root key", Verdict.OK, "fetched from the network on this computer")
    return Check("root key", Verdict.WARNING, f"fetched from {network.url}", "for test networks only: give --root-key")


async def _online(network: Network, identity: Identity, backend: Principal | None) -> tuple[list[Check], bool]:
    """What needs the network, and whether it could be reached."""
    async with Agent(identity, network) as agent:
        try:
            made = [await _health(agent)]
        except NetworkUnreachableError as error:
            return [Check("network", Verdict.FAILED, str(error))], False
        except IcError as error:
            return [Check("network", Verdict.FAILED, str(error), "is this an Internet Computer network?")], True
        made.append(await _clock(agent))
        if backend is None:
            advice = "give --backend, or make one with 'canister-factory deploy'"
            made.append(Check("backend", Verdict.SKIPPED, "none was given", advice))
        else:
            try:
                made.extend([check async for check in check_backend(agent, backend)])
            except (IcError, ContractError) as error:
                made.append(Check("backend", Verdict.FAILED, f"{backend}: {error}"))
    return made, True


async def _health(agent: Agent) -> Check:
    status = await agent.status()
    found = f"{agent.network.url}, {quoted(status.health or 'of unknown health', 100)}"
    if status.implementation:
        found += f", {quoted(status.implementation, 100)}"
    if status.root_key is not None and status.root_key != agent.network.root_key:
        return Check(
            "network", Verdict.FAILED, found, "its root key is another than the expected one: is it restarted?"
        )
    healthy = status.health in (None, "healthy")
    if status.reason is not None:
        return Check("network", Verdict.FAILED, found, status.reason)
    return Check("network", Verdict.OK if healthy else Verdict.WARNING, found)


async def _clock(agent: Agent, now: Callable[[], float] = time.time) -> Check:
    """This computer's clock against the network's certified time."""
    advice = "set this computer's clock (NTP): requests expire by it"
    try:
        effective = await agent.default_effective_canister_id()
        before = now()
        certificate = await agent.read_state(effective, [[b"time"]])
        after = now()
    except (StaleCertificateError, RequestExpiryError) as error:
        return Check("clock", Verdict.FAILED, str(error), advice)
    except IcError as error:
        return Check("clock", Verdict.WARNING, f"the network's time can't be read: {error}")
    there = certificate.time_ns / 1e9
    # The certificate was made between the two readings, and may be as old as the network's latest round.
    skew = before - there if there < before else min(0.0, after - there)
    found = f"{output.duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the network's certified time"
    if abs(skew) < _SKEW_NOTED_S:
        return Check("clock", Verdict.OK, f"within {_SKEW_NOTED_S:.0f} s of the network's certified time")
    return Check("clock", Verdict.FAILED if abs(skew) >= _SKEW_HARMFUL_S else Verdict.WARNING, found, advice)
