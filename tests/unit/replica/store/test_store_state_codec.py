"""Values of the state's classes as bytes: what is written quickly is what CBOR's own encoder would write."""

from __future__ import annotations

from collections import deque
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cbor2
import pytest

from canister_factory.replica.runtime.execution import Entry, RejectCode, Response
from canister_factory.replica.store.state_codec import decode_state, encode_state
from canister_factory.replica.subnet.messages import (
    Answer,
    FromCanister,
    FromIngress,
    HttpResponse,
    OutcallAnswer,
    Request,
    SystemTask,
)
from support.replica_bench import Bench
from support.replica_puppet import call_argument

VALUES = [
    Request(
        FromIngress(b"r" * 32, 2**63, b"s" * 29, b"e" * 10, b""), b"s" * 29, b"c" * 10, "add", b"", ingress_bytes=23
    ),
    Request(FromCanister(b"c", 24, 255), b"a" * 23, b"b" * 24, "größe" * 50, b"x" * 255, 2**64 - 1, 2**16),
    Request(FromCanister(b"c", 1), b"", b"", "", b"y" * 256, 2**64, None, (b"i" * 70_000, b"")),
    OutcallAnswer(b"c", 2**32, HttpResponse(200, b"z" * 65_536, (("a", "b"), ("c", "d")))),
    OutcallAnswer(b"c", 3, None, "nobody answered"),
    Answer(b"c", 5, Response(b"", RejectCode.CANISTER_ERROR, "trapped", "IC0503")),
    SystemTask(b"c", Entry.HEARTBEAT),
    {b"key": (True, False, -1, 1.5, -(2**70)), 7: [deque((1, None, 255, 256)), {"text": ((),)}], "größe": 2**70},
    [RejectCode.CANISTER_ERROR, RejectCode.SYS_FATAL, Entry.HEARTBEAT],
    (b"", "", 0, None, ()),
]


def plain(value: Any) -> Any:
    """What CBOR's own encoder takes: the form, said in another way than there."""
    if is_dataclass(value):
        stored = [field.name for field in fields(value) if "runtime" not in field.metadata]
        record = {name: plain(getattr(value, name)) for name in stored}
        return cbor2.CBORTag(41_300, [type(value).__name__, record])
    if isinstance(value, Enum):
        return cbor2.CBORTag(41_301, [type(value).__name__, value.value])
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | deque):
        return cbor2.CBORTag(41_302 if isinstance(value, tuple) else 41_303, [plain(item) for item in value])
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_writes_what_the_cbor_encoder_writes_and_reads_it_back(value: Any) -> None:
    encoded = encode_state(value)

    assert encoded == cbor2.dumps(plain(value))
    assert decode_state(encoded) == value


def test_a_whole_state_is_written_as_the_cbor_encoder_writes_it() -> None:
    bench = Bench()
    first, second = bench.puppet(), bench.puppet(compute_allocation=3)
    bench.submit(first, "forward", call_argument(second, "echo", b"late", cycles=10**9))
    bench.subnet.execute_round(max_messages=1)
    state = bench.subnet.state
    assert encode_state(state) == cbor2.dumps(plain(state))
    assert len(encode_state(state)) > 2_000


@pytest.mark.parametrize("value", [{1, 2}, range(3), [object()], {"a": (Path(),)}])
def test_what_is_no_part_of_a_state_is_refused_when_it_is_written(value: Any) -> None:
    with pytest.raises(TypeError, match="isn't one of the state's classes"):
        encode_state(value)
