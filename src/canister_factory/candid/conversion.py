"""From annotations to Candid types, and from models to the codec's values and back.

Owns: reading annotations once and keeping the converters. Does not own: the base classes (`binding`).
"""

from __future__ import annotations

import types as python_types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from threading import RLock
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from canister_factory.candid.errors import EncodeError, InvalidTypeError, MismatchError
from canister_factory.candid.ic_py import IcPyPrincipal
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    FLOAT64,
    INT,
    NULL,
    PRINCIPAL,
    TEXT,
    Named,
    Opt,
    Record,
    Type,
    Variant,
    Vec,
    is_nullable,
    resolve,
    tuple_type,
)
from canister_factory.candid.values import Case, Some

_Convert = Callable[[Any], Any]
_PLAIN: dict[Any, Type] = {
    bool: BOOL,
    str: TEXT,
    int: INT,
    float: FLOAT64,
    bytes: BLOB,
    None: NULL,
    type(None): NULL,
    Principal: PRINCIPAL,
    IcPyPrincipal: PRINCIPAL,
}


@dataclass(slots=True)
class Bound:
    """An annotation's Candid type and converters; None for a converter that would change nothing."""

    type: Type
    to_candid: _Convert | None = None
    from_candid: _Convert | None = None

    @property
    def nullable(self) -> bool:
        """Whether None is a value of the type."""
        return is_nullable(self.type)


_published: dict[Any, Bound] = {}
_building = RLock()


def candid_type(annotation: Any) -> Type:
    """The Candid type that a model class or an annotation stands for (`binding.CandidModel` lists them).

    Raises:
        InvalidTypeError: the annotation has no Candid type.
    """
    return resolve(bound(annotation).type)


def to_candid(annotation: Any, value: Any) -> Any:
    """The codec's value of a model or of other annotated data, ready for `encode`. Blobs are not copied.

    Raises:
        EncodeError: the value is not of the annotated class.
    """
    convert = bound(annotation).to_candid
    return convert(value) if convert else value


def from_candid(annotation: Any, value: Any) -> Any:
    """The model, or other annotated data, of a value that `decode` gave for `candid_type(annotation)`.

    Raises:
        MismatchError: the value breaks a rule of the model that Candid can't express.
    """
    convert = bound(annotation).from_candid
    try:
        return convert(value) if convert else value
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        shown = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}".lstrip(": ") for p in problems[:5])
        raise MismatchError(f"not a valid {error.title}: {shown}") from None


def bound(annotation: Any) -> Bound:
    """The converters of an annotation, made once."""
    known = _published.get(annotation)
    if known is None:
        # Recursive classes are visible half-built to the thread that builds them only; all are published at once.
        with _building:
            new: dict[Any, Bound] = {}
            known = _bind(annotation, new)
            _published.update(new)
    return known


def _bind(annotation: Any, new: dict[Any, Bound]) -> Bound:
    known = _published.get(annotation) or new.get(annotation)
    if known is None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            known = new[annotation] = Bound(Named(annotation.__name__))
            _bind_model(annotation, known, new)
        else:
            known = new[annotation] = _bind_annotation(annotation, new)
    return known


