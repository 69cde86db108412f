"""The world of creations that are disturbed: one for all tests of a process, and each scenario undone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.fault_world import Stage, stage


@pytest.fixture(scope="session")
def faults() -> Iterator[Stage]:
    pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
    if "CANISTER_FACTORY_TEST_NETWORK" in os.environ:
        pytest.skip("only an embedded replica's time is ours to make up")
    with stage() as made:
        yield made
