"""A replica whose state can't be trusted any more says so to everyone who asks, and executes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from canister_factory.ic.errors import RejectedError, TransportError
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.node.state_file import ReplicaRecord, write_record
from canister_factory.testing.replica import EmbeddedReplica

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")

CAUSE = re.compile(r"An internal error broke the subnet; look for ([0-9a-f]{8}) in the replica's log")


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CANISTER_FACTORY_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "canister_factory", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


async def test_status_commands_and_calls_tell_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> None:
        raise OverflowError("a defect")

    with EmbeddedReplica() as replica:
        write_record(tmp_path, ReplicaRecord(replica.url, replica.network.root_key.hex(), os.getpid(), ""))
        management = ManagementCanister(replica.agent())
        canister = await management.provisional_create_canister_with_cycles(10**13)
        monkeypatch.setattr("canister_factory.replica.subnet.transaction.Transaction.commit", defect)
        with pytest.raises(RejectedError, match=CAUSE) as first:
            await management.start_canister(canister)
        reference = CAUSE.search(first.value.message)
        assert reference is not None
        assert f"(reference {reference[1]})" in caplog.text
        monkeypatch.undo()
        with pytest.raises(RejectedError, match=reference[1]):
            await management.start_canister(canister)
        with pytest.raises(TransportError, match=reference[1]):
            await management.agent.canister_info(canister)
        status = await replica.agent().status()
        assert status.health == "certified_state_behind"
        assert CAUSE.fullmatch(status.reason or "")

        shown = command(tmp_path, "replica", "status", "--json")
        assert shown.returncode == 1
        error = json.loads(shown.stdout)["error"]
        assert reference[1] in error["message"]
        assert error["context"]["status"] == "certified_state_behind"
        examined = command(tmp_path, "doctor", "--json", "--network", "embedded")
        assert examined.returncode == 1
        assert reference[1] in examined.stdout
