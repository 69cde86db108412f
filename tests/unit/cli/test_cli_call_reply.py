"""How `call` shows a reply: in the form asked for, or in hexadecimal when that can't be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT, NAT64, Named, Opt, Type, Vec
from canister_factory.cli.call_candid import show_reply
from support.cli_settings import printing


def nested(depth: int) -> bytes:
    """A message with a list in a list in a list."""
    tree = Named("Tree")
    tree.define(Vec(tree))
    header = encode([tree], [[]])[:-1]
    return header + b"\x01" * depth + b"\x00"


def test_a_nested_reply_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_reply(nested(3), None, None, "json")
    assert json.loads(capsys.readouterr().out) == [[[[[]]]]]
    show_reply(nested(3), None, None, "text")
    assert capsys.readouterr().out == "(vec { vec { vec { vec {} } } })\n"


@pytest.mark.parametrize("depth", [400, 700, 1000, 5000])
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_reply_nested_as_deeply_as_may_be_is_never_lost(
    capsys: pytest.CaptureFixture[str], form: Any, depth: int
) -> None:
    message = nested(depth)
    show_reply(message, None, None, form)
    out, err = capsys.readouterr()
    if "hexadecimal" in err:
        assert message == bytes.fromhex(json.loads(out)["reply_hex"] if form == "json" else out)
    else:
        assert out.count("[" if form == "json" else "vec {") == depth + (2 if form == "json" else 1)


@pytest.mark.parametrize(
    ("t", "value", "shown"),
    [(NAT, 2**70, ["1180591620717411303424"]), (Opt(Opt(NAT64)), None, [None]), (Vec(NAT64), [1], [["1"]])],
)
def test_numbers_of_a_reply_are_text_in_json(
    capsys: pytest.CaptureFixture[str], t: Type, value: Any, shown: list[Any]
) -> None:
    show_reply(encode([t], [value]), None, None, "json")
    assert json.loads(capsys.readouterr().out) == shown


def test_with_the_json_option_the_textual_form_and_the_hexadecimal_one_are_told_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with printing(json=True):
        show_reply(encode([NAT], [5]), None, None, "text")
        assert json.loads(capsys.readouterr().out) == {"reply": "(5 : nat)"}
        show_reply(b"noise", None, None, "text")
    assert json.loads(capsys.readouterr().out)["reply_hex"] == b"noise".hex()
