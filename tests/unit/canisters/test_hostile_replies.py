"""What a canister may make the backend decode when it is asked for its manifest; only an approved release is asked."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, RejectedError, World
from support.candid_bombs import nulls, records, variants

MOST_OF_A_REPLY = 2_000_000
INSTRUCTIONS_A_BYTE = 100
"""Of a reply. What takes most is as many values as there are bytes, of which only the types are looked at."""


def answering(reply: bytes) -> bytes:
    """A module whose `get_manifest` replies with these bytes."""
    data = "".join(f"\\{byte:02x}" for byte in reply)
    pages = len(reply) // 65_536 + 1
    return bytes(
        wasmtime.wat2wasm(f"""(module
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (import "ic0" "msg_reply" (func $reply))
          (memory {pages}) (data (i32.const 0) "{data}")
          (func (export "canister_query get_manifest")
            (call $append (i32.const 0) (i32.const {len(reply)})) (call $reply)))""")
    )


def replying(reply: bytes) -> tuple[World, dict[str, Any], bytes]:
    """A creation, about to be verified, whose canister has such a module now: the lease and the module."""
    world = World()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    module = answering(reply)
    world.install(canister, module, b"", OPERATOR, Case("reinstall"))
    world.approve()
    return world, lease, module


def test_a_module_that_is_no_approved_release_is_not_asked() -> None:
    world, lease, _ = replying(nulls(MOST_OF_A_REPLY))
    assert world.err("verify_creation", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")


@pytest.mark.parametrize(
    "reply",
    [
        variants(MOST_OF_A_REPLY, 100, 200_000),
        variants(MOST_OF_A_REPLY, 250, 1_990),
        records(MOST_OF_A_REPLY, 30),
        nulls(MOST_OF_A_REPLY),
    ],
    ids=["variants", "as many as are taken", "records", "arguments"],
)
def test_a_reply_that_is_hard_to_decode_is_refused_for_little_more_than_looking_at_its_bytes(reply: bytes) -> None:
    world, lease, module = replying(reply)
    world.approve(module)
    before = world.subnet.state.instructions
    with pytest.raises(RejectedError, match="IDL error"):
        world.call("verify_creation", lease, sender=OPERATOR)
    assert world.subnet.state.instructions - before <= INSTRUCTIONS_A_BYTE * len(reply)
