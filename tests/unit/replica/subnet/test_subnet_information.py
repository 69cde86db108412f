"""What the management canister tells: metadata, metrics, ranges of canisters, the subnet; and whom it tells."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.replica.subnet.information import REPLICA_VERSION, consecutive
from canister_factory.replica.subnet.management_interface import NOT_OFFERED, method_type
from canister_factory.replica.subnet.node_metrics import MAX_SAMPLES, NodeSample, count_block, samples_since
from canister_factory.replica.subnet.subnet import Subnet
from support.management_calls import manage_through
from support.replica_bench import (
    MANAGEMENT,
    OWNER,
    SECOND_NS,
    START_NS,
    STRANGER,
    Bench,
    CallRejectedError,
    engine,
    management_argument,
)
from support.replica_puppet import call_argument, puppet, with_custom_section

ADMIN = b"admin\x02"
SUBNET = b"subnet\x02"
NODE = b"node\x02"
DAY_NS = 86_400 * SECOND_NS


@pytest.fixture
def bench() -> Bench:
    return Bench(lambda clock: Subnet(engine(), clock_ns=clock, subnet_id=SUBNET, node_id=NODE, subnet_admins=(ADMIN,)))


def ask(bench: Bench, method: str, argument: dict[str, Any] | None = None, sender: bytes = OWNER) -> Any:
    """A management method as a query."""
    reply = bench.query(MANAGEMENT, method, management_argument(method, argument), sender)
    return decode(reply, method_type(method).results)[0]


# --- status ---


def test_memory_is_told_by_its_uses(bench: Bench) -> None:
    module = with_custom_section(
        puppet("(global i32 (i32.const 1)) (global (mut i64) (i64.const 2))"), "icp:public a", b"bc"
    )
    canister = bench.puppet(module)
    bench.call(canister, "remember", b"x")
    bench.on("upload_chunk", canister, chunk=b"tiny")
    size = bench.on("take_canister_snapshot", canister)["total_size"]
    status = ask(bench, "canister_status", {"canister_id": Principal(canister)})
    metrics = status["memory_metrics"]
    assert status["memory_size"] == sum(metrics.values())
    assert {
        name: metrics[name] for name in metrics if name not in ("canister_history_size", "log_memory_store_size")
    } == {
        "wasm_memory_size": 2 * 65_536,
        "stable_memory_size": 65_536,
        "global_memory_size": 16,
        "wasm_binary_size": len(module),
        "custom_sections_size": 3,
        "wasm_chunk_store_size": 1 << 20,  # "the storage cost of each chunk is fixed"
        "snapshots_size": size,
    }
    assert size == 3 * 65_536 + len(module) + (1 << 20) + 8


# --- metadata ---


def test_canisters_read_public_metadata_of_each_other_and_controllers_the_private(bench: Bench) -> None:
    module = with_custom_section(puppet(), "icp:public candid:args", b"(text)")
    module = with_custom_section(module, "icp:private notes", b"secret")
    observer, observed = bench.puppet(), bench.puppet(module)
    argument = {"canister_id": Principal(observed), "name": "candid:args"}
    assert manage_through(bench, observer, "canister_metadata", argument) == {"value": b"(text)"}
    with pytest.raises(CallRejectedError, match="Only the controllers"):
        manage_through(bench, observer, "canister_metadata", {**argument, "name": "notes"})
    bench.on("update_settings", observed, settings={"controllers": [Principal(observer)]})
    assert manage_through(bench, observer, "canister_metadata", {**argument, "name": "notes"}) == {"value": b"secret"}


@pytest.mark.parametrize("with_code", [False, True])
def test_metadata_that_is_not_there_is_said(bench: Bench, with_code: bool) -> None:
    observer, observed = bench.puppet(), bench.puppet() if with_code else bench.create()
    with pytest.raises(CallRejectedError, match="has no metadata with the name 'nonesuch'"):
        manage_through(bench, observer, "canister_metadata", {"canister_id": Principal(observed), "name": "nonesuch"})


@pytest.mark.parametrize("method", ["canister_metadata", "canister_info", "subnet_info", "node_metrics_history"])
def test_users_can_not_call_what_is_for_canisters(bench: Bench, method: str) -> None:
    canister = Principal(bench.create())
    arguments: dict[str, dict[str, Any]] = {
        "canister_metadata": {"canister_id": canister, "name": "x"},
        "canister_info": {"canister_id": canister},
        "subnet_info": {"subnet_id": Principal(SUBNET)},
        "node_metrics_history": {"subnet_id": Principal(SUBNET), "start_at_timestamp_nanos": 0},
    }
    argument = arguments[method]
    with pytest.raises(CallRejectedError, match="can only be called by canisters"):
        bench.manage(method, argument)
    with pytest.raises(Exception, match="cannot be called by ingress messages, only by canisters"):
        bench.check_management(method, argument)


# --- metrics ---


def test_metrics_tell_what_cycles_were_consumed_for_and_add_up(bench: Bench) -> None:
    creator, callee = bench.puppet(cycles=10**14, compute_allocation=1), bench.puppet()
    bench.call(creator, "burn")
    bench.call(creator, "forward", call_argument(callee, "count"))
    bench.clock.advance(3_600)
    bench.run()
    before = 10**14 - bench.canister(creator).balance
    consumed = ask(bench, "canister_metrics", {"canister_id": Principal(creator)})["cycles_consumed"]
    assert sum(consumed.values()) == before
    assert consumed["burned_cycles"] == 10**9
    assert consumed["compute_allocation"] == 3_600 * 10_000_000
    assert all(consumed[use] > 0 for use in ("memory", "instructions", "ingress_induction"))
    assert consumed["request_and_response_transmission"] > 260_000
    assert consumed["canister_creation"] == 0


def test_the_fee_of_a_creation_is_a_metric_of_the_canister_that_was_created(bench: Bench) -> None:
    creator = bench.puppet()
    settings = {"controllers": [Principal(OWNER)]}
    created = manage_through(bench, creator, "create_canister", {"settings": settings}, cycles=10**12)["canister_id"]
    consumed = bench.manage("canister_metrics", {"canister_id": created})["cycles_consumed"]
    assert consumed["canister_creation"] == 500_000_000_000


def test_metrics_are_for_controllers_and_admins(bench: Bench) -> None:
    canister = bench.puppet()
    argument = {"canister_id": Principal(canister)}
    with pytest.raises(CallRejectedError, match="Only the controllers"):
        ask(bench, "canister_metrics", argument, STRANGER)
    with pytest.raises(Exception, match="Only controllers of canister"):
        bench.check_management("canister_metrics", argument, STRANGER)
    bench.check_management("canister_metrics", argument, ADMIN)
    assert bench.manage("canister_metrics", argument, ADMIN) == ask(bench, "canister_metrics", argument)


# --- the canisters of the subnet, and its admins ---


def test_admins_list_the_canisters_as_ranges_without_deleted_ones(bench: Bench) -> None:
    first, second, third, fourth = (bench.create() for _ in range(4))
    bench.on("stop_canister", second)
    bench.on("delete_canister", second)
    listed = ask(bench, "list_canisters", sender=ADMIN)["canisters"]
    assert listed == [
        {"start": Principal(first), "end": Principal(first)},
        {"start": Principal(third), "end": Principal(fourth)},
    ]
    with pytest.raises(CallRejectedError, match=r"IC0512 Only the admins of the subnet .*"):
        ask(bench, "list_canisters")


def test_a_subnet_without_admins_lists_its_canisters_to_nobody() -> None:
    with pytest.raises(CallRejectedError, match="Subnet's admins: none"):
        ask(Bench(), "list_canisters")


def test_admins_stop_start_uninstall_and_delete_but_change_nothing_else(bench: Bench) -> None:
    canister = bench.puppet()
    argument = {"canister_id": Principal(canister)}
    for method in ("stop_canister", "start_canister", "uninstall_code", "stop_canister", "canister_status"):
        bench.check_management(method, argument, ADMIN)
        bench.manage(method, argument, ADMIN)
    with pytest.raises(CallRejectedError, match="Only the controllers"):
        bench.manage("update_settings", {**argument, "settings": {}}, ADMIN)
    bench.manage("delete_canister", argument, ADMIN)
    assert canister not in bench.subnet.canisters


@pytest.mark.parametrize("ids", [[], [5], [1, 2, 3], [9, 1, 2, 7, 8]])
def test_ranges_cover_exactly_the_ids(ids: list[int]) -> None:
    def canister_id(number: int) -> bytes:
        return number.to_bytes(8, "big") + b"\x01\x01"

    ranges = consecutive(canister_id(number) for number in ids)
    covered = [
        n for low, high in ranges for n in range(int.from_bytes(low[:8], "big"), int.from_bytes(high[:8], "big") + 1)
    ]
    assert covered == sorted(ids)
    assert all(low[0] > high[1] for high, low in itertools.pairwise(ranges))


# --- queries by composite queries ---


def test_a_composite_query_asks_the_management_canister_as_the_canister_itself(bench: Bench) -> None:
    asker, other = bench.puppet(), bench.puppet()
    bench.on("update_settings", other, settings={"controllers": [Principal(OWNER), Principal(asker)]})
    for method in ("canister_status", "canister_metrics", "fetch_canister_logs"):
        data = management_argument(method, {"canister_id": Principal(other)})
        reply = bench.query(asker, "ask", call_argument(MANAGEMENT, method, data))
        assert decode(reply, method_type(method).results)
    data = management_argument("canister_metrics", {"canister_id": Principal(asker)})
    with pytest.raises(CallRejectedError, match="Only the controllers"):
        bench.query(asker, "ask", call_argument(MANAGEMENT, "canister_metrics", data))


def test_a_composite_query_of_an_admin_lists_the_canisters() -> None:
    admin = b"\xff" * 5 + b"\xe0\x00\x00\x01\x01"
    bench = Bench(lambda clock: Subnet(engine(), clock_ns=clock, subnet_admins=(admin,)))
    assert bench.puppet() == admin
    reply = bench.query(
        admin, "ask", call_argument(MANAGEMENT, "list_canisters", management_argument("list_canisters", None))
    )
    (result,) = decode(reply, method_type("list_canisters").results)
    assert result["canisters"] == [{"start": Principal(admin), "end": Principal(admin)}]


def test_other_management_methods_are_refused_to_composite_queries(bench: Bench) -> None:
    asker = bench.puppet()
    data = management_argument("stop_canister", {"canister_id": Principal(asker)})
    with pytest.raises(CallRejectedError, match="has no query method 'stop_canister'"):
        bench.query(asker, "ask", call_argument(MANAGEMENT, "stop_canister", data))
    assert bench.count(asker) == 0


@pytest.mark.parametrize("method", ["fetch_canister_logs", "list_canisters"])
def test_queries_only_are_refused_in_replicated_mode(bench: Bench, method: str) -> None:
    canister = bench.puppet()
    argument = {"canister_id": Principal(canister)} if method == "fetch_canister_logs" else {}
    with pytest.raises(CallRejectedError, match="can only be called by queries"):
        manage_through(bench, canister, method, argument)
    with pytest.raises(Exception, match="only as a query"):
        bench.check_management(method, argument)


# --- the subnet ---


def test_a_canister_learns_the_subnets_version_and_nothing_of_other_subnets(bench: Bench) -> None:
    canister = bench.puppet()
    info = manage_through(bench, canister, "subnet_info", {"subnet_id": Principal(SUBNET)})
    assert info == {"replica_version": REPLICA_VERSION, "registry_version": 1}
    with pytest.raises(CallRejectedError, match="not found: this network has the subnet"):
        manage_through(bench, canister, "subnet_info", {"subnet_id": Principal(b"other")})


def test_node_metrics_have_one_sample_a_day_from_the_start_asked_for(bench: Bench) -> None:
    canister = bench.puppet()
    for _ in range(3):
        bench.clock.advance(86_400)
        bench.call(canister, "count")
        bench.call(canister, "count")
    argument = {"subnet_id": Principal(SUBNET), "start_at_timestamp_nanos": START_NS + DAY_NS}
    history = manage_through(bench, canister, "node_metrics_history", argument)
    assert [sample["timestamp_nanos"] // DAY_NS for sample in history] == [
        START_NS // DAY_NS + day for day in (1, 2, 3)
    ]
    totals = [sample["node_metrics"][0]["num_blocks_proposed_total"] for sample in history]
    assert totals == sorted(totals)
    assert totals[1] - totals[0] == 2
    assert history[0]["node_metrics"][0]["node_id"] == Principal(NODE)


def test_samples_are_bounded_and_found_by_their_time() -> None:
    samples: list[NodeSample] = []
    for day in range(MAX_SAMPLES + 5):
        count_block(samples, day * DAY_NS)
        count_block(samples, day * DAY_NS + 7)
    assert len(samples) == MAX_SAMPLES
    assert samples[-1] == NodeSample((MAX_SAMPLES + 4) * DAY_NS + 7, 2 * (MAX_SAMPLES + 5))
    assert samples_since(samples, samples[-1].timestamp_ns) == [samples[-1]]
    assert samples_since(samples, samples[-1].timestamp_ns + 1) == []


# --- what isn't offered ---


@pytest.mark.parametrize("method", sorted(NOT_OFFERED))
def test_what_is_not_offered_is_rejected_with_the_reason_and_the_cycles_come_back(bench: Bench, method: str) -> None:
    canister = bench.puppet()
    before = bench.canister(canister).balance
    with pytest.raises(CallRejectedError, match=f"doesn't offer the management method {method}: it ") as rejected:
        bench.call(canister, "forward", call_argument(MANAGEMENT, method, b"DIDL\0\0", 10**12))
    assert rejected.value.code == 4
    assert before - bench.canister(canister).balance < 10**9
