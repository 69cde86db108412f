"""Candid interface files (`.did`).

Owns: definitions, the service and its init arguments, imports. Does not own: the grammar (`grammar`), or where files
come from (callers pass texts, and a resolver for imports).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lark import Token, Tree

from .errors import InvalidTypeError
from .grammar import Node, TypeBuilder, error_at, parse, text_of
from .types import Func, Named, Service, Type, describe, resolve

Resolver = Callable[[str], str]


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
        resolver: gives the text of an imported file by the name in the import; imports are refused without one.
        source: the file's name, for error messages.

    Raises:
        ParseError: a syntax error, an undefined, doubly defined or vacuous type, colliding labels, a refused import;
            with line and column.
    """
    file = _File(text, resolver, source)
    try:
        return file.read()
    except RecursionError:
        raise error_at(Token("ID", ""), "types are nested too deeply", source) from None


class _File:
    """One `.did` file, and through `_imported` the files that it imports, each once."""

    def __init__(
        self, text: str, resolver: Resolver | None, source: str, scope: dict[str, Named] | None = None
    ) -> None:
        self._resolver = resolver
        self._source = source
        self._scope: dict[str, Named] = {} if scope is None else scope
        self._tree = parse(text, "prog", source)

    def read(self) -> Interface:
        inherited: dict[str, Type] = {}
        self._load(self._resolver, {self._source}, inherited)
        actor = next(self._nodes("actor"), None)
        init_args: tuple[Type, ...] = ()
        service: Service | None = None
        if actor is not None:
            init_args, service = self._actor(actor)
        if inherited:
            own = dict(service.methods) if service else {}
            for name in own.keys() & inherited.keys():
                raise error_at(actor or self._tree, f"method {name} is imported and declared here", self._source)
            service = Service(own | inherited)
        types = {name: resolve(named) for name, named in self._scope.items()}
        return Interface(types, service, init_args)

    def _nodes(self, kind: str) -> Iterator[Node]:
        return (n for n in self._tree.children if isinstance(n, Tree) and n.data == kind)

    def _load(self, resolver: Resolver | None, seen: set[str], methods: dict[str, Type]) -> None:
        """Define everything in this file and its imports; collect the methods of imported services."""
        for kind in ("import_types", "import_service"):
            for node in self._nodes(kind):
                self._imported(node, resolver, seen, methods)
        definitions: list[tuple[Token, Named, Node]] = []
        for node in self._nodes("type_def"):
            name_node, body = node.children
            assert isinstance(name_node, Tree)
            assert isinstance(body, Tree)
            (name,) = name_node.children
            assert isinstance(name, Token)
            if name in self._scope:
                raise error_at(name, f"type {name} is defined twice", self._source)
            named = self._scope[str(name)] = Named(str(name))
            definitions.append((name, named, body))
        builder = TypeBuilder(self._scope, self._source)
        for _, named, body in definitions:
            named.define(builder.build(body))
        for name, named, _ in definitions:
            try:
                resolve(named)
            except InvalidTypeError as error:
                raise error_at(name, str(error), self._source) from None
        self._check_methods(definitions)

    def _imported(self, node: Node, resolver: Resolver | None, seen: set[str], methods: dict[str, Type]) -> None:
        (token,) = node.children
        assert isinstance(token, Token)
        path = text_of(token, self._source)
        if resolver is None:
            problem = f"import of {path!r} refused: imports need a resolver, or inline the imported definitions"
            raise error_at(token, problem, self._source)
        if path in seen:
            return
        seen.add(path)
        file = _File(resolver(path), resolver, path, self._scope)
        file._load(resolver, seen, methods)
        if node.data == "import_service":
            actor = next(file._nodes("actor"), None)
            init_args, service = file._actor(actor) if actor is not None else ((), None)
            if service is None or init_args:
                raise error_at(token, f"{path!r} has no running service to import", self._source)
            for name in methods.keys() & dict(service.methods).keys():
                raise error_at(token, f"method {name} is imported twice", self._source)
            methods.update(service.methods)

    def _actor(self, node: Node) -> tuple[tuple[Type, ...], Service]:
        builder = TypeBuilder(self._scope, self._source)
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
            raise error_at(node, f"the main service is {service and describe(service)}, no service", self._source)
        self._check_service(node, service)
        return init_args, service

    def _check_methods(self, definitions: list[tuple[Token, Named, Node]]) -> None:
        for name, named, _ in definitions:
            target = resolve(named)
            if isinstance(target, Service):
                self._check_service(name, target)

    def _check_service(self, place: Node | Token, service: Service) -> None:
        for name, method in service.methods:
            if not isinstance(resolve(method), Func):
                raise error_at(place, f"method {name} has type {describe(method)}, expected a function", self._source)
