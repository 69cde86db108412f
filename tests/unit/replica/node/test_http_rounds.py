"""Rounds: when they run, what they answer, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from canister_factory.ic import hash_tree
from canister_factory.replica.node.certification import RangesLayout
from canister_factory.replica.node.http_api import Answer
from canister_factory.replica.node.requests_tree import RequestsTree
from canister_factory.replica.node.rounds import TASKS_INTERVAL_NS
from canister_factory.replica.node.state_tree import witness
from canister_factory.replica.subnet.durability import CheckpointError
from support.replica_http_support import MINUTE, NOW, Caller, FakeModule, Network, decoded, id_of, url


async def settle(turns: int = 5) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_long_computation_runs_round_after_round_and_lets_others_in_between() -> None:
    async with Network() as network:
        await settle()
        network.subnet.rounds.clear()
        network.subnet.more_rounds = 4
        call = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
        query = asyncio.create_task(network.post(url(3, "query"), Caller(), request_type="query", method_name="read"))
        await settle(3)
        assert query.done(), "not made to wait for the rounds"
        await call
        await settle()
        assert len(network.subnet.rounds) == 4


async def test_a_call_that_arrives_while_the_round_is_about_to_begin_is_part_of_it() -> None:
    async with Network() as network:
        await settle()
        network.subnet.rounds.clear()
        calls = []
        for argument in (b"1", b"2"):
            post = network.post(url(4, "call"), Caller(), request_type="call", method_name="append", arg=argument)
            calls.append(asyncio.create_task(post))
            await settle(1)
        await asyncio.gather(*calls)
        assert network.subnet.rounds == [2]


async def test_calls_whose_signatures_are_being_checked_are_waited_for() -> None:
    checked = asyncio.Event()
    checked.set()
    async with Network(arrivals=checked.wait) as network:
        await settle()
        network.subnet.rounds.clear()
        checked.clear()
        calls = []
        for argument in (b"1", b"2"):
            post = network.post(url(4, "call"), Caller(), request_type="call", method_name="append", arg=argument)
            calls.append(asyncio.create_task(post))
            await settle()
            assert network.subnet.rounds == []
        checked.set()
        await asyncio.gather(*calls)
        assert network.subnet.rounds == [2]


async def test_a_round_runs_when_a_timer_of_a_canister_is_due() -> None:
    async with Network() as network:
        network.subnet.rounds.clear()
        network.subnet.wakeups_ns = [NOW + 1_000_000, NOW - 1_000_000]  # in a millisecond; then one that is overdue
        await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        async with asyncio.timeout(5):
            while len(network.subnet.rounds) < 3:  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0)
        assert network.subnet.rounds == [1, 0, 0]


def refusal(answer: Answer) -> str:
    """Why a call was refused, surely not executed, without a certificate."""
    fields = decoded(answer)
    assert (fields["status"], fields["reject_code"]) == ("non_replicated_rejection", 1)
    return str(fields["reject_message"])


def disk_full(durable: bool | None, *, passing: bool = False) -> CheckpointError:
    error = CheckpointError("No space left on device")
    error.durable, error.passing = durable, passing
    return error


async def health(network: Network) -> tuple[str, str]:
    status = decoded(await network.api.handle("GET", "/api/v2/status", b""))
    return status["replica_health_status"], status.get("health_reason", "")


async def test_a_defect_in_execution_is_logged_and_ends_all_execution(caplog: pytest.LogCaptureFixture) -> None:
    async with Network() as network:
        text = refusal(await network.post(url(4, "call"), Caller(), request_type="call", method_name="defect"))
        assert "restart the replica" in text
        assert "a defect" not in text
        assert "a defect" in caplog.text
        network.subnet.queue.clear()
        again = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert refusal(again) == text
        assert await health(network) == (
            "certified_state_behind",
            text.removesuffix("; afterwards restart the replica"),
        )


async def test_a_defect_in_certification_ends_all_work_and_says_so_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else each request would fail by itself, without a word in the status."""

    def defect() -> None:
        raise OverflowError("a defect")

    async with Network() as network:
        await settle()
        monkeypatch.setattr(network.view, "certify", defect)
        network.now_ns += 2 * MINUTE
        read = await network.post(url(3, "read_state"), Caller(), request_type="read_state", paths=[[b"time"]])
        assert read[0] == 500
        state, reason = await health(network)
        assert state == "certified_state_behind"
        reference = reason.removeprefix("An internal error broke the subnet; look for ").split()[0]
        assert f"certifying the state broke off by an internal error (reference {reference})" in caplog.text
        assert "OverflowError: a defect" in caplog.text
        call = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert refusal(call) == f"{reason}; afterwards restart the replica"
        assert not network.subnet.queue, "it wasn't even taken"


