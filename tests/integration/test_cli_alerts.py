"""Notifications that reach people: `alerts`, and a worker's webhook, over HTTP; one that fails, hangs, redirects."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli_world import Cli
from support.watched_worker import watched_worker
from support.webhook_server import SECRET, Receiver, webhook_server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_server() as running:
        yield running


def options(receiver: Receiver, directory: Path) -> list[str]:
    """`--webhook` with its files."""
    secret = directory / "webhook.secret"
    secret.write_text(base64.b64encode(SECRET).decode())
    secret.chmod(0o600)
    files = ["--webhook-secret", str(secret), "--webhook-state", str(directory / "webhook.json")]
    return ["--webhook", receiver.url, *files]


def test_a_failed_creation_and_a_low_reserve_are_sent_once(requested: Cli, receiver: Receiver, tmp_path: Path) -> None:
    requested.leave_failed()
    webhook = options(receiver, tmp_path)
    (sent,) = requested.ok("operator", "alerts", *webhook).lines
    assert (sent["kind"], sent["subject"]) == ("CreationFailed", str(requested.id("owner")))
    assert requested.ok("operator", "alerts", *webhook).lines == []
    requested.ok("admin", "reserve", "settings", "--threshold", "1000T")
    (second,) = requested.ok("admin", "alerts", *webhook).lines
    assert (second["kind"], second["subject"]) == ("ReserveCritical", None)
    assert receiver.kinds == ["CreationFailed", "ReserveCritical"]
    assert all(got.is_signed for got in receiver.received)
    assert receiver.received[0].data["backend"] == str(requested.backend_id)
    assert b"the disk was full" not in receiver.received[0].body, "what went wrong stays on the backend"


def test_what_an_admin_has_acknowledged_is_not_sent(requested: Cli, receiver: Receiver, tmp_path: Path) -> None:
    requested.leave_failed()
    (notice,) = requested.ok("admin", "admin", "notifications").lines
    requested.ok("admin", "admin", "ack", notice["id"])
    assert requested.ok("admin", "alerts", *options(receiver, tmp_path)).lines == []
    assert receiver.received == []


@pytest.mark.parametrize(("status", "said"), [(404, "answered HTTP 404"), (302, "a redirect, which isn't followed")])
def test_a_webhook_that_takes_nothing_is_named_and_nothing_is_lost(
    requested: Cli, receiver: Receiver, tmp_path: Path, status: int, said: str
) -> None:
    requested.leave_failed()
    webhook = options(receiver, tmp_path)
    receiver.answers, receiver.location = [status], receiver.url
    refused = requested.run("operator", "alerts", *webhook)
    assert refused.code == 1
    assert said in refused.error
    assert "The same command goes on with the first that wasn't taken" in refused.error
    assert "token-in-path" not in refused.out + refused.err
    assert len(receiver.received) == 1
    assert [sent["kind"] for sent in requested.ok("operator", "alerts", *webhook).lines] == ["CreationFailed"]


def test_a_stranger_sends_nothing(requested: Cli, receiver: Receiver, tmp_path: Path) -> None:
    requested.leave_failed()
    assert "not an admin or an operator" in requested.run("stranger", "alerts", *options(receiver, tmp_path)).error
    assert receiver.received == []


def test_a_worker_sends_what_comes_and_a_webhook_that_fails_hinders_nothing(
    requested: Cli, receiver: Receiver, tmp_path: Path
) -> None:
    requested.ok("admin", "reserve", "settings", "--threshold", "1000T")
    receiver.answers = [404]
    arguments = ("worker", "--idle", "0.1", "--heartbeat", "1", "--metrics-address", "0", *options(receiver, tmp_path))
    with watched_worker(requested.arguments("operator", *arguments)) as worker:
        worker.line("notifications were not sent to the webhook, again later: 127.0.0.1:[0-9]+ answered HTTP 404")
        assert worker.event("Completed")["owner"] == str(requested.id("owner"))
        alerted = worker.event("Alerted")
        samples = worker.metrics()
    assert alerted["kind"] == "ReserveCritical"
    assert samples["canister_factory_alert_failures_total"] >= 1
    assert samples["canister_factory_alerts_sent_total"] == 1
    assert receiver.kinds == ["ReserveCritical"] * 2
    assert receiver.received[0].headers["webhook-id"] == receiver.received[1].headers["webhook-id"]
    # After a restart nothing is sent again.
    assert requested.ok("operator", "alerts", *options(receiver, tmp_path)).lines == []


def test_a_webhook_that_hangs_holds_up_no_creation(requested: Cli, receiver: Receiver, tmp_path: Path) -> None:
    requested.ok("admin", "reserve", "settings", "--threshold", "1000T")
    receiver.answers = [None] * 9
    arguments = ("worker", "--idle", "0.1", "--metrics-address", "0", *options(receiver, tmp_path))
    with watched_worker(requested.arguments("operator", *arguments)) as worker:
        assert worker.event("Completed")["owner"] == str(requested.id("owner"))
    assert worker.process.returncode == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--webhook", "https://example.org"],
            "--webhook needs --webhook-secret FILE and --webhook-state FILE as well",
        ),
        (["--webhook-state", "x"], "are for --webhook, which isn't given"),
    ],
)
def test_half_a_webhook_is_wrong_usage(requested: Cli, given: list[str], said: str) -> None:
    refused = requested.run("operator", "worker", "--once", *given)
    assert refused.code == 2
    assert said in refused.error


def test_a_url_that_others_could_read_is_refused_before_anything_runs(requested: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(base64.b64encode(SECRET).decode())
    files = ("--webhook-secret", secret, "--webhook-state", tmp_path / "state")
    refused = requested.run("operator", "worker", "--once", "--webhook", "http://example.org/hook", *files)
    assert refused.code == 1
    assert "the webhook's URL must begin with https://" in refused.error
    assert requested.ok("owner", "status").json["status"] == "NotStarted"
