"""The blocking form: one proxy, one loop in a thread, for scripts, threads and notebooks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest

import canister_factory as cf
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT
from canister_factory.face import blocking as face
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from support.ic_test_support import CANISTER, FakeClock, FakeNetwork

NAME = "canister-factory"


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


class Thing:
    """Something asynchronous, with all that a proxy may meet."""

    kind = "thing"

    def __init__(self, other: Any = None) -> None:
        self.other = other
        self.closed = False

    async def __aenter__(self) -> Thing:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    def __repr__(self) -> str:
        return "Thing()"

    async def where(self) -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def make(self) -> Thing:
        return Thing()

    async def ask(self, other: Any) -> str:
        name: str = await other.where()
        return name

    async def fail(self) -> None:
        raise RejectedError(4, "no", certified=True)

    async def block(self) -> str:
        return str(cf.blocking(self.where()))

    def plain(self, value: int = 1) -> int:
        """Doubles."""
        return value * 2


def test_methods_wait_in_another_thread_and_everything_else_is_as_it_was() -> None:
    with cf.blocking(Thing()) as thing:
        assert thing.where() == NAME
        assert (thing.plain(4), thing.kind, thing.closed) == (8, "thing", False)
        assert thing.plain.__doc__ == "Doubles."
        assert repr(thing) == "blocking(Thing())"
        assert {"where", "make", "plain"} <= set(dir(thing))
        thing.other = 5
        assert thing.other == 5


def test_what_methods_give_is_blocking_too_and_data_are_data() -> None:
    with cf.blocking(Thing()) as thing:
        assert thing.make().where() == NAME
        assert type(thing.where()) is str
        thing.other = Thing()
        assert thing.other.where() == NAME


def test_a_proxy_is_taken_where_the_object_is_wanted() -> None:
    with cf.blocking(Thing()) as thing:
        assert thing.ask(thing) == NAME
        assert cf.blocking(Thing().ask(thing)) == NAME


def test_a_coroutine_is_waited_for_with_and_without_a_block() -> None:
    assert cf.blocking(Thing().where()) == NAME
    assert loop_threads() == []


def test_errors_come_through() -> None:
    with cf.blocking(Thing()) as thing, pytest.raises(RejectedError, match="rejected with CANISTER_REJECT"):
        thing.fail()


def test_the_thread_ends_with_the_last_block_and_the_object_is_closed() -> None:
    thing, other = Thing(), Thing()
    with cf.blocking(thing):
        with cf.blocking(other):
            assert len(loop_threads()) == 1
        assert (other.closed, thing.closed) == (True, False)
        assert len(loop_threads()) == 1
    assert thing.closed
    assert loop_threads() == []


def test_a_block_that_fails_to_open_leaves_no_thread() -> None:
    with pytest.raises(cf.errors.NetworkConfigError), cf.connect("nonsense"):
        pass
    assert loop_threads() == []


def test_after_the_block_a_method_says_so() -> None:
    with cf.blocking(Thing()) as thing:
        pass
    with pytest.raises(RuntimeError, match="the connection is closed: use the blocking form within the `with` block"):
        thing.where()


def test_blocking_inside_its_own_loop_is_refused_instead_of_waiting_for_ever() -> None:
    with cf.blocking(Thing()) as thing, pytest.raises(RuntimeError, match="use await there"):
        thing.block()


def test_threads_share_the_loop() -> None:
    names: list[str] = []
    with cf.blocking(Thing()) as thing:
        threads = [threading.Thread(target=lambda: names.append(thing.where())) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert names == [NAME] * 5


async def test_it_works_where_a_loop_runs_already_as_in_a_notebook() -> None:
    asyncio.get_running_loop()
    with cf.blocking(Thing()) as thing:
        assert thing.where() == NAME


def test_agent_clients_and_canisters_in_the_blocking_form() -> None:
    net = FakeNetwork(FakeClock(), lambda envelope: encode([NAT], [7]))
    with cf.blocking(cf.Agent(Identity.generate(), net.network(), transport=net.transport())) as agent:
        assert agent.update(CANISTER, "add", b"") == encode([NAT], [7])
        counter = cf.blocking(cf.Canister(agent, CANISTER, "service : { add : () -> (nat) }"))
        assert counter.add() == 7
        assert list(counter.methods) == ["add"]
        with pytest.raises(cf.errors.UnknownMethodError, match="it has: add"):
            counter.ad()


@pytest.mark.parametrize(("is_handed_over", "cleaned_up"), [(True, ["cleaned up"]), (False, [])])
def test_ctrl_c_while_a_call_is_handed_to_the_loop_cancels_it_too(
    is_handed_over: bool, cleaned_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), list[str]()

    class Slow(Thing):
        async def wait(self) -> None:
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("cleaned up")

    with cf.blocking(Slow()) as slow:
        loop = face._background._loop
        assert loop is not None
        hand_over = loop.call_soon_threadsafe

        def interrupted(callback: Callable[[], object]) -> None:
            monkeypatch.undo()
            if is_handed_over:
                hand_over(callback)
                begun.wait()
            raise KeyboardInterrupt

        monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            slow.wait()
        assert ended == cleaned_up


def test_ctrl_c_cancels_the_call_lets_it_clean_up_and_leaves() -> None:
    """In a process of its own: a real signal while the main thread waits."""
    program = """
        import asyncio, os, signal, threading
        import canister_factory as cf

        class Slow:
            async def wait(self):
                try:
                    threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT)).start()
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    print("cleaned up", flush=True)
            async def __aenter__(self): return self
            async def __aexit__(self, *_): print("closed", flush=True)

        try:
            with cf.blocking(Slow()) as slow:
                slow.wait()
        except KeyboardInterrupt:
            print("interrupted", [t.name for t in threading.enumerate() if t.name == "canister-factory"])
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.splitlines() == ["cleaned up", "closed", "interrupted []"]
    assert run.stderr == ""
