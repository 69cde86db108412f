"""What a module says of itself is read from its file, and what is no module is refused."""

from __future__ import annotations

import gzip

import pytest

from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.errors import ArtifactError
from canister_factory.contract.wasm_sections import metadata_of

EMPTY = b"\0asm\x01\0\0\0"


def section(name: bytes, content: bytes) -> bytes:
    body = bytes([len(name)]) + name + content
    return b"\0" + bytes([len(body)]) + body


def test_sections_are_named_without_their_prefix_and_others_are_left_out() -> None:
    module = EMPTY + section(b"icp:public a", b"1") + b"\x01\x01\0" + section(b"name", b"x")
    module += section(b"icp:private b c", b"")
    assert metadata_of(module) == metadata_of(gzip.compress(module)) == {"a": b"1", "b c": b""}


def test_our_modules_say_their_interface_and_how_they_keep_their_heap() -> None:
    backend, personal = metadata_of(backend_wasm().wasm), metadata_of(personal_wasm().wasm)
    assert b"add_operator" in backend["candid:service"]
    assert b"get_personal_info" in personal["candid:service"]
    assert "enhanced-orthogonal-persistence" in backend
    assert "enhanced-orthogonal-persistence" not in personal


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "doesn't begin like one"),
        (b"\x7fELF", "doesn't begin like one"),
        (gzip.compress(EMPTY, mtime=0)[:-9], "no whole Wasm module"),
        (b"\x1f\x8b rubbish", "no Wasm module"),
        (EMPTY + b"\0\x09\x01a", "ends within a section"),
        (EMPTY + b"\0\x80", "ends within a number"),
    ],
)
def test_what_is_no_module_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(ArtifactError, match=why):
        metadata_of(data)
