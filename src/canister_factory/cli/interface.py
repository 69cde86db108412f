"""Where `call` gets a canister's interface: a file, the canister's certified metadata, or this package.

Owns reading it, and which faults are forgiven: without the canister's own interface a call goes on with the types of
its values. Does not own: Candid's language (`candid.did`) or the call (`call`).
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from canister_factory.candid.did import Interface, parse_did, read_import
from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Func
from canister_factory.cli import output
from canister_factory.cli.errors import InputError
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent

MANAGEMENT = Principal.management_canister()


def of_file(path: Path) -> Interface:
    """The interface of a file and of what it imports.

    Raises:
        InputError: the file isn't UTF-8.
        ParseError: the file isn't Candid.
    """
    return parse_did(utf8(path.read_bytes(), str(path)), read_import, str(path))


def of_management() -> Interface:
    """The management canister's interface as the specification has it, on every network."""
    return parse_did(files("canister_factory.ic").joinpath("management.did").read_text("utf-8"))


async def of_canister(agent: Agent, canister: Principal) -> Interface | None:
    """The interface that a canister publishes; `None`, and a note that says why, when it has none that can be used.

    Raises:
        IcError: what `Agent.read_state` raises, but for a refusal to show the metadata.
    """
    from canister_factory.ic.errors import ProtocolError

    try:
        published = await agent.metadata(canister, "candid:service")
    except ProtocolError as error:
        _warn(f"may not be read: {error}")
        return None
    if published is None:
        _warn("is missing")
        return None
    try:
        interface = parse_did(published.decode("utf-8"), source="candid:service")
    except UnicodeDecodeError as error:
        _warn(f"is not UTF-8 at byte {error.start}")
    except CandidError as error:
        _warn(f"can't be read: {error}")
    else:
        if interface.service is not None:
            return interface
        _warn("describes no service")
    return None


def method_of(interface: Interface, method: str) -> Func:
    """A method's type.

    Raises:
        InputError: the interface has no such method; the message names similar ones.
    """
    names = [name for name, _ in interface.service.methods] if interface.service else []
    if interface.service is None or method not in names:
        near = get_close_matches(method, names) or names
        raise InputError(f"the interface has no method {method}. It has: {', '.join(near) or 'none'}")
    return interface.service.method(method)


def utf8(data: bytes, source: str) -> str:
    """The text of a file that a person named.

    Raises:
        InputError: the file isn't UTF-8; the message says where.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}") from None


def _warn(problem: str) -> None:
    output.note(
        f"warning: the canister's interface (candid:service) {quoted(problem)}; types are taken from the values, "
        "and labels in the reply are numbers. Give the interface with --did FILE"
    )
