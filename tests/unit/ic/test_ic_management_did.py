"""The specification's interface of the management canister: our models and the embedded replica agree with it."""

from __future__ import annotations

import inspect
from importlib.resources import files
from typing import Any

import pytest

from canister_factory.candid.binding import candid_type
from canister_factory.candid.did import parse_did
from canister_factory.candid.labels import label_text
from canister_factory.candid.subtyping import explain_mismatch
from canister_factory.candid.types import Opt, Record, Service, Type, Variant, Vec, describe, resolve
from canister_factory.ic import management_snapshot_types as snapshots
from canister_factory.ic import management_types as models
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.subnet.management_interface import INGRESS_METHODS, NOT_OFFERED

# What our client sends to a method, and what it takes as the answer.
CLIENT: dict[str, tuple[Any, Any]] = {
    "provisional_create_canister_with_cycles": (models.ProvisionalCreate, models.Target),
    "provisional_top_up_canister": (models.ProvisionalTopUp, None),
    "canister_status": (models.Target, models.CanisterStatus),
    "canister_metrics": (models.Target, models.CanisterMetrics),
    "list_canisters": (None, models.CanisterIdRanges),
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
    "take_canister_snapshot": (snapshots.TakeSnapshot, snapshots.CanisterSnapshot),
    "load_canister_snapshot": (snapshots.NamedSnapshot, None),
    "list_canister_snapshots": (models.Target, list[snapshots.CanisterSnapshot]),
    "delete_canister_snapshot": (snapshots.NamedSnapshot, None),
    "read_canister_snapshot_metadata": (snapshots.NamedSnapshot, snapshots.SnapshotMetadata),
    "read_canister_snapshot_data": (snapshots.ReadSnapshotData, snapshots.SnapshotData),
    "upload_canister_snapshot_metadata": (snapshots.UploadSnapshotMetadata, snapshots.UploadedSnapshot),
    "upload_canister_snapshot_data": (snapshots.UploadSnapshotData, None),
}
COMPOSED = {"install"}  # of our client: made of several methods


def service_in(package: str) -> Service:
    service = parse_did(files(package).joinpath("management.did").read_text("utf-8")).service
    assert service is not None
    resolved = resolve(service)
    assert isinstance(resolved, Service)
    return resolved


SPECIFIED = service_in("canister_factory.ic")
REPLICA = service_in("canister_factory.replica.subnet")


def hidden_by_options(sub: Type, sup: Type, path: str = "") -> str | None:
    """Where two types disagree that subtyping lets pass, since an option of anything fits an option of anything.

    A field that `sub` alone has is a misspelt one, or one that `sup` doesn't know and would drop.
    """
    sub, sup = resolve(sub), resolve(sup)
    while isinstance(sub, Opt):
        sub = resolve(sub.inner)
    while isinstance(sup, Opt):
        sup = resolve(sup.inner)
    if isinstance(sub, Vec) and isinstance(sup, Vec):
        return hidden_by_options(sub.inner, sup.inner, f"{path}[]")
    if not isinstance(sub, Record | Variant) or not isinstance(sup, Record | Variant) or type(sub) is not type(sup):
        problem = explain_mismatch(sub, sup)
        return f"{path}: {problem}" if problem else None
    known = {field.id: field.type for field in sup.fields}
    for field in sub.fields:
        where = f"{path}.{label_text(field.label)}"
        if field.id not in known:
            return f"{where} is unknown to {describe(sup)}"
        problem = hidden_by_options(field.type, known[field.id], where)
        if problem is not None:
            return problem
    return None


def difference(sub: Type, sup: Type) -> str | None:
    """Why one isn't a subtype of the other, or what only passes since options hide it."""
    return explain_mismatch(sub, sup) or hidden_by_options(sub, sup)


# --- Our client ------------------------------------------------------------------------------------------------------


def test_the_models_of_each_method_of_our_client_are_compared() -> None:
    methods = {name for name, _ in inspect.getmembers(ManagementCanister, inspect.isfunction) if name[0] != "_"}
    assert methods - COMPOSED == set(CLIENT)


@pytest.mark.parametrize("method", CLIENT)
def test_what_our_client_sends_is_what_the_specification_takes(method: str) -> None:
    wanted, sent = SPECIFIED.method(method).args, CLIENT[method][0]
    assert len(wanted) == (sent is not None)
    assert all(difference(candid_type(sent), kind) is None for kind in wanted)


