"""One base for all errors of the package; what it says of the call that failed."""

from __future__ import annotations

import ast
import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import canister_factory
from canister_factory import errors
from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError, MismatchError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import NAT
from canister_factory.candid.values import Case
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.endpoint import Client
from canister_factory.contract.errors import CapsuleRefused, ContractMismatchError, CreationRefused
from canister_factory.face.canister import Canister
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    MalformedCertificateError,
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    QuerySignatureError,
    RejectedError,
    TransportError,
)
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.request_id import request_id
from support.ic_test_support import CANISTER, FakeNetwork

# What never leaves the place that raises it: signals between parts of the replica, which become answers of the
# network, and the interruption of a command, which nothing but the end of the process may catch.
INTERNAL = {
    "canister_factory.factory.stages.CanisterGivenUp",
    "canister_factory.interrupts.Interrupted",
    "canister_factory.replica.node.http_error.HttpError",
    "canister_factory.replica.node.round_failed.RoundFailedError",
    "canister_factory.replica.node.outcall_error.OutcallError",
    "canister_factory.replica.node.private_files.SharedDirectoryError",
    "canister_factory.ic.cbor._UnusualError",
    "canister_factory.ic.transport.AnswerTooLargeError",
    "canister_factory.replica.runtime.execution.CanisterError",
    "canister_factory.replica.runtime.execution.ExecutionAbandonedError",
    "canister_factory.replica.runtime.guest_memory.InstructionLimitReachedError",
    "canister_factory.replica.runtime.host_interface.HostTrapError",
    "canister_factory.replica.runtime.wasmtime_ffi.HostFunctionError",
    "canister_factory.replica.runtime.wasmtime_ffi.WasmTrapError",
    "canister_factory.replica.store.files.SyncFailedError",
    "canister_factory.replica.subnet.work.Suspended",
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
    assert error.request_id == ids(net, kind)[0]


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


def refusing(client: type[Client], method: str, refusal: Any) -> Callable[[Any], bytes]:
    """A canister that answers a method of a client's contract with `Err`."""
    (result,) = client.method(method).result_types
    return lambda request: encode([result], [Case("Err", refusal)])


FAILED = {
    "kind": Case("Busy"), "message": "later", "retry_helps": True,
    "stage": None, "canister_id": None, "needed": None, "available": None,
}  # fmt: skip
MANAGEMENT = Principal.management_canister()
JUNK = b"DIDL\x00\x01\x7f"  # one value of the type null
READ, ASK = "read_memory_chunk", "create_personal_canister"


@pytest.mark.parametrize(
    ("answer", "call", "error", "method", "canister_id"),
    [
        pytest.param(
            refusing(PersonalClient, READ, Case("Unauthorized", "not yours")),
            lambda agent: PersonalClient(agent, CANISTER).read_memory_chunk("m1", 0),
            CapsuleRefused, READ, CANISTER, id="a query is refused",
        ),
        pytest.param(
            refusing(PersonalClient, "register", Case("Unauthorized", "no")),
            lambda agent: PersonalClient(agent, str(CANISTER)).register(),
            CapsuleRefused, "register", CANISTER, id="an update is refused",
        ),
        pytest.param(
            refusing(BackendClient, ASK, FAILED),
            lambda agent: BackendClient(agent, CANISTER).create_personal_canister(),
            CreationRefused, ASK, CANISTER, id="a creation is refused",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: BackendClient(agent, CANISTER).list_releases(),
            ContractMismatchError, "list_releases", CANISTER, id="a reply isn't the contract's",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: Canister(agent, CANISTER, "service : { read : () -> (nat) query }").read(),
            MismatchError, "read", CANISTER, id="a reply isn't the interface's",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: agent.update_raw_async(CANISTER, "read", b"", NAT),
            MismatchError,
            "read",
            CANISTER,
            id="nor that of ic-py's methods",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: agent.query_raw_async(str(CANISTER), "read", b"", NAT),
            MismatchError,
            "read",
            CANISTER,
            id="queries as well",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: ManagementCanister(agent).canister_status(CANISTER),
            MismatchError, "canister_status", MANAGEMENT, id="a reply isn't the management canister's",
        ),
        pytest.param(
            lambda request: JUNK,
            lambda agent: ManagementCanister(agent).fetch_canister_logs(CANISTER),
            MismatchError, "fetch_canister_logs", MANAGEMENT, id="nor that of its query",
        ),
    ],
)  # fmt: skip
async def test_what_comes_of_a_reply_names_the_call(
    agent: Agent,
    net: FakeNetwork,
    answer: Callable[[Any], bytes],
    call: Callable[[Agent], Awaitable[Any]],
    error: type[CanisterFactoryError],
    method: str,
    canister_id: Principal,
) -> None:
    net.canister = answer
    with pytest.raises(error) as caught:
        await call(agent)
    assert (caught.value.method, caught.value.canister_id) == (method, canister_id)
    assert caught.value.request_id == ids(net, "call", "query")[-1]


def ids(net: FakeNetwork, *kinds: str) -> list[bytes]:
    """The ids of the requests of these kinds, in their order."""
    asked = [body for path, body in net.requests if path.rsplit("/", 1)[-1] in kinds]
    return [request_id(cbor.loads(body, "an envelope")["content"]) for body in asked]


async def test_of_several_attempts_the_last_is_named(agent: Agent, net: FakeNetwork) -> None:
    answers = [{"reject_code": 2, "reject_message": "later", "error_code": "IC0207"}] * 2
    refused = refusing(PersonalClient, READ, Case("Unauthorized", "not yours"))
    net.canister = lambda request: answers.pop() if answers else refused(request)
    retry = Retry(FactoryConfig(), sleep=net.clock.sleep)
    with pytest.raises(CapsuleRefused) as caught:
        await PersonalClient(agent, CANISTER, repeat=retry).read_memory_chunk("m1", 0)
    assert len(set(ids(net, "query"))) == 3
    assert caught.value.request_id == ids(net, "call", "query")[-1]


async def test_calls_at_the_same_time_are_told_apart(agent: Agent, net: FakeNetwork) -> None:
    net.canister = refusing(PersonalClient, READ, Case("Unauthorized", "not yours"))
    client = PersonalClient(agent, CANISTER)
    errors = await asyncio.gather(*(client.read_memory_chunk("m1", i) for i in range(3)), return_exceptions=True)
    named = [error.request_id or b"" for error in errors if isinstance(error, CapsuleRefused)]
    assert sorted(named) == sorted(ids(net, "query"))
    assert len(set(named)) == 3


def busy(net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(503) for _ in range(999)]


def refused(net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(400, text="no")]


def forgetful_and_forged(net: FakeNetwork) -> None:
    net.calls_to_lose = 99
    net.alter_query = lambda answer: answer["signatures"][0].update(signature=bytes(64))


def garbled(net: FakeNetwork) -> None:
    net.alter_certificate = lambda data: b"junk"


@pytest.mark.parametrize("kind", ["call", "query"])
@pytest.mark.parametrize(
    ("fault", "of_call", "of_query"),
    [
        (refused, ProtocolError, ProtocolError),
        (busy, OutcomeUnknownError, TransportError),
        (forgetful_and_forged, OutcomeUnknownError, QuerySignatureError),
        (garbled, OutcomeUnknownError, MalformedCertificateError),
    ],
)
async def test_a_request_without_an_answer_is_named(
    agent: Agent, net: FakeNetwork, kind: str, fault: Callable[[FakeNetwork], None], of_call: Any, of_query: Any
) -> None:
    fault(net)
    with pytest.raises(of_call if kind == "call" else of_query) as caught:
        await (agent.update if kind == "call" else agent.query)(CANISTER, "add", b"")
    assert (caught.value.method, caught.value.canister_id) == ("add", CANISTER)
    assert caught.value.request_id in ids(net, kind)


async def test_an_argument_that_does_not_fit_names_method_and_canister(agent: Agent) -> None:
    with pytest.raises(EncodeError) as caught:
        await PersonalClient(agent, CANISTER).read_memory_chunk("m1", -1)
    assert (caught.value.method, caught.value.canister_id) == ("read_memory_chunk", CANISTER)
