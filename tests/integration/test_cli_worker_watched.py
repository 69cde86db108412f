"""A worker that is watched: metrics, health and readiness over HTTP, signs of life, an outage of the network."""

from __future__ import annotations

import json
import re
import threading

from canister_factory.ic.network import Network
from support.cli_world import Cli
from support.conformance_proxy import proxy_for
from support.watched_worker import watched_worker

WATCHED = ("worker", "--idle", "0.1", "--heartbeat", "1", "--metrics-address", "127.0.0.1:0")


def test_a_worker_tells_how_it_stands_while_it_works_and_while_it_waits(requested: Cli) -> None:
    owner = str(requested.id("owner"))
    with watched_worker(requested.arguments("operator", *WATCHED)) as worker:
        assert worker.event("Completed")["owner"] == owner
        idle = worker.event("Idle")
        samples = worker.metrics()
        page = worker.get("metrics").text
        ready, health = worker.get("readyz"), worker.get("healthz")
    assert (idle["waits_for"], idle["open_requests"], idle["reserve_level"]) == ("requests", 0, "Normal")
    assert int(idle["reserve_available"]) > 0
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert health.status_code == 200
    assert samples['canister_factory_creations_ended_total{result="completed"}'] == 1
    assert samples['canister_factory_stage_seconds_count{stage="Importing"}'] == 1
    assert samples['canister_factory_creations{status="Completed"}'] == 1
    assert samples["canister_factory_reserve_available_cycles"] == float(idle["reserve_available"])
    assert samples['canister_factory_http_bytes_total{direction="sent"}'] > 100_000  # the module alone
    assert samples["canister_factory_ready"] == samples["canister_factory_backend_known"] == 1
    assert owner not in page
    assert str(requested.id("operator")) not in page


def test_an_outage_is_waited_out_and_its_length_told_when_the_network_is_back(requested: Cli, network: Network) -> None:
    down = threading.Event()
    down.set()

    def arrived() -> None:
        if down.is_set():
            raise ConnectionError

    with proxy_for(network.url, arrived=arrived) as proxy:
        arguments = requested.arguments("operator", *WATCHED)
        arguments[arguments.index("--network") + 1] = proxy.url
        with watched_worker(arguments) as worker:
            worker.line("the backend can't be checked, again in 0 s")
            not_ready = worker.get("readyz")
            failed = worker.metrics()["canister_factory_network_reachable"]
            down.clear()
            back = worker.event("BackAgain")
            assert worker.event("Completed")["owner"] == str(requested.id("owner"))
            worker.event("Idle")
            ready = worker.get("readyz")
    assert (not_ready.status_code, failed) == (503, 0)
    assert not_ready.json()["network"].startswith("no answer: ")
    assert back["seconds"] > 0
    assert ready.status_code == 200
    assert worker.process.returncode == 0


def test_an_address_that_others_reach_is_warned_of(requested: Cli) -> None:
    ran = requested.ok("operator", "worker", "--once", "--metrics-address", "0.0.0.0:0")
    assert re.search(r"warning: whoever reaches 0\.0\.0\.0:0 can read the metrics of this worker", ran.err)
    private = requested.ok("operator", "worker", "--once", "--metrics-address", "0")
    assert "warning" not in private.err
    assert "metrics at http://127.0.0.1:" in private.err


def test_a_worker_of_another_role_is_not_ready(requested: Cli) -> None:
    """An admin sees the requests, and may run none."""
    with watched_worker(requested.arguments("admin", *WATCHED)) as worker:
        worker.event("Idle")
        answer = worker.get("readyz")
    assert answer.status_code == 503
    assert answer.json()["role"] == "the identity is not an operator of the backend"
    assert json.loads(answer.text)["network"] == "ok"
