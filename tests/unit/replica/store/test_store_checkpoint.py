"""What a state directory keeps: every committed round, whenever the process ends."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule

from canister_factory.candid.values import Case
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.store.manifest import Manifest
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import OWNER, SECOND_NS, Bench, engine
from support.replica_cycles_machine import CyclesAreConserved
from support.replica_http_support import Caller, decoded, envelope, id_of, url
from support.replica_puppet import call_argument, puppet, with_custom_section
from support.slicing import InSlices
from support.store_history import opener

MARK_BYTES = 40


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(opener(tmp_path))


def _kill_and_restart(bench: Bench, directory: Path, copy: Path) -> Bench:
    """A second life from what is on disk, without the first one having closed anything."""
    shutil.copytree(directory, copy)
    later = Bench(opener(copy))
    later.clock.now_ns = bench.clock.now_ns
    later._requests = 1_000
    return later


def test_a_killed_process_comes_back_with_every_committed_round(bench: Bench, tmp_path: Path, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    canister = bench.puppet()
    for _ in range(3):
        bench.call(canister, "count")
    bench.call(canister, "remember", b"in stone")
    request = bench.submit(canister, "count")
    bench.run()
    bench.subnet.persist()
    before = encode_state(bench.subnet.state)

    later = _kill_and_restart(bench, tmp_path, tmp_path_factory.mktemp("copy") / "state")

    assert encode_state(later.subnet.state) == before
    assert later.count(canister) == 4
    assert later.query(canister, "recall") == b"in stone"
    assert later.outcome(request).data == b"\x04\0\0\0"  # type: ignore[union-attr]


def test_what_was_not_committed_is_gone_as_a_whole(bench: Bench, tmp_path: Path, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.persist()
    bench.call(canister, "count")

    later = _kill_and_restart(bench, tmp_path, tmp_path_factory.mktemp("copy") / "state")

    assert later.count(canister) == 1


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_torn_end_of_the_journal_is_wiped(bench: Bench, tmp_path: Path, cut: int) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.persist()
    (journal,) = tmp_path.glob("journal-*")
    before = journal.read_bytes()
    bench.submit(canister, "count")
    bench.subnet.persist()
    # The last record but for its end, and no mark behind it, as a process leaves it that is killed while it writes.
    end = len(journal.read_bytes().rstrip(b"\0")) - MARK_BYTES - cut
    journal.write_bytes(journal.read_bytes()[:end].ljust(len(before), b"\0"))

    bench.restart()
    assert bench.count(canister) == 1
    assert journal.read_bytes() == before
    bench.call(canister, "count")
    bench.subnet.persist()
    bench.restart()
    assert bench.count(canister) == 2


def test_calls_in_flight_survive(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    request = bench.submit(first, "forward", call_argument(second, "echo", b"late", cycles=10**9))
    bench.subnet.execute_round(max_messages=1)
    bench.subnet.close()
    bench.restart()
    assert bench.outcome(request) is None
    bench.run()
    assert bench.outcome(request).data == b"late"  # type: ignore[union-attr]


def test_an_orderly_end_leaves_nothing_to_execute_again(bench: Bench, tmp_path: Path) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.call(canister, "remember", b"in stone")
    bench.subnet.close()
    before = encode_state(bench.subnet.state)

    bench.restart()
    assert encode_state(bench.subnet.state) == before
    checkpoint = bench.subnet._checkpoint
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint._open_journal.size_bytes == 0
    assert bench.count(canister) == 1
    assert bench.query(canister, "recall") == b"in stone"
    assert bench.canister(canister).module.hash == engine().compile(puppet()).hash  # type: ignore[union-attr]


def test_snapshots_write_what_changed_and_new_code_wholly(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, journal_bytes=1))  # a snapshot with every commit
    first, second = bench.puppet(), bench.puppet()
    for _ in range(2):
        bench.call(first, "count")
        bench.call(second, "remember", b"unharmed")
        bench.subnet.persist()
    bench.install(first, with_custom_section(puppet(), "other"), mode=Case("upgrade", None))
    bench.call(first, "count")
    bench.subnet.persist()
    third = bench.puppet()
    bench.subnet.persist()
    bench.on("stop_canister", second)
    bench.on("delete_canister", second)
    bench.subnet.persist()

    bench.restart()
    assert list(bench.subnet.canisters) == [first, third]
    assert bench.count(first) == 1
    assert bench.call(first, "count") == b"\x02\0\0\0"


def test_timers_and_time_go_on_after_a_restart(bench: Bench) -> None:
    canister = bench.puppet()
    due = bench.clock.now_ns + 60 * SECOND_NS
    bench.call(canister, "set_timer", due.to_bytes(8, "little"))
    bench.subnet.persist()
    bench.restart()
    assert bench.subnet.next_wakeup_ns() == due
    bench.clock.advance(61)
    bench.run()
    assert bench.count(canister) == 1


def test_the_randomness_is_the_same_for_messages_executed_again_and_never_repeats(bench: Bench) -> None:
    first = bench.manage("raw_rand")
    bench.subnet.persist()
    bench.restart()
    assert bench.manage("raw_rand") not in (first, b"")


def test_another_outcome_of_the_journal_is_refused_with_what_to_do(bench: Bench, tmp_path: Path) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.persist()
    with pytest.raises(CheckpointError, match="--state-dir"):
        Subnet(engine(), clock_ns=bench.clock, checkpoint=Checkpoint(tmp_path, engine()), node_count=34)


@pytest.mark.parametrize("written", [1, 99])
def test_a_state_of_another_format_is_refused(tmp_path: Path, bench: Bench, written: int) -> None:
    bench.subnet.close()
    if written == 1:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        (tmp_path / "state.sqlite").touch()
    else:
        manifest = Manifest.decoded((tmp_path / "manifest").read_bytes())
        (tmp_path / "manifest").write_bytes(replace(manifest, format=99).encoded())
    left = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=rf"format {written}.*, .* format 7 \({tmp_path}\).*--state-dir"):
        bench.restart()
    assert sorted(tmp_path.iterdir()) == left


def test_a_state_of_another_form_is_refused(tmp_path: Path, bench: Bench) -> None:
    bench.subnet.close()
    manifest = Manifest.decoded((tmp_path / "manifest").read_bytes())
    (tmp_path / "manifest").write_bytes(replace(manifest, form="0123").encoded())
    with pytest.raises(CheckpointError, match=rf"{tmp_path} was written by another version"):
        bench.restart()


def test_what_a_killed_process_left_of_other_snapshots_goes_after_a_good_start(bench: Bench, tmp_path: Path) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.close()
    left = {"state-1", "journal-1", "journal-9", "manifest.new", "images/00-main-9", "modules/00.wasm", "creating"}
    for name in left:
        (tmp_path / name).write_bytes(b"left")
    (tmp_path / "notes.txt").write_text("a person's")

    bench.restart()
    assert bench.count(canister) == 1
    assert left.isdisjoint(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert (tmp_path / "notes.txt").exists()


def test_a_persons_own_files_among_the_images_and_behind_a_link_stay(bench: Bench, tmp_path: Path) -> None:
    bench.puppet()
    bench.subnet.close()
    (tmp_path / "images" / "notes-1").write_text("a person's")
    (tmp_path / "modules").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "film.wasm").write_text("a person's")
    (tmp_path / "modules").symlink_to(tmp_path / "elsewhere")
    bench.restart()
    bench.subnet.close()
    assert (tmp_path / "images" / "notes-1").exists()
    assert (tmp_path / "elsewhere" / "film.wasm").exists()


@pytest.mark.parametrize("pattern", ["images/*-main-*", "journal-*"])
def test_nothing_is_written_through_a_link(bench: Bench, tmp_path: Path, pattern: str) -> None:
    bench.puppet()
    bench.subnet.close()
    (file,) = tmp_path.glob(pattern)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match=f"Too many levels of symbolic links: {file}"):
        bench.restart()


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_keys_that_were_lost_while_it_runs_are_missed_after_a_snapshot_too(
    tmp_path: Path, content: bytes | None
) -> None:
    server = ReplicaServer(tmp_path, power=False)
    server.subnet.close()
    server.release()
    keys = tmp_path / "keys.json"
    bench = Bench(opener(tmp_path, messages=1))
    keys.unlink() if content is None else keys.write_bytes(content)
    bench.puppet()
    bench.subnet.close()
    with pytest.raises(CheckpointError, match=f"{keys} (is missing|has 7 bytes instead of )"):
        bench.restart()


def test_nothing_is_deleted_by_a_start_that_refuses(bench: Bench, tmp_path: Path) -> None:
    bench.puppet()
    bench.subnet.close()
    (tmp_path / "state-1").write_bytes(b"left")
    (journal,) = tmp_path.glob("journal-*")
    journal.unlink()
    with pytest.raises(CheckpointError, match=rf"{journal} is missing"):
        bench.restart()
    assert (tmp_path / "state-1").exists()


def test_nothing_goes_on_after_a_round_that_broke_off(tmp_path: Path) -> None:
    broken = False

    def listen(*_: object) -> None:
        if broken:
            raise MemoryError

    bench = Bench(opener(tmp_path, Listeners(canister_changed=listen)))
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.persist()
    broken = True
    with pytest.raises(MemoryError):
        bench.call(canister, "certify", b"root")
    bench.subnet.persist()
    with pytest.raises(SubnetBrokenError, match="restart"):
        bench.subnet.execute_round()
    bench.subnet.close()

    broken = False
    bench.restart()
    assert bench.call(canister, "count") == b"\x02\0\0\0"


def test_settings_and_controllers_come_back(bench: Bench) -> None:
    canister = bench.create(freezing_threshold=77, log_visibility=Case("public"))
    bench.subnet.close()
    bench.restart()
    settings = bench.canister(canister).settings
    assert (settings.freezing_threshold, settings.controllers) == (77, (OWNER,))


class JournalsRepeatThemselves(CyclesAreConserved):
    """Whatever happened, executing the journal again leads to the same state, byte for byte."""

    pace = Pace()

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        super().__init__(opener(Path(self.directory.name), pace=self.pace, journal_bytes=20_000))

    @rule()
    def commit(self) -> None:
        self.bench.subnet.persist()

    @rule()
    def kill_and_restart(self) -> None:
        self.bench.subnet.persist()
        before = self._state()
        self.bench.restart()
        assert self._state() == before

    def _state(self) -> bytes:
        """All of it but the time of the last round: rounds in which nothing happened aren't written."""
        return encode_state(replace(self.bench.subnet.state, time_ns=0))

    def teardown(self) -> None:
        self.kill_and_restart()
        self.bench.subnet.close()
        self.directory.cleanup()