def _bind_annotation(annotation: Any, new: dict[Any, Bound]) -> Bound:
    if annotation in _PLAIN:
        return Bound(_PLAIN[annotation])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _bind_enum(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        stated = next((m for m in args[1:] if isinstance(m, Type)), None)
        return Bound(stated) if stated is not None else _bind(args[0], new)
    if origin in (Union, python_types.UnionType) and len(args) == 2 and type(None) in args:
        return _optional(_bind(args[0] if args[1] is type(None) else args[1], new))
    if origin is list:
        return _sequence(list, _bind(args[0], new))
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _sequence(tuple, _bind(args[0], new))
    if origin is tuple and args:
        return _fixed_tuple([_bind(a, new) for a in args])
    raise InvalidTypeError(
        f"{annotation!r} has no Candid type; use the annotations of candid.binding, or Annotated[Any, <Candid type>]"
    )


def _optional(inner: Bound) -> Bound:
    # Only classes have named types. They may be half-built here, so their converters are looked up late; and they are
    # records or variants, never nullable.
    is_class = isinstance(inner.type, Named)
    wrap = not is_class and inner.nullable
    if not (is_class or wrap or inner.to_candid or inner.from_candid):
        return Bound(Opt(inner.type))

    def to_opt(value: Any) -> Any:
        if value is None:
            return None
        content = inner.to_candid(value) if inner.to_candid else value
        return Some(content) if wrap and not isinstance(content, Some) else content

    def from_opt(value: Any) -> Any:
        if value is None:
            return None
        content = value.value if wrap and isinstance(value, Some) else value
        return inner.from_candid(content) if inner.from_candid else content

    return Bound(Opt(inner.type), to_opt, from_opt)


def _sequence(kind: type[list[Any]] | type[tuple[Any, ...]], inner: Bound) -> Bound:
    def to_vec(value: Any) -> Any:
        # Late: the converters of a recursive class are set after this function is made.
        convert = inner.to_candid
        return [convert(v) for v in value] if convert and isinstance(value, (list, tuple)) else value

    def from_vec(value: Any) -> Any:
        convert = inner.from_candid
        return kind(convert(v) for v in value) if convert else kind(value)

    return Bound(Vec(inner.type), to_vec, from_vec)


def _fixed_tuple(members: list[Bound]) -> Bound:
    def convert(value: Any, converters: list[_Convert | None]) -> Any:
        if not isinstance(value, tuple) or len(value) != len(converters):
            return value
        return tuple(c(v) if c else v for c, v in zip(converters, value, strict=True))

    return Bound(
        tuple_type(*(m.type for m in members)),
        lambda value: convert(value, [m.to_candid for m in members]),
        lambda value: convert(value, [m.from_candid for m in members]),
    )


def _bind_enum(cls: type[Enum]) -> Bound:
    labels = {member: Case(str(member.value)) for member in cls}

    def to_case(value: Any) -> Any:
        if value not in labels:
            raise EncodeError(f"expected one of {cls.__name__}, got {type(value).__name__}")
        return labels[cls(value)]

    return Bound(Variant({case.tag: NULL for case in labels.values()}), to_case, lambda case: cls(case.tag))


def field_label(name: str, field: FieldInfo) -> str:
    """The Candid label of a model's field: its alias, else its name."""
    return field.alias or name


def case_content(field: FieldInfo) -> Bound:
    """The binding of what a variant's case carries: its annotation without the outer `| None`."""
    return _bind_case(field, None)


def _bind_case(field: FieldInfo, new: dict[Any, Bound] | None) -> Bound:
    annotation = _annotation(field)
    if get_origin(annotation) in (Union, python_types.UnionType):
        left = tuple(a for a in get_args(annotation) if a is not type(None))
        annotation = left[0] if len(left) == 1 else Union[left]  # noqa: UP007 - built at run time
    return bound(annotation) if new is None else _bind(annotation, new)


def _annotation(field: FieldInfo) -> Any:
    """A field's annotation with the Candid type that pydantic moved to the metadata, if there is one."""
    stated = next((m for m in field.metadata if isinstance(m, Type)), None)
    return field.annotation if stated is None else Annotated[field.annotation, stated]


def _bind_model(cls: type[BaseModel], result: Bound, new: dict[Any, Bound]) -> None:
    form = getattr(cls, "candid_form", None)
    if form is None:
        raise InvalidTypeError(f"{cls.__name__} has no Candid type: derive it from CandidModel or CandidVariant")
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    if form == "variant":
        _bind_variant(cls, result, new)
    else:
        _bind_record(cls, result, new)


def _bind_record(cls: type[BaseModel], result: Bound, new: dict[Any, Bound]) -> None:
    fields = [(n, field_label(n, f), _bind(_annotation(f), new)) for n, f in cls.model_fields.items()]

    def to_record(value: Any) -> Any:
        _check_class(cls, value)
        return {
            label: content.to_candid(getattr(value, name)) if content.to_candid else getattr(value, name)
            for name, label, content in fields
        }

    def from_record(value: Any) -> Any:
        return cls.model_validate(
            {
                label: content.from_candid(value[label]) if content.from_candid else value[label]
                for _, label, content in fields
            }
        )

    result.to_candid, result.from_candid = to_record, from_record
    assert isinstance(result.type, Named)
    result.type.define(Record({label: content.type for _, label, content in fields}))


def _bind_variant(cls: type[BaseModel], result: Bound, new: dict[Any, Bound]) -> None:
    names = {name: field_label(name, f) for name, f in cls.model_fields.items()}
    contents = {field_label(name, f): _bind_case(f, new) for name, f in cls.model_fields.items()}

    def to_variant(value: Any) -> Any:
        _check_class(cls, value)
        (name,) = value.model_fields_set
        convert = contents[names[name]].to_candid
        content = getattr(value, name)
        return Case(names[name], convert(content) if convert else content)

    def from_variant(case: Any) -> Any:
        convert = contents[case.tag].from_candid
        return cls.model_validate({case.tag: convert(case.value) if convert else case.value})

    result.to_candid, result.from_candid = to_variant, from_variant
    assert isinstance(result.type, Named)
    result.type.define(Variant({label: content.type for label, content in contents.items()}))


def _check_class(cls: type, value: Any) -> None:
    if not isinstance(value, cls):
        raise EncodeError(f"expected {cls.__name__}, got {type(value).__name__}")
