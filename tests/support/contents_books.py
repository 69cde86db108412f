"""The books about stored bytes of every canister of ours that a test used: at its end they are what is held; and the
trees of its manifests, which are then those of its items.

Owns the question (`audit_contents`, which only controllers may ask) and which canisters are asked. Whoever takes space
on purpose that nobody holds leaves its world out (`left_out`).
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from canister_factory.candid.decoding import decode
from canister_factory.contract.artifacts import WasmModule, backend_wasm, personal_wasm
from canister_factory.contract.clients import CapsuleClient, PersonalClient
from canister_factory.factory.manifest import certified_data
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.runtime.execution import CanisterError, Response
from canister_factory.replica.subnet.canister import CanisterState, Status
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.testing import EmbeddedReplica
from support.replica_bench import ingress_message

_CANNOT_PAY = "IC0207"
_TOO_LONG = "IC0522"  # for a query; as an update it may take eight times as much
_AUDIT_ID = bytes(32)

subnets: WeakSet[Subnet] = WeakSet()
"""Those of the worlds in this process (`backend_world`)."""
left_out: WeakSet[Subnet] = WeakSet()
_looked_at: WeakKeyDictionary[Subnet, int] = WeakKeyDictionary()


def audited_canisters(subnet: Subnet) -> list[CanisterState]:
    """The canisters that run one of our modules, and can be asked."""
    return [
        canister
        for canister in subnet.canisters.values()
        if canister.module is not None
        and any(canister.module.hash in hashes for hashes in _ours())
        and canister.status is Status.RUNNING
    ]


def audit(subnet: Subnet, canister: CanisterState, now_ns: int) -> dict[str, Any] | None:
    """What the canister says of its books; None if it can't pay for an answer, or nobody may ask."""
    if not canister.settings.controllers:
        return None
    controller = next(iter(canister.settings.controllers))
    method = CapsuleClient.method("audit_contents")
    query = QueryRequest(controller, now_ns, canister.id, method.name, method.encode(()))
    try:
        response: Response | None = subnet.query(query)
    except CanisterError as error:
        if error.error_code == _CANNOT_PAY:
            return None
        if error.error_code != _TOO_LONG:
            raise
        message = ingress_message(now_ns, canister.id, method.name, method.encode(()), controller, _AUDIT_ID)
        subnet.submit(message)
        while subnet.execute_round():
            pass
        status = subnet.request_status(_AUDIT_ID)
        assert status is not None
        response = status.response
    assert response is not None
    if response.error_code == _CANNOT_PAY:
        return None
    assert response.code is None, f"audit_contents was rejected: {response.message}"
    answer = decode(response.data, method.result_types)[0]
    assert answer.tag == "Ok", answer
    found: dict[str, Any] = answer.value
    return found


def assert_certified(subnet: Subnet, canister: CanisterState, now_ns: int) -> None:
    """Fails unless a personal canister with a finished import certifies it, and what is there now."""
    controllers = canister.settings.controllers
    assert canister.module is not None
    if canister.module.hash not in _ours()[1] or not controllers:
        return
    method = PersonalClient.method("get_manifest")
    query = QueryRequest(next(iter(controllers)), now_ns, canister.id, method.name, method.encode(()))
    try:
        response = subnet.query(query)
    except CanisterError as error:
        if error.error_code == _CANNOT_PAY:
            return
        raise
    if response.error_code == _CANNOT_PAY:
        return
    answer = decode(response.data, method.result_types)[0].value
    if answer["imported"] is not None:
        hashes = answer["manifest"]["manifest_hash"], answer["imported"]["manifest_hash"]
        assert canister.certified_data == certified_data(*hashes), f"{canister!r} certifies something else"


def check(subnet: Subnet, now_ns: int) -> None:
    """Fails unless every canister's books are what is held."""
    for canister in audited_canisters(subnet):
        found = audit(subnet, canister, now_ns)
        assert_certified(subnet, canister, now_ns)
        whole = found is None or (found["consistent"] and found["manifests_consistent"])
        assert whole, f"the books of {canister!r} are wrong: {found}"


def check_worlds() -> None:
    """The same for every world on which something was executed since the last time."""
    for subnet in list(subnets - left_out):
        executed = subnet.state.instructions
        if _looked_at.get(subnet) != executed:
            _looked_at[subnet] = executed
            check(subnet, subnet.state.time_ns)


def check_replica(replica: EmbeddedReplica) -> None:
    """The same on a replica in this process, in its own thread."""
    replica._do(lambda: check(replica._server.subnet, replica.clock()))


@cache
def _ours() -> tuple[frozenset[bytes], frozenset[bytes]]:
    """The hashes of the backend's module and of the personal canister's, as they are built, and unpacked."""
    backend, personal = backend_wasm(), personal_wasm()
    return _hashes(backend), _hashes(personal)


def _hashes(module: WasmModule) -> frozenset[bytes]:
    return frozenset([hashlib.sha256(gzip.decompress(module.wasm)).digest(), module.module_hash])
