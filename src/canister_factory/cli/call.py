"""`call`: one method of one canister, with textual Candid in and out.

Owns reading the argument and showing the reply. Does not own: the interface (`interface`), Candid (`candid`)
and the call itself (`ic.agent`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from canister_factory.candid.decoding import decode, decode_untyped
from canister_factory.candid.did import Interface
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError, DecodeError, ParseError, PrincipalError
from canister_factory.candid.json_form import to_json
from canister_factory.candid.naming import label_names, with_names
from canister_factory.candid.principal import Principal
from canister_factory.candid.text import parse_args
from canister_factory.candid.text_form import format_args
from canister_factory.candid.types import PRINCIPAL as PRINCIPAL_TYPE
from canister_factory.candid.types import TEXT, Func, Opt, Service, Type, resolve
from canister_factory.cli import interface, output
from canister_factory.cli.options import PRINCIPAL, identity_option, network_options, output_options, run_with_agent
from canister_factory.cli.parameters import Choice

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

Form = Literal["text", "json", "hex"]


@click.command()
@click.argument("canister", type=PRINCIPAL)
@click.argument("method")
@click.argument("args", required=False)
@click.option(
    "--args-file",
    type=click.File("rb"),
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
    args_file: BinaryIO | None,
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
    text = (
        interface.utf8(args_file.read(), getattr(args_file, "name", "<stdin>")) if args_file is not None else args or ""
    )
    given = None
    if did_file is not None:
        given = interface.of_file(did_file)
    elif canister == interface.MANAGEMENT:
        given = interface.of_management()
    shown: Form = form or ("json" if output.settings.json else "text")

    async def work(agent: Agent) -> None:
        known = given or await interface.of_canister(agent, canister)
        function = interface.method_of(known, method) if known is not None else None
        argument, values = _argument(text, function)
        query = as_query if as_query is not None else function is not None and function.is_query
        send = agent.query if query else agent.update
        effective = None
        if canister == interface.MANAGEMENT:
            effective = effective_id(method, values) or await agent.default_effective_canister_id()
        _show(await send(canister, method, argument, effective_canister_id=effective), function, known, shown)

    run_with_agent(identity, network, work)


def _argument(text: str, function: Func | None) -> tuple[bytes, Sequence[Any]]:
    """The encoded argument and its values; parentheses may be left out around one value."""
    expected = function.args if function else None
    try:
        parsed = parse_args(text, expected, bare=True)
    except ParseError as error:
        meant = _meant(text.strip(), expected)
        if meant is None:
            raise
        raise ParseError(f"{error.problem}; did you mean {shlex.quote(meant)}?", error.line, error.column) from None
    return encode(parsed.types, parsed.values), parsed.values


def _meant(word: str, expected: Sequence[Type] | None) -> str | None:
    """What somebody meant who left out the quotes of a text or of a principal, as shells do."""
    if not word or len(word) > 200 or any(mark in word for mark in '"\\(){};\n'):
        return None
    if expected is not None and len(expected) != 1:
        return None
    wanted = resolve(expected[0]) if expected is not None else None
    if isinstance(wanted, Opt):
        wanted = resolve(wanted.inner)
    if wanted is None or wanted is PRINCIPAL_TYPE or isinstance(wanted, Service):
        try:
            kind = "service" if isinstance(wanted, Service) else "principal"
            return f'({kind} "{Principal.from_str(word)}")'
        except PrincipalError:
            pass
    return f'("{word}")' if wanted is None or wanted is TEXT else None


def effective_id(method: str, values: Sequence[Any]) -> Principal | None:
    """Where a call of the management canister goes: to the canister that its argument names, or anywhere (`None`).

    Source: interface specification, "Effective canister id". Where a creation asks for an id, the subnet that has it is
    the one to ask.
    """
    record = values[0] if values and isinstance(values[0], dict) else {}
    field = {"install_chunked_code": "target_canister", "provisional_create_canister_with_cycles": "specified_id"}
    named = record.get(field.get(method, "canister_id"))
    return named if isinstance(named, Principal) else None


def _show(reply: bytes, function: Func | None, known: Interface | None, form: Form) -> None:
    """Prints the reply. The call is done: what can't be shown as asked is shown in hexadecimal, and why."""
    if form == "hex":
        output.json_object({"reply": reply.hex()}) if output.settings.json else output.text(reply.hex())
        return
    try:
        types, values = _read(reply, function, known)
        if form == "json":
            output.json_object([to_json(t, value) for t, value in zip(types, values, strict=True)])
        else:
            text = format_args(types, values)
            output.json_object({"reply": text}) if output.settings.json else output.text(text)
    except (CandidError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        output.note(f"warning: the reply can't be shown as {form}: {problem}; it follows in hexadecimal")
        if form == "json" or output.settings.json:
            output.json_object({"reply_hex": reply.hex(), "problem": problem})
        else:
            output.text(reply.hex())


def _read(reply: bytes, function: Func | None, known: Interface | None) -> tuple[Sequence[Type], Sequence[Any]]:
    """Types and values of a reply: those of the interface, else its own. Raises `DecodeError` for what is no Candid."""
    if function is not None:
        try:
            return function.results, decode(reply, function.results)
        except DecodeError as error:
            problem = f"the reply isn't what the interface says: {error}"
    types, values = decode_untyped(reply)
    if function is None or known is None or known.service is None:
        return types, values
    output.note(f"warning: {problem}; it is shown by its own types")
    named = with_names(types, label_names([known.service, *known.types.values()]))
    return named, decode(reply, named)
