"""The module that sends cycles back is what its source says."""

from __future__ import annotations

import pytest

from canister_factory.factory import cycles_return


def test_the_module_is_what_its_source_says() -> None:
    wasmtime = pytest.importorskip("wasmtime", reason="the assembler is part of the extra 'replica'")
    built = bytes(wasmtime.wat2wasm(cycles_return.SOURCE))
    assert built.startswith(cycles_return.MODULE)
    rest = built[len(cycles_return.MODULE) :]
    assert rest[:1] == b"\x00", "a custom section: the names"
    assert b"\x04name" in rest[:8]
