from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from canister_factory.candid.binding import (
    Blob,
    CandidEnum,
    CandidModel,
    CandidVariant,
    Float32,
    Int,
    Nat,
    Nat8,
    Nat32,
    Nat64,
    PrincipalT,
    Reserved,
    TimeNs,
    Unit,
    candid_type,
    from_candid,
    to_candid,
    types_equal,
)
from canister_factory.candid.decoding import decode
from canister_factory.candid.did import parse_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError, InvalidTypeError, MismatchError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import NAT, NAT64, TEXT, Func, Opt, Record, Service
from canister_factory.candid.values import Case, FuncRef, Some

DID = """
type PersonRef = variant { Principal : principal; Opaque : text };
type Access = variant {
  Public; Private;
  Custom : record { individuals : vec PersonRef; groups : vec text };
  Scheduled : record { accessible_after : nat64; access : Access };
};
type Kind = variant { Image; "Long Video" };
type Memory = record {
  id : text; "class" : nat32; access : Access; kind : Kind; data : opt blob; owners : vec record { PersonRef; nat64 };
  tags : vec text; score : float32; balance : int; total : nat; note : opt text; anything : reserved; nothing : null;
  sizes : blob; callback : opt func (nat) -> (); seen : bool; ratio : float64; parent : opt Memory;
};
"""


class PersonRef(CandidVariant):
    Principal: PrincipalT | None = None
    Opaque: str | None = None


class CustomAccess(CandidModel):
    individuals: list[PersonRef]
    groups: list[str]


class ScheduledAccess(CandidModel):
    accessible_after: Nat64
    access: Access


class Access(CandidVariant):
    Public: Unit = None
    Private: Unit = None
    Custom: CustomAccess | None = None
    Scheduled: ScheduledAccess | None = None


class Kind(CandidEnum):
    IMAGE = "Image"
    LONG_VIDEO = "Long Video"


class Memory(CandidModel):
    id: str
    class_: Nat32 = Field(alias="class")
    access: Access
    kind: Kind
    data: Blob | None = None
    owners: list[tuple[PersonRef, Nat64]] = Field(default_factory=list)
    tags: tuple[str, ...] = ()
    score: Float32 = 0.5
    balance: Int = 0
    total: Nat = 0
    note: str | None = Field(default=None, max_length=10)
    anything: Reserved = None
    nothing: None = None
    sizes: list[Nat8] = Field(default_factory=list)
    callback: Annotated[Any, Func([NAT])] | None = None
    seen: bool = False
    ratio: float = 1.5
    parent: Memory | None = None


def of_class(number: int) -> dict[str, Any]:
    """The field whose name is a keyword of Python."""
    return {"class": number}


SCHEDULED = Access(Scheduled=ScheduledAccess(accessible_after=5, access=Access(Public=None)))
PARENT = Memory(id="parent", access=Access.of("Private"), kind=Kind.IMAGE, **of_class(0))
MEMORY = Memory(
    id="m1",
    **of_class(7),
    access=SCHEDULED,
    kind=Kind.LONG_VIDEO,
    data=b"\x00\xff",
    owners=[(PersonRef(Opaque="x"), 1), (PersonRef(Principal=Principal.anonymous()), 2)],
    tags=("a", "b"),
    balance=-(2**100),
    note="short",
    sizes=[1, 2, 255],
    callback=FuncRef(Principal(), "done"),
    parent=PARENT,
)


@pytest.mark.parametrize("name", ["PersonRef", "Access", "Kind", "Memory"])
def test_models_match_their_interface_file(name: str) -> None:
    declared = parse_did(DID).types[name]
    assert types_equal(candid_type(globals()[name]), declared), f"{candid_type(globals()[name])}\n{declared}"


def test_a_model_goes_over_the_wire_and_back() -> None:
    t = candid_type(Memory)
    message = encode([t], [to_candid(Memory, MEMORY)])
    assert from_candid(Memory, decode(message, [t])[0]) == MEMORY


def test_a_model_goes_to_json_and_back() -> None:
    memory = MEMORY.model_copy(update={"callback": None})
    text = memory.model_dump_json()
    assert '"data":"00ff"' in text
    assert '"access":{"Scheduled":{"accessible_after":"5","access":{"Public":null}}}' in text
    assert '[{"Opaque":"x"},"1"],[{"Principal":"2vxsx-fae"},"2"]' in text
    assert '"class":7' in text
    assert '"balance":"-1267650600228229401496703205376"' in text
    assert Memory.model_validate_json(text) == memory


class Event(CandidModel):
    at: TimeNs
    until: TimeNs | None = None


def test_times_are_rfc_3339_with_nanoseconds_in_json_and_numbers_on_the_wire() -> None:
    event = Event(at=1_764_089_152_123_456_789, until=0)
    text = event.model_dump_json()
    assert text == '{"at":"2025-11-25T16:45:52.123456789Z","until":"1970-01-01T00:00:00.000000000Z"}'
    assert Event.model_validate_json(text) == event
    assert types_equal(candid_type(Event), Record({"at": NAT64, "until": Opt(NAT64)}))