async def test_a_defect_in_taking_a_call_ends_all_work_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(_: object) -> None:
        raise OverflowError("a defect")

    async with Network() as network:
        monkeypatch.setattr(network.subnet, "submit", defect)
        call = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert "An internal error broke the subnet; look for " in refusal(call)
        assert (await health(network))[0] == "certified_state_behind"


@pytest.mark.parametrize("late", [False, True])
async def test_what_could_not_be_made_durable_is_never_answered_as_done(
    caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    async with Network() as network:
        network.subnet.fails_late = late
        assert await health(network) == ("healthy", "")
        network.subnet.disk_failure = disk_full(durable=False)
        caller, content = Caller(), {"request_type": "call", "method_name": "append", "arg": b"x"}
        assert "No space left" in refusal(await network.post(url(4, "call"), caller, **content))
        path = (b"request_status", id_of(caller, **content), b"status")
        assert is_not_shown(network, path)
        network.subnet.disk_failure = None
        for version in (4, 2):  # not even when there is space again: memory is ahead of the disk
            answer = await network.post(url(version, "call"), Caller(), request_type="call", method_name="append")
            assert b"No space left" in answer[2]
        assert "No space left" in refusal(await network.post(url(4, "call"), caller, **content))
        assert is_not_shown(network, path)
        assert len(caplog.records) == 1, "said once, not with every call"


async def test_after_a_failed_write_reads_are_refused_with_the_cause() -> None:
    async with Network() as network:
        network.subnet.disk_failure = disk_full(durable=False)
        await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        query = await network.post(url(3, "query"), Caller(), request_type="query", method_name="read")
        read = await network.post(url(3, "read_state"), Caller(), request_type="read_state", paths=[[b"time"]])
        for status, _, body in (query, read):
            assert status == 500
            assert b"No space left" in body
        state, reason = await health(network)
        assert state == "certified_state_behind"
        assert "No space left" in reason


async def test_a_call_of_an_earlier_round_is_not_said_to_be_refused() -> None:
    """A restart goes on with it: its outcome isn't known, unlike the one of a call in the round that failed."""
    async with Network() as network:
        waiting = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="later"))
        await settle()
        network.subnet.disk_failure = disk_full(durable=False)
        refusal(await network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
        assert (await waiting)[0] == 500


@pytest.mark.parametrize("durable", [True, None])
async def test_a_call_is_refused_only_when_it_is_surely_not_durable(durable: bool | None) -> None:
    async with Network() as network:
        network.subnet.disk_failure = disk_full(durable)
        answer = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        if durable:
            assert decoded(answer)["status"] == "replied"
        else:
            assert (answer[0], b"No space left" in answer[2]) == (500, True)
        late = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert "No space left" in refusal(late)


async def test_a_call_for_which_there_is_no_room_is_refused_and_the_next_one_is_taken_when_there_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Network() as network:
        await settle()
        network.subnet.shortage = disk_full(durable=False, passing=True)
        for _ in range(2):
            text = refusal(await network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
            assert text == "No space left on device; the replica goes on by itself when that succeeds"
        assert await health(network) == ("waiting_for_room", text)
        query = await network.post(url(3, "query"), Caller(), request_type="query", method_name="read")
        assert decoded(query)["status"] == "replied", "memory has what the disk has"
        assert len(caplog.records) == 1, "said once"
        network.subnet.shortage = None
        answer = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert decoded(answer)["status"] == "replied"
        assert await health(network) == ("healthy", "")


async def test_a_round_that_could_not_be_written_is_answered_when_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async with Network() as network:
        await settle()
        network.subnet.disk_failure = disk_full(durable=False, passing=True)
        caller, content = Caller(), {"request_type": "call", "method_name": "append", "arg": b"x"}
        waiting = asyncio.create_task(network.post(url(4, "call"), caller, **content))
        await settle()
        assert not waiting.done()
        rounds = len(network.subnet.rounds)
        other = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert "No space left" in refusal(other)
        again = await network.post(url(4, "call"), caller, **content)
        assert (again[0], b"No space left" in again[2]) == (500, True), "it may still be made durable"
        query = await network.post(url(3, "query"), Caller(), request_type="query", method_name="read")
        assert query[0] == 500, "memory is ahead of the disk"
        path = (b"request_status", id_of(caller, **content), b"status")
        assert is_not_shown(network, path)
        network.subnet.disk_failure = None
        network.rounds.tick()
        assert decoded(await waiting)["status"] == "replied"
        assert len(network.subnet.rounds) == rounds, "it wasn't executed again"
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_shortage_is_looked_at_again_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canister_factory.replica.node.rounds._RETRY_S", 0.0)
    async with Network() as network:
        await settle()
        network.subnet.shortage = disk_full(durable=False, passing=True)
        refusal(await network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
        network.subnet.shortage = None
        async with asyncio.timeout(5):
            while (await health(network))[0] != "healthy":  # noqa: ASYNC110 - nobody has an event
                await asyncio.sleep(0)
        answer = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        assert decoded(answer)["status"] == "replied"


def is_not_shown(network: Network, path: Sequence[bytes]) -> bool:
    """Whether it is absent from the newest state, or no state is shown any more."""
    return network.view.current().superseded or (hash_tree.lookup_path(shown(network, path), path) is hash_tree.ABSENT)


def shown(network: Network, path: Sequence[bytes]) -> hash_tree.Node:
    return hash_tree.decode_tree(witness(network.view.current().root, [path]))


async def test_reads_beside_a_call_get_a_recent_state_that_has_all_durable_changes() -> None:
    async with Network() as network:
        await settle()
        (canister_id,) = network.subnet.canisters
        network.subnet.canisters[canister_id].certified_data = b"set by a timer"
        network.subnet.listeners.canister_changed(canister_id)
        network.now_ns += 2 * MINUTE
        call = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
        await asyncio.sleep(0)
        assert network.subnet.queue, "taken, but not yet executed"
        path = (b"canister", canister_id, b"certified_data")
        assert hash_tree.lookup_path(shown(network, path), path) == hash_tree.Found(b"set by a timer")
        assert network.view.current().time_ns == network.now_ns
        await call


async def test_a_broken_subnet_refuses_calls_and_certifies_nothing_new(caplog: pytest.LogCaptureFixture) -> None:
    async with Network() as network:
        before = network.view.current()
        network.subnet.broken = True
        message = "An internal error broke the subnet; look at the replica's log; afterwards restart the replica"
        for version in (4, 4, 2):
            answer = await network.post(url(version, "call"), Caller(), request_type="call", method_name="append")
            assert (answer[0], decoded(answer)["reject_code"], decoded(answer)["reject_message"]) == (200, 1, message)
        network.now_ns += 10**10
        assert network.view.current() is before
        assert len(caplog.records) == 1, "said once, not with every call"


async def test_stopping_finishes_what_is_queued_and_lets_go_of_what_waits_for_others() -> None:
    network = Network()
    network.rounds.start()
    waiting = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="later"))
    await settle()
    queued = asyncio.create_task(network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))
    await asyncio.sleep(0)
    await network.rounds.stop()
    assert decoded(await queued)["status"] == "replied"
    assert (await waiting)[0] == 202
    late = await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
    assert late[0] == 503


