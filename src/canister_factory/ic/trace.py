"""The one tracing seam: an event for each request and for each attempt at it, which logs, metrics and tests share.

Owns the event, its line in the log, and telling several listeners. Does not own: sending, who listens (to an agent:
`Agent(trace=...)`; to one piece of work: `heard_by`), and summing up (`traffic`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from types import TracebackType

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.principal import Principal
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.foreign_text import escaped

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Event:
    """A request that ended, or (not `complete`) one HTTP exchange on its behalf.

    `kind` is `call`, `query`, `read_state`, `status`, `topology` or `time`; polling shows as exchanges of kind
    `read_state` with the method and request id of the call that is waited for. `attempt` counts from 1; of a complete
    request it is how many exchanges there were, 0 if nothing was sent. `outcome` is `replied`, `HTTP 200` or the like,
    or the name of an error. `aside`: what another request needed this one for, such as `node keys`; a request that
    nobody asked for as such. Its attempts, bytes and time are its own; the other's time has it within.
    """

    kind: str
    canister: str
    method: str
    request_id: bytes
    complete: bool
    attempt: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    outcome: str = ""
    milliseconds: float = 0.0
    aside: str = ""

    def __str__(self) -> str:
        digits = self.request_id.hex()
        request = f", request {digits[:8]}…{digits[-8:]}" if digits else ""
        subject = " of ".join(filter(None, (escaped(self.method), self.canister)))
        asked = " ".join(filter(None, (self.kind, subject, self.aside and f"for {self.aside}")))
        attempt = f"{self.attempt} attempt{'' if self.attempt == 1 else 's'}" if self.complete else f"#{self.attempt}"
        return f"{asked}{request}, {attempt}: {self.outcome} in {self.milliseconds:.0f} ms"


Hook = Callable[[Event], None]
"""Told of every event, complete or not; an exception that it raises ends the request."""


def told_to(*hooks: Hook) -> Hook:
    """One hook that tells all of these, in this order."""

    def tell(event: Event) -> None:
        for hook in hooks:
            hook(event)

    return tell


_LISTENERS: ContextVar[tuple[Hook, ...]] = ContextVar("listeners", default=())


@contextmanager
def heard_by(hook: Hook) -> Iterator[None]:
    """Tells `hook` as well of what this task, and those that it starts within, ask of any network.

    So the requests of one piece of work are told apart from others that the same agent makes at the same time.
    """
    token = _LISTENERS.set((*_LISTENERS.get(), hook))
    try:
        yield
    finally:
        with suppress(ValueError):  # a task that nobody ends is closed from elsewhere, where nothing was set
            _LISTENERS.reset(token)


@contextmanager
def noting_call(canister_id: Principal, method: str = "") -> Iterator[None]:
    """Tells our errors that end the block which call they are about: by its last request, if it came to one.

    For what is made of a reply. What ends a request itself is told by its `Span`.
    """
    last: Event | None = None

    def listen(event: Event) -> None:
        nonlocal last
        if event.complete and not event.aside:
            last = event

    with heard_by(listen):
        try:
            yield
        except CanisterFactoryError as error:
            if last is not None:
                error.note_call(last.method or None, canister_id, last.request_id or None)
            error.note_call(method or None, canister_id)
            raise


def log(event: Event) -> None:
    """The default hook: complete requests at INFO, attempts and asides at DEBUG. Records carry the event's fields."""
    level = logging.INFO if event.complete and not event.aside else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    sizes = "" if event.complete else f", {event.bytes_sent:,} bytes sent, {event.bytes_received:,} received"
    logger.log(level, "%s%s", event, sizes, extra=fields_of(event))


def fields_of(event: Event) -> dict[str, object]:
    """The event's fields that say something, as plain values for JSON."""
    fields = {**asdict(event), "request_id": event.request_id.hex(), "milliseconds": round(event.milliseconds, 1)}
    return {name: value for name, value in fields.items() if value != ""}


class Span:
    """One request while it lasts; a context manager that tells of its end, whatever that is.

    Our errors that end it are told which request that was (`CanisterFactoryError.note_call`).
    """

    def __init__(self, hook: Hook, kind: str, canister: object = "", method: str = "", *, aside: str = "") -> None:
        self._hook = hook
        self._canister = canister
        self._event = Event(kind, str(canister), method, b"", complete=True, aside=aside)
        self._began = 0.0

    def __repr__(self) -> str:
        return f"Span({self._event})"

    def about(self, request_id: bytes) -> None:
        """Names the signed request; one that is signed anew for another expiry has a new id."""
        self._event.request_id = request_id

    def aside(self, kind: str, canister: object, what: str) -> Span:
        """A request that this one needs for `what`, with events of its own."""
        return Span(self._hook, kind, canister, aside=what)

    def __enter__(self) -> Span:
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._event.outcome = "replied" if error is None else _name(error)
        self._event.milliseconds = (time.perf_counter() - self._began) * 1e3
        if isinstance(error, CanisterFactoryError):
            error.note_call(self._event.method or None, self._canister or None, self._event.request_id or None)
        self._tell(self._event)

    def _tell(self, event: Event) -> None:
        for hook in (self._hook, *_LISTENERS.get()):
            hook(event)

    @contextmanager
    def attempt(self, path: str, bytes_sent: int) -> Iterator[Event]:
        """One exchange at a URL path, whose last part is its kind. The body sets what was received, and the outcome."""
        whole = self._event
        whole.attempt += 1
        whole.bytes_sent += bytes_sent
        event = replace(
            whole,
            kind=path.rsplit("/", 1)[-1],
            complete=False,
            bytes_sent=bytes_sent,
            bytes_received=0,
        )
        began = time.perf_counter()
        try:
            yield event
        except BaseException as error:
            event.outcome = _name(error)
            raise
        finally:
            event.milliseconds = (time.perf_counter() - began) * 1e3
            whole.bytes_received += event.bytes_received
            self._tell(event)


def _name(error: BaseException) -> str:
    if isinstance(error, RejectedError):
        return f"rejected ({error.code}{', ' + escaped(error.error_code) if error.error_code else ''})"
    return type(error).__name__
