"""The grammar that `.did` files and textual values share, and what both need to read a parse tree.

Owns: lexing, comments, string literals, syntax errors, building types. Does not own: interfaces (`did`) or values
(`text`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import lark
from lark import Token, Tree

from canister_factory.candid.errors import InvalidTypeError, ParseError
from canister_factory.candid.labels import KEYWORDS, label_hash
from canister_factory.candid.types import (
    BLOB,
    NULL,
    PRIMITIVES,
    PRINCIPAL,
    Func,
    Members,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
)

Node = Tree[Token]
_COMMENT_OR_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*|\*/', re.DOTALL)
_BLOCK_MARK = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(rb"\\(?:u\{([^}\"]*)\}?|([0-9a-fA-F]{2})|(.)?)", re.DOTALL)
_HEX_NUMBER = re.compile(rb"[0-9a-fA-F](?:_?[0-9a-fA-F])*\Z")
_PLAIN_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b'"': b'"', b"'": b"'"}
_STARTS = ("prog", "args", "bare", "tuptype")
# The names of other primitive types are identifiers to the grammar.
_WORDS = KEYWORDS - (PRIMITIVES.keys() - {"null", "principal"})
_WORD_BEFORE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\Z")


@lru_cache(maxsize=4)
def parser(extra_rules: str = "", extra_starts: tuple[str, ...] = ()) -> lark.Lark:
    """The LALR parser, built when it is first used. Test suites may add rules of their own."""
    grammar = resources.files(__package__).joinpath("candid.lark").read_text("utf-8")
    return lark.Lark(
        grammar + extra_rules,
        parser="lalr",
        lexer="basic",
        start=[*_STARTS, *extra_starts],
        maybe_placeholders=False,
        propagate_positions=True,
    )


def parse(text: str, start: str, source: str = "", using: lark.Lark | None = None) -> Node:
    """The parse tree of a text.

    Raises:
        ParseError: a syntax error, with its line and column.
    """
    plain = blank_comments(text, source)
    try:
        return (using or parser()).parse(plain, start=start)
    except lark.UnexpectedInput as error:
        raise _syntax_error(plain, error, source) from None


def _syntax_error(text: str, error: lark.UnexpectedInput, source: str) -> ParseError:
    if isinstance(error, lark.UnexpectedToken) and error.token.type != "$END":
        hinted = _mistaken_word(text, error, source)
        if hinted is not None:
            return hinted
        token = str(error.token)
        shown = token if len(token) <= 40 else token[:37] + "..."
        return ParseError(f"unexpected {shown!r}", error.line, error.column, source)
    if isinstance(error, lark.UnexpectedCharacters):
        character = text[error.pos_in_stream or 0]
        problem = "this string is not closed" if character == '"' else f"unexpected character {character!r}"
        return ParseError(problem, error.line, error.column, source)
    line = text.count("\n") + 1
    return ParseError("the text ends too early", line, len(text) - text.rfind("\n"), source)


def _mistaken_word(text: str, error: lark.UnexpectedToken, source: str) -> ParseError | None:
    """The error of a word that needs quotes: one of the language used as a name, or a text without any."""
    word, offset = str(error.token), error.token.start_pos or 0
    accepted = error.accepts or set()
    if error.token.type in ("EQUAL", "COLON") or "EQUAL" in accepted:
        # The parser noticed one token late: the word before was taken for a value, a type or a label.
        before = _WORD_BEFORE.search(text, max(0, offset - 200), offset)
        if before is None:
            return None
        label, word, offset = word not in "=:", before[1], before.start()
        if not label and word not in _WORDS:
            return None
        if label:
            return _at_offset(text, offset, f"after the name {word} comes '='; a text is quoted: \"{word}\"", source)
    elif "TEXT" not in accepted or not (word in _WORDS or error.token.type == "ID"):
        return None
    if word in _WORDS:
        problem = f'{word} is a word of the language; as a name it is quoted: "{word}"'
    else:
        shown = word if len(word) <= 40 else word[:37] + "..."
        problem = f'unexpected {shown!r}; a text is quoted: "{shown}"'
    return _at_offset(text, offset, problem, source)


def blank_comments(text: str, source: str = "") -> str:
    """Replace comments by spaces, so that positions stay right. Block comments nest.

    Raises:
        ParseError: a block comment is not closed.
    """
    if "//" not in text and "/*" not in text:
        return text
    out: list[str] = []
    at = kept = 0
    # Searched on from the end of each comment: inside comments quotes mean nothing, and inside strings comments.
    while match := _COMMENT_OR_TEXT.search(text, at):
        start, at = match.span()
        if match.group() == "/*":
            at = _block_comment_end(text, start, source)
        elif not match.group().startswith("//"):
            continue
        out += (text[kept:start], re.sub(r"[^\n]", " ", text[start:at]))
        kept = at
    return "".join((*out, text[kept:]))


def _block_comment_end(text: str, start: int, source: str) -> int:
    depth = 0
    for match in _BLOCK_MARK.finditer(text, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    raise _at_offset(text, start, "this block comment is not closed", source)


def _at_offset(text: str, offset: int, problem: str, source: str) -> ParseError:
    return ParseError(problem, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset), source)


def error_at(node: Node | Token, problem: str, source: str = "") -> ParseError:
    """A ParseError that points to a part of the parse tree."""
    place: Any = node if isinstance(node, Token) else node.meta
    return ParseError(problem, getattr(place, "line", 1) or 1, getattr(place, "column", 1) or 1, source)


def bytes_of(token: Token, source: str = "") -> bytes:
    """The bytes that a string literal stands for.

    Raises:
        ParseError: a wrong escape.
    """
    raw = token[1:-1].encode("utf-8", "surrogatepass")
    if b"\\" not in raw:
        return raw

    def unescape(match: re.Match[bytes]) -> bytes:
        code, byte, plain = match.groups()
        if byte is not None:
            return bytes((int(byte, 16),))
        if plain in _PLAIN_ESCAPES and plain is not None:
            return _PLAIN_ESCAPES[plain]
        if code is not None and match.group().endswith(b"}") and _HEX_NUMBER.match(code):
            number = int(code.replace(b"_", b"")[-9:], 16)
            if number < 0xD800 or 0xE000 <= number <= 0x10FFFF:
                return chr(number).encode("utf-8")
        raise error_at(token, f"wrong escape {match.group().decode('utf-8', 'replace')!r} in a string", source)

    return _ESCAPE.sub(unescape, raw)


def text_of(token: Token, source: str = "") -> str:
    """The text that a string literal stands for.

    Raises:
        ParseError: a wrong escape, or the bytes are not UTF-8.
    """
    try:
        return bytes_of(token, source).decode("utf-8")
    except UnicodeDecodeError:
        raise error_at(token, "the string is not UTF-8; only blob literals may hold any bytes", source) from None


def name_of(node: Node, source: str = "") -> str:
    """The text of an identifier or a quoted name."""
    (token,) = node.children
    assert isinstance(token, Token)
    return text_of(token, source) if token.type == "TEXT" else str(token)


def label_of(node: Node, source: str = "") -> str | int:
    """A field label: a name, or a number."""
    (token,) = node.children
    assert isinstance(token, Token)
    if token.type != "NAT":
        return name_of(node, source)
    number = natural(token, source)
    if number > 0xFFFF_FFFF:
        raise error_at(token, "a field number has at most 32 bits", source)
    return number


def natural(token: Token, source: str = "") -> int:
    """The integer of a NAT or INT token; underscores and hexadecimal digits allowed.

    Raises:
        ParseError: more digits than Python converts.
    """
    try:
        return int(token.replace("_", ""), 16 if "x" in token else 10)
    except ValueError:
        raise error_at(token, f"a number of {len(token)} digits is too long; write it in hexadecimal", source) from None


class TypeBuilder:
    """Builds types from parse trees, with the named types in scope."""

    def __init__(self, scope: Mapping[str, Type], source: str = "") -> None:
        self._scope = scope
        self._source = source

    def build(self, node: Node) -> Type:
        """The type that a `datatype` node describes.

        Raises:
            ParseError: an unknown name, colliding labels, a oneway function with results.
        """
        parts: list[Any] = node.children
        match node.data:
            case "principal_type":
                return PRINCIPAL
            case "null_type":
                return NULL
            case "blob_type":
                return BLOB
            case "opt_type":
                return Opt(self.build(parts[0]))
            case "vec_type":
                return Vec(self.build(parts[0]))
            case "record_type":
                return self._checked(node, Record, self._members(parts, "record"))
            case "variant_type":
                return self._checked(node, Variant, self._members(parts, "variant"))
            case "func_type":
                return self.func(parts[0])
            case "service_type":
                return self.service(parts[0])
            case "named_arg":
                return self.build(parts[1])
        assert node.data == "ref", node.data
        name = str(parts[0])
        if name in PRIMITIVES:
            return PRIMITIVES[name]
        if name not in self._scope:
            raise error_at(parts[0], f"type {name} is not defined", self._source)
        return self._scope[name]

    def tuple_types(self, node: Node) -> tuple[Type, ...]:
        """The types of a `tuptype` node, an argument or result list."""
        names: set[str] = set()
        for part in node.children:
            if isinstance(part, Tree) and part.data == "named_arg":
                label = part.children[0]
                assert isinstance(label, Tree)
                name = name_of(label, self._source)
                if name in names:
                    raise error_at(label, f"the name {name} is used twice in this list", self._source)
                names.add(name)
        return tuple(self.build(part) for part in node.children if isinstance(part, Tree))

    def func(self, node: Node) -> Func:
        """The type of a `functype` node."""
        args, results, *modes = [part for part in node.children if isinstance(part, Tree)]
        names = [str(mode.children[0]) for mode in modes]
        try:
            return Func(self.tuple_types(args), self.tuple_types(results), names)
        except InvalidTypeError as error:
            raise error_at(node, str(error), self._source) from None

    def service(self, node: Node) -> Service:
        """The type of an `actortype` node."""
        methods: dict[str, Type] = {}
        for part in node.children:
            assert isinstance(part, Tree)
            label, kind = part.children
            assert isinstance(label, Tree)
            assert isinstance(kind, Tree)
            name = name_of(label, self._source)
            if name in methods:
                raise error_at(label, f"method {name} is declared twice", self._source)
            methods[name] = self.func(kind) if kind.data == "functype" else self.build(kind)
        return Service(methods)

    def _members(self, parts: list[Node], kind: str) -> dict[str | int, Type]:
        members: dict[str | int, Type] = {}
        following = 0
        for part in parts:
            label: str | int
            if part.data == "label_type":
                name, inner = part.children
                assert isinstance(name, Tree)
                assert isinstance(inner, Tree)
                label, t = label_of(name, self._source), self.build(inner)
            elif kind == "variant":
                label, t = label_of(part, self._source), NULL
            else:
                label, t = following, self.build(part)
            if label in members:
                raise error_at(part, f"label {label} is used twice in this {kind}", self._source)
            members[label] = t
            # "N is either 0 or previous + 1", the previous number being a name's hash where there is a name.
            following = (label_hash(label) if isinstance(label, str) else label) + 1
        return members

    def _checked(self, node: Node, kind: type[Record] | type[Variant], members: Members) -> Type:
        try:
            return kind(members)
        except InvalidTypeError as error:
            raise error_at(node, str(error), self._source) from None
