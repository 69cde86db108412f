"""The backend as a test drives it: the built module on an in-process subnet, calls by name with Python values.

`World` keeps a clock that moves only when told, and the people of the tests. Answers come unwrapped: `ok` gives what is
in `Ok`, `err` what is in `Err`, and each fails readably when the answer was the other one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.did import Interface, parse_did
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Func, Opt, Record, Type, Variant, Vec, resolve
from canister_factory.candid.values import Case
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.node.compiled_modules import compiled_modules_directory
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.messages import FromIngress, IngressMessage, Request
from canister_factory.replica.subnet.state import FIRST_CANISTER_ID, LAST_CANISTER_ID
from canister_factory.replica.subnet.subnet import Subnet
from support import contents_books
from support.replica_bench import ingress_message

CANISTERS = Path(__file__).resolve().parents[2] / "canisters"
START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
TRILLION = 10**12
MANAGEMENT = Principal(b"")
ANONYMOUS = Principal(b"\x04")


def person(name: str) -> Principal:
    """A principal like those of people, that nobody has a key for and a test can tell from others."""
    return Principal(name.encode().ljust(28, b"\x00") + b"\x02")


ADMIN, OPERATOR, OTHER_OPERATOR, OWNER, STRANGER, CONTROLLER = map(
    person, ("admin", "operator", "operator-2", "owner", "stranger", "controller")
)


@cache
def engine() -> Engine:
    return Engine(compiled_modules_directory())


@cache
def wasm(name: str) -> bytes:
    return (CANISTERS / "dist" / f"{name}.wasm.gz").read_bytes()


@cache
def interface(name: str) -> Interface:
    return parse_did((CANISTERS / name / f"{name}.did").read_text())


def method_of(kind: str, name: str) -> Func:
    """A method of a canister's contract."""
    service = interface(kind).service
    assert service is not None
    found = resolve(dict(service.methods)[name])
    assert isinstance(found, Func)
    return found


def another_build(name: str) -> bytes:
    """The same module with another hash: one more custom section."""
    section = b"\x04test\x00"
    return gzip.compress(gzip.decompress(wasm(name)) + b"\x00" + bytes([len(section)]) + section, mtime=0)


class RejectedError(Exception):
    """A call that was rejected instead of answered."""


