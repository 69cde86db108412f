"""How client methods become calls, and replies become values or refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationError, CreationErrorKind
from canister_factory.contract.endpoint import Client, endpoint
from canister_factory.contract.errors import (
    ArgumentTooLargeError,
    CapsuleRefused,
    ContractMismatchError,
    CreationRefused,
)
from canister_factory.contract.import_models import MemoryChunk
from canister_factory.contract.memory_models import BlobKind, BlobRef, MemoryData, MemoryType, NewMemory
from canister_factory.contract.person_models import PersonRef
from canister_factory.ic.errors import RejectedError

P = ParamSpec("P")
R = TypeVar("R")
CANISTER = Principal(b"\x00" * 8 + b"\x01\x01")


class Wire:
    """An agent that keeps what it is given and answers with `reply`."""

    def __init__(self, client: type[Client], method: str, reply: Any) -> None:
        service = client.interface().service
        assert service is not None
        self.function = service.method(method)
        self.reply = encode(self.function.results, [reply])
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []

    async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        self.calls.append(("update", method, decode(arg, self.function.args)))
        assert canister_id == CANISTER
        return self.reply

    async def query(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        self.calls.append(("query", method, decode(arg, self.function.args)))
        return self.reply


async def test_a_query_method_is_queried_and_its_ok_value_returned() -> None:
    wire = Wire(BackendClient, "read_memory_chunk", Case("Ok", b"bytes"))
    assert await BackendClient(wire, CANISTER).read_memory_chunk("m1", 3) == b"bytes"
    assert wire.calls == [("query", "read_memory_chunk", ("m1", 3))]


async def test_an_update_method_is_updated_with_models_as_arguments() -> None:
    wire = Wire(BackendClient, "add_memory_to_capsule", Case("Ok", "m7"))
    data = MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""), data=b"x")
    memory = NewMemory(memory_type=MemoryType.Note, name="n", content_type="text/plain")
    assert await BackendClient(wire, str(CANISTER)).add_memory_to_capsule(data, memory) == "m7"
    ((mode, _, (sent, described)),) = wire.calls
    assert mode == "update"
    assert sent["data"] == b"x"
    assert described["memory_type"] == Case("Note")


async def test_arguments_may_be_named_and_optional_ones_left_out() -> None:
    wire = Wire(PersonalClient, "list_import_entries", Case("Ok", {"entries": [], "next": None, "revision": 4}))
    page = await PersonalClient(wire, CANISTER).list_import_entries(limit=5)
    assert page.revision == 4
    assert wire.calls[0][2] == (None, 5)


async def test_an_endpoint_that_both_canisters_share_is_called_the_same_way_on_either() -> None:
    assert CapsuleClient.method("read_memory_chunk").is_query
    for client in (CapsuleClient, BackendClient, PersonalClient):
        wire = Wire(PersonalClient, "read_memory_chunk", Case("Ok", b"bytes"))
        assert await client(wire, CANISTER).read_memory_chunk("m1", 3) == b"bytes"
        assert wire.calls == [("query", "read_memory_chunk", ("m1", 3))]


def test_a_method_that_the_contract_does_not_have_cannot_be_declared() -> None:
    async def no_such_method(self: Client) -> None: ...

    declared = endpoint(no_such_method)
    assert declared.__is_endpoint__  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        BackendClient.method("no_such_method")


async def test_what_may_be_repeated_goes_through_repeat_and_the_rest_is_sent_once() -> None:
    repeated: list[tuple[str, Any]] = []

    async def repeat(method: str, call: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        repeated.append((method, args[0]))
        await call(*args, **kwargs)
        return await call(*args, **kwargs)

    wire = Wire(BackendClient, "read_memory_chunk", Case("Ok", b"bytes"))
    assert await BackendClient(wire, CANISTER, repeat=repeat).read_memory_chunk("m1", 3) == b"bytes"
    wire = Wire(PersonalClient, "put_items", Case("Ok"))
    await PersonalClient(wire, CANISTER, repeat=repeat).put_items(5, [])
    assert wire.calls == [("update", "put_items", (5, []))] * 2
    wire = Wire(PersonalClient, "delete_gallery", Case("Ok"))
    await PersonalClient(wire, CANISTER, repeat=repeat).delete_gallery("g")
    assert len(wire.calls) == 1
    assert repeated == [("read_memory_chunk", CANISTER), ("put_items", CANISTER)]


REPEATABLE: dict[type[Client], set[str]] = {
    BackendClient: {
        *("register", "register_capsule", "put_memory_upload_chunk"),
        *("claim_creation", "renew_lease", "release_lease", "report_progress", "begin_export", "provision_canister"),
        *("verify_creation", "complete_creation", "fail_creation", "hand_on_creation"),
        *("undo_personal_canister", "begin_move_back", "request_erasure", "look_at_canisters"),
    },
    PersonalClient: {
        *("register", "register_capsule", "put_memory_upload_chunk"),
        *("begin_import", "put_memory_chunk", "put_memory_chunks", "put_items", "commit_memory", "commit_memories"),
        *("remove_items", "import_batch", "finalize_import", "get_history", "close_for_undo"),
        *("offer_ownership", "accept_ownership", "remove_owner", "change_backend"),
    },
}
"""Updates that may be sent again when their outcome is unknown. What adds or deletes something by itself isn't here."""


