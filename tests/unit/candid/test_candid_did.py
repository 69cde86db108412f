from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid.did import parse_did
from canister_factory.candid.errors import ParseError
from canister_factory.candid.subtyping import types_equal
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    NAT,
    NAT64,
    NULL,
    PRINCIPAL,
    TEXT,
    Func,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    tuple_type,
)

BACKEND = """
// A comment with "quotes" and /* no block
/* A block /* that nests */ and "an open quote */
type PersonRef = variant { Principal : principal; Opaque : text };
type Result = variant { Ok; Err : text; 3 : nat };
type Access = variant { Public; Scheduled : record { accessible_after : nat64; access : Access } };
type Pair = record { text; nat };
type Mixed = record { 5 : nat; text; "a b" : blob };
type Getter = func (id : text, "second" : nat) -> (opt blob) query;
/// Documentation is ignored.
service backend : (init : record { admins : vec principal }, opt text) -> {
  get : Getter;
  "read all" : () -> (vec Pair) composite_query;
  notify : (PersonRef) -> () oneway;
  "query" : (Access,) -> (Result);
}
"""


def test_a_whole_interface_is_read() -> None:
    interface = parse_did(BACKEND)
    types = interface.types
    assert types["PersonRef"] == Variant({"Principal": PRINCIPAL, "Opaque": TEXT})
    result: dict[str | int, Type] = {"Ok": NULL, "Err": TEXT, 3: NAT}
    assert types["Result"] == Variant(result)
    assert types["Pair"] == tuple_type(TEXT, NAT)
    mixed: dict[str | int, Type] = {5: NAT, 6: TEXT, "a b": BLOB}
    assert types["Mixed"] == Record(mixed)
    assert interface.init_args == (Record({"admins": Vec(PRINCIPAL)}), Opt(TEXT))
    assert interface.service is not None
    assert [name for name, _ in interface.service.methods] == ["get", "notify", "query", "read all"]
    assert interface.service.method("get") == Func([TEXT, NAT], [Opt(BLOB)], ["query"])
    assert interface.service.method("read all").modes == {"composite_query"}
    assert interface.service.method("notify").modes == {"oneway"}
    access = types["Access"]
    assert types_equal(
        access, Variant({"Public": NULL, "Scheduled": Record({"accessible_after": NAT64, "access": access})})
    )


def test_the_service_may_be_a_name_or_absent() -> None:
    named = parse_did("type S = service { m : () -> () }; service : () -> S")
    assert named.service == Service({"m": Func()})
    assert named.init_args == ()
    assert parse_did("").service is None
    assert parse_did("type A = nat;").types == {"A": NAT}
    assert parse_did("service : {};").service == Service({})


def test_what_a_type_prints_is_read_back() -> None:
    service = parse_did(BACKEND).service
    assert service is not None
    definitions = BACKEND[: BACKEND.index("service backend")]
    again = parse_did(f"{definitions} type Again = {service};").types["Again"]
    assert types_equal(again, service)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type A = record {\n  a : nat,\n}", "2:10: unexpected ','"),
        ("type A = nat type B = nat", "1:14: unexpected 'type'"),
        ("type A = Missing;", "1:10: type Missing is not defined"),
        ("type A = nat;\ntype A = int;", "2:6: type A is defined twice"),
        ("type A = B; type B = A;", "1:6: type A is vacuous"),
        ("type A = record { foo : nat; 5097222 : nat }", "1:10: record labels 'foo' and 5097222 have the same number"),
        ("type A = record { a : nat; a : nat }", "1:28: label a is used twice in this record"),
        ("type A = variant { 4294967296 }", "1:20: a field number has at most 32 bits"),
        ("service : { m : () -> (nat) oneway }", "1:17: a oneway function has no results"),
        ("service : { m : () -> (); m : () -> () }", "1:27: method m is declared twice"),
        ("type T = nat; service : { m : T }", "1:15: method m has type T, expected a function"),
        ("type T = nat; service : T", "1:15: the main service is nat, no service"),
        ("type F = func (a : nat, a : nat) -> ()", "1:25: the name a is used twice in this list"),
        ("type A = record { query : nat }", '1:19: query is a word of the language; as a name it is quoted: "query"'),
        ("type A = record { a : nat; opt : nat }", "1:28: opt is a word of the language"),
        ("type A = variant { ok; null }", "1:24: null is a word of the language"),
        ("service : { import : () -> () }", "1:13: import is a word of the language"),
        ("type record = nat", "1:6: unexpected 'record'"),
        ("type A = nat; /* open /* nested */", "1:15: this block comment is not closed"),
        ('type A = record { "open : nat }', "1:19: this string is not closed"),
        ("type A = nat; ?", "1:15: unexpected character '?'"),
        ("type A = opt", "1:13: the text ends too early"),
        ('type A = record { "\\u{d800}" : nat }', "1:19: wrong escape"),
        ('type A = record { "\\ff" : nat }', "1:19: the string is not UTF-8"),
        ('import "other.did";', "1:8: import of 'other.did' refused: imports need a resolver"),
        ("type A = " + "opt " * 5000 + "nat", "types are nested too deeply"),
    ],
)
def test_mistakes_are_reported_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_did(text)
    assert message in str(caught.value)