async def test_a_client_that_went_away_does_not_disturb_its_call() -> None:
    caller = Caller()
    async with Network() as network:
        task = asyncio.create_task(network.post(url(4, "call"), caller, request_type="call", method_name="later"))
        await settle()
        task.cancel()
        await settle()
        network.subnet.release()
        request_id = id_of(caller, request_type="call", method_name="later")
        assert network.subnet.request_statuses[request_id].response is not None
        network.rounds.tick()
        assert repr(network.rounds).endswith("waiting=0>")


async def test_certified_data_changes_do_not_hash_the_metadata_again() -> None:
    async with Network() as network:
        (canister_id,) = network.subnet.canisters
        canister = network.subnet.canisters[canister_id]
        canister.module = FakeModule(custom_sections={"candid:service": ("public", b"service : {}")})
        network.subnet.listeners.canister_changed(canister_id)
        first = network.view.certify().root.digest()
        canister.certified_data = b"changed"
        network.subnet.listeners.canister_changed(canister_id)
        assert network.view.certify().root.digest() != first
        canister.certified_data = b""
        network.subnet.listeners.canister_changed(canister_id)
        assert network.view.certify().root.digest() == first


async def test_reprs_say_what_is_going_on_and_show_no_key() -> None:
    async with Network() as network:
        assert repr(network.view).startswith("<CertifiedView <CertifiedState time_ns=")
        assert "subnet=" in repr(network.api)
        assert "executed=" in repr(network.rounds)


