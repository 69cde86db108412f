"""The embedded replica as its users meet it: a process, commands, and real clients over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import cbor2
import httpx
import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.envelope import sign_envelope
from canister_factory.ic.errors import CertificateError, OutcomeUnknownError, RejectedError
from canister_factory.ic.hash_tree import Found
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.ic.request_id import request_id
from canister_factory.replica.node.process import ReplicaProcess, ReplicaProcessError
from canister_factory.replica.node.server import ReplicaServer, ServerError
from support.counter_canister import MODULE, counter


@pytest.fixture(scope="module")
def replica() -> Iterator[ReplicaProcess]:
    with ReplicaProcess() as process:
        yield process


def network_of(replica: ReplicaProcess) -> Network:
    return Network.resolve(replica.url, root_key=replica.root_key)


async def test_a_client_creates_installs_calls_and_verifies(replica: ReplicaProcess) -> None:
    identity = Identity.generate()
    async with Agent(identity, network_of(replica)) as agent:
        canister = await counter(agent)
        assert await agent.update(canister, "add", b"") == (1).to_bytes(4, "little")
        assert await agent.query(canister, "read", b"") == (1).to_bytes(4, "little")
        info = await agent.canister_info(canister)
        assert [bytes(controller.bytes) for controller in info.controllers] == [identity.sender().bytes]
        with pytest.raises(RejectedError) as rejected:
            await agent.update(canister, "trap", b"")
        assert rejected.value.certified


async def test_calls_at_once_are_all_executed_once(replica: ReplicaProcess) -> None:
    async with Agent(Identity.generate(), network_of(replica)) as agent:
        canister = await counter(agent)
        replies = await asyncio.gather(*(agent.update(canister, "add", b"") for _ in range(50)))
        assert sorted(int.from_bytes(reply, "little") for reply in replies) == list(range(1, 51))


async def test_a_client_with_another_root_key_believes_nothing(replica: ReplicaProcess) -> None:
    async with Agent(Identity.generate(), network_of(replica)) as agent:
        canister = await counter(agent)
    with ReplicaProcess() as other:
        stranger = Network.resolve(replica.url, root_key=other.root_key)
    async with Agent(Identity.generate(), stranger) as agent:
        with pytest.raises(OutcomeUnknownError, match="root key"):
            await agent.update(canister, "add", b"")
        with pytest.raises(CertificateError):
            await agent.canister_info(canister)


async def test_certified_data_reaches_the_client_of_a_query(replica: ReplicaProcess) -> None:
    async with Agent(Identity.generate(), network_of(replica)) as agent:
        canister = await counter(agent)
        await agent.update(canister, "add", b"")
        certificate = CertificateVerifier(replica.root_key).verify(
            await agent.query(canister, "certificate", b""),
            now_ns=agent.transport.clock_ns(),
            canister_id=canister.bytes,
        )
        found = certificate.lookup([b"canister", canister.bytes, b"certified_data"])
        assert found == Found((1).to_bytes(4, "little"))


def test_browsers_may_call_it(replica: ReplicaProcess) -> None:
    url = f"{replica.url}/api/v2/status"
    assert httpx.get(url).headers["access-control-allow-origin"] == "*"
    preflight = httpx.options(url, headers={"origin": "http://localhost:3000", "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]


def test_requests_that_are_no_cbor_or_too_large_are_refused(replica: ReplicaProcess) -> None:
    url = f"{replica.url}/api/v2/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/call"
    assert httpx.post(url, content=b"{}", headers={"content-type": "application/json"}).status_code == 415
    cbor = {"content-type": "application/cbor"}
    assert httpx.post(url, content=b"{}", headers=cbor).status_code == 400
    assert httpx.post(url, content=bytes(6 * 1024 * 1024), headers=cbor).status_code == 413


# --- processes and commands --------------------------------------------------------------------------------------


def command(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "canister_factory", "replica", *arguments],
        env={**os.environ, "CANISTER_FACTORY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def started(home: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "canister_factory", "replica", "start", "--port", "0", "--json", *options],
        env={**os.environ, "CANISTER_FACTORY_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.ready = json.loads(process.stdout.readline())  # type: ignore[attr-defined]
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def test_start_status_stop_and_the_state_file_between(tmp_path: Path) -> None:
    process = started(tmp_path)
    record = json.loads((tmp_path / "replica.json").read_text())
    assert record == process.ready  # type: ignore[attr-defined]
    assert set(record) == {"url", "root_key", "pid", "state_dir"}
    assert json.loads((tmp_path / "replica" / "replica.json").read_text()) == record
    status = command("status", "--json", home=tmp_path)
    assert status.returncode == 0
    assert json.loads(status.stdout)["url"] == record["url"]
    stop = command("stop", home=tmp_path)
    assert stop.returncode == 0, stop.stderr
    assert ended(process) == (0, "", "")
    assert not (tmp_path / "replica.json").exists()
    assert not (tmp_path / "replica" / "replica.json").exists()
    assert command("status", home=tmp_path).returncode == 3
    assert command("stop", home=tmp_path).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    assert ended(process) == (0, "", "")
    assert not (tmp_path / "replica.json").exists()


def test_the_root_key_stays_with_the_state_directory(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with ReplicaProcess(tmp_path / "state") as process:
            keys.append(process.root_key)
    assert keys[0] == keys[1]


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    process = started(tmp_path, "--exit-with-parent")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = command("start", "--port", str(port), home=tmp_path)
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "replica.json").exists()


def test_a_state_directory_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with ReplicaProcess(tmp_path / "state") as process:
        result = command("start", "--port", "0", "--state-dir", str(tmp_path / "state"), home=tmp_path / "home")
        assert result.returncode == 1
        assert str(process.pid) in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert process.running


def test_a_stale_state_file_does_not_stop_anything_else(tmp_path: Path) -> None:
    record = {"url": "http://127.0.0.1:9", "root_key": "aa", "pid": os.getpid()}
    (tmp_path / "replica.json").write_text(json.dumps(record))
    assert command("status", home=tmp_path).returncode == 3
    result = command("stop", home=tmp_path)
    assert result.returncode == 1
    assert "left alone" in result.stderr


def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text("damaged")
    with pytest.raises(ReplicaProcessError, match=rf"{tmp_path}/manifest is damaged"):
        ReplicaProcess(tmp_path).start()


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path, end: str) -> None:
    process = ReplicaProcess(tmp_path / "state")
    identity = Identity.generate()
    async with process:
        first = process.pid
        async with Agent(identity, network_of(process)) as agent:
            canister = await counter(agent)
            for _ in range(3):
                await agent.update(canister, "add", b"")
        await asyncio.to_thread(getattr(process, end))
        assert not process.running
        await asyncio.to_thread(process.start)
        assert process.pid != first
        async with Agent(identity, network_of(process)) as agent:
            assert await agent.query(canister, "read", b"") == (3).to_bytes(4, "little")
            assert await agent.update(canister, "add", b"") == (4).to_bytes(4, "little")
            assert (await agent.canister_info(canister)).module_hash == sha256(MODULE).digest()
    assert not process.running


async def test_calls_that_were_answered_while_it_stopped_are_there_after_a_restart(tmp_path: Path) -> None:
    identity = Identity.generate()
    async with ReplicaProcess(tmp_path / "state") as process:
        async with Agent(identity, network_of(process)) as agent:
            canister = await counter(agent)
        path, headers = f"/api/v4/canister/{canister}/call", {"content-type": "application/cbor"}
        answered = 0
        async with httpx.AsyncClient() as client:

            async def call_until_it_stops() -> None:
                nonlocal answered
                with contextlib.suppress(httpx.TransportError):
                    while (
                        await client.post(process.url + path, content=envelope(), headers=headers)
                    ).status_code == 200:
                        answered += 1
                        if answered == 20:
                            os.kill(process.pid, signal.SIGTERM)

            def envelope() -> bytes:
                return sign_envelope(add(identity, canister, nonce=os.urandom(16)), identity)

            await asyncio.gather(*(call_until_it_stops() for _ in range(8)))
        await asyncio.to_thread(process.stop)
        await asyncio.to_thread(process.start)
        async with Agent(identity, network_of(process)) as agent:
            executed = int.from_bytes(await agent.query(canister, "read", b""), "little")
        assert 20 <= answered <= executed <= answered + 8


def add(identity: Identity, canister: Principal, **fields: object) -> dict[str, object]:
    """The content of a call of the counter."""
    return {
        "request_type": "call",
        "sender": identity.sender().bytes,
        "canister_id": canister.bytes,
        "method_name": "add",
        "arg": b"",
        "ingress_expiry": time.time_ns() + 120 * 10**9,
        **fields,
    }


async def test_an_envelope_sent_again_after_a_crash_is_executed_once(tmp_path: Path) -> None:
    identity = Identity.generate()
    async with ReplicaProcess(tmp_path / "state") as process:
        async with Agent(identity, network_of(process)) as agent:
            canister = await counter(agent)
        content = add(identity, canister)
        body = sign_envelope(content, identity)
        path, headers = f"/api/v4/canister/{canister}/call", {"content-type": "application/cbor"}
        async with httpx.AsyncClient() as client:
            first = await client.post(process.url + path, content=body, headers=headers)
            await asyncio.to_thread(process.kill)
            await asyncio.to_thread(process.start)
            again = await client.post(process.url + path, content=body, headers=headers)
        verifier = CertificateVerifier(process.root_key)
        for answer in (first, again):
            certificate = verifier.verify(
                cbor2.loads(answer.content)["certificate"], now_ns=time.time_ns(), canister_id=canister.bytes
            )
            reply = certificate.lookup([b"request_status", request_id(content), b"reply"])
            assert reply == Found((1).to_bytes(4, "little"))


def test_without_the_wasm_runtime_help_works_and_start_says_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['wasmtime'] = None; from canister_factory.cli import main; main()"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "CANISTER_FACTORY_HOME": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", without, *arguments], env=environment, capture_output=True, text=True, timeout=30
        )

    assert run("--help").returncode == 0
    assert run("replica", "start", "--help").returncode == 0
    result = run("replica", "start", "--port", "0")
    assert result.returncode == 1
    assert "pip install 'canister-factory[replica]'" in " ".join(result.stderr.split())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
async def test_only_loopback_addresses_are_listened_on(host: str) -> None:
    with pytest.raises(ServerError, match="loopback"):
        await ReplicaServer().start(host)


async def test_it_can_be_embedded_in_a_program() -> None:
    async with (
        ReplicaServer() as server,
        Agent(Identity.generate(), Network.resolve(server.url, root_key=server.root_key)) as agent,
    ):
        canister = await counter(agent)
        assert await agent.update(canister, "add", b"") == (1).to_bytes(4, "little")
        assert "canisters=1" in repr(server)
