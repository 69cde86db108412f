"""The management canister's interface that `call` uses, and where calls of it go."""

from __future__ import annotations

import pytest

from canister_factory.candid.did import Interface
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import PRINCIPAL, Record, Service, resolve
from canister_factory.cli import interface
from canister_factory.cli.call_candid import effective_id
from canister_factory.replica.subnet.management_interface import INGRESS_METHODS

TARGET = Principal(b"\x00\x00\x00\x00\x00\x00\x00\x07\x01\x01")


def service_of(found: Interface) -> Service:
    assert found.service is not None
    return found.service


SPECIFIED = service_of(interface.of_management())


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
