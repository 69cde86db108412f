"""Values of the state's classes as bytes: what is written quickly is what CBOR's own encoder would write."""

from __future__ import annotations

from collections import deque
from typing import Any

import cbor2
import pytest

from canister_factory.replica.runtime.execution import Entry, RejectCode, Response
from canister_factory.replica.store import state_codec
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
    {b"key": (True, False, -1, 1.5), b"other": [deque((1, None)), {"text": ((),)}]},
    (b"", "", 0, None, ()),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_writes_what_the_cbor_encoder_writes_and_reads_it_back(value: Any) -> None:
    encoded = encode_state(value)

    assert encoded == cbor2.dumps(state_codec._plain(value))
    assert decode_state(encoded) == value
