"""What a worker counts, and that nobody can be told from it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from canister_factory.cli.worker_metrics import Metrics, kind_of
from canister_factory.cli.worker_standing import Standing
from canister_factory.contract.admin_models import AlertLevel
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.factory.errors import InstallError
from canister_factory.factory.events import PassDone, Retrying, StageDone, StageStarted, Transferred
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker_events import Dropped, LeaseLost, Looked, Unlisted
from canister_factory.ic.errors import TransportError
from canister_factory.ic.trace import Event
from support.backend_looks import T, look, open_request
from support.backend_script import BACKEND, OWNER, Clock, creation, refusal


class World:
    """Metrics on a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.standing = Standing(10, lambda: 3, back=lambda seconds: None, clock=self.clock, now_ns=lambda: 60 * 10**9)
        self.metrics = Metrics(self.standing, clock=self.clock)

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of the page as a scraper reads it."""
        for family in text_string_to_metric_families(self.metrics.page().decode()):
            for sample in family.samples:
                if sample.name == f"canister_factory_{name}" and sample.labels == labels:
                    return float(sample.value)
        return None


def exchange(outcome: str, *, complete: bool = False) -> Event:
    return Event("call", str(BACKEND), "put", b"", complete, bytes_sent=10, bytes_received=3, outcome=outcome)


def test_creations_that_end_are_counted_by_result_and_errors_by_kind() -> None:
    world = World()
    world.metrics.finished(Outcome(creation(CreationStatus.Completed), seconds=42))
    world.metrics.finished(InstallError("another module"))
    world.metrics.finished(refusal(CreationErrorKind.ReserveInsufficient))
    world.metrics.finished(TransportError("cut"))
    assert world.value("creations_ended_total", result="completed") == 1
    assert world.value("creations_ended_total", result="failed") == 3
    for kind in ("InstallFailed", "ReserveInsufficient", "TransportError"):
        assert world.value("errors_total", kind=kind) == 1
    assert world.value("creation_seconds_sum") == 42


def test_a_stage_takes_from_its_start_to_its_end_and_creations_at_once_are_told_apart() -> None:
    world = World()
    world.metrics.event(OWNER, StageStarted(CreationStatus.Importing))
    world.clock.now = 5
    world.metrics.event(BACKEND, StageStarted(CreationStatus.Importing))
    world.clock.now = 8
    world.metrics.event(BACKEND, StageDone(CreationStatus.Importing))
    world.clock.now = 100
    world.metrics.event(OWNER, StageStarted(CreationStatus.Importing, "the same goes on"))
    world.metrics.event(OWNER, StageDone(CreationStatus.Importing))
    assert world.value("stage_seconds_count", stage="Importing") == 2
    assert world.value("stage_seconds_sum", stage="Importing") == 3 + 100


def test_what_was_not_finished_here_has_no_duration_and_no_window() -> None:
    world = World()
    world.metrics.event(OWNER, StageStarted(CreationStatus.Importing))
    world.metrics.event(OWNER, Transferred(1, 9, 0, 0, 7))
    world.metrics.event(BACKEND, Transferred(1, 9, 0, 0, 4))
    assert world.value("window_messages") == 11
    world.metrics.told(Dropped(OWNER))
    world.metrics.event(OWNER, StageDone(CreationStatus.Importing))
    assert world.value("window_messages") == 4
    assert world.value("stage_seconds_count", stage="Importing") is None


def test_copies_retries_losses_and_failed_looks_are_counted() -> None:
    world = World()
    world.metrics.event(OWNER, PassDone(1, 1_000, 3, 0, True, 1.0))
    world.metrics.event(None, PassDone(2, 500, 1, 0, True, 1.0))
    world.metrics.event(OWNER, Retrying("put", "cut", 1, 0.5))
    world.metrics.told(LeaseLost(OWNER))
    world.metrics.told(Unlisted("cut"))
    assert world.value("copied_bytes_total") == 1_500
    for name in ("retries_total", "lease_losses_total", "failed_looks_total"):
        assert world.value(name) == 1


def test_exchanges_are_counted_by_six_outcomes_whatever_a_server_answers() -> None:
    world = World()
    for outcome in (
        "HTTP 200",
        "HTTP 202",
        "HTTP 429",
        "HTTP 503",
        "HTTP 418",
        "HTTP 599",
        "TransportError",
        "strange",
    ):
        world.metrics.traced(exchange(outcome))
    world.metrics.traced(exchange("replied", complete=True))  # the sum of exchanges that were counted
    counted = {
        name: world.value("http_attempts_total", outcome=name) for name in ("ok", "429", "503", "4xx", "5xx", "error")
    }
    assert counted == {"ok": 2, "429": 1, "503": 1, "4xx": 1, "5xx": 1, "error": 2}
    assert world.value("http_bytes_total", direction="sent") == 80
    assert world.value("http_bytes_total", direction="received") == 24


def test_the_backend_is_shown_as_it_was_last_seen_and_said_to_be_unknown_when_it_gives_no_answer() -> None:
    world = World()
    assert world.value("backend_known") == 0
    world.standing.event(Looked((open_request(20 * 10**9),), 1))
    world.standing.looked(look(available=4 * T, consumed=14 * T, level=AlertLevel.Warning))
    assert world.value("ready") == world.value("network_reachable") == world.value("backend_known") == 1
    assert world.value("open_requests") == 1
    assert world.value("oldest_open_request_seconds") == 40
    assert world.value("creations", status="Completed") == 41
    assert world.value("creations", status="Failed") == 0
    assert world.value("reserve_available_cycles") == 4 * T
    assert world.value("reserve_threshold_cycles") == 5 * T
    assert world.value("reserve_level") == 1
    assert world.value("reserve_days_left") == 2
    assert world.value("creations_running") == 3
    world.standing.event(Unlisted("cut"))
    world.standing.unknown()
    assert world.value("ready") == world.value("network_reachable") == world.value("backend_known") == 0
    assert world.value("reserve_days_left") == 2


def test_a_reserve_that_nothing_takes_from_lasts_for_ever() -> None:
    world = World()
    world.standing.looked(look(consumed=0))
    assert world.value("reserve_days_left") == float("inf")


def test_nobody_and_no_text_of_others_is_in_the_page() -> None:
    world = World()
    world.metrics.event(OWNER, StageStarted(CreationStatus.Importing, "their secret"))
    world.metrics.event(OWNER, StageDone(CreationStatus.Importing, "their secret"))
    world.metrics.event(OWNER, Retrying("their secret", "their secret", 1, 0.5))
    world.metrics.finished(InstallError("their secret", canister_id=BACKEND))
    world.metrics.finished(refusal(CreationErrorKind.Disabled, "their secret"))
    world.metrics.told(Unlisted("their secret"))
    world.standing.event(Unlisted("their secret"))
    world.metrics.traced(exchange("their secret"))
    world.standing.refused("their secret")
    page = world.metrics.page().decode()
    assert "their secret" not in page
    assert str(OWNER) not in page
    assert str(BACKEND) not in page


def test_labels_are_of_fixed_lists() -> None:
    """A label whose values others choose would fill Prometheus' memory."""
    assert kind_of(refusal(CreationErrorKind.Busy, "anything")) == "Busy"
    assert kind_of(InstallError("anything")) == "InstallFailed"
    assert kind_of(TransportError("anything")) == "TransportError"


def test_the_build_says_what_runs() -> None:
    families = {family.name: family for family in text_string_to_metric_families(World().metrics.page().decode())}
    (sample,) = families["canister_factory_build_info"].samples
    assert set(sample.labels) == {"version", "api_version", "module"}
    assert sample.value == 1
