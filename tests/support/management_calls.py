"""What tests of the management canister share."""

from __future__ import annotations

from canister_factory.candid.decoding import decode
from canister_factory.replica.subnet.management_interface import method_type
from support.replica_bench import MANAGEMENT, Bench, management_argument
from support.replica_puppet import call_argument


def manage_through(bench: Bench, canister: bytes, method: str, argument: dict, cycles: int = 0):  # type: ignore[no-untyped-def, type-arg]
    """A management call made by a canister."""
    data = management_argument(method, argument)
    reply = bench.call(canister, "forward", call_argument(MANAGEMENT, method, data, cycles))
    values = decode(reply, method_type(method).results)
    return values[0] if values else None
