"""A call's argument from textual Candid, where the call goes, and its reply in the form that was asked for.

Owns reading and showing. Does not own: the interface (`interface`), Candid (`candid`), and the call (`ic.agent`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Literal

from canister_factory.candid.decoding import decode, decode_untyped
from canister_factory.candid.did import Interface
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError, DecodeError, ParseError, PrincipalError
from canister_factory.candid.json_form import to_json
from canister_factory.candid.naming import label_names, with_names
from canister_factory.candid.principal import Principal
from canister_factory.candid.text import parse_args
from canister_factory.candid.text_form import format_args
from canister_factory.candid.types import PRINCIPAL, TEXT, Func, Opt, Service, Type, resolve
from canister_factory.cli import output, settings

Form = Literal["text", "json", "hex"]


def read_argument(text: str, function: Func | None) -> tuple[bytes, Sequence[Any]]:
    """The encoded argument and its values; parentheses may be left out around one value.

    Raises:
        ParseError: `text` isn't textual Candid; the message says where, and what may have been meant.
        EncodeError: a value doesn't fit its type.
    """
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
    if wanted is None or wanted is PRINCIPAL or isinstance(wanted, Service):
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


def show_reply(reply: bytes, function: Func | None, known: Interface | None, form: Form) -> None:
    """Prints the reply. The call is done: what can't be shown as asked is shown in hexadecimal, with the reason."""
    if form == "hex":
        output.json_object({"reply": reply.hex()}) if settings.current().json else output.text(reply.hex())
        return
    try:
        types, values = _read(reply, function, known)
        if form == "json":
            output.json_object([to_json(t, value) for t, value in zip(types, values, strict=True)])
        else:
            text = format_args(types, values)
            output.json_object({"reply": text}) if settings.current().json else output.text(text)
    except (CandidError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        output.note(f"warning: the reply can't be shown as {form}: {problem}. It is shown in hexadecimal")
        if form == "json" or settings.current().json:
            output.json_object({"reply_hex": reply.hex(), "problem": problem})
        else:
            output.text(reply.hex())


def _read(reply: bytes, function: Func | None, known: Interface | None) -> tuple[Sequence[Type], Sequence[Any]]:
    """Types and values of a reply: those of the interface, else its own.

    Raises:
        DecodeError: the reply isn't Candid.
    """
    if function is not None:
        try:
            return function.results, decode(reply, function.results)
        except DecodeError as error:
            problem = f"the reply does not match the interface: {error}"
    types, values = decode_untyped(reply)
    if function is None or known is None or known.service is None:
        return types, values
    output.note(f"warning: {problem}. It is shown by its own types")
    named = with_names(types, label_names([known.service, *known.types.values()]))
    return named, decode(reply, named)
