"""The disk is full: the first error that a person sees says so, within seconds; what was confirmed is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.counter_canister import counter
from support.small_disk import MODULE, environment, on_small_disk, shell

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="only an embedded replica's disk is ours to fill"
)

FULL = "No space left on device"
PROMPT_S = 30.0
"""Ten where the machine has nothing else to do; whoever waits for an outcome waits for more than two hundred."""


def the_error(stderr: str) -> str:
    """The one line that is an error, and the last."""
    assert "Traceback" not in stderr
    *others, last = stderr.strip().splitlines()
    assert last.startswith("error: "), stderr
    assert not [line for line in others if line.startswith("error")]
    return last


def begun(command: list[str], **variables: object) -> subprocess.Popen[str]:
    """A command that runs meanwhile, both of its streams ours to read."""
    return subprocess.Popen(
        command, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --- the demo ---------------------------------------------------------------------------------------------------------


def until_it_stores(demo: subprocess.Popen[str]) -> str:
    """What a demo says up to the line before the first file."""
    assert demo.stderr is not None
    said = ""
    for line in demo.stderr:
        said += line
        if line.startswith("reserve:"):
            break
    return said


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "files"
    directory.mkdir()
    (directory / "film.bin").write_bytes(os.urandom(24_000_000))
    return directory


@pytest.mark.parametrize("options", [(), ("--keep",)])
def test_a_demo_whose_disk_fills_up_says_so_within_seconds(
    tmp_path: Path, files: Path, options: tuple[str, ...]
) -> None:
    disk = tmp_path / "disk"
    demo = begun(on_small_disk(disk, "12m", f"exec {shell('demo', str(files), *options)}"), TMPDIR=disk)
    said = until_it_stores(demo)
    began_to_store = time.monotonic()
    out, rest = demo.communicate(timeout=120)
    assert time.monotonic() - began_to_store < PROMPT_S
    assert (demo.returncode, out) == (1, "")
    error = the_error(said + rest)
    assert FULL in error
    assert "TMPDIR" in error


def test_a_demo_on_a_disk_that_is_full_already_does_not_begin(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    demo = subprocess.run(
        on_small_disk(disk, "100k", f"exec {shell('demo', '--json')}"),
        env=environment(TMPDIR=disk),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert demo.returncode == 1
    message = json.loads(demo.stdout)["error"]["message"]
    assert f"({FULL})" in message
    assert "TMPDIR" in message


def test_a_replica_that_is_killed_during_the_demo_is_one_line_at_once(tmp_path: Path, files: Path) -> None:
    demo = begun([*MODULE, "demo", str(files)], TMPDIR=tmp_path)
    said = until_it_stores(demo)
    (state,) = tmp_path.glob("canister-factory-replica-*")
    os.kill(json.loads((state / "replica.json").read_text())["pid"], signal.SIGKILL)
    killed = time.monotonic()
    out, rest = demo.communicate(timeout=120)
    # Two seconds where the machine has nothing else to do.
    assert time.monotonic() - killed < 5
    assert (demo.returncode, out) == (3, "")
    assert "the embedded replica ended in the middle of the demo" in the_error(said + rest)


# --- a replica, its clients, and what is there after a restart ------------------------------------------------------


class SmallReplica:
    """A replica in the foreground on a disk of 10 MB with ballast (in MB) on it; it begins once more when it ends."""

    def __init__(self, tmp_path: Path, ballast: int = 6) -> None:
        self.home = tmp_path / "home"
        self._disk = disk = tmp_path / "disk"
        start = shell("replica", "start", "--port", "0", "--json", "--state-dir", str(disk / "state"))
        fill = f"dd if=/dev/zero of={disk}/ballast bs=1M count={ballast} 2>/dev/null"
        script = f"{fill}; {start}; echo $?; exec {start}"
        self._process = begun(on_small_disk(disk, "10m", script), CANISTER_FACTORY_HOME=self.home)
        self.ready()

    def make_room(self) -> None:
        """Deletes the ballast."""
        (self._seen / "ballast").unlink()

    def fill_up(self) -> None:
        """Leaves no room at all."""
        with suppress(OSError), (self._seen / "more").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    @property
    def _seen(self) -> Path:
        """The disk as its own processes see it."""
        return Path(f"/proc/{self.pid}/root{self._disk}")

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def ready(self) -> None:
        record = json.loads(self.line())
        self.pid: int = record["pid"]
        self.network = Network.resolve(record["url"], root_key=bytes.fromhex(record["root_key"]))

    def command(self, *words: str) -> tuple[int, str, float]:
        """Exit code, error object's message, seconds."""
        began = time.monotonic()
        done = subprocess.run(
            [*MODULE, *words, "--json"],
            env=environment(CANISTER_FACTORY_HOME=self.home),
            capture_output=True,
            text=True,
            timeout=120,
        )
        last = json.loads(done.stdout.splitlines()[-1])
        return done.returncode, last.get("error", {}).get("message", ""), time.monotonic() - began

    def end(self) -> str:
        """Ends the second one; what both logged."""
        try:
            os.kill(self.pid, signal.SIGTERM)
            return self._process.communicate(timeout=30)[1]
        finally:
            self._process.kill()


