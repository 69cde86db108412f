"""Deploying a canister for a test: a module from a file, created, installed, with its interface.

Owns reading modules and finding the interface: a `.did` file, else what the module says of itself.
Does not own creating and installing (`ic.management`).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.did import Interface, parse_did, read_did
from canister_factory.candid.encoding import encode
from canister_factory.face.canister import Canister
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.runtime import instrument

PLENTY: Final = 10**14
"""Cycles that a canister gets unless a test says otherwise."""


class DeploymentError(CanisterFactoryError):
    """A canister can't be deployed as asked; the message says what to change."""


async def deploy(
    agent: Agent, wasm: bytes | str | Path, *init: Any, did: str | Path | None = None, cycles: int = PLENTY
) -> Canister:
    """Creates a canister and installs a module; the agent's identity controls it.

    Args:
        wasm: the module's file (.wasm, gzipped or not, or .wat), or its bytes.
        init: the arguments of its initialization, as Python values.
        did: the file with its interface; by default the one in the module's own metadata (`candid:service`).
        cycles: what it begins with.

    Raises:
        DeploymentError: the module has no interface and none is given.
        OSError: a file can't be read.
        ParseError, EncodeError: the interface, or the arguments for it, are wrong.
        RejectedError: the module was refused, or its initialization trapped.
    """
    module = wasm if isinstance(wasm, bytes) else _module(Path(wasm))
    interface = read_did(Path(did)) if did is not None else _of_module(module)
    if init and not interface.init_args:
        raise DeploymentError(
            f"{len(init)} arguments are given, but the interface doesn't say which types the module is initialized "
            "with: write it as `service : (T, ...) -> { ... }` in the file for did="
        )
    arg = encode(interface.init_args, init)
    management = ManagementCanister(agent)
    canister_id = await management.provisional_create_canister_with_cycles(cycles)
    await management.install(canister_id, module, arg)
    return Canister(agent, canister_id, interface)


def _module(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".wat":
        return content
    import wasmtime

    return bytes(wasmtime.wat2wasm(content))


def _of_module(module: bytes) -> Interface:
    sections = custom_sections(module)
    service = sections.get("candid:service")
    if service is None:
        raise DeploymentError(
            "the module has no metadata section candid:service: give its interface with did=, or add the section "
            "with `ic-wasm MODULE metadata candid:service -f FILE.did -v public`"
        )
    interface = parse_did(service.decode("utf-8"), source="candid:service")
    args = sections.get("candid:args")
    if interface.init_args or args is None:
        return interface
    init_args = parse_did(f"service : {args.decode('utf-8')} -> {{}}", source="candid:args").init_args
    return Interface(interface.types, interface.service, init_args)


def custom_sections(module: bytes) -> dict[str, bytes]:
    """What a module, gzipped or not, says of itself: the `icp:public` and `icp:private` sections by their names.

    Raises:
        DeploymentError: it is no Wasm module.
    """
    try:
        plain = zlib.decompress(module, wbits=zlib.MAX_WBITS | 16) if module[:2] == b"\x1f\x8b" else module
        if plain[:4] != b"\0asm":
            raise ValueError("it doesn't begin like one")
        metadata = instrument.canister_metadata(instrument.custom_sections(plain))
    except (ValueError, zlib.error) as error:
        raise DeploymentError(f"this is no Wasm module: {error}") from None
    return {name: content for name, (_, content) in metadata.items()}
