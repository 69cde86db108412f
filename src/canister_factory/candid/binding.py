"""Python classes bound to Candid types: pydantic models for records and variants, enums, annotated numbers.

Owns: the base classes and annotations to declare models with, and the models' JSON. Does not own: converting values
(`conversion`), bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_serializer, model_validator
from pydantic_core import core_schema

from canister_factory.candid import types as t
from canister_factory.candid.conversion import candid_type, case_content, field_label, from_candid, to_candid
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import types_equal

__all__ = [
    "Blob",
    "CandidEnum",
    "CandidModel",
    "CandidVariant",
    "Float32",
    "Float64",
    "Int",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Nat",
    "Nat8",
    "Nat16",
    "Nat32",
    "Nat64",
    "PrincipalT",
    "Reserved",
    "TimeNs",
    "Unit",
    "candid_type",
    "from_candid",
    "to_candid",
    "types_equal",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _JsonText:
    """Makes a number text in JSON, so that readers with float64 numbers keep it (RFC 8259, section 6)."""

    write: Callable[[int], str]
    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        number = handler(source)
        read = core_schema.no_info_plain_validator_function(self.read)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([read, number]),
            python_schema=number,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write, when_used="json"),
        )


def rfc3339(time_ns: int) -> str:
    """A time (nanoseconds since 1970, as nat64) in UTC with all nine digits: `2026-11-25T16:45:52.123456789Z`."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def _time_ns(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    moment, _, nanoseconds = text.removesuffix("Z").partition(".")
    since = datetime.fromisoformat(moment).replace(tzinfo=UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + int(nanoseconds.ljust(9, "0"))


def _integer(text: Any) -> Any:
    return int(text) if isinstance(text, str) else text


_DECIMAL = _JsonText(str, _integer)
Nat = Annotated[int, t.NAT, Field(strict=True, ge=0), _DECIMAL]
Nat8 = Annotated[int, t.NAT8, Field(strict=True, ge=0, le=2**8 - 1)]
Nat16 = Annotated[int, t.NAT16, Field(strict=True, ge=0, le=2**16 - 1)]
Nat32 = Annotated[int, t.NAT32, Field(strict=True, ge=0, le=2**32 - 1)]
Nat64 = Annotated[int, t.NAT64, Field(strict=True, ge=0, le=2**64 - 1), _DECIMAL]
Int = Annotated[int, t.INT, Field(strict=True), _DECIMAL]
Int8 = Annotated[int, t.INT8, Field(strict=True, ge=-(2**7), le=2**7 - 1)]
Int16 = Annotated[int, t.INT16, Field(strict=True, ge=-(2**15), le=2**15 - 1)]
Int32 = Annotated[int, t.INT32, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, t.INT64, Field(strict=True, ge=-(2**63), le=2**63 - 1), _DECIMAL]
# A nat64 that is a time: nanoseconds since 1970.
TimeNs = Annotated[int, t.NAT64, Field(strict=True, ge=0, le=2**64 - 1), _JsonText(rfc3339, _time_ns)]
Float32 = Annotated[float, t.FLOAT32]
Float64 = Annotated[float, t.FLOAT64]
Blob = Annotated[bytes, t.BLOB]
Reserved = Annotated[Any, t.RESERVED]
# For variants with a case named Principal, where the class's own name is shadowed by the field.
PrincipalT: TypeAlias = Principal
# What a variant case without content carries.
Unit: TypeAlias = None

_CONFIG = ConfigDict(
    frozen=True,
    extra="forbid",
    validate_by_name=True,
    validate_by_alias=True,
    serialize_by_alias=True,
    ser_json_bytes="hex",
    val_json_bytes="hex",
)


class CandidModel(BaseModel):
    """Base of models bound to a Candid record. Frozen.

    In JSON bytes are hexadecimal, `Nat`, `Int`, `Nat64` and `Int64` are decimal text, and `TimeNs` is RFC 3339 in UTC.

    Annotations and what they mean: `bool`, `str` (text), `int` (int) or `Nat`, `Nat8` ... `Int64`, `float` (float64),
    `bytes` (blob), `None` (null), `Principal`, `T | None` (opt), `list[T]` and `tuple[T, ...]` (vec), `tuple[A, B]`
    (record of two), models, variants and enums of this module, and `Annotated[Any, type]` for any other Candid type,
    with the codec's own values. A label that is no Python identifier is the field's alias:
    `class_: str = Field(alias="class")`. Models may contain themselves.
    """

    model_config = _CONFIG
    candid_form: ClassVar[str] = "record"


class CandidVariant(BaseModel):
    """Base of models bound to a Candid variant: one optional field for each case, exactly one of them given.

    Example:
        class PersonRef(CandidVariant):
            Principal: PrincipalT | None = None
            Opaque: str | None = None

        class Status(CandidVariant):
            Pending: Unit = None
            Failed: str | None = None

        PersonRef(Opaque="x").tag == "Opaque"; Status(Pending=None) == Status.of("Pending")

    The outer `| None` only makes the field optional. In JSON: an object with the one case, `{"Opaque": "x"}`.
    """

    model_config = _CONFIG
    candid_form: ClassVar[str] = "variant"

    @classmethod
    def of(cls, tag: str, value: Any = None) -> Self:
        """The variant with the case of this label.

        Raises:
            pydantic.ValidationError: no such case, or the wrong content.
        """
        return cls.model_validate({tag: value})

    @model_validator(mode="after")
    def _exactly_one_case(self) -> Self:
        given = self.model_fields_set
        if len(given) != 1:
            shown = ", ".join(sorted(given)) or "none"
            raise ValueError(f"{type(self).__name__} takes exactly one case, got {shown}")
        (name,) = given
        field = type(self).model_fields[name]
        if getattr(self, name) is None and not case_content(field).nullable:
            raise ValueError(f"case {field_label(name, field)} of {type(self).__name__} needs a value, got None")
        return self

    @property
    def tag(self) -> str:
        """The label of the case that is set."""
        (name,) = self.model_fields_set
        return field_label(name, type(self).model_fields[name])

    @property
    def value(self) -> Any:
        """What the case carries; None for a case without content."""
        (name,) = self.model_fields_set
        return getattr(self, name)

    @model_serializer(mode="wrap")
    def _only_the_case(self, handler: Any) -> dict[str, Any]:
        whole = handler(self)
        (name,) = self.model_fields_set
        return {key: whole[key] for key in (self.tag, name) if key in whole}

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        (name,) = self.model_fields_set
        yield name, getattr(self, name)

    # Two cases without content hold equal (empty) data, so which field is set has to be compared as well.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CandidVariant) or type(self) is not type(other):
            return NotImplemented
        return self.tag == other.tag and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.tag, self.value))


class CandidEnum(StrEnum):
    """Base of enums bound to a variant whose cases carry nothing; the values are the labels.

    Example: `class Kind(CandidEnum): Image = "Image"; Video = "Video"`.
    """
