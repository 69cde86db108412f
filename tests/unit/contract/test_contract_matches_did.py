"""The Python models and clients against the `.did` files: the contract has one meaning."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, get_type_hints

import pytest

import canister_factory.contract
from canister_factory.candid.binding import CandidEnum, CandidModel, CandidVariant, candid_type, types_equal
from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.types import Func, Type, Variant, resolve
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.clients import BackendClient, CapsuleClient, PersonalClient
from canister_factory.contract.endpoint import Client
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.memory_models import AccessEvent

MODULES: list[ModuleType] = [
    import_module(f"canister_factory.contract.{name}")
    for _, name, _ in iter_modules(canister_factory.contract.__path__)
    if name.endswith("_models")
]
# Parts of a larger type in the `.did`, which have a name in Python only.
UNNAMED = {
    "CodeDeployed",
    "ControllersChanged",
    "Created",
    "DeploymentMode",
    "FromCanister",
    "FromUser",
    "Renamed",
    "RenamedTo",
    "SettingsChanged",
    "SnapshotLoaded",
    "ConflictingChunk",
    "ConnectionEntry",
    "ConnectionGroupEntry",
    "ControllerEntry",
    "CustomAccess",
    "EventTriggeredAccess",
    "ExceededLimit",
    "ExpiredSession",
    "GalleryEntry",
    "MemoryEntry",
    "MissingMemoryChunks",
    "NamedThing",
    "NewHome",
    "OwnerEntry",
    "PendingChunk",
    "RegisteredCapsule",
    "ScheduledAccess",
    "WriteLock",
    "WrongArgument",
    "WrongChecksum",
}


def models() -> dict[str, type]:
    models: dict[str, type] = {}
    for module in MODULES:
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, CandidModel | CandidVariant | CandidEnum) and cls.__module__ == module.__name__:
                assert name not in models, f"{name} is declared twice"
                models[name] = cls
    return models


@pytest.fixture(scope="module")
def backend(repository: Path) -> Interface:
    return parse_did((repository / "canisters/backend/backend.did").read_text())


@pytest.fixture(scope="module")
def personal(repository: Path) -> Interface:
    return parse_did((repository / "canisters/personal/personal.did").read_text())


def is_result(candid: Type) -> bool:
    shape = resolve(candid)
    return isinstance(shape, Variant) and {field.label for field in shape.fields} == {"Ok", "Err"}


def test_each_event_has_a_kind_of_its_name() -> None:
    assert [str(EventKind(name)) for name in AccessEvent.model_fields] == list(AccessEvent.model_fields)
    assert len(EventKind) == len(AccessEvent.model_fields)


def test_every_model_is_the_type_of_that_name_in_the_did(backend: Interface, personal: Interface) -> None:
    types = {**backend.types, **personal.types}
    different = [
        name
        for name, model in models().items()
        if name not in UNNAMED and not (name in types and types_equal(candid_type(model), types[name]))
    ]
    assert different == []


def test_every_type_of_the_did_has_a_model(backend: Interface, personal: Interface) -> None:
    types = {**backend.types, **personal.types}
    missing = {name for name, candid in types.items() if not is_result(candid)} - models().keys()
    assert missing == set()


def test_the_list_of_unnamed_parts_has_no_leftovers(backend: Interface, personal: Interface) -> None:
    assert models().keys() >= UNNAMED
    assert UNNAMED.isdisjoint(backend.types.keys() | personal.types.keys())


def endpoints(client: type[Client]) -> dict[str, Any]:
    return {
        name: function
        for name, function in inspect.getmembers(client, inspect.isfunction)
        if getattr(function, "__is_endpoint__", False)
    }


@pytest.mark.parametrize(("client", "name"), [(BackendClient, "backend"), (PersonalClient, "personal")])
def test_every_endpoint_has_exactly_one_method(client: type[Client], name: str, request: pytest.FixtureRequest) -> None:
    service = request.getfixturevalue(name).service
    assert endpoints(client).keys() == {method for method, _ in service.methods}


@pytest.mark.parametrize(("client", "name"), [(BackendClient, "backend"), (PersonalClient, "personal")])
def test_every_method_takes_and_returns_what_the_did_says(
    client: type[Client], name: str, request: pytest.FixtureRequest
) -> None:
    service = request.getfixturevalue(name).service
    wrong = []
    for method, function in endpoints(client).items():
        hints = get_type_hints(function, include_extras=True)
        result = hints.pop("return")
        expected = resolve(service.method(method).results[0])
        if is_result(expected):
            assert isinstance(expected, Variant)
            (expected,) = (field.type for field in expected.fields if field.label == "Ok")
        declared = Func([candid_type(hint) for hint in hints.values()], [candid_type(result)])
        actual = Func(service.method(method).args, [expected])
        if not types_equal(declared, actual):
            wrong.append(f"{method}: {declared} instead of {actual}")
    assert wrong == []


def test_the_capsule_client_works_on_both_canisters(backend: Interface, personal: Interface) -> None:
    assert backend.service is not None
    assert personal.service is not None
    for method in endpoints(CapsuleClient):
        assert types_equal(backend.service.method(method), personal.service.method(method)), method


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("// ---- Capsule: types that both canisters share", "// ---- end of the shared types"),
        ("  // ---- Capsule API, the same on both canisters", "  // ---- end of the capsule API"),
    ],
)
def test_the_shared_parts_of_both_did_files_are_the_same_text(repository: Path, start: str, end: str) -> None:
    def part(name: str) -> str:
        text = (repository / f"canisters/{name}/{name}.did").read_text()
        return text[text.index(start) : text.index(end)]

    assert part("backend") == part("personal")
    assert len(part("backend").splitlines()) > 30


def test_the_init_arguments_have_models(backend: Interface, personal: Interface) -> None:
    assert types_equal(backend.init_args[0], candid_type(BackendInit | None))
    assert types_equal(personal.init_args[0], candid_type(PersonalInit | None))