JournalsRepeatThemselves.TestCase.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_a_restart_anywhere_in_any_history_changes_nothing = JournalsRepeatThemselves.TestCase


class JournalsOfSlicesRepeatThemselves(InSlices, JournalsRepeatThemselves):
    """Messages take several turns, and others are executed meanwhile: also across restarts and snapshots."""


JournalsOfSlicesRepeatThemselves.TestCase.settings = JournalsRepeatThemselves.TestCase.settings
test_a_restart_in_the_middle_of_messages_changes_nothing = JournalsOfSlicesRepeatThemselves.TestCase


@pytest.mark.parametrize(("size", "is_there"), [(1_000, False), (600_000, True)])
def test_a_large_message_is_written_before_it_is_executed(
    bench: Bench, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, size: int, is_there: bool
) -> None:
    """The disk is at work meanwhile. Nobody was told anything of it yet, so that a process may end with or without."""
    canister = bench.puppet()
    content = b"content!" * (size // 8)
    request = bench.submit(canister, "remember", content)
    found = any(content in file.read_bytes() for file in tmp_path.glob("journal-*"))
    assert found == is_there
    later = _kill_and_restart(bench, tmp_path, tmp_path_factory.mktemp("later") / "copy")
    later.run()
    assert (request in later.subnet.request_statuses) == is_there
    bench.run()
    bench.subnet.persist()
    last = _kill_and_restart(bench, tmp_path, tmp_path_factory.mktemp("last") / "copy")
    assert encode_state(last.subnet.state) == encode_state(bench.subnet.state)
    assert last.subnet.request_statuses[request].is_final


async def test_a_replica_that_has_ended_leaves_no_thread_that_waits_for_a_disk(tmp_path: Path) -> None:
    others = threading.enumerate()
    async with ReplicaServer(tmp_path / "state") as server:
        agent = Agent(Identity.generate(), Network.resolve(server.url, root_key=server.root_key))
        async with agent:
            await ManagementCanister(agent).provisional_create_canister_with_cycles(10**14)
        its_own = {thread.name: thread for thread in threading.enumerate() if thread not in others}
        assert its_own.keys() >= {"disk", "snapshots"}
    for name in ("disk", "snapshots"):
        its_own[name].join(10)
        assert not its_own[name].is_alive()


@pytest.mark.parametrize(("size", "may_be_found"), [(1_000, False), (600_000, True)])
async def test_who_is_told_that_a_call_is_surely_not_executed_finds_it_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, may_be_found: bool
) -> None:
    """The replica breaks when it has noted the call; a large one is in the file by then."""

    def defect(_: object) -> None:
        raise OverflowError("a defect")

    caller, now_ns = Caller(), time.time_ns()
    content: dict[str, Any] = {"request_type": "call", "method_name": "remember", "arg": b"x" * size}
    async with ReplicaServer(tmp_path / "state", clock_ns=lambda: now_ns) as server:
        async with Agent(Identity.generate(), Network.resolve(server.url, root_key=server.root_key)) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(10**14)
            await management.install_code(canister, puppet(), b"")
        content |= {"canister_id": canister.bytes, "ingress_expiry": now_ns + 60 * SECOND_NS}
        monkeypatch.setattr(server.subnet, "enqueue", defect)
        answer = await server.answer("POST", url(4, "call", canister.bytes), envelope(caller, **content))
        assert answer[0] == (500 if may_be_found else 200), answer
        if not may_be_found:
            assert decoded(answer)["status"] == "non_replicated_rejection"
        shutil.copytree(tmp_path / "state", tmp_path / "later")
    async with ReplicaServer(tmp_path / "later", clock_ns=lambda: now_ns) as server:
        assert (id_of(caller, **content) in server.subnet.request_statuses) == may_be_found