@pytest.mark.parametrize("method", CLIENT)
def test_what_our_client_takes_is_what_the_specification_returns(method: str) -> None:
    results, taken = SPECIFIED.method(method).results, CLIENT[method][1]
    if taken is None:
        assert results == ()
        return
    (given,) = results
    assert explain_mismatch(given, candid_type(taken)) is None
    # The other way round: each field that we have is one of the specification's, which may have more.
    assert hidden_by_options(candid_type(taken), given) is None


@pytest.mark.parametrize("owner", [models.CanisterSettings, models.EffectiveSettings, models.CanisterStatus])
def test_our_models_have_each_setting_and_each_part_of_a_status(owner: Any) -> None:
    (status,) = SPECIFIED.method("canister_status").results
    (update,) = SPECIFIED.method("update_settings").args
    holder = resolve(update if owner is models.CanisterSettings else status)
    assert isinstance(holder, Record)
    if owner is not models.CanisterStatus:
        holder = resolve(next(field.type for field in holder.fields if field.label == "settings"))
        assert isinstance(holder, Record)
    ours = resolve(candid_type(owner))
    assert isinstance(ours, Record)
    assert {field.label for field in ours.fields} == {field.label for field in holder.fields}


@pytest.mark.parametrize("owner", [models.CanisterSettings, models.EffectiveSettings])
def test_our_audience_has_each_case_that_a_network_may_answer_with(owner: Any) -> None:
    ours = resolve(candid_type(models.Audience))
    (status,) = SPECIFIED.method("canister_status").results
    (update,) = SPECIFIED.method("update_settings").args
    holder = resolve(status if owner is models.EffectiveSettings else update)
    assert isinstance(holder, Record)
    settings = resolve(next(field.type for field in holder.fields if field.label == "settings"))
    assert isinstance(settings, Record)
    theirs = next(field.type for field in settings.fields if field.label == "log_visibility")
    assert hidden_by_options(theirs, ours) is None
    assert hidden_by_options(ours, theirs) is None


# --- The embedded replica --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [name for name, _ in REPLICA.methods])
def test_the_embedded_replica_offers_each_of_its_methods_as_specified(method: str) -> None:
    offered, specified = REPLICA.method(method), SPECIFIED.method(method)
    assert offered.modes == specified.modes
    assert difference(offered, specified) is None
    assert len(offered.args) == len(specified.args)
    for taken, sent in zip(offered.args, specified.args, strict=True):
        assert hidden_by_options(taken, sent) is None
    for given, expected in zip(offered.results, specified.results, strict=True):
        assert hidden_by_options(given, expected) is None


def test_each_specified_method_is_offered_by_the_embedded_replica_or_named_as_not_offered() -> None:
    offered, specified = ({name for name, _ in service.methods} for service in (REPLICA, SPECIFIED))
    assert offered | set(NOT_OFFERED) == specified
    assert not offered & set(NOT_OFFERED)


def test_the_embedded_replica_has_what_users_may_call_and_our_client_calls() -> None:
    offered = {name for name, _ in REPLICA.methods}
    assert set(INGRESS_METHODS) <= offered
    assert set(CLIENT) - offered == set()


# --- What these tests see --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sub", "sup", "problem"),
    [
        ("record { a : opt nat }", "record { a : opt text }", ".a: nat is not a subtype of text"),
        ("record { colour : opt nat }", "record { color : opt nat }", ".colour is unknown to"),
        ("opt variant { a; b }", "opt variant { a }", ".b is unknown to"),
        ("vec record { opt record { x : opt int } }", "vec record { opt record { x : opt nat } }", "[].0.x: int is"),
        ("record { a : nat }", "record { a : opt nat; b : opt nat }", None),
        ("record { a : opt nat }", "record { a : opt int }", None),
    ],
)
def test_what_options_hide_from_subtyping_is_seen(sub: str, sup: str, problem: str | None) -> None:
    types = parse_did(f"type a = {sub}; type b = {sup};").types
    assert explain_mismatch(types["a"], types["b"]) is None
    found = hidden_by_options(types["a"], types["b"])
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found