class World:
    """A subnet with the backend on it. `cycles`: its balance; `canisters`: how many the subnet has room for."""

    def __init__(self, cycles: int = 100 * TRILLION, canisters: int | None = None, **init: Any) -> None:
        self.now_ns = START_NS
        last = LAST_CANISTER_ID
        if canisters is not None:
            last = (int.from_bytes(FIRST_CANISTER_ID[:8], "big") + canisters - 1).to_bytes(8, "big") + b"\x01\x01"
        self.subnet = Subnet(engine(), clock_ns=lambda: self.now_ns, canister_id_range=(FIRST_CANISTER_ID, last))
        contents_books.subnets.add(self.subnet)
        self._requests = 0
        self.backend = self.new_canister(ADMIN, cycles=cycles)
        init.setdefault("operators", [OPERATOR, OTHER_OPERATOR])
        self.install(self.backend, wasm("backend"), encode_args(interface("backend").init_args, [init]), sender=ADMIN)
        self.manage(
            "update_settings", {"canister_id": self.backend, "settings": {"controllers": [CONTROLLER]}}, sender=ADMIN
        )

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)

    @property
    def backend_state(self) -> CanisterState:
        return self.subnet.canisters[self.backend.bytes]

    def state(self, canister: Principal) -> CanisterState:
        return self.subnet.canisters[canister.bytes]

    # --- messages ----------------------------------------------------------------------------------------------------

    def submit(self, callee: Principal, method: str, arg: bytes, sender: Principal) -> bytes:
        """Queues an update; nothing runs before `run`."""
        self._requests += 1
        request_id = hashlib.sha256(self._requests.to_bytes(8, "big")).digest()
        self.subnet.submit(self._message(callee, method, arg, sender, request_id))
        return request_id

    def run(self) -> None:
        while self.subnet.execute_round():
            pass

    def reply(self, request_id: bytes) -> bytes:
        """The bytes of an update's reply.

        Raises RejectedError.
        """
        status = self.subnet.request_status(request_id)
        assert status is not None
        response = status.response
        assert response is not None, "the call has no answer yet"
        if response.code is not None:
            raise RejectedError(f"{response.error_code} {response.message}")
        return response.data

    def accepts(
        self, method: str, *args: Any, sender: Principal, on: Principal | None = None, kind: str = "backend"
    ) -> bool:
        """Whether the canister takes the message from an ingress queue at all."""
        arg = encode_args(method_of(kind, method).args, args)
        try:
            self.subnet.check_ingress(self._message(on or self.backend, method, arg, sender, b"request"))
        except CanisterError:
            return False
        return True

    def manage(self, method: str, argument: dict[str, Any], sender: Principal) -> Any:
        func = method_type(method)
        request_id = self.submit(MANAGEMENT, method, encode_args(func.args, [argument]), sender)
        self.run()
        values = decode(self.reply(request_id), func.results)
        return values[0] if values else None

    def new_canister(self, *controllers: Principal, cycles: int = 100 * TRILLION) -> Principal:
        """An empty canister, made by the first of its controllers."""
        argument = {"amount": cycles, "settings": {"controllers": list(controllers)}}
        made = self.manage("provisional_create_canister_with_cycles", argument, sender=controllers[0])
        return Principal(made["canister_id"].bytes)

    def install(self, canister: Principal, module: bytes, arg: bytes, sender: Principal, mode: Any = "install") -> None:
        chosen = mode if isinstance(mode, Case) else Case(mode)
        self.manage(
            "install_code",
            {"mode": chosen, "canister_id": canister, "wasm_module": module, "arg": arg},
            sender,
        )

    def upgrade_backend(self, module: bytes | None = None, init: dict[str, Any] | None = None) -> None:
        """Upgrades to the same build, or to `module`."""
        keep = {"skip_pre_upgrade": None, "wasm_memory_persistence": Case("keep")}
        arg = encode_args(interface("backend").init_args, [init])
        self.install(self.backend, module or wasm("backend"), arg, CONTROLLER, Case("upgrade", keep))

    # --- the backend's interface -------------------------------------------------------------------------------------

    def call(
        self, method: str, *args: Any, sender: Principal, on: Principal | None = None, kind: str = "backend"
    ) -> Any:
        """Calls a method as its kind says, update or query; the reply's one value."""
        func = method_of(kind, method)
        arg = encode_args(func.args, args)
        callee = on or self.backend
        if "query" in func.modes:
            response = self.subnet.query(QueryRequest(sender.bytes, self.now_ns, callee.bytes, method, arg))
            if response.code is not None:
                raise RejectedError(f"{response.error_code} {response.message}")
            data = response.data
        else:
            request_id = self.submit(callee, method, arg, sender)
            self.run()
            data = self.reply(request_id)
        return decode(data, func.results)[0]

    def start(self, method: str, *args: Any, sender: Principal) -> bytes:
        """Queues an update of the backend without running it; see `finish`."""
        return self.submit(self.backend, method, encode_args(method_of("backend", method).args, args), sender)

    def finish(self, method: str, request_id: bytes) -> Any:
        return decode(self.reply(request_id), method_of("backend", method).results)[0]

    def ok(self, method: str, *args: Any, **how: Any) -> Any:
        answer = self.call(method, *args, **how)
        assert answer.tag == "Ok", f"{method} was refused: {answer.value}"
        return answer.value

    def err(self, method: str, *args: Any, **how: Any) -> Any:
        """The error: a `Case` from the capsule API, a dict (CreationError's record) from the creation API."""
        answer = self.call(method, *args, **how)
        assert answer.tag == "Err", f"{method} was not refused: {answer.value}"
        return answer.value

    def _message(
        self, callee: Principal, method: str, arg: bytes, sender: Principal, request_id: bytes
    ) -> IngressMessage:
        return ingress_message(self.now_ns, callee.bytes, method, arg, sender.bytes, request_id)

    # --- what tests do often -----------------------------------------------------------------------------------------

    def limit(self, person: dict[str, int] | None = None, total: dict[str, int] | None = None, **rest: int) -> None:
        """Changes the quotas that are named, as an admin."""
        quotas = self.ok("get_quotas", sender=ADMIN)["quotas"]
        changed = {"person": quotas["person"] | (person or {}), "total": quotas["total"] | (total or {}), **rest}
        self.ok("set_quotas", quotas | changed, sender=ADMIN)

    def capsule(self, owner: Principal = OWNER) -> str:
        """The id of the owner's self-capsule, made if need be."""
        capsule_id: str = self.ok("register_capsule", sender=owner)["capsule_id"]
        return capsule_id

    def add_memory(self, size: int, owner: Principal = OWNER, name: str = "holiday.jpg") -> Case:
        """The answer to adding a memory of `size` bytes."""
        data = {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": None}, "data": bytes(size)}
        new = {"memory_type": Case("Image"), "name": name, "content_type": "image/jpeg"}
        answer: Case = self.call("add_memory_to_capsule", data, new, sender=owner)
        return answer

    def request(self, owner: Principal = OWNER, config: dict[str, Any] | None = None) -> Any:
        """The owner, with a capsule, asks for a personal canister."""
        self.capsule(owner)
        return self.ok("create_personal_canister", config, sender=owner)

    def claim(
        self, owner: Principal = OWNER, operator: Principal = OPERATOR, worker: str = "worker-1"
    ) -> dict[str, Any]:
        """A lease of the owner's creation, as operator methods take it."""
        claimed = self.ok("claim_creation", {"owner": owner, "worker": worker}, sender=operator)
        return {"owner": owner, "lease": claimed["lease"]}

    def status(self, owner: Principal = OWNER) -> dict[str, Any]:
        found: dict[str, Any] = self.call("get_detailed_creation_status", sender=owner)
        return found

    def stage(self, owner: Principal = OWNER) -> str:
        return str(self.status(owner)["status"].tag)

    def report(self, lease: dict[str, Any], stage: str) -> Case:
        progress = {"stage": Case(stage), "bytes_done": 1, "bytes_total": 2, "items_done": 1, "items_total": 2}
        answer: Case = self.call("report_progress", lease, progress, f"at {stage}", sender=OPERATOR)
        return answer

    def reserve(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("get_reserve_status", sender=ADMIN)
        return found

    def top_up(self, cycles: int, sender: Principal) -> Any:
        """`top_up_reserve` with cycles attached, as a wallet canister calls it."""
        func = method_of("backend", "top_up_reserve")
        origin = FromIngress(
            b"top-up".ljust(32), self.now_ns + 240 * SECOND_NS, sender.bytes, self.backend.bytes, self.backend.bytes
        )
        self.subnet.enqueue(
            Request(origin, sender.bytes, self.backend.bytes, "top_up_reserve", encode((), ()), cycles=cycles)
        )
        self.run()
        return decode(self.reply(b"top-up".ljust(32)), func.results)[0]

    def exporting(self, owner: Principal = OWNER) -> dict[str, Any]:
        """A creation at stage Exporting: its lease."""
        self.request(owner)
        lease = self.claim(owner)
        self.ok("begin_export", lease, False, sender=OPERATOR)
        return lease

    def provisioned(self, owner: Principal = OWNER) -> tuple[dict[str, Any], Principal]:
        """A creation at stage Creating, with its canister: the lease and the canister's id."""
        lease = self.exporting(owner)
        return lease, self.ok("provision_canister", lease, sender=OPERATOR)["canister_id"]

    def copied(self, owner: Principal = OWNER) -> tuple[dict[str, Any], Principal]:
        """A creation at stage Importing, its capsule copied as a worker copies it: the lease and the canister's id."""
        lease, canister = self.provisioned(owner)
        self.report(lease, "Installing")
        init = {"owner": owner, "backend": self.backend}
        arg = encode_args(interface("personal").init_args, [init])
        self.install(canister, wasm("personal"), arg, OPERATOR)
        self.report(lease, "Importing")
        self.copy(lease, canister)
        return lease, canister

    def copy(self, lease: dict[str, Any], canister: Principal) -> None:
        """Brings everything in the capsule to the personal canister; also what changed since the last time."""

        def on_target(method: str, *args: Any) -> Any:
            return self.ok(method, *args, sender=OPERATOR, on=canister, kind="personal")

        entries = self.ok("list_export_entries", lease, None, None, sender=OPERATOR)["entries"]
        refs = [{"kind": entry["kind"], "id": entry["id"]} for entry in entries]
        memory_ids = [ref["id"] for ref in refs if ref["kind"].tag == "Memory"]
        session = on_target("begin_import")["id"]
        on_target("put_items", session, self.ok("get_export_items", lease, refs, sender=OPERATOR))
        for content in self.ok("get_export_memory_manifests", lease, memory_ids, sender=OPERATOR):
            memory_id = content["memory_id"]
            for index, checksum in enumerate(content["chunk_checksums"]):
                chunk = self.ok("read_export_chunk", lease, memory_id, index, sender=OPERATOR)
                on_target("put_memory_chunk", session, memory_id, index, chunk, checksum)
            on_target("commit_memory", session, content)

    def finalize(self, canister: Principal) -> None:
        session = self.ok("begin_import", sender=OPERATOR, on=canister, kind="personal")["id"]
        self.ok("finalize_import", session, sender=OPERATOR, on=canister, kind="personal")

    def verified(self, owner: Principal = OWNER) -> tuple[dict[str, Any], Principal]:
        """A creation that is verified under the write lock and may be handed over."""
        lease, canister = self.copied(owner)
        self.approve()
        self.ok("begin_export", lease, True, sender=OPERATOR)
        self.finalize(canister)
        report = self.ok("verify_creation", lease, sender=OPERATOR)
        assert report["matches"], report["differences"]
        return lease, canister

    def hand_over(self, canister: Principal, *controllers: Principal) -> None:
        self.manage(
            "update_settings",
            {"canister_id": canister, "settings": {"controllers": list(controllers)}},
            sender=OPERATOR,
        )

    def approve(self, module: bytes | None = None) -> None:
        """Registers a build of the personal canister as a release; the present one when left out."""
        module_hash = hashlib.sha256(wasm("personal") if module is None else module).digest()
        release = {"module_hash": module_hash, "api_version": "1.0.0", "note": "a test's"}
        self.ok("register_release", release, sender=ADMIN)

    def completed(self, owner: Principal = OWNER) -> Principal:
        """A personal canister that is its owner's."""
        lease, canister = self.verified(owner)
        self.hand_over(canister, owner)
        self.ok("complete_creation", lease, sender=OPERATOR)
        return canister

    def controllers(self, canister: Principal) -> set[Principal]:
        return {Principal(raw) for raw in self.state(canister).settings.controllers}


def failure(kind: str = "InstallFailed", message: str = "the module trapped") -> dict[str, Any]:
    """A CreationError as an operator reports it."""
    return {"kind": Case(kind), "message": message, "retry_helps": True}


def encode_args(types: tuple[Type, ...], values: Any) -> bytes:
    return encode(types, [_complete(type_, value) for type_, value in zip(types, values, strict=True)])


def _complete(type_: Type, value: Any) -> Any:
    """Adds None for the options of records that a test left out."""
    shape = resolve(type_)
    if isinstance(shape, Opt):
        return None if value is None else _complete(shape.inner, value)
    if isinstance(shape, Vec) and isinstance(value, list):
        return [_complete(shape.inner, item) for item in value]
    if isinstance(shape, Record) and isinstance(value, Mapping):
        return {field.label: _complete(field.type, value.get(field.label)) for field in shape.fields}
    if isinstance(shape, Variant) and isinstance(value, Case):
        inner = next(field.type for field in shape.fields if field.label == value.tag)
        return Case(value.tag, _complete(inner, value.value))
    return value
