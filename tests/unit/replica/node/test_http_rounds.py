"""Rounds: when they run, and how they end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from canister_factory.replica.node.rounds import TASKS_INTERVAL_NS
from support.replica_http_support import NOW, Caller, Network, decoded, id_of, settle, url


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
