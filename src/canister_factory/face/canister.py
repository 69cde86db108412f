"""`Canister`: any canister, called by its interface: `await counter.increment(1)`.

Owns finding the interface and choosing query or update by it. Does not own: Candid (`candid`), the calls (`ic.agent`),
the typed clients of our own canisters (`contract`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.binding import candid_type, from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.did import Interface, parse_did, read_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError, EncodeError, InvalidTypeError
from canister_factory.candid.principal import PrincipalLike, as_principal
from canister_factory.candid.types import Func, describe
from canister_factory.ic.agent import Agent
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.trace import noting_call

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN_METHODS = 8


class NoInterfaceError(CanisterFactoryError):
    """A canister publishes no interface that can be used, or what was given as one describes no service."""


class UnknownMethodError(CanisterFactoryError, AttributeError):
    """The interface has no such method; the message lists those with names like it."""


def query(declaration: F) -> F:
    """Marks a method of a declared interface as a query (see `Canister`)."""
    declaration.__is_query__ = True  # type: ignore[attr-defined]
    return declaration


@dataclass(frozen=True, slots=True)
class _Method:
    """A method's type, and the annotations of its declaration where it has one."""

    type: Func
    annotations: tuple[Any, ...] | None = None
    result: Any = None

    def encode(self, values: tuple[Any, ...]) -> bytes:
        expected = len(self.type.args)
        if len(values) != expected:
            plural = "" if expected == 1 else "s"
            raise EncodeError(f"{expected} argument{plural} expected, got {len(values)}: {describe(self.type, 60)}")
        if self.annotations is not None:
            values = tuple(map(to_candid, self.annotations, values))
        return encode(self.type.args, values)

    def decode(self, reply: bytes) -> Any:
        values = decode(reply, self.type.results)
        if self.annotations is not None:
            values = tuple(from_candid(self.result, value) for value in values)
        return values if len(values) > 1 else values[0] if values else None


class Canister:
    """A canister whose methods are attributes: `await counter.increment(1)`.

    A method that the interface says is a query is called as one, any other as an update. Arguments and results are
    plain Python values (docs/python.md). A method without results returns None, with one that value, with more a tuple.

    Args:
        agent: calls as its identity.
        canister_id: the canister, as a principal or its text form.
        interface: the path of a `.did` file, its text (a `str`), a parsed `Interface`, or a class that declares the
            methods in Python with the annotations and models of `cf.models`:

                class Counter(Protocol):
                    async def increment(self, by: cf.models.Nat) -> cf.models.Nat: ...
                    @cf.query
                    async def read(self) -> cf.models.Nat: ...

    `from_network` takes the interface that the canister publishes. Methods that are named like an attribute of this
    class, or like no Python name, are called by `call`.

    Raises:
        ParseError, InvalidTypeError: the interface is wrong.
        NoInterfaceError: it describes no service.
        PrincipalError: the id's text is wrong.
    """

    def __init__(self, agent: Agent, canister_id: PrincipalLike, interface: Interface | Path | str | type[Any]) -> None:
        self.agent = agent
        self.canister_id = as_principal(canister_id)
        self._methods = _declared(interface) if isinstance(interface, type) else _described(interface)

    @classmethod
    async def from_network(cls, agent: Agent, canister_id: PrincipalLike) -> Canister:
        """The canister with the interface that it publishes (metadata `candid:service`), read certified.

        Raises:
            NoInterfaceError: it publishes none, or none that can be read.
            CanisterNotFoundError, CertificateError, ProtocolError, TransportError: as `Agent.metadata`.
        """
        canister = as_principal(canister_id)
        published = await agent.metadata(canister, "candid:service")
        problem = "there is no metadata candid:service"
        if published is not None:
            try:
                return cls(agent, canister, parse_did(published.decode("utf-8"), source="candid:service"))
            except (UnicodeDecodeError, CandidError, NoInterfaceError) as error:
                problem = quoted(str(error))
        failure = NoInterfaceError(
            f"{canister} publishes no usable interface ({problem}): give its .did to cf.Canister(agent, id, did)"
        )
        failure.note_call(None, canister)
        raise failure

    def __repr__(self) -> str:
        names = list(self._methods)
        more = f", and {len(names) - _SHOWN_METHODS} more" if len(names) > _SHOWN_METHODS else ""
        return f"Canister({self.canister_id}: {', '.join(names[:_SHOWN_METHODS])}{more}; {self.agent!r})"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *filter(str.isidentifier, self._methods)})

    @property
    def methods(self) -> Mapping[str, Func]:
        """The type of each method by its name."""
        return MappingProxyType({name: method.type for name, method in self._methods.items()})

    def with_agent(self, agent: Agent) -> Canister:
        """The same canister, called by another agent: as another identity."""
        other = copy(self)
        other.agent = agent
        return other

    async def call(self, method: str, *args: Any) -> Any:
        """Calls a method by its name.

        Raises:
            UnknownMethodError: there is none of this name.
            EncodeError: the arguments don't fit.
            DecodeError: the reply isn't what the interface says.
            RejectedError, OutcomeUnknownError, TransportError and others: as `Agent.update` or `Agent.query`.
        """
        known = self._method(method)
        send = self.agent.query if known.type.is_query else self.agent.update
        with noting_call(self.canister_id, method):
            reply = await send(self.canister_id, method, known.encode(args))
            return None if "oneway" in known.type.modes else known.decode(reply)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or "_methods" not in self.__dict__:  # asked by copy and the like
            raise AttributeError(name)
        method = self._method(name)

        async def call(*args: Any) -> Any:
            return await self.call(name, *args)

        call.__name__ = name
        call.__qualname__ = f"Canister.{name}"
        call.__doc__ = f"{name} : {str(method.type).removeprefix('func ')}"
        return call

    def _method(self, name: str) -> _Method:
        if name in self._methods:
            return self._methods[name]
        near = get_close_matches(name, self._methods) or sorted(self._methods)
        error = UnknownMethodError(f"{self.canister_id} has no method {name!r}; it has: {', '.join(near) or 'none'}")
        error.note_call(name, self.canister_id)
        raise error


def _described(given: Interface | Path | str) -> dict[str, _Method]:
    if isinstance(given, Path):
        given = read_did(given)
    elif isinstance(given, str):
        given = parse_did(given)
    service = given.service
    if service is None:
        raise NoInterfaceError("the interface describes no service, only types")
    return {name: _Method(service.method(name)) for name, _ in service.methods}


def _declared(declaration: type[Any]) -> dict[str, _Method]:
    methods = {}
    for name, function in inspect.getmembers(declaration, inspect.iscoroutinefunction):
        hints = get_type_hints(function, include_extras=True)
        result = hints.pop("return", None)
        for parameter in list(inspect.signature(function).parameters)[1:]:
            if parameter not in hints:
                raise InvalidTypeError(f"{name}: the parameter {parameter} has no annotation")
        results = [] if result in (None, type(None)) else [candid_type(result)]
        modes = ["query"] if getattr(function, "__is_query__", False) else []
        annotations = tuple(hints.values())
        methods[name] = _Method(Func(map(candid_type, annotations), results, modes), annotations, result)
    if not methods:
        raise NoInterfaceError(f"{declaration.__name__} declares no methods: they are its `async def` functions")
    return methods