async def test_a_round_follows_when_what_a_message_waits_for_is_there() -> None:
    async with Network() as network:
        compiling: Future[None] = Future()
        network.subnet.awaited = [compiling]
        network.rounds._wake.set()
        await settle()
        network.subnet.rounds.clear()
        await settle()
        assert not network.subnet.rounds, "there is nothing to do meanwhile"
        network.subnet.awaited = []
        await asyncio.to_thread(compiling.set_result, None)
        await settle()
        assert len(network.subnet.rounds) == 1


async def test_timers_that_are_always_due_are_executed_at_a_pace_whatever_messages_come() -> None:
    async with Network() as network:
        await settle()
        network.subnet.tasks.clear()
        network.subnet.wakeups_ns = [1] * 100
        for _ in range(12):
            await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
            network.now_ns += TASKS_INTERVAL_NS // 4
        assert [at for at, with_tasks in enumerate(network.subnet.tasks) if with_tasks] == [4, 8]
        executed = len(network.subnet.tasks)
        network.rounds.tick()
        assert network.subnet.tasks[executed:] == [True], "a round that is asked for executes them at once"


async def test_a_calls_certificate_needs_no_nodes_of_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(RequestsTree, "opened", lambda tree, labels: opened.append(labels))
    async with Network() as network:
        for number in range(20):
            answer = await network.post(
                url(4, "call"), Caller(), request_type="call", method_name="append", arg=b"%d" % number
            )
            assert decoded(answer)["status"] == "replied"
    assert opened == []


async def test_a_state_gives_no_certificate_once_the_tree_has_changed() -> None:
    async with Network() as network:
        await settle()
        former = network.view.current()
        await network.post(url(4, "call"), Caller(), request_type="call", method_name="append")
        with pytest.raises(RuntimeError, match="superseded"):
            former.certificate([(b"time",)], RangesLayout.NONE)


async def test_what_is_around_the_requests_is_the_same_in_their_certificates_of_one_state() -> None:
    async with Network() as network:
        content = {"request_type": "call", "method_name": "append"}
        callers = [Caller() for _ in range(3)]
        await asyncio.gather(*(network.post(url(4, "call"), caller, **content) for caller in callers))
        state = network.view.current()
        for layout in (RangesLayout.SHARDED, RangesLayout.FLAT, RangesLayout.NONE):
            for request_id in [id_of(caller, **content) for caller in callers]:
                whole = state.certificate([(b"request_status", request_id)], layout)
                assert state.certificate_of_request(request_id, layout) == whole
        unknown = bytes(32)
        assert state.certificate_of_request(unknown, RangesLayout.NONE) == state.certificate(
            [(b"request_status", unknown)], RangesLayout.NONE
        )
