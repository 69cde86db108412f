"""One base for all errors of the package; what it says of the call that failed."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import canister_factory
from canister_factory import errors
from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Variant
from canister_factory.candid.values import Case
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import CanisterNotFoundError, NetworkUnreachableError, RejectedError
from support.ic_test_support import CANISTER, FakeNetwork

# What never leaves the place that raises it: signals between parts of the replica, which become answers of the
# network, and the interruption of a command, which nothing but the end of the process may catch.
INTERNAL = {
    "canister_factory.interrupts.Interrupted",
    "canister_factory.replica.node.http_error.HttpError",
    "canister_factory.replica.node.rounds.RoundFailedError",
    "canister_factory.replica.runtime.execution.CanisterError",
    "canister_factory.replica.runtime.guest_memory.InstructionLimitReachedError",
    "canister_factory.replica.runtime.host_interface.HostTrapError",
    "canister_factory.replica.runtime.wasmtime_ffi.HostFunctionError",
    "canister_factory.replica.runtime.wasmtime_ffi.WasmTrapError",
    "canister_factory.replica.system_canisters.cycles_ledger._RefusedError",
}


def exception_classes() -> Iterator[type[BaseException]]:
    """Every exception class that a module of the package defines."""
    for module in pkgutil.walk_packages(canister_factory.__path__, "canister_factory."):
        if module.name != "canister_factory.__main__":
            for thing in vars(importlib.import_module(module.name)).values():
                if isinstance(thing, type) and issubclass(thing, BaseException) and thing.__module__ == module.name:
                    yield thing


def test_every_exception_class_has_the_base_or_is_known_to_stay_inside() -> None:
    outside = {f"{c.__module__}.{c.__name__}" for c in exception_classes() if not issubclass(c, CanisterFactoryError)}
    assert outside == INTERNAL


def test_errors_offers_each_class_by_name_but_those_of_the_command_line() -> None:
    offered = {c.__name__: c for c in exception_classes() if issubclass(c, CanisterFactoryError)}
    commands = {name for name, c in offered.items() if c.__module__.startswith("canister_factory.cli.")}
    assert commands == {"CommandError", "InputError", "NotABackendError"}
    assert errors.__all__ == sorted(offered.keys() - commands)
    assert {name: getattr(errors, name) for name in errors.__all__} == {name: offered[name] for name in errors.__all__}


def test_type_checkers_see_the_same_names() -> None:
    imported = {
        alias.asname
        for node in ast.walk(ast.parse(Path(errors.__file__).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported - {None} == set(errors.__all__)


def test_every_class_says_whether_a_retry_helps_and_is_documented() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert isinstance(error.retry_helps, bool), name
        assert (error.__doc__ or "").endswith((".", ".\n", ".\n    ")), name


def test_a_fresh_error_is_about_no_call() -> None:
    error = EncodeError("too long")
    assert (error.retry_helps, error.method, error.canister_id, error.request_id) == (False, None, None, None)


def test_what_is_known_of_the_call_stays() -> None:
    error = RejectedError(4, "no", certified=True)
    error.note_call("first", CANISTER, b"id")
    error.note_call("second", Principal.management_canister(), b"other")
    assert (error.method, error.canister_id, error.request_id) == ("first", CANISTER, b"id")


@pytest.mark.parametrize("kind", ["call", "query"])
async def test_a_rejection_names_method_canister_and_request(agent: Agent, net: FakeNetwork, kind: str) -> None:
    net.canister = lambda envelope: {"reject_code": 2, "reject_message": "later", "error_code": "IC0207"}
    send = agent.update if kind == "call" else agent.query
    with pytest.raises(RejectedError) as caught:
        await send(str(CANISTER), "add", b"")
    error = caught.value
    assert (error.retry_helps, error.method, error.canister_id) == (True, "add", CANISTER)
    assert error.request_id == verify_envelope(net.posted(kind)[0], net.clock()).request_id


async def test_a_call_that_was_never_sent_is_named_too(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.ConnectError("refused")] * 9
    with pytest.raises(NetworkUnreachableError) as caught:
        await agent.update(CANISTER, "add", b"")
    assert (caught.value.method, caught.value.canister_id) == ("add", CANISTER)
    assert len(caught.value.request_id or b"") == 32


async def test_a_missing_canister_is_named(agent: Agent) -> None:
    with pytest.raises(CanisterNotFoundError) as caught:
        await agent.canister_info(CANISTER)
    assert (caught.value.method, caught.value.canister_id) == (None, CANISTER)


async def test_what_a_canister_of_ours_refuses_names_method_and_canister(agent: Agent, net: FakeNetwork) -> None:
    service = PersonalClient.interface().service
    assert service is not None
    (result,) = service.method("read_memory_chunk").results
    assert isinstance(result, Variant)
    refusal = Case("Err", Case("Unauthorized", "not yours"))
    net.canister = lambda envelope: encode([result], [refusal])
    with pytest.raises(CapsuleRefused) as caught:
        await PersonalClient(agent, CANISTER).read_memory_chunk("m1", 0)
    assert (caught.value.method, caught.value.canister_id) == ("read_memory_chunk", CANISTER)


async def test_an_argument_that_does_not_fit_names_method_and_canister(agent: Agent) -> None:
    with pytest.raises(EncodeError) as caught:
        await PersonalClient(agent, CANISTER).read_memory_chunk("m1", -1)
    assert (caught.value.method, caught.value.canister_id) == ("read_memory_chunk", CANISTER)
