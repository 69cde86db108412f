"""What creations asked of the network, as `run`, `worker` and `demo` say: compared with the log of each request."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pytest

from canister_factory.ic.trace import Event
from support.cli_world import Cli
from support.creation_world import World, inline, note

TRACE = "canister_factory.ic.trace"


def logged(records: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The sums of the requests from the claim to the completion, with those that are sent beside these two."""
    asked = [record for record in records if "attempt" in record]
    methods = [record.get("method") for record in asked]
    start, end = methods.index("claim_creation"), len(methods) - methods[::-1].index("complete_creation")
    before = start
    while before and methods[before - 1] in ("list_releases", None):  # None: a certified read, as of the nodes' keys
        before -= 1
    if "list_releases" in methods[before:start]:
        start = methods.index("list_releases", before)
    while end < len(asked) and asked[end]["kind"] == "read_state":  # the handoff is read back
        end += 1
    asked = asked[start:end]
    requests = [record for record in asked if record["complete"]]
    return {
        "requests": len(requests),
        "failures": sum(request["outcome"] != "replied" for request in requests),
        "attempts": len(asked) - len(requests),
        "bytes_sent": sum(request["bytes_sent"] for request in requests),
        "bytes_received": sum(request["bytes_received"] for request in requests),
    }


def counts(traffic: dict[str, Any]) -> dict[str, int]:
    assert traffic.pop("milliseconds") > 0
    return traffic


@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_run_counts_its_requests_and_not_those_before(
    requested: Cli, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, TRACE)
    what = (requested.id("owner"),) if command == "run" else ("--once",)
    outcome = requested.ok("operator", command, *what).lines[-1]
    records = [vars(record) for record in caplog.records if record.name == TRACE]
    assert counts(outcome["traffic"]) == logged(records)
    assert len(records) > logged(records)["requests"] + logged(records)["attempts"], "the backend was checked before"


def test_the_demo_counts_the_requests_of_its_creation() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "canister_factory", "demo", "--json", "-vv"], capture_output=True, text=True, check=True
    )
    records = [json.loads(line) for line in done.stderr.splitlines() if f'"logger": "{TRACE}"' in line]
    assert counts(json.loads(done.stdout)["traffic"]) == logged(records)


async def test_an_outcome_has_the_requests_by_method(world: World) -> None:
    for size in (3_000, 2_000):
        await world.as_owner.add_memory_to_capsule(inline(bytes(size)), note(f"{size}"))
    await world.as_owner.create_personal_canister(None)
    events: list[Event] = []
    agent = world.agent(world.operator.identity, trace=events.append)
    outcome = await world.orchestrator(agent=agent, lease_seconds=600.0).run(world.owner_id)
    asked = {name: tally.requests for name, tally in outcome.traffic.tallies.items()}
    del asked["call report_progress"]  # nobody waits for these
    assert asked == {
        "call canister_status": 1,
        "call claim_creation": 1,
        "call clear_chunk_store": 1,
        "call complete_creation": 1,
        "call import_batch": 1,
        "call install_code": 1,
        "call list_canister_snapshots": 1,
        "call provision_canister": 1,
        "call update_settings": 1,
        "call verify_creation": 1,
        "query get_api_version": 1,
        "query get_export_items": 1,
        "query get_export_memory_manifests": 1,
        "query get_manifest": 1,
        "query get_personal_canister_settings": 1,
        "query get_personal_info": 1,
        "query list_export_entries": 1,
        "query list_import_entries": 1,
        "query list_releases": 2,
        "query read_export_chunk": 2,
        "read_state": 4,
        "read_state for node keys": 1,
    }
    requests = [event for event in events if event.complete]
    assert asdict(outcome.traffic.total) == {
        "requests": len(requests),
        "failures": 0,
        "attempts": len(events) - len(requests),
        "bytes_sent": sum(event.bytes_sent for event in requests),
        "bytes_received": sum(event.bytes_received for event in requests),
        "milliseconds": pytest.approx(sum(event.milliseconds for event in requests)),
    }
