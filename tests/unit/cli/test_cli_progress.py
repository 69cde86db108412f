"""What a run tells a person of its canister: whether it was made just now."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.progress import EventLines
from canister_factory.factory.events import Provisioned

CANISTER = Principal(bytes(7) + b"\x05\x01\x01")
OPERATOR = Principal.self_authenticating(b"operator")


@pytest.mark.parametrize(
    ("is_new", "beginning"), [(True, f"created {CANISTER} with 2"), (False, f"goes on with {CANISTER}, created with 2")]
)
def test_a_canister_that_was_there_before_is_not_called_created(is_new: bool, beginning: str) -> None:
    said: list[str] = []
    tell = EventLines(lambda done: None, said.append)
    tell(Provisioned(CANISTER, frozenset((OPERATOR,)), 2 * 10**12, is_new))
    (line,) = said
    assert line.startswith(beginning)
    assert "cycles, controllers" in line
