"""What rounds answer that break off, or that the disk refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from canister_factory.ic import hash_tree
from canister_factory.replica.node.http_api import Answer
from canister_factory.replica.subnet.durability import CheckpointError
from support.replica_http_support import MINUTE, Caller, Network, decoded, id_of, settle, shown, url


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


@pytest.mark.parametrize("method", ["defect", "append"])
async def test_a_call_that_a_restart_may_find_is_not_said_to_be_refused(method: str) -> None:
    """It was written before it was executed; the one that comes afterwards wasn't."""
    async with Network() as network:
        network.written_ahead = True
        network.subnet.disk_failure = disk_full(durable=False)
        answer = await network.post(url(4, "call"), Caller(), request_type="call", method_name=method)
        assert answer[0] == 500
        refusal(await network.post(url(4, "call"), Caller(), request_type="call", method_name="append"))


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