@given(st.integers(0, 2**64 - 1))
def test_no_nanosecond_is_lost_in_json(time_ns: int) -> None:
    assert Event.model_validate_json(Event(at=time_ns).model_dump_json()).at == time_ns


def test_any_annotation_has_converters() -> None:
    for annotation, value in (
        (list[PersonRef], [PersonRef(Opaque="x")]),
        (PersonRef | None, PersonRef(Opaque="x")),
        (PersonRef | None, None),
        (tuple[PersonRef, Nat], (PersonRef(Opaque="x"), 5)),
        (Principal, Principal()),
        (Nat64, 5),
        (None, None),
        (Annotated[Any, Opt(Opt(TEXT))], Some(None)),
    ):
        t = candid_type(annotation)
        assert from_candid(annotation, decode(encode([t], [to_candid(annotation, value)]), [t])[0]) == value


def test_an_option_of_a_nullable_type_is_wrapped_for_the_codec() -> None:
    annotation = Annotated[Any, Opt(TEXT)] | None
    assert to_candid(annotation, "x") == Some("x")
    assert from_candid(annotation, Some("x")) == "x"


def test_variants_know_their_case() -> None:
    person = PersonRef(Opaque="x")
    assert (person.tag, person.value) == ("Opaque", "x")
    assert repr(person) == "PersonRef(Opaque='x')"
    assert to_candid(PersonRef, person) == Case("Opaque", "x")
    assert Access.of("Public") == Access(Public=None)
    assert Access.of("Public") != Access.of("Private")
    assert len({Access.of("Public"), Access.of("Private"), Access(Public=None)}) == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PersonRef(), "takes exactly one case, got none"),
        (lambda: PersonRef(Opaque="x", Principal=Principal()), "takes exactly one case, got Opaque, Principal"),
        (lambda: PersonRef(Opaque=None), "case Opaque of PersonRef needs a value, got None"),
        (lambda: PersonRef.of("Other", 1), "Other"),
        (lambda: PersonRef.model_validate({"Opaque": 5}), "valid string"),
        (lambda: TypeAdapter(Nat8).validate_python(256), "less than or equal to 255"),
        (lambda: TypeAdapter(Nat).validate_python(-1), "greater than or equal to 0"),
        (lambda: TypeAdapter(Nat).validate_python(True), "valid integer"),
        (lambda: CustomAccess.model_validate({"individuals": [], "groups": [], "more": 1}), "Extra inputs"),
    ],
)
def test_models_refuse_what_candid_cannot_carry(build: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        build()


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MEMORY.id = "other"


def test_a_value_of_the_wrong_class_is_refused() -> None:
    with pytest.raises(EncodeError, match="expected Memory, got PersonRef"):
        to_candid(Memory, PersonRef(Opaque="x"))
    with pytest.raises(EncodeError, match="expected one of Kind, got str"):
        to_candid(Kind, "Audio")
    assert to_candid(Kind, "Image") == Case("Image")


def test_a_message_that_breaks_a_rule_of_the_model_is_a_mismatch_and_its_data_are_not_shown() -> None:
    value = to_candid(Memory, MEMORY) | {"note": "a secret that is too long"}
    with pytest.raises(MismatchError, match="not a valid Memory: note: String should have at most 10") as caught:
        from_candid(Memory, value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("annotation", [dict[str, int], int | str, object, BaseModel, complex])
def test_annotations_without_a_candid_type_are_refused(annotation: Any) -> None:
    with pytest.raises(InvalidTypeError, match="has no Candid type"):
        candid_type(annotation)


def test_a_failed_binding_leaves_nothing_half_built() -> None:
    class Odd(CandidModel):
        fine: str
        wrong: dict[str, int]

    for _ in range(2):
        with pytest.raises(InvalidTypeError, match="dict"):
            candid_type(list[Odd])


def test_big_blobs_are_not_copied_by_models(count_calls: Callable[[Callable[[], object]], int]) -> None:
    class Chunk(CandidModel):
        data: Blob | None

    t = candid_type(Chunk)
    blob = bytes(1_900_000)
    chunk = Chunk(data=blob)
    assert to_candid(Chunk, chunk)["data"] is blob
    value = decode(encode([t], [to_candid(Chunk, chunk)]), [t])[0]
    assert from_candid(Chunk, value).data is value["data"]
    assert count_calls(lambda: from_candid(Chunk, value)) < 200


def test_services_and_functions_can_be_fields() -> None:
    class Hooks(CandidModel):
        target: Annotated[Principal, Service({"ping": Func()})]

    t = candid_type(Hooks)
    assert str(t) == "record { target : service { ping : () -> () } }"
    hooks = Hooks(target=Principal(b"\x01"))
    assert from_candid(Hooks, decode(encode([t], [to_candid(Hooks, hooks)]), [t])[0]) == hooks