@pytest.mark.parametrize("client", REPEATABLE, ids=lambda client: client.__name__)
def test_every_query_may_be_repeated_and_only_these_updates(client: type[Client]) -> None:
    names = [name for name in dir(client) if getattr(getattr(client, name), "__is_endpoint__", False)]
    methods = [client.method(name) for name in names]
    assert all(method.is_repeatable for method in methods if method.is_query)
    assert {method.name for method in methods if not method.is_query and method.is_repeatable} == REPEATABLE[client]


async def test_lists_of_models_travel() -> None:
    wire = Wire(PersonalClient, "put_memory_chunks", Case("Ok"))
    chunk = MemoryChunk(memory_id="m", index=1, bytes=b"ab", sha256=b"s" * 32)
    await PersonalClient(wire, CANISTER).put_memory_chunks(5, [chunk])
    assert wire.calls[0][2] == (5, [{"memory_id": "m", "index": 1, "bytes": b"ab", "sha256": b"s" * 32}])


async def test_a_type_that_is_no_result_comes_back_as_it_is() -> None:
    wire = Wire(BackendClient, "get_personal_canister_id", None)
    assert await BackendClient(wire, CANISTER).get_personal_canister_id(CANISTER) is None


async def test_a_refusal_of_the_capsule_api_names_limit_and_value() -> None:
    error = Case("LimitExceeded", {"what": "bytes of a chunk", "limit": 2_000_000, "actual": 3_000_000})
    wire = Wire(BackendClient, "read_memory_chunk", Case("Err", error))
    with pytest.raises(CapsuleRefused, match=r"bytes of a chunk is 3,000,000, above the limit of 2,000,000") as refused:
        await BackendClient(wire, CANISTER).read_memory_chunk("m", 0)
    assert (refused.value.kind, refused.value.method) == ("LimitExceeded", "read_memory_chunk")


async def test_a_refusal_of_the_creation_api_keeps_kind_amounts_and_whether_a_retry_helps() -> None:
    error = {
        "kind": Case("ReserveInsufficient"),
        "message": "not enough",
        "stage": Case("Creating"),
        "canister_id": None,
        "needed": 7_000,
        "available": 5,
        "retry_helps": True,
    }
    wire = Wire(BackendClient, "create_personal_canister", Case("Err", error))
    with pytest.raises(CreationRefused, match=r"not enough \(needed 7,000, available 5\)") as raised:
        await BackendClient(wire, CANISTER).create_personal_canister()
    assert raised.value.retry_helps
    assert raised.value.error.kind == CreationErrorKind.ReserveInsufficient
    assert raised.value.context["method"] == "create_personal_canister"


async def test_an_owner_who_is_not_told_what_the_reserve_has_reads_what_is_needed() -> None:
    error = CreationError(
        kind=CreationErrorKind.ReserveInsufficient, message="not enough", needed=7_000, retry_helps=True
    )
    assert str(CreationRefused("m", error)).endswith("not enough (needed 7,000)")


async def test_a_reply_of_another_contract_is_named_as_such() -> None:
    wire = Wire(BackendClient, "whoami", CANISTER)
    wire.reply = b"DIDL\x00\x01\x71\x01x"
    with pytest.raises(ContractMismatchError, match="reply of whoami"):
        await BackendClient(wire, CANISTER).whoami()


async def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent() -> None:
    wire = Wire(BackendClient, "add_connection", Case("Ok"))
    with pytest.raises(EncodeError):
        await BackendClient(wire, CANISTER).add_connection("not a person")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await BackendClient(wire, CANISTER).add_connection()  # type: ignore[call-arg]
    assert wire.calls == []


