"""What a worker counts, in Prometheus' form. Labels come from fixed lists: none has a principal, or a text of others.

Owns the metrics' names and meaning (`docs/watching.md` and `ops/alerts.yml` go by them). Does not own: what is
counted (`factory`, `ic.trace`), and serving them (`worker_http`).
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from canister_factory.candid.principal import Principal
from canister_factory.cli.worker_standing import Standing
from canister_factory.contract.admin_models import AlertLevel
from canister_factory.contract.artifacts import API_VERSION, personal_wasm
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import FactoryError
from canister_factory.factory.events import Event, PassDone, Retrying, StageDone, StageStarted, Transferred
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker_events import Dropped, LeaseLost, Unlisted, WorkerEvent
from canister_factory.ic import trace
from canister_factory.version import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of when it began, which nobody asks for

_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
_OUTCOMES = {"HTTP 429": "429", "HTTP 503": "503"}


def kind_of(error: Exception) -> str:
    """An error's kind as a label: the contract's where it has one, else the name of its class."""
    if isinstance(error, CreationRefused):
        return str(error.error.kind)
    return str(error.kind) if isinstance(error, FactoryError) else type(error).__name__


class Metrics:
    """The metrics of one worker. `clock`: seconds, of whatever beginning."""

    def __init__(self, standing: Standing, clock: Callable[[], float] = time.monotonic) -> None:
        self._standing = standing
        self._clock = clock
        self._stages: dict[Principal, tuple[CreationStatus, float]] = {}
        self._windows: dict[Principal, int] = {}
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._define_work()
        self._define_network()
        self._define_backend()
        self._define_alerts()
        build = self._gauge("build_info", "Always 1; the labels name this build.", "version", "api_version", "module")
        build.labels(__version__, API_VERSION, personal_wasm().module_hash.hex()).set(1)

    def __repr__(self) -> str:
        return f"Metrics({self._standing})"

    def page(self) -> bytes:
        """All of them, in Prometheus' text format (version 0.0.4)."""
        self._refresh()
        return generate_latest(self.registry)

    # --- Definitions ---

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"canister_factory_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"canister_factory_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"canister_factory_{name}", help_text, labels, buckets=_SECONDS, registry=self.registry)

    def _define_work(self) -> None:
        self._ended = self._counter("creations_ended", "Creations that this worker ended.", "result")
        for result in ("completed", "failed"):
            self._ended.labels(result)
        self._errors = self._counter("errors", "Errors that ended a run, by kind.", "kind")
        self._creation_seconds = self._histogram("creation_seconds", "Duration of completed runs.")
        self._stage_seconds = self._histogram("stage_seconds", "Duration of the stages of runs.", "stage")
        self._copied = self._counter("copied_bytes", "Bytes of capsules that were copied.")
        self._retries = self._counter("retries", "Calls that were made again, since their outcome was unknown.")
        self._lost = self._counter("lease_losses", "Leases that were lost to another worker, or ran out.")
        self._window = self._gauge("window_messages", "Messages that may be in flight, all creations together.")
        self._running = self._gauge("creations_running", "Creations that this worker has taken.")

    def _define_network(self) -> None:
        self._bytes = self._counter("http_bytes", "Bytes of HTTP bodies.", "direction")
        self._attempts = self._counter("http_attempts", "HTTP exchanges, by outcome.", "outcome")
        for outcome in ("ok", "429", "503", "4xx", "5xx", "error"):
            self._attempts.labels(outcome)
        self._failed_looks = self._counter("failed_looks", "Looks for requests that got no answer.")
        self._reachable = self._gauge("network_reachable", "1 when the last look for requests was answered.")
        self._ready = self._gauge("ready", "1 when the worker could run a creation (/readyz).")

    def _define_backend(self) -> None:
        self._creations = self._gauge("creations", "Creations on the backend's records, by status.", "status")
        self._open = self._gauge("open_requests", "Requests that need an operator.")
        self._oldest = self._gauge("oldest_open_request_seconds", "Age of the oldest open request; 0 without any.")
        self._known = self._gauge("backend_known", "1 when the last look at the backend was answered.")
        self._available = self._gauge("reserve_available_cycles", "Cycles of the reserve for new creations.")
        self._threshold = self._gauge("reserve_threshold_cycles", "Under this the backend warns its admins.")
        self._level = self._gauge("reserve_level", "0 normal, 1 warning, 2 critical, as the backend says.")
        self._days = self._gauge("reserve_days_left", "Days that the reserve lasts at the pace of the last week.")

    def _define_alerts(self) -> None:
        self.alerts_sent = self._counter("alerts_sent", "Notifications that the webhook has taken.")
        self.alerts_failed = self._counter("alert_failures", "Rounds in which the webhook did not take all of them.")

    # --- What happens ---

    def event(self, owner: Principal | None, event: Event) -> None:
        """The orchestrator's hook, with the owner whose creation it is."""
        if isinstance(event, PassDone):
            self._copied.inc(event.bytes_moved)
        elif isinstance(event, Retrying):
            self._retries.inc()
        if owner is None:
            return
        if isinstance(event, StageStarted):
            stage, since = self._stages.get(owner, (None, 0.0))
            self._stages[owner] = (event.stage, since if stage == event.stage else self._clock())
        elif isinstance(event, StageDone):
            stage, since = self._stages.pop(owner, (None, 0.0))
            if stage == event.stage:
                self._stage_seconds.labels(str(stage)).observe(self._clock() - since)
        elif isinstance(event, Transferred):
            self._windows[owner] = event.window

    def finished(self, result: Outcome | Exception) -> None:
        """The worker's hook."""
        if isinstance(result, Exception):
            self._ended.labels("failed").inc()
            self._errors.labels(kind_of(result)).inc()
        else:
            self._ended.labels("completed").inc()
            self._creation_seconds.observe(result.seconds)

    def told(self, event: WorkerEvent) -> None:
        """The loop's hook."""
        if isinstance(event, Unlisted):
            self._failed_looks.inc()
        elif isinstance(event, LeaseLost):
            self._lost.inc()
        elif isinstance(event, Dropped):
            self._stages.pop(event.owner, None)
            self._windows.pop(event.owner, None)

    def traced(self, event: trace.Event) -> None:
        """The requests' hook."""
        if event.complete:
            return
        self._bytes.labels("sent").inc(event.bytes_sent)
        self._bytes.labels("received").inc(event.bytes_received)
        self._attempts.labels(_outcome(event.outcome)).inc()

    # --- What is so at this moment ---

    def _refresh(self) -> None:
        standing = self._standing
        self._running.set(standing.running)
        self._window.set(sum(self._windows.values()))
        self._reachable.set(standing.outage_seconds is None)
        self._ready.set(standing.readiness.is_ready)
        self._open.set(len(standing.open))
        self._oldest.set(standing.oldest_seconds or 0)
        look = standing.look
        self._known.set(look is not None and look.reserve is not None)
        if look is None or look.reserve is None:
            return
        recorded = Counts(look.creations)
        for status in CreationStatus:
            self._creations.labels(str(status)).set(recorded[status])
        self._available.set(look.reserve.available)
        self._threshold.set(look.reserve.settings.threshold)
        self._level.set(list(AlertLevel).index(look.reserve.alert_level))
        self._days.set(float("inf") if look.reserve_days is None else look.reserve_days)


def _outcome(outcome: str) -> str:
    """An exchange's outcome as one of six labels."""
    if not outcome.startswith("HTTP "):
        return "error"
    hundreds = outcome[5:6]
    return _OUTCOMES.get(outcome) or (f"{hundreds}xx" if hundreds in "45" else "ok")