@pytest.fixture
def replica(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallReplica]:
    made = SmallReplica(tmp_path, **getattr(request, "param", {}))
    yield made
    if made._process.poll() is None:
        made._process.kill()
        with suppress(ProcessLookupError):
            os.kill(made.pid, signal.SIGKILL)
        made._process.communicate()


@asynccontextmanager
async def agent_on(replica: SmallReplica) -> AsyncIterator[Agent]:
    async with Agent(Identity.generate(), replica.network) as agent:
        yield agent


async def fill(agent: Agent, canister: Any) -> tuple[int, RejectedError]:
    """Calls the counter with arguments of a megabyte until the disk is full: how often it was answered, and the end."""
    for answered in range(100):
        try:
            await agent.update(canister, "add", bytes(1_000_000))
        except RejectedError as error:
            return answered, error
    raise AssertionError("the disk has room for a hundred megabytes")


async def test_a_full_disk_refuses_calls_with_the_cause_until_there_is_room(replica: SmallReplica) -> None:
    async with agent_on(replica) as agent:
        canister = await counter(agent)
        began = time.monotonic()
        answered, error = await fill(agent, canister)
        assert answered > 0
        assert not error.certified
        assert FULL in error.message
        with pytest.raises(RejectedError, match=FULL):
            await agent.update(canister, "add", b"")
        assert int.from_bytes(await agent.query(canister, "read", b""), "little") == answered
        await agent.canister_info(canister)
        assert time.monotonic() - began < PROMPT_S
        status = await agent.status()
        assert (status.health, FULL in (status.reason or "")) == ("waiting_for_room", True)

        replica.make_room()
        while (await agent.status()).health != "healthy":
            pass  # nobody calls meanwhile: it finds out by itself
        assert int.from_bytes(await agent.update(canister, "add", bytes(1_000_000)), "little") == answered + 1

    os.kill(replica.pid, signal.SIGTERM)
    assert replica.line() == "0\n"
    replica.ready()
    async with agent_on(replica) as agent:
        assert int.from_bytes(await agent.query(canister, "read", b""), "little") == answered + 1
    log = await asyncio.to_thread(replica.end)
    assert log.count(FULL) == 1, "said once"
    assert "Traceback" not in log


async def test_a_replica_that_ends_on_a_full_disk_has_all_that_it_answered(replica: SmallReplica) -> None:
    async with agent_on(replica) as agent:
        canister = await counter(agent)
        answered, _ = await fill(agent, canister)
    replica.fill_up()
    os.kill(replica.pid, signal.SIGTERM)
    assert FULL in json.loads(replica.line())["error"]["message"], "it can't take its last snapshot"
    assert replica.line() == "1\n"
    replica.ready()
    async with agent_on(replica) as agent:
        assert int.from_bytes(await agent.query(canister, "read", b""), "little") == answered


async def test_commands_say_the_cause_within_seconds(replica: SmallReplica, tmp_path: Path) -> None:
    pem = tmp_path / "admin.pem"
    Identity.generate().write_pem(pem)
    async with agent_on(replica) as agent:
        canister = await counter(agent)
        await fill(agent, canister)
    for words in (
        ("call", "aaaaa-aa", "provisional_create_canister_with_cycles", "(record {})"),
        ("call", str(canister), "add", "()", "--update"),
        ("deploy", "--identity", str(pem)),
        ("replica", "status"),
        ("doctor",),
    ):
        code, message, seconds = await asyncio.to_thread(replica.command, *words)
        assert code == 1, words
        assert seconds < PROMPT_S, words
        if words[0] != "doctor":
            assert FULL in message, words


@pytest.mark.parametrize("replica", [{"ballast": 9}], indirect=True)
def test_a_deployment_that_fills_the_disk_ends_with_the_cause(replica: SmallReplica, tmp_path: Path) -> None:
    pem = tmp_path / "admin.pem"
    Identity.generate().write_pem(pem)
    for _ in range(20):
        code, message, seconds = replica.command("deploy", "--identity", str(pem))
        assert seconds < PROMPT_S
        if code:
            break
    assert code == 1
    assert FULL in message
