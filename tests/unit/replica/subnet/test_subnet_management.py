"""The management canister: lifecycle of canisters, who may do what, and the IC's wording of refusals."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError
from support.management_calls import manage_through
from support.replica_bench import (
    MANAGEMENT,
    OWNER,
    SECOND_NS,
    STRANGER,
    Bench,
    CallRejectedError,
    management_argument,
)
from support.replica_puppet import call_argument, puppet, with_custom_section

EOP = "icp:private enhanced-orthogonal-persistence"
KEEP = Case("upgrade", {"skip_pre_upgrade": None, "wasm_memory_persistence": Case("keep")})
REPLACE = Case("upgrade", {"skip_pre_upgrade": None, "wasm_memory_persistence": Case("replace")})
UPGRADE = Case("upgrade", None)
SKIP_PRE_UPGRADE = Case("upgrade", {"skip_pre_upgrade": True, "wasm_memory_persistence": None})


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- creation ---


def test_new_canisters_have_the_creator_as_controller_and_the_amount_as_balance(bench: Bench) -> None:
    canister = bench.create(5 * 10**12)
    state = bench.canister(canister)
    assert str(Principal(canister)) == "lxzze-o7777-77777-aaaaa-cai"
    assert (state.settings.controllers, state.balance) == ((OWNER,), 5 * 10**12)
    assert bench.create() != canister


def test_the_times_of_creation_and_of_the_last_change_of_code_are_kept(bench: Bench) -> None:
    canister = bench.create()
    created = bench.clock.now_ns
    assert (bench.canister(canister).created_ns, bench.canister(canister).installed_ns) == (created, None)
    for mode in ("install", "reinstall", "upgrade"):
        bench.clock.advance(1)
        bench.install(canister, mode=mode)
        assert bench.canister(canister).installed_ns == bench.clock.now_ns
    bench.clock.advance(1)
    with pytest.raises(CallRejectedError):
        bench.install(canister, b"no module", "upgrade")
    assert bench.canister(canister).installed_ns == created + 3 * SECOND_NS
    bench.on("uninstall_code", canister)
    assert (bench.canister(canister).created_ns, bench.canister(canister).installed_ns) == (created, None)


def test_ids_are_never_used_again(bench: Bench) -> None:
    first = bench.create()
    bench.on("stop_canister", first)
    bench.on("delete_canister", first)
    assert bench.create() != first


def test_an_id_may_be_specified_outside_of_the_range_and_only_once(bench: Bench) -> None:
    wanted = Principal.from_str("rrkah-fqaaa-aaaaa-aaaaq-cai")
    argument = {"specified_id": wanted}
    created = bench.manage("provisional_create_canister_with_cycles", argument)
    assert created["canister_id"] == wanted
    with pytest.raises(CallRejectedError, match=r"IC0205.*already exists"):
        bench.manage("provisional_create_canister_with_cycles", argument)
    inside = {"specified_id": Principal.from_str("lxzze-o7777-77777-aaaaa-cai")}
    with pytest.raises(CallRejectedError, match="gives ids"):
        bench.manage("provisional_create_canister_with_cycles", inside)


def test_a_canister_creates_a_canister_with_the_attached_cycles_less_the_fee(bench: Bench) -> None:
    creator = bench.puppet()
    settings = {"controllers": [Principal(creator), Principal(OWNER)]}
    created = manage_through(bench, creator, "create_canister", {"settings": settings}, cycles=3 * 10**12)
    state = bench.canister(created["canister_id"].bytes)
    assert state.balance == 3 * 10**12 - 500_000_000_000
    assert state.settings.controllers == (creator, OWNER)


def test_too_few_cycles_for_a_creation_are_said_and_given_back(bench: Bench) -> None:
    creator = bench.puppet()
    before = bench.canister(creator).balance
    with pytest.raises(CallRejectedError, match=r"requires a fee of 500000000000 .* but only 499999999999 cycles were"):
        manage_through(bench, creator, "create_canister", {}, cycles=499_999_999_999)
    assert before - bench.canister(creator).balance < 10**8
    assert len(bench.subnet.canisters) == 1


# --- settings ---


def test_settings_change_only_where_given_and_only_by_controllers(bench: Bench) -> None:
    canister = bench.create(freezing_threshold=1000)
    bench.on("update_settings", canister, settings={"controllers": [Principal(STRANGER)], "compute_allocation": 3})
    settings = bench.canister(canister).settings
    assert (settings.controllers, settings.compute_allocation, settings.freezing_threshold) == ((STRANGER,), 3, 1000)
    with pytest.raises(CallRejectedError, match=r"IC0512 Only the controllers of the canister"):
        bench.on("update_settings", canister, settings={"compute_allocation": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"controllers": [Principal(bytes([number])) for number in range(11)]},
        {"compute_allocation": 101},
        {"freezing_threshold": 1 << 64},
        {"memory_allocation": (1 << 48) + 1},
        {"environment_variables": [{"name": "a", "value": "x" * 129}]},
    ],
)
def test_settings_over_a_limit_are_refused(bench: Bench, settings: dict) -> None:  # type: ignore[type-arg]
    canister = bench.create()
    before = bench.canister(canister).settings
    with pytest.raises(CallRejectedError, match="IC0504 Could not validate the settings"):
        bench.on("update_settings", canister, settings=settings)
    assert bench.canister(canister).settings == before


def test_the_status_has_what_clients_show(bench: Bench) -> None:
    canister = bench.puppet(cycles=10**13)
    status = bench.on("canister_status", canister)
    assert status["status"] == Case("running")
    assert status["module_hash"] == hashlib.sha256(puppet()).digest()
    assert status["settings"]["controllers"] == [Principal(OWNER)]
    assert status["settings"]["freezing_threshold"] == 2_592_000
    assert status["memory_metrics"]["wasm_memory_size"] == 131_072
    assert status["memory_size"] == sum(status["memory_metrics"].values())
    assert 0 < status["cycles"] < 10**13
    assert status["idle_cycles_burned_per_day"] == (status["memory_size"] * 317_500 * 86_400 // 2**30 + 10_000 * 86_400)


def test_the_status_is_for_controllers_unless_it_was_made_public(bench: Bench) -> None:
    canister = bench.create()
    argument = {"canister_id": Principal(canister)}
    with pytest.raises(CanisterError) as refused:
        bench.check_management("canister_status", argument, sender=STRANGER)
    expected = "Only controllers of canister lxzze-o7777-77777-aaaaa-cai can call ic00 method canister_status"
    assert (refused.value.error_code, refused.value.message) == ("IC0512", expected)
    bench.on("update_settings", canister, settings={"status_visibility": Case("public")})
    bench.check_management("canister_status", argument, sender=STRANGER)
    assert bench.manage("canister_status", argument, sender=STRANGER)["status"] == Case("running")


def test_canister_info_tells_a_canister_the_controllers_the_hash_and_the_changes(bench: Bench) -> None:
    observer, observed = bench.puppet(), bench.puppet()
    bench.on("update_settings", observed, settings={"controllers": [Principal(STRANGER)]})
    argument = {"canister_id": Principal(observed), "num_requested_changes": 2}
    info = manage_through(bench, observer, "canister_info", argument)
    assert info["controllers"] == [Principal(STRANGER)]
    assert info["module_hash"] == hashlib.sha256(puppet()).digest()
    assert info["total_num_changes"] == 3
    deployment, change = info["recent_changes"]
    assert deployment["details"].tag == "code_deployment"
    assert change["details"] == Case("controllers_change", {"controllers": [Principal(STRANGER)]})
    assert change["origin"] == Case("from_user", {"user_id": Principal(OWNER)})


# --- code ---


def test_a_module_may_be_gzipped_and_its_hash_is_that_of_the_bytes_sent(bench: Bench) -> None:
    packed = gzip.compress(puppet())
    canister = bench.puppet(packed)
    assert bench.canister(canister).module.hash == hashlib.sha256(packed).digest()  # type: ignore[union-attr]
    assert bench.call(canister, "count") == b"\x01\0\0\0"


def test_install_refuses_to_overwrite_and_upgrade_needs_code(bench: Bench) -> None:
    canister = bench.create()
    with pytest.raises(CallRejectedError, match="IC0537"):
        bench.install(canister, mode=UPGRADE)
    bench.install(canister)
    with pytest.raises(CallRejectedError, match="IC0514"):
        bench.install(canister)


def test_reinstalling_forgets_everything_and_upgrading_keeps_stable_memory(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "remember", b"in stone")
    bench.call(canister, "certify", b"root")
    bench.install(canister, mode=UPGRADE)
    assert bench.query(canister, "recall") == b"in stone"
    assert bench.canister(canister).certified_data == b"root"
    bench.install(canister, mode="reinstall")
    bench.call(canister, "remember", b"")
    assert bench.query(canister, "recall") == bytes(8)
    assert bench.canister(canister).certified_data == b""


def test_an_upgrade_keeps_main_memory_only_when_asked_to(bench: Bench) -> None:
    module = with_custom_section(puppet(), EOP)
    canister = bench.puppet(module)
    bench.call(canister, "count")
    with pytest.raises(CallRejectedError, match="Missing upgrade option: Enhanced orthogonal persistence"):
        bench.install(canister, module, mode=UPGRADE)
    bench.install(canister, module, mode=KEEP)
    assert bench.count(canister) == 1
    with pytest.raises(CallRejectedError, match="Invalid upgrade option"):
        bench.install(canister, puppet(), mode=KEEP)
    bench.install(canister, module, mode=REPLACE)
    assert bench.count(canister) == 0


def test_an_upgrade_that_keeps_main_memory_keeps_what_pre_upgrade_wrote_there(bench: Bench) -> None:
    grows = """(func (export "canister_pre_upgrade") (call $count)
      (drop (memory.grow (i32.const 3))) (i32.store (i32.const 300000) (i32.const 77)))
      (func (export "canister_query far") (call $append (i32.const 300000) (i32.const 4)) (call $reply))"""
    module = with_custom_section(puppet(grows), EOP)
    canister = bench.puppet(module)
    bench.call(canister, "count")
    bench.install(canister, module, mode=KEEP)
    assert (bench.count(canister), bench.query(canister, "far")) == (2, b"\x4d\0\0\0")


POST_UPGRADE_TRAPS = '(func (export "canister_post_upgrade") unreachable)'
PRE_UPGRADE_WRITES = """(func (export "canister_pre_upgrade") (call $count)
  (call $stable_write (i64.const 0) (i64.const 64) (i64.const 8)))"""
PRE_UPGRADE_TRAPS = '(func (export "canister_pre_upgrade") unreachable)'


def test_a_failed_upgrade_leaves_the_canister_as_it_was(bench: Bench) -> None:
    canister = bench.puppet(puppet(PRE_UPGRADE_WRITES))
    bench.call(canister, "count")
    bench.call(canister, "remember", b"in stone")
    hash_before = bench.canister(canister).module.hash  # type: ignore[union-attr]
    balance = bench.canister(canister).balance
    with pytest.raises(CallRejectedError, match="IC0502"):
        bench.install(canister, puppet(POST_UPGRADE_TRAPS), mode=UPGRADE)
    assert bench.count(canister) == 1
    assert bench.query(canister, "recall") == b"in stone"
    assert bench.canister(canister).module.hash == hash_before  # type: ignore[union-attr]
    assert bench.canister(canister).balance < balance
    bench.install(canister, puppet(), mode=UPGRADE)
    assert bench.query(canister, "recall") == b"puppet r"


def test_a_trapping_pre_upgrade_can_be_skipped(bench: Bench) -> None:
    canister = bench.puppet(puppet(PRE_UPGRADE_TRAPS))
    with pytest.raises(CallRejectedError, match="IC0502"):
        bench.install(canister, puppet(), mode=UPGRADE)
    bench.install(canister, puppet(), mode=SKIP_PRE_UPGRADE)


def test_init_gets_the_argument_and_a_trapping_init_installs_nothing(bench: Bench) -> None:
    init = '(func (export "canister_init") (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 4)))'
    canister = bench.create()
    with pytest.raises(CallRejectedError, match=r"IC0504.*msg_arg_data_copy"):
        bench.install(canister, puppet(init), arg=b"")
    assert bench.canister(canister).module is None
    bench.install(canister, puppet(init), arg=b"\x07\0\0\0")
    assert bench.count(canister) == 7


def test_bytes_that_are_no_module_are_refused(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match="IC0505"):
        bench.install(bench.create(), b"not wasm")


def test_a_module_is_installed_from_chunks(bench: Bench) -> None:
    canister, module = bench.create(), puppet()
    hashes = [bench.on("upload_chunk", canister, chunk=part) for part in (module[:1000], module[1000:])]
    assert bench.on("stored_chunks", canister) == hashes
    argument = {
        "mode": Case("install"),
        "target_canister": Principal(canister),
        "chunk_hashes_list": hashes,
        "wasm_module_hash": hashlib.sha256(module).digest(),
        "arg": b"",
    }
    with pytest.raises(CallRejectedError, match="Wasm chunk store: the chunks make up"):
        bench.manage("install_chunked_code", {**argument, "wasm_module_hash": bytes(32)})
    with pytest.raises(CallRejectedError, match="is not in the store"):
        bench.manage("install_chunked_code", {**argument, "chunk_hashes_list": [{"hash": bytes(32)}]})
    bench.manage("install_chunked_code", argument)
    assert bench.call(canister, "count") == b"\x01\0\0\0"
    bench.on("clear_chunk_store", canister)
    assert bench.on("stored_chunks", canister) == []


def test_the_chunk_store_is_bounded(bench: Bench) -> None:
    canister = bench.create()
    with pytest.raises(CallRejectedError, match="1048577 bytes"):
        bench.on("upload_chunk", canister, chunk=bytes(1048577))
    for number in range(100):
        bench.on("upload_chunk", canister, chunk=bytes([number]))
    bench.on("upload_chunk", canister, chunk=b"\0")
    with pytest.raises(CallRejectedError, match="full with 100 chunks"):
        bench.on("upload_chunk", canister, chunk=b"one more")


def test_uninstalling_rejects_open_calls_and_returns_their_cycles(bench: Bench) -> None:
    caller, busy, slow = bench.puppet(), bench.puppet(), bench.puppet()
    nested = call_argument(busy, "forward", call_argument(slow, "count"), cycles=10**12)
    request = bench.submit(caller, "forward", nested)
    bench.subnet.execute_round(max_messages=2)
    bench.submit(MANAGEMENT, "uninstall_code", management_argument("uninstall_code", {"canister_id": Principal(busy)}))
    balance = bench.canister(caller).balance
    with bench.held(slow):
        bench.run()
    bench.run()
    response = bench.outcome(request)
    assert response is not None
    assert response.message == "Canister has been uninstalled."
    assert bench.canister(caller).balance > balance + 10**12
    assert bench.canister(busy).module is None
    assert not bench.canister(busy).contexts
    with pytest.raises(CallRejectedError, match="IC0537"):
        bench.call(busy, "count")


@pytest.mark.parametrize("method", ["canister_status", "upload_chunk", "stored_chunks", "clear_chunk_store"])
def test_a_canister_needs_no_control_over_itself_for_its_chunks_and_its_status(bench: Bench, method: str) -> None:
    canister, other = bench.puppet(), bench.puppet()
    argument = management_argument(method, {"canister_id": Principal(canister), "chunk": b"piece"})
    call = call_argument(MANAGEMENT, method, argument)
    bench.call(canister, "forward", call)
    with pytest.raises(CallRejectedError, match="Only the controllers of the canister"):
        bench.call(other, "forward", call)
