"""How a declared client method becomes a call: types from the `.did`, values from the annotations, `Err` as exception.

Owns the way from a Python call to Candid and back, and the declaration of what may be repeated. Does not own: which
endpoints there are (`clients`), and repeating them (`factory.retry`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_type_hints

from canister_factory.candid.binding import from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.did import Interface
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import DecodeError
from canister_factory.candid.principal import PrincipalLike, as_principal
from canister_factory.candid.types import Type, Variant, resolve
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationError
from canister_factory.contract.errors import (
    ArgumentTooLargeError,
    CapsuleRefused,
    ContractMismatchError,
    CreationRefused,
)
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.trace import noting_call

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Caller(Protocol):
    """What sends encoded calls: `ic.agent.Agent`."""

    async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        """The reply of an update call."""

    async def query(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        """The reply of a query call."""


class Repeat(Protocol):
    """Makes a call, and makes it again after a failure that passes: `factory.retry.Retry`."""

    async def __call__(self, method: str, call: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of an attempt at `call`, an endpoint of the name `method`."""


@dataclass(frozen=True, slots=True)
class Method:
    """One endpoint as the contract has it, and as its Python declaration reads it."""

    name: str
    is_query: bool
    arg_types: tuple[Type, ...]
    arg_annotations: tuple[Any, ...]
    result_types: tuple[Type, ...]
    result_annotation: Any
    refusal: type[CapsuleRefused] | type[CreationRefused] | None
    """What `Err` becomes; `None`: the endpoint's type is no result."""
    is_repeatable: bool
    """Whether a call whose outcome is unknown may be sent again: a query, or declared `repeatable`."""

    def encode(self, values: tuple[Any, ...]) -> bytes:
        """The Candid argument.

        Raises:
            EncodeError: a value is not of the endpoint's type.
        """
        return encode(self.arg_types, [to_candid(a, v) for a, v in zip(self.arg_annotations, values, strict=True)])

    def decode(self, reply: bytes) -> Any:
        """The `Ok` value of a reply.

        Raises:
            CapsuleRefused, CreationRefused: the reply is `Err`.
            ContractMismatchError: the reply isn't of the contract's type.
        """
        try:
            (value,) = decode(reply, self.result_types)
            if self.refusal is None:
                return from_candid(self.result_annotation, value)
            if value.tag == "Ok":
                return from_candid(self.result_annotation, value.value)
            if self.refusal is CapsuleRefused:
                refusal: Exception = CapsuleRefused(self.name, from_candid(CapsuleError, value.value))
            else:
                refusal = CreationRefused(self.name, from_candid(CreationError, value.value))
        except DecodeError as error:
            raise ContractMismatchError(
                f"the reply of {self.name} doesn't match the contract ({error}): is this the right canister, and "
                "of a compatible version?"
            ) from error
        raise refusal


class Client:
    """Calls one canister through an agent. Subclasses declare its endpoints.

    Args:
        agent: sends the calls.
        canister_id: the canister.
        repeat: makes every call that may be repeated; without it, each call is made once.
    """

    def __init__(self, agent: Caller, canister_id: PrincipalLike, *, repeat: Repeat | None = None) -> None:
        self.agent = agent
        self.canister_id = as_principal(canister_id)
        self._repeat = repeat

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.canister_id}, {self.agent!r})"

    @classmethod
    def interface(cls) -> Interface:
        """The parsed contract."""
        raise NotImplementedError

    @classmethod
    def argument_limits(cls) -> Mapping[str, int]:
        """How many bytes of arguments the methods take at most, by name; without one, as many as a message."""
        return {}

    @classmethod
    def method(cls, name: str) -> Method:
        """One endpoint; made at its first use.

        Raises:
            KeyError: the contract has no endpoint of this name.
        """
        methods: dict[str, Method] = cls.__dict__.get("_methods", {})
        if name not in methods:
            methods[name] = _method(cls, name)
            cls._methods = methods  # type: ignore[attr-defined]  # each class has its own
        return methods[name]

    async def call(self, name: str, values: tuple[Any, ...]) -> Any:
        """Calls an endpoint: as a query where the contract says so, else as an update.

        Raises:
            EncodeError: a value is not of the endpoint's type.
            ArgumentTooLargeError: the values take more bytes than the endpoint does; nothing was sent.
            CapsuleRefused, CreationRefused: the canister answered `Err`.
            ContractMismatchError: the reply isn't of the contract's type.
            RejectedError: the call was rejected; a note says so if it was at the canister's door.
            IcError: the call failed.
        """
        method = self.method(name)
        send = self.agent.query if method.is_query else self.agent.update
        repeat = self._repeat if method.is_repeatable else None
        with noting_call(self.canister_id, name):
            argument = method.encode(values)
            limit = self.argument_limits().get(name)
            if limit is not None and len(argument) > limit:
                raise ArgumentTooLargeError(name, len(argument), limit)
            try:
                if repeat is not None:
                    return method.decode(await repeat(name, send, self.canister_id, name, argument))
                return method.decode(await send(self.canister_id, name, argument))
            except RejectedError as error:
                if error.is_unaccepted:
                    error.add_note(f"The canister doesn't take {name} from this caller now; nothing was executed")
                raise


C = TypeVar("C", bound=Client)


def endpoint(
    declared: Callable[Concatenate[C, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[C, P], Coroutine[Any, Any, R]]:
    """Makes a declaration (name, parameters, result, docstring) the call of the endpoint of that name."""
    name = declared.__name__
    signature = inspect.signature(declared)

    async def call(self: C, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        result: R = await self.call(name, tuple(bound.arguments.values())[1:])
        return result

    call.__is_endpoint__ = True  # type: ignore[attr-defined]
    update_wrapper(call, declared)
    return call


def repeatable(declared: F) -> F:
    """Declares of an update that it may be sent again while an earlier attempt may still be executed.

    Executed twice it has the effect that it has once; at most the second one is refused, since the first was executed.
    Queries needn't be declared.
    """
    declared.__is_repeatable__ = True  # type: ignore[attr-defined]
    return declared


def _method(cls: type[Client], name: str) -> Method:
    service = cls.interface().service
    assert service is not None
    function = service.method(name)
    declared = getattr(cls, name)
    hints = get_type_hints(declared, include_extras=True)
    result = hints.pop("return")
    refusal: type[CapsuleRefused] | type[CreationRefused] | None = None
    shape = resolve(function.results[0])
    if isinstance(shape, Variant) and {field.label for field in shape.fields} == {"Ok", "Err"}:
        error = next(resolve(field.type) for field in shape.fields if field.label == "Err")
        refusal = CapsuleRefused if isinstance(error, Variant) else CreationRefused
    return Method(
        name=name,
        is_query=function.is_query,
        arg_types=function.args,
        arg_annotations=tuple(hints.values()),
        result_types=function.results,
        result_annotation=result,
        refusal=refusal,
        is_repeatable=function.is_query or getattr(declared, "__is_repeatable__", False),
    )
