"""The official Candid decoding tests, each assertion on its own.

The suite's files are not part of this project; they are read from beside the checkout. Their assertion syntax exists
in this file only: it's added to the product's grammar, which reads types and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lark import Token, Tree

from canister_factory.candid.decoding import decode
from canister_factory.candid.did import parse_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError
from canister_factory.candid.grammar import TypeBuilder, bytes_of, parse, parser, text_of
from canister_factory.candid.text import parse_args
from canister_factory.candid.types import Type

SUITE = Path(__file__).resolve().parents[2].parent / "shared" / "candid-suite"
RULES = """
suite: ((def | assertion) ";")*
assertion: "assert" input _expectation ":" tuptype TEXT?
_expectation: holds | fails | equal | differs
holds:
fails: "!"
equal: "==" input
differs: "!=" input
input: "blob" TEXT -> binary
   | TEXT          -> textual
"""
EXPECTED_ASSERTIONS = 467


@dataclass
class Assertion:
    types: tuple[Type, ...]
    message: Any
    relation: str
    other: Any
    name: str


def read_suite(path: Path) -> list[Assertion]:
    """The type definitions of a file go through `parse_did`, its assertions through the extended grammar."""
    source = path.read_text("utf-8")
    tree = parse(source, "suite", path.name, using=parser(RULES, ("suite",)))
    statements = [node for node in tree.children if isinstance(node, Tree)]
    definitions = [n for n in statements if n.data == "type_def"]
    lines = "".join(source[n.meta.start_pos : n.meta.end_pos] + ";\n" for n in definitions)
    builder = TypeBuilder(parse_did(lines).types)
    assertions = []
    for node in statements:
        if node.data != "assertion":
            continue
        message, relation, types, *title = node.children
        assert isinstance(relation, Tree)
        assert isinstance(types, Tree)
        name = text_of(title[0]) if title and isinstance(title[0], Token) else "untitled"
        other = relation.children[0] if relation.children else None
        where = f"{path.name.split('.')[0]}:{node.meta.line} {name}"
        assertions.append(Assertion(builder.tuple_types(types), message, relation.data, other, where))
    return assertions


def read_input(node: Any, types: tuple[Type, ...]) -> tuple[Any, ...]:
    (literal,) = node.children
    if node.data == "binary":
        return decode(bytes_of(literal), types)
    return parse_args(text_of(literal), types, ignore_unknown_fields=True).values


ASSERTIONS = [a for path in sorted(SUITE.glob("*.test.did")) for a in read_suite(path)]
needs_suite = pytest.mark.skipif(not ASSERTIONS, reason="the official Candid suite is not beside this checkout")


@pytest.mark.shared
@needs_suite
def test_the_whole_official_suite_is_read() -> None:
    assert len(ASSERTIONS) == EXPECTED_ASSERTIONS


@pytest.mark.shared
@needs_suite
@pytest.mark.parametrize("assertion", ASSERTIONS or [None], ids=lambda assertion: getattr(assertion, "name", "absent"))
def test_official_assertion(assertion: Assertion) -> None:
    if assertion.relation == "fails":
        with pytest.raises(CandidError):
            read_input(assertion.message, assertion.types)
        return
    values = read_input(assertion.message, assertion.types)
    if assertion.relation == "equal":
        assert values == read_input(assertion.other, assertion.types)
    if assertion.relation == "differs":
        assert values != read_input(assertion.other, assertion.types)
    # What was decoded can be sent again, and means the same.
    if "NaN" not in assertion.name:
        assert decode(encode(assertion.types, values), assertion.types) == values
