"""The module that sends cycles back is what its source says."""

from __future__ import annotations

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.values import Case
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory import cycles_return
from canister_factory.factory.cycles_return import returned, sent


def test_the_module_is_what_its_source_says() -> None:
    wasmtime = pytest.importorskip("wasmtime", reason="the assembler is part of the extra 'replica'")
    built = bytes(wasmtime.wat2wasm(cycles_return.SOURCE))
    assert built.startswith(cycles_return.MODULE)
    rest = built[len(cycles_return.MODULE) :]
    assert rest[:1] == b"\x00", "a custom section: the names"
    assert b"\x04name" in rest[:8]


def test_the_reply_says_what_the_backend_took() -> None:
    result = BackendClient.method(cycles_return.BACKEND_METHOD).result_types
    amount = (9).to_bytes(8, "little")
    assert returned(amount + encode(result, [Case("Ok", 7)])) == 7
    assert returned(b"") == 0
    assert sent(amount + b"reply") == (9, b"reply")
    assert sent(b"") == (0, b"")
    error = {"kind": Case("Unauthorized"), "message": "no", "stage": None, "canister_id": None}
    refused = {**error, "needed": None, "available": None, "retry_helps": False}
    with pytest.raises(CreationRefused, match="no"):
        returned(amount + encode(result, [Case("Err", refused)]))
