"""The management canister's interface that `call` uses: the replica's and our client's agree with it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from canister_factory.candid.binding import candid_type
from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import is_subtype
from canister_factory.candid.types import PRINCIPAL, Record, Service, resolve
from canister_factory.cli import interface
from canister_factory.cli.call import effective_id
from canister_factory.ic import management_types as models
from canister_factory.replica.subnet.management_interface import INGRESS_METHODS

TARGET = Principal(b"\x00\x00\x00\x00\x00\x00\x00\x07\x01\x01")
# What our client sends to a method, and what it takes as the answer.
CLIENT: dict[str, tuple[Any, Any]] = {
    "provisional_create_canister_with_cycles": (models.ProvisionalCreate, models.Target),
    "provisional_top_up_canister": (models.ProvisionalTopUp, None),
    "canister_status": (models.Target, models.CanisterStatus),
    "update_settings": (models.UpdateSettings, None),
    "start_canister": (models.Target, None),
    "stop_canister": (models.Target, None),
    "delete_canister": (models.Target, None),
    "uninstall_code": (models.Target, None),
    "fetch_canister_logs": (models.Target, models.CanisterLogs),
    "install_code": (models.InstallCode, None),
    "upload_chunk": (models.UploadChunk, models.ChunkHash),
    "stored_chunks": (models.Target, list[models.ChunkHash]),
    "clear_chunk_store": (models.Target, None),
    "install_chunked_code": (models.InstallChunkedCode, None),
}


def service_of(found: Interface) -> Service:
    assert found.service is not None
    return found.service


def replica() -> Service:
    text = files("canister_factory.replica.subnet").joinpath("management.did").read_text("utf-8")
    return service_of(parse_did(text))


SPECIFIED = service_of(interface.of_management())


@pytest.mark.parametrize("method", [name for name, _ in replica().methods])
def test_the_embedded_replica_offers_each_method_as_specified(method: str) -> None:
    offered, specified = replica().method(method), SPECIFIED.method(method)
    assert is_subtype(offered, specified), f"{offered}\n{specified}"
    assert offered.modes == specified.modes


@pytest.mark.parametrize("method", CLIENT)
def test_what_our_client_sends_and_takes_is_as_specified(method: str) -> None:
    argument, result = CLIENT[method]
    specified = SPECIFIED.method(method)
    (wanted,) = specified.args
    assert is_subtype(candid_type(argument), wanted)
    if result is not None:
        (given,) = specified.results
        assert is_subtype(given, candid_type(result))
    else:
        assert specified.results == ()


def test_queries_are_those_of_the_specification() -> None:
    queries = {name for name, _ in SPECIFIED.methods if SPECIFIED.method(name).is_query}
    assert queries == {"canister_status", "canister_metrics", "fetch_canister_logs", "list_canisters"}


@pytest.mark.parametrize("method", [name for name, _ in SPECIFIED.methods])
def test_a_call_goes_to_the_canister_that_its_argument_names(method: str) -> None:
    expected = SPECIFIED.method(method).args
    record = resolve(expected[0]) if expected else Record({})
    assert isinstance(record, Record)
    named = {f.label: TARGET for f in record.fields if resolve(f.type) is PRINCIPAL and f.label != "subnet_id"}
    if method == "install_chunked_code":
        assert effective_id(method, ({**named, "store_canister": Principal(), "canister_id": Principal()},)) == TARGET
    assert effective_id(method, (named,)) == (TARGET if named else None)
    assert effective_id(method, ()) is None


def test_effective_ids_are_those_that_the_embedded_replica_requires() -> None:
    for method, field in INGRESS_METHODS.items():
        assert effective_id(method, ({field: TARGET} if field else {},)) == (TARGET if field else None)


def test_a_creation_with_an_id_goes_to_the_subnet_of_that_id() -> None:
    asked = {"amount": None, "specified_id": TARGET}
    assert effective_id("provisional_create_canister_with_cycles", (asked,)) == TARGET
    assert effective_id("provisional_create_canister_with_cycles", ({"specified_id": None},)) is None
