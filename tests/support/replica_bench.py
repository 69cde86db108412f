"""A subnet for tests with its clock and callers: requests by name and Python values instead of bytes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.ic.requests import CallRequest, QueryRequest
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError, Response
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.listeners import NOBODY, Listeners
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.messages import IngressMessage
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters.interface import SystemCanister
from support.replica_puppet import puppet

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
OWNER = b"owner\x02"
STRANGER = b"stranger\x02"
MANAGEMENT = b""


@cache
def engine() -> Engine:
    """One engine for all tests: modules are compiled once."""
    return Engine()


class Clock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


class CallRejectedError(Exception):
    """A call was rejected; `code` and `error_code` say how."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.error_code} {response.message}")
        self.code = response.code
        self.error_code = response.error_code


class Bench:
    """A subnet with a clock. `open_subnet` makes it again, as after a restart; `listeners` are for the usual one."""

    def __init__(self, open_subnet: Callable[[Clock], Subnet] | None = None, *, listeners: Listeners = NOBODY) -> None:
        self.clock = Clock()
        self._open = open_subnet or (lambda clock: Subnet(engine(), clock_ns=clock, listeners=listeners))
        self._requests = 0
        self.subnet = self._open(self.clock)

    def restart(self) -> None:
        self.subnet = self._open(self.clock)

    # --- calls ---

    def message(self, callee: bytes, method: str, arg: bytes = b"", sender: bytes = OWNER) -> IngressMessage:
        """A call with a request id of its own, sent to the callee as its effective canister id."""
        self._requests += 1
        request_id = hashlib.sha256(self._requests.to_bytes(8, "big")).digest()
        return ingress_message(self.clock.now_ns, callee, method, arg, sender, request_id)

    def submit(self, callee: bytes, method: str, arg: bytes = b"", sender: bytes = OWNER) -> bytes:
        message = self.message(callee, method, arg, sender)
        self.subnet.submit(message)
        return message.request_id

    def check(self, callee: bytes, method: str, arg: bytes = b"", sender: bytes = OWNER, target: Any = None) -> None:
        message = self.message(callee, method, arg, sender)
        self.subnet.check_ingress(
            message if target is None else dataclasses.replace(message, effective_canister_id=target)
        )

    def run(self) -> None:
        """Rounds until nothing is queued."""
        while self.subnet.execute_round():
            pass

    @contextmanager
    def held(self, canister_id: bytes) -> Iterator[None]:
        """What waits for a canister isn't executed before the end of the block."""
        waiting = self.subnet.state.queue.queues.pop(canister_id)
        yield
        for message in waiting:
            self.subnet.state.queue.append(message)

    def newest_first(self) -> None:
        """The canister that began to have messages last has its turn first."""
        queues = self.subnet.state.queue.queues
        newest = list(queues)[-1]
        for canister_id in [canister_id for canister_id in queues if canister_id != newest]:
            queues[canister_id] = queues.pop(canister_id)

    def outcome(self, request_id: bytes) -> Response | None:
        status = self.subnet.request_status(request_id)
        assert status is not None, "the request is unknown"
        return status.response

    def call(self, callee: bytes, method: str, arg: bytes = b"", sender: bytes = OWNER) -> bytes:
        """The reply's bytes; raises CallRejectedError."""
        request_id = self.submit(callee, method, arg, sender)
        self.run()
        response = self.outcome(request_id)
        assert response is not None, f"{method} was not answered"
        if response.code is not None:
            raise CallRejectedError(response)
        return response.data

    def query(
        self, callee: bytes, method: str, arg: bytes = b"", sender: bytes = OWNER, *, certificate: bytes | None = None
    ) -> bytes:
        """The reply's bytes; raises CallRejectedError. `certificate`: the data certificate that there is."""
        query = QueryRequest(sender, self.clock.now_ns, callee, method, arg)
        try:
            response = self.subnet.query(query, None if certificate is None else lambda _: certificate)
        except CanisterError as error:
            raise CallRejectedError(Response(b"", error.code, error.message, error.error_code)) from error
        if response.code is not None:
            raise CallRejectedError(response)
        return response.data

    def count(self, canister_id: bytes) -> int:
        """The puppet's counter."""
        return int.from_bytes(self.query(canister_id, "read"), "little")

    # --- the management canister ---

    def manage(self, method: str, argument: dict[str, Any] | None = None, sender: bytes = OWNER) -> Any:
        """Calls a management method with a record; the result's value."""
        reply = self.call(MANAGEMENT, method, management_argument(method, argument), sender)
        values = decode(reply, method_type(method).results)
        return values[0] if values else None

    def check_management(self, method: str, argument: dict[str, Any], sender: bytes = OWNER) -> None:
        data = management_argument(method, argument)
        target = argument.get("canister_id") or argument.get("target_canister")
        self.check(MANAGEMENT, method, data, sender, target=target.bytes if target else MANAGEMENT)

    def create(self, cycles: int | None = None, **settings: Any) -> bytes:
        result = self.manage(
            "provisional_create_canister_with_cycles", {"amount": cycles, "settings": settings or None}
        )
        created: bytes = result["canister_id"].bytes
        return created

    def install(self, canister_id: bytes, wasm: bytes | None = None, mode: Any = "install", arg: bytes = b"") -> None:
        self.manage(
            "install_code",
            {
                "mode": mode if isinstance(mode, Case) else Case(mode),
                "canister_id": Principal(canister_id),
                "wasm_module": puppet() if wasm is None else wasm,
                "arg": arg,
            },
        )

    def puppet(self, wasm: bytes | None = None, cycles: int | None = None, **settings: Any) -> bytes:
        """A new canister with the puppet (or other code) installed."""
        canister_id = self.create(cycles, **settings)
        self.install(canister_id, wasm)
        return canister_id

    def on(self, method: str, canister_id: bytes, **rest: Any) -> Any:
        """A management method about one canister, called by its owner."""
        return self.manage(method, {"canister_id": Principal(canister_id), **rest})

    def canister(self, canister_id: bytes) -> CanisterState:
        return self.subnet.canisters[canister_id]


def system_result(canister: SystemCanister, method: str, reply: bytes) -> Any:
    """The only result in a system canister's reply."""
    return decode(reply, canister.method_type(method).results)[0]


def signed_size(method: str, arg: bytes) -> int:
    """About how many bytes the signed message of such a call has, which is what is charged."""
    return 300 + len(method) + len(arg)


def ingress_message(
    now_ns: int, callee: bytes, method: str, arg: bytes, sender: bytes, request_id: bytes
) -> IngressMessage:
    """A call that expires in four minutes."""
    return IngressMessage(
        CallRequest(sender, now_ns + 240 * SECOND_NS, callee, method, arg), request_id, callee, signed_size(method, arg)
    )


def management_argument(method: str, argument: dict[str, Any] | None) -> bytes:
    types = method_type(method).args
    return encode(types, () if not types else (_complete(types[0], argument or {}),))


def _complete(record_type: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Adds None for the options that were left out, here and in `settings`."""
    from canister_factory.candid.types import Opt, Record, resolve

    record = resolve(record_type)
    assert isinstance(record, Record)
    completed = {}
    for field in record.fields:
        assert isinstance(field.label, str)
        item = value.get(field.label)
        inner = resolve(field.type)
        target = resolve(inner.inner) if isinstance(inner, Opt) else inner
        completed[field.label] = _complete(target, item) if isinstance(target, Record) and item is not None else item
    return completed
