"""What an owner calls about a capsule that has moved: the calls, as any client of the backend makes them."""

from __future__ import annotations

import inspect

from canister_factory.contract.clients import BackendClient
from canister_factory.contract.old_side_client import OldSideClient


def test_the_backends_client_has_these_calls_and_they_are_methods_of_its_contract() -> None:
    declared = {name for name, value in vars(OldSideClient).items() if inspect.isfunction(value)}
    assert declared == {
        "undo_personal_canister",
        "begin_move_back",
        "request_erasure",
        "cancel_erasure",
        "get_erasure_receipt",
    }
    assert all(BackendClient.method(name).refusal is not None for name in declared)
    assert OldSideClient.argument_limits() != BackendClient.argument_limits(), "these are the backend's own"
