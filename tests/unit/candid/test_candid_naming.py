"""Names put back into types that came without."""

from __future__ import annotations

import pytest

from canister_factory.candid.decoding import decode, decode_untyped
from canister_factory.candid.did import parse_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import InvalidTypeError
from canister_factory.candid.labels import label_hash
from canister_factory.candid.naming import label_names, with_names
from canister_factory.candid.text_form import format_args
from canister_factory.candid.types import NAT, TEXT, Opt, Record, Type, tuple_type
from canister_factory.candid.values import Case

DID = """
type Tree = record { name : text; "a b" : opt Tree };
service : { plant : (Tree) -> (variant { Ok : record { nat; Tree }; Err : record { why : text } }) }
"""


def test_a_message_is_shown_with_the_names_of_an_interface() -> None:
    interface = parse_did(DID)
    assert interface.service is not None
    names = label_names([interface.service])
    assert set(names.values()) == {"name", "a b", "Ok", "Err", "why"}
    (result,) = interface.service.method("plant").results
    tree = {"name": "root", "a b": {"name": "leaf", "a b": None}}
    message = encode([result], [Case("Ok", (1, tree))])
    named = with_names(decode_untyped(message)[0], names)
    shown = format_args(named, decode(message, named))
    inner = 'opt record { "a b" = null; name = "leaf" }'
    assert shown == f'(variant {{ Ok = record {{ 1 : nat; record {{ "a b" = {inner}; name = "root" }} }} }})'


def test_labels_that_nobody_names_stay_numbers_and_tuples_stay_tuples() -> None:
    members: dict[str | int, Type] = {"known": NAT, 7: TEXT}
    wire = [Record(members), tuple_type(NAT, TEXT)]
    names = label_names([Record({"known": NAT}), Record({"other": NAT})])
    assert with_names([Record({f.id: f.type for f in wire[0].fields}), wire[1]], names) == tuple(wire)


def test_types_that_share_their_parts_are_walked_once() -> None:
    t: Type = NAT
    for _ in range(200):
        t = Record({"left": t, "right": t})  # as a tree it has 2^200 leaves
    assert set(label_names([t]).values()) == {"left", "right"}
    (renamed,) = with_names([t], {label_hash("left"): "right hand"})
    assert isinstance(renamed, Record)
    assert {f.label for f in renamed.fields} == {"right hand", "right"}


def test_types_nested_too_deeply_are_an_error() -> None:
    t: Type = NAT
    for _ in range(5000):
        t = Opt(t)
    with pytest.raises(InvalidTypeError, match="too deeply"):
        with_names([t], {})