@pytest.mark.parametrize(
    ("error", "words", "retry_helps"),
    [
        ({"Unauthorized": "nobody"}, "not authorized: nobody", False),
        ({"NotFound": {"kind": "memory", "id": "m"}}, "there is no memory m, or it is not shared with you$", False),
        ({"NotFound": {"kind": "upload", "id": "7"}}, "there is no upload 7, or somebody else began it$", False),
        ({"NotFound": {"kind": "connection", "id": "opaque:Ada"}}, "there is no connection opaque:Ada$", False),
        ({"AlreadyExists": {"kind": "group", "id": "g"}}, "group g already exists", False),
        ({"InvalidArgument": {"field": "name", "reason": "empty"}}, "name can't be used: empty", False),
        ({"ChecksumMismatch": {"what": "chunk 1", "expected": "aa", "actual": "bb"}}, "chunk 1 is bb, not aa", False),
        ({"ChunkConflict": {"memory_id": "m", "index": 2}}, "chunk 2 of memory m is already stored", False),
        ({"MissingChunks": {"memory_id": "m", "missing": [1, 2]}}, "lacks 2 of its chunks: 1, 2", True),
        (
            {"SessionExpired": {"session": 3, "expired_at": 9}},
            r"session 3 expired at 1970-01-01T00:00:00.000000009Z:",
            True,
        ),
        ({"Locked": {"reason": "moving", "until": 77}}, r"moving \(until 1970-01-01T00:00:00.000000077Z\)", True),
        ({"Moved": {"personal_canister": str(CANISTER)}}, f"personal canister {CANISTER}", False),
    ],
)
def test_every_refusal_says_what_to_do(error: dict[str, Any], words: str, retry_helps: bool) -> None:
    import json

    refused = CapsuleRefused("method", CapsuleError.model_validate_json(json.dumps(error)))
    with pytest.raises(CapsuleRefused, match=words):
        raise refused
    assert refused.retry_helps is retry_helps


def test_every_case_of_the_error_has_words() -> None:
    covered = test_every_refusal_says_what_to_do.pytestmark[0].args[1]
    cases = {next(iter(error)) for error, _, _ in covered} | {"LimitExceeded"}
    assert cases == set(CapsuleError.model_fields)


def test_a_person_is_exactly_one_of_both() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        PersonRef(Principal=CANISTER, Opaque="both")


# --- doors -----------------------------------------------------------------------------------------------------------


async def test_an_argument_larger_than_the_method_takes_is_not_sent() -> None:
    wire = Wire(BackendClient, "get_capsule", Case("Err", Case("NotFound", {"kind": "capsule", "id": ""})))
    limit = BackendClient.argument_limits()["get_capsule"]
    with pytest.raises(ArgumentTooLargeError) as refused:
        await BackendClient(wire, CANISTER).get_capsule("x" * limit)
    assert refused.value.context == {
        "method": "get_capsule",
        "size_bytes": refused.value.size_bytes,
        "limit_bytes": limit,
    }
    assert f"above the {limit:,} bytes that the method takes; nothing was sent" in str(refused.value)
    assert wire.calls == []


@pytest.mark.parametrize("client", [BackendClient, PersonalClient])
def test_every_method_has_a_limit(client: type[Client]) -> None:
    service = client.interface().service
    assert service is not None
    assert set(client.argument_limits()) == {name for name, _ in service.methods}


class ShutDoor(Wire):
    """Rejects every update with this rejection."""

    def __init__(self, rejection: RejectedError) -> None:
        super().__init__(PersonalClient, "mark_bound", Case("Ok"))
        self.rejection = rejection

    async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        raise self.rejection


@pytest.mark.parametrize(
    ("message", "error_code", "certified", "is_told"),
    [
        ("Canister rejected the message", "IC0406", False, True),
        ("trapped explicitly: canister_inspect_message explicitly refused message", "IC0503", False, True),
        ("the method itself rejects", "IC0406", True, False),
        ("Canister is out of cycles", "IC0207", False, False),
    ],
)
async def test_a_message_that_was_not_let_in_is_told_as_that(
    message: str, error_code: str, certified: bool, is_told: bool
) -> None:
    rejection = RejectedError(4, message, error_code, certified=certified)
    with pytest.raises(RejectedError) as caught:
        await PersonalClient(ShutDoor(rejection), CANISTER).mark_bound()
    told = ["The canister doesn't take mark_bound from this caller now; nothing was executed"] if is_told else []
    assert getattr(caught.value, "__notes__", []) == told