def test_errors_name_the_file() -> None:
    with pytest.raises(ParseError, match=r"^backend.did:1:5: unexpected ';'"):
        parse_did("type;", source="backend.did")


FILES = {
    "types.did": 'import "more.did"; type Id = More; service : { ping : () -> (Id) }',
    "more.did": 'import "types.did"; type More = text;',
    "init.did": "service : (nat) -> {}",
}


def test_imports_go_through_the_resolver() -> None:
    text = 'import service "types.did"; import "more.did"; service : { own : (Id) -> () }'
    interface = parse_did(text, FILES.__getitem__)
    assert interface.types["Id"] == TEXT
    assert interface.service is not None
    assert types_equal(interface.service, Service({"own": Func([TEXT]), "ping": Func([], [TEXT])}))
    without = parse_did('import "types.did"; service : {}', FILES.__getitem__)
    assert without.service == Service({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('import service "init.did";', "'init.did' has no running service to import"),
        ('import service "more.did";', "'more.did' has no running service to import"),
        ('import service "types.did"; service : { ping : () -> () }', "method ping of 'types.did' exists already"),
        ('import "types.did"; type Id = nat;', "type Id is defined twice"),
    ],
)
def test_imports_that_clash_are_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_did(text, FILES.__getitem__)


def test_imports_are_relative_to_the_importing_file_and_each_file_is_read_once() -> None:
    shelf = {
        "api/types/id.did": 'import "../base.did"; type Id = Base;',
        "api/base.did": 'import "types/id.did"; type Base = text;',
    }
    read: list[str] = []

    def resolver(name: str) -> str:
        read.append(name)
        return shelf[name]

    text = 'import "types/id.did"; import "./base.did"; service : { get : () -> (Id) }'
    interface = parse_did(text, resolver, "api/main.did")
    assert interface.service is not None
    assert interface.service == Service({"get": Func([], [interface.service.method("get").results[0]])})
    assert interface.types["Id"] == TEXT
    assert sorted(read) == sorted(shelf)


def test_an_import_that_cannot_be_read_is_pointed_at() -> None:
    def missing(name: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", name)

    with pytest.raises(ParseError, match=r"^a/b.did:1:8: 'c.did' can't be imported: No such file or directory$"):
        parse_did('import "c.did";', missing, "a/b.did")
    with pytest.raises(ParseError, match=r"^a/b.did:1:8: 'c.did' can't be imported: not UTF-8 at byte 1$"):
        parse_did('import "c.did";', lambda _: b"a\xff".decode(), "a/b.did")


def test_imports_end_at_a_stated_number_of_files() -> None:
    def endless(name: str) -> str:
        return f'import "{int(name) + 1}";'

    with pytest.raises(ParseError, match=r"^200:1:8: more than 200 files are imported$"):
        parse_did('import "1";', endless)


def test_names_of_types_are_names_of_methods_and_fields_as_in_the_official_parser() -> None:
    service = parse_did("service : { text : (record { nat : nat; bool : opt bool }) -> (int : text) query }").service
    assert service == Service({"text": Func([Record({"nat": NAT, "bool": Opt(BOOL)})], [TEXT], ["query"])})


def test_long_interfaces_parse_whole() -> None:
    types = "".join(
        f"type Memory{i} = record {{\n  id : text;\n  size : nat64;\n  tags : opt vec text;\n"
        f"  access : variant {{ Public; Custom : record {{ groups : vec text }} }};\n}};\n"
        for i in range(100)
    )
    methods = "".join(
        f"  get_memory_{i} : (text) -> (variant {{ Ok : Memory{i}; Err : text }}) query;\n" for i in range(100)
    )
    text = f"{types}service : {{\n{methods}}}"
    assert text.count("\n") > 600
    interface = parse_did(text)
    assert len(interface.types) == 100
    assert interface.service is not None
    assert len(interface.service.methods) == 100


@settings(deadline=None)
@given(st.text(alphabet='type A=record{}:;nat"\\/*\n()->,opt', max_size=60))
def test_any_text_is_read_or_refused_with_a_parse_error(text: str) -> None:
    with suppress(ParseError):
        parse_did(text)
