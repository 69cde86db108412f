"""Candid interface files (`.did`).

Owns: definitions, the service and its init arguments, imports. Does not own: the grammar (`grammar`), or where files
come from (callers pass texts, and a resolver for imports).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lark import Token, Tree

from canister_factory.candid.errors import InvalidTypeError, ParseError
from canister_factory.candid.grammar import Node, TypeBuilder, error_at, parse, text_of
from canister_factory.candid.types import Func, Named, Service, Type, describe, resolve

Resolver = Callable[[str], str]
MAX_IMPORTED_FILES = 200


@dataclass(frozen=True, slots=True)
class Interface:
    """What a `.did` file describes.

    Attributes:
        types: the defined types by name; references inside them are `Named`, so that they may be recursive.
        service: the main service, or None where the file only defines types.
        init_args: the service constructor's arguments, () for a running service.
    """

    types: dict[str, Type]
    service: Service | None
    init_args: tuple[Type, ...]


def parse_did(text: str, resolver: Resolver | None = None, source: str = "") -> Interface:
    """Parse an interface description (Candid specification, "Core Grammar").

    Args:
        text: the file's content.
        resolver: gives the text of an imported file; imports are refused without one. It gets the name in the import
            relative to the importing file: "b.did" in "sub/a.did" is "sub/b.did". It may raise OSError and
            UnicodeDecodeError.
        source: the file's name, for error messages and for what it imports.

    Raises:
        ParseError: a syntax error, an undefined, doubly defined or vacuous type, colliding labels, a refused import;
            with line and column.
    """
    try:
        return _Loader(resolver).load(text, source)
    except RecursionError:
        raise ParseError("types are nested too deeply", source=source) from None


def read_did(path: Path) -> Interface:
    """The interface in a file, and in what it imports.

    Raises:
        ParseError: as `parse_did`.
        OSError, UnicodeDecodeError: the file can't be read, or isn't UTF-8.
    """
    return parse_did(path.read_text("utf-8"), read_import, str(path))


def read_import(path: str) -> str:
    """A resolver for files: what is imported lies where the importing file says."""
    return Path(path).read_text("utf-8")


@dataclass(frozen=True, slots=True)
class _Definition:
    name: Token
    named: Named
    body: Node
    source: str


class _Loader:
    """Reads a file and everything it imports, each file once: first all names, then what they mean.

    Files that import each other are no error, as in the official parser: names are shared by all files anyway.
    """

    def __init__(self, resolver: Resolver | None) -> None:
        self._resolver = resolver
        self._scope: dict[str, Named] = {}
        self._definitions: list[_Definition] = []
        # Actors of imported files whose methods are wanted: (the import, its file's name, the imported file's name).
        self._services: list[tuple[Token, str, str]] = []
        self._trees: dict[str, Node] = {}

    def load(self, text: str, source: str) -> Interface:
        tree = self._declare(text, source)
        for definition in self._definitions:
            definition.named.define(TypeBuilder(self._scope, definition.source).build(definition.body))
        for definition in self._definitions:
            self._check(definition)
        actor = next(_nodes(tree, "actor"), None)
        init_args, service = self._actor(actor, source) if actor is not None else ((), None)
        methods = dict(service.methods) if service else {}
        for token, importer, path in self._services:
            self._merge(methods, token, importer, path)
        types = {name: resolve(named) for name, named in self._scope.items()}
        return Interface(types, Service(methods) if service or self._services else None, init_args)

    def _declare(self, text: str, source: str) -> Node:
        """Parse a file, take in its names, and go on with its imports."""
        tree = self._trees[source] = parse(text, "prog", source)
        for node in _nodes(tree, "type_def"):
            name_node, body = node.children
            assert isinstance(name_node, Tree)
            assert isinstance(body, Tree)
            (name,) = name_node.children
            assert isinstance(name, Token)
            if name in self._scope:
                raise error_at(name, f"type {name} is defined twice", source)
            named = self._scope[str(name)] = Named(str(name))
            self._definitions.append(_Definition(name, named, body, source))
        for node in _nodes(tree, "import_types", "import_service"):
            self._import(node, source)
        return tree

    def _import(self, node: Node, source: str) -> None:
        (token,) = node.children
        assert isinstance(token, Token)
        name = text_of(token, source)
        if self._resolver is None:
            problem = f"import of {name!r} refused: imports need a resolver, or inline the imported definitions"
            raise error_at(token, problem, source)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if node.data == "import_service":
            self._services.append((token, source, path))
        if path in self._trees:
            return
        if len(self._trees) > MAX_IMPORTED_FILES:
            raise error_at(token, f"more than {MAX_IMPORTED_FILES} files are imported", source)
        try:
            text = self._resolver(path)
        except OSError as error:
            raise error_at(token, f"{name!r} can't be imported: {error.strerror or error}", source) from error
        except UnicodeDecodeError as error:
            problem = f"{name!r} can't be imported: not UTF-8 at byte {error.start}"
            raise error_at(token, problem, source) from None
        self._declare(text, path)

    def _merge(self, methods: dict[str, Type], token: Token, importer: str, path: str) -> None:
        imported = self._trees[path]
        actor = next(_nodes(imported, "actor"), None)
        init_args, service = self._actor(actor, path) if actor is not None else ((), None)
        if service is None or init_args:
            raise error_at(token, f"{path!r} has no running service to import", importer)
        for name, method in service.methods:
            if name in methods:
                raise error_at(token, f"method {name} of {path!r} exists already", importer)
            methods[name] = method

    def _actor(self, node: Node, source: str) -> tuple[tuple[Type, ...], Service]:
        builder = TypeBuilder(self._scope, source)
        init_args: tuple[Type, ...] = ()
        service: Type | None = None
        for part in node.children:
            assert isinstance(part, Tree)
            if part.data == "tuptype":
                init_args = builder.tuple_types(part)
            elif part.data == "actortype":
                service = builder.service(part)
            elif part.data == "ref":
                service = resolve(builder.build(part))
        if not isinstance(service, Service):
            raise error_at(node, f"the main service is {service and describe(service)}, no service", source)
        _check_methods(service, node, source)
        return init_args, service

    @staticmethod
    def _check(definition: _Definition) -> None:
        try:
            target = resolve(definition.named)
        except InvalidTypeError as error:
            raise error_at(definition.name, str(error), definition.source) from None
        if isinstance(target, Service):
            _check_methods(target, definition.name, definition.source)


def _nodes(tree: Node, *kinds: str) -> Iterator[Node]:
    return (n for n in tree.children if isinstance(n, Tree) and n.data in kinds)


def _check_methods(service: Service, place: Node | Token, source: str) -> None:
    for name, method in service.methods:
        if not isinstance(resolve(method), Func):
            raise error_at(place, f"method {name} has type {describe(method)}, expected a function", source)
