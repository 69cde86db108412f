"""`call`: one method of one canister, with textual Candid in and out.

Owns finding the interface and showing the reply. Does not own: Candid (`candid`) and the call itself (`ic.agent`).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from canister_factory.candid.decode import decode, decode_untyped
from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.encode import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.text import format_args, parse_args
from canister_factory.candid.types import Func, Type
from canister_factory.candid.values import Case, FuncRef, Some
from canister_factory.cli import output
from canister_factory.cli.errors import InputError
from canister_factory.cli.options import PRINCIPAL, identity_option, network_options, output_options, run_with_agent
from canister_factory.cli.parameters import Choice

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

Form = Literal["text", "json", "hex"]
_MANAGEMENT = Principal.management_canister()


@click.command()
@click.argument("canister", type=PRINCIPAL)
@click.argument("method")
@click.argument("args", required=False)
@click.option(
    "--args-file",
    type=click.File("r", encoding="utf-8"),
    help="Read ARGS from a file (-: from stdin): the system limits how long they may be on the command line.",
)
@network_options
@identity_option
@click.option("--query/--update", "as_query", default=None, help="Default: what the canister's interface says.")
@click.option(
    "--did",
    "did_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The interface.  [default: the canister's certified metadata candid:service]",
)
@click.option("--output", "form", type=Choice(["text", "json", "hex"]), help="Form of the reply.  [default: text]")
@output_options
def call(
    canister: Principal,
    method: str,
    args: str | None,
    args_file: TextIO | None,
    network: Network,
    identity: Identity,
    as_query: bool | None,
    did_file: Path | None,
    form: Form | None,
) -> None:
    """Call METHOD of CANISTER with ARGS in textual Candid, such as '("text", 5, record { x = opt true })'.

    CANISTER is a canister's id, or aaaaa-aa for the methods of the management canister. Without ARGS: none, '()'.
    """
    if args is not None and args_file is not None:
        raise click.UsageError("ARGS are given twice: on the command line and with --args-file")
    text = args_file.read() if args_file is not None else args or "()"
    given = None
    if did_file is not None:
        given = parse_did(did_file.read_text("utf-8"), source=did_file.name)
    elif canister == _MANAGEMENT:
        given = parse_did(files("canister_factory.replica").joinpath("management.did").read_text("utf-8"))
    shown: Form = form or ("json" if output.settings.json else "text")

    async def work(agent: Agent) -> None:
        function = await _function(agent, canister, method, given)
        argument, values = _argument(text, function)
        query = as_query if as_query is not None else function is not None and function.is_query
        send = agent.query if query else agent.update
        effective = await _effective_id(agent, values) if canister == _MANAGEMENT else None
        _show(await send(canister, method, argument, effective_canister_id=effective), function, shown)

    run_with_agent(identity, network, work)


async def _function(agent: Agent, canister: Principal, method: str, interface: Interface | None) -> Func | None:
    """The method's type; `None` when nothing tells. Raises `InputError` when the interface has no such method."""
    if interface is None:
        text = await agent.metadata(canister, "candid:service")
        if text is None:
            return None
        interface = parse_did(text.decode("utf-8"), source="candid:service")
    return _method(interface, method)


def _method(interface: Interface, method: str) -> Func:
    names = [name for name, _ in interface.service.methods] if interface.service else []
    if interface.service is None or method not in names:
        near = get_close_matches(method, names) or names
        raise InputError(f"the interface has no method {method}; it has: {', '.join(near) or 'none'}")
    return interface.service.method(method)


def _argument(text: str, function: Func | None) -> tuple[bytes, Sequence[Any]]:
    """The encoded argument and its values; parentheses may be left out around one value."""
    stripped = text.strip()
    listed = stripped if stripped.startswith("(") else f"({stripped})"
    parsed = parse_args(listed, function.args if function else None)
    return encode(parsed.types, parsed.values), parsed.values


async def _effective_id(agent: Agent, values: Sequence[Any]) -> Principal:
    """Where a call of the management canister goes: to the canister that its argument names."""
    record = values[0] if values and isinstance(values[0], dict) else {}
    for label in ("target_canister", "canister_id"):
        if isinstance(record.get(label), Principal):
            found: Principal = record[label]
            return found
    return await agent.default_effective_canister_id()


def _show(reply: bytes, function: Func | None, form: Form) -> None:
    if form == "hex":
        output.json_object({"reply": reply.hex()}) if output.settings.json else output.text(reply.hex())
        return
    types: Sequence[Type]
    if function is None:
        types, values = decode_untyped(reply)
    else:
        types, values = function.results, decode(reply, function.results)
    if form == "text":
        text = format_args(types, values)
        output.json_object({"reply": text}) if output.settings.json else output.text(text)
    else:
        output.json_object([plain(value) for value in values])


def plain(value: Any) -> Any:
    """A decoded value as JSON has it: variants as objects with one key, principals as text, blobs in hexadecimal."""
    if isinstance(value, Case):
        return {str(value.tag): plain(value.value)}
    if isinstance(value, Some):
        return [plain(value.value)]
    if isinstance(value, FuncRef):
        return {"service": str(value.service), "method": value.method}
    if isinstance(value, dict):
        return {str(label): plain(field) for label, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return str(value) if isinstance(value, Principal) else value
