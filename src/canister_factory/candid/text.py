"""Values in Candid's textual form (Candid specification, "Values").

Owns: reading argument lists, with or without expected types. Does not own: the grammar (`grammar`), writing values
(`text_form`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError, EncodeError, InvalidTypeError, PrincipalError
from canister_factory.candid.grammar import (
    Node,
    TypeBuilder,
    blank_comments,
    bytes_of,
    error_at,
    label_of,
    name_of,
    natural,
    parse,
    text_of,
)
from canister_factory.candid.labels import label_hash, label_text
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import types_equal
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    NAT,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Field,
    Func,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    describe,
    is_blob,
    is_nullable,
    resolve,
)
from canister_factory.candid.values import Case, FuncRef, Some


class Args(NamedTuple):
    """Argument types and values, ready for `encode(*args)`."""

    types: tuple[Type, ...]
    values: tuple[Any, ...]


def parse_args(
    text: str, types: Sequence[Type] | None = None, *, ignore_unknown_fields: bool = False, bare: bool = False
) -> Args:
    """Read an argument list such as `(1 : nat, "x", record { a = opt principal "aaaaa-aa" })`.

    With expected `types` each value is read as its type: plain numbers fit any number type, a plain value fits an
    option, and opt, null or reserved parts may be left out. Without, the types come from the values and their
    annotations: a number is an int, or a float64 if written as one.

    Args:
        ignore_unknown_fields: drop record fields that the expected types don't have, as decoding does, instead of
            refusing them as probable mistakes.
        bare: the parentheses around the list may be left out.

    Raises:
        ParseError: a syntax error or a value that does not fit, with line and column.
    """
    reader = _ValueReader(ignore_unknown_fields)
    listed = not bare or blank_comments(text).lstrip().startswith("(")
    tree = parse(text, "args" if listed else "bare")
    nodes = [node for node in tree.children if not isinstance(node, str)]
    try:
        if types is None:
            types = [reader.infer(node) for node in nodes]
        if len(nodes) > len(types):
            raise error_at(nodes[len(types)], f"expected {len(types)} argument(s), got {len(nodes)}")
        values = [reader.value(node, t) for node, t in zip(nodes, types, strict=False)]
        for index in range(len(nodes), len(types)):
            if not is_nullable(types[index]):
                raise error_at(tree, f"argument {index} of type {describe(types[index])} is missing")
            values.append(None)
    except RecursionError:
        raise error_at(tree, "values are nested too deeply") from None
    return Args(tuple(types), tuple(values))


class _ValueReader:
    def __init__(self, ignore_unknown_fields: bool) -> None:
        self._ignore_unknown = ignore_unknown_fields
        self._builder = TypeBuilder({})

    def infer(self, node: Node) -> Type:
        """The type of a value whose type nobody says."""
        parts: list[Any] = node.children
        match node.data:
            case "annotated":
                return self._builder.build(parts[1])
            case "opt":
                return Opt(self.infer(parts[0]))
            case "vec":
                inner: Type = EMPTY
                for part in parts:
                    inner = self._join(inner, self.infer(part), part)
                return Vec(inner)
            case "record":
                return self._checked(node, {n.label: self.infer(v) for n, v in self._members(node) if v is not None})
            case "variant":
                ((name, content),) = self._members(node)
                return Variant({name.label: NULL if content is None else self.infer(content)})
        return _INFERRED[node.data]

    def _checked(self, node: Node, members: dict[str | int, Type]) -> Type:
        try:
            return Record(members)
        except InvalidTypeError as error:
            raise error_at(node, str(error)) from None

    def _join(self, a: Type, b: Type, node: Node) -> Type:
        """A type for a vector's elements so far and one more."""
        if a is EMPTY or b is EMPTY or types_equal(a, b):
            return b if a is EMPTY else a
        match a, b:
            case Vec(), Vec():
                return Vec(self._join(a.inner, b.inner, node))
            case (Opt(), _) | (_, Opt()):
                inner_a = a.inner if isinstance(a, Opt) else EMPTY if a is NULL else a
                inner_b = b.inner if isinstance(b, Opt) else EMPTY if b is NULL else b
                return Opt(self._join(inner_a, inner_b, node))
            case Variant(), Variant():
                return Variant(self._join_fields(a.fields, b.fields, node))
            case Record(), Record() if [f.id for f in a.fields] == [f.id for f in b.fields]:
                return Record(self._join_fields(a.fields, b.fields, node))
        if NULL in (a, b):
            return Opt(b if a is NULL else a)
        raise error_at(node, f"vector elements of types {describe(a)} and {describe(b)}; annotate them with one type")

    def _join_fields(self, a: tuple[Field, ...], b: tuple[Field, ...], node: Node) -> dict[str | int, Type]:
        joined = {f.id: f for f in a}
        for f in b:
            same = joined.get(f.id)
            joined[f.id] = f if same is None else Field(f.id, same.label, self._join(same.type, f.type, node))
        return {f.label: f.type for f in joined.values()}

    def value(self, node: Node, t: Type) -> Any:
        """The codec's value of a node at an expected type."""
        t = resolve(t)
        parts: list[Any] = node.children
        if node.data == "annotated":
            return self._annotated(node, t)
        if t is RESERVED:
            self.value(node, self.infer(node))
            return None
        if isinstance(t, Opt):
            if node.data == "null":
                return None
            content = self.value(parts[0] if node.data == "opt" else node, t.inner)
            return Some(content) if is_nullable(t.inner) else content
        match node.data, t:
            case "null", Primitive() if t is NULL:
                return None
            case "true" | "false", Primitive() if t is BOOL:
                return node.data == "true"
            case "number", Primitive() if t.opcode <= NAT.opcode and t.opcode >= FLOAT64.opcode:
                return self._number(node, t, natural(parts[0]))
            case "float", Primitive() if t is FLOAT32 or t is FLOAT64:
                plain = parts[0].replace("_", "")
                return self._number(node, t, float.fromhex(plain) if "x" in plain else float(plain))
            case "text", Primitive() if t is TEXT:
                return text_of(parts[0])
            case "principal", Primitive() if t is PRINCIPAL:
                return _principal(parts[0])
            case "service", _ if t is PRINCIPAL or isinstance(t, Service):
                return _principal(parts[0])
            case "func", Func():
                return FuncRef(_principal(parts[0]), name_of(parts[1]))
            case "blob", Vec() if is_blob(t):
                return bytes_of(parts[0])
            case "vec", Vec():
                elements = [self.value(part, t.inner) for part in parts]
                return bytes(elements) if is_blob(t) else elements
            case "record", Record():
                return self._record(node, t)
            case "variant", Variant():
                return self._variant(node, t)
        raise error_at(node, f"expected {describe(t)}, got {_KINDS.get(node.data, node.data)}")

    def _annotated(self, node: Node, t: Type) -> Any:
        inner, annotation = node.children
        assert not isinstance(inner, str)
        assert not isinstance(annotation, str)
        stated = self._builder.build(annotation)
        value = self.value(inner, stated)
        if types_equal(stated, t):
            return value
        try:
            # The annotation says what the value is; how it fits the expected type, the coercion rules say.
            return decode(encode([stated], [value]), [t])[0]
        except CandidError:
            raise error_at(node, f"expected {describe(t)}, got a value annotated as {describe(stated)}") from None

    def _number(self, node: Node, t: Primitive, number: int | float) -> Any:
        if t is FLOAT32 or t is FLOAT64:
            try:
                number = float(number)
            except OverflowError:
                number = math.inf
            if math.isinf(number):
                raise error_at(node, f"the number is too large for {t.name}")
        try:
            message = encode([t], [number])
        except EncodeError as error:
            raise error_at(node, error.problem) from None
        return decode(message, [t])[0] if t is FLOAT32 else number

    def _members(self, node: Node) -> list[tuple[Field, Node | None]]:
        """Labels and contents of a record or variant literal; the content is None for a bare variant label."""
        found: dict[int, tuple[Field, Node | None]] = {}
        following = 0
        for part in node.children:
            assert not isinstance(part, str)
            content: Any = part
            label: str | int = following
            if part.data == "label_val":
                name, content = part.children
                assert not isinstance(name, str)
                label = label_of(name)
            elif part.data == "label":
                label, content = label_of(part), None
            number = label_hash(label) if isinstance(label, str) else label
            if number in found:
                raise error_at(part, f"label {label} is used twice")
            found[number] = Field(number, label, NULL), content
            following = number + 1
        return list(found.values())

    def _record(self, node: Node, t: Record) -> Any:
        given = {name.id: (name, content) for name, content in self._members(node)}
        values: dict[str | int, Any] = {}
        for field in t.fields:
            _, content = given.pop(field.id, (None, None))
            if content is not None:
                values[field.label] = self.value(content, field.type)
            elif is_nullable(field.type):
                values[field.label] = None
            else:
                problem = f"field {label_text(field.label)} of type {describe(field.type)} is missing"
                raise error_at(node, problem)
        for name, content in given.values():
            if not self._ignore_unknown:
                raise error_at(node, f"unknown field {label_text(name.label)}; expected {describe(t)}")
            if content is not None:
                self.value(content, RESERVED)
        return tuple(values.values()) if t.is_tuple else values

    def _variant(self, node: Node, t: Variant) -> Case:
        ((name, content),) = self._members(node)
        for field in t.fields:
            if field.id == name.id:
                if content is not None:
                    return Case(field.label, self.value(content, field.type))
                if is_nullable(field.type):
                    return Case(field.label)
                raise error_at(node, f"case {label_text(field.label)} needs a value of type {describe(field.type)}")
        raise error_at(node, f"unknown case {label_text(name.label)}; expected {describe(t)}")


_INFERRED: dict[str, Type] = {
    "number": INT,
    "float": FLOAT64,
    "text": TEXT,
    "true": BOOL,
    "false": BOOL,
    "null": NULL,
    "blob": BLOB,
    "principal": PRINCIPAL,
    "service": Service({}),
    "func": Func(),
}
_KINDS = {"number": "an integer", "float": "a float", "true": "true", "false": "false", "null": "null"}


def _principal(token: Any) -> Principal:
    try:
        return Principal.from_str(text_of(token))
    except PrincipalError as error:
        raise error_at(token, str(error)) from None
