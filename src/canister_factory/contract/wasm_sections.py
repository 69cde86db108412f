"""What a Wasm module says of itself: its metadata sections, public and private, by name.

Owns reading them from a file. Does not own: what they mean, and those of a module that runs (`Agent.metadata`).

Source: interface specification, "Canister module format".
"""

from __future__ import annotations

import zlib

from canister_factory.contract.errors import ArtifactError

MAX_MODULE_BYTES = 100 * 2**20
"""More than networks take, unpacked."""
_MAGIC = b"\0asm\x01\0\0\0"
_PREFIXES = ("icp:public ", "icp:private ")


def metadata_of(module: bytes) -> dict[str, bytes]:
    """The metadata sections of a module, gzip-compressed or not, by their names without prefix.

    Raises:
        ArtifactError: it is no Wasm module.
    """
    wasm = _unpacked(module)
    if not wasm.startswith(_MAGIC):
        raise ArtifactError("this is no Wasm module: it doesn't begin like one")
    found: dict[str, bytes] = {}
    at = len(_MAGIC)
    while at < len(wasm):
        kind = wasm[at]
        size, begin = _leb128(wasm, at + 1)
        at = begin + size
        if at > len(wasm):
            raise ArtifactError("this is no whole Wasm module: it ends within a section")
        if kind != 0:
            continue
        length, start = _leb128(wasm, begin)
        name = wasm[start : start + length].decode(errors="replace")
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = wasm[start + length : at]
    return found


def _unpacked(module: bytes) -> bytes:
    if module[:2] != b"\x1f\x8b":
        return module
    try:
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        wasm = unpacking.decompress(module, MAX_MODULE_BYTES)
    except zlib.error as error:
        raise ArtifactError(f"this is no Wasm module: {error}") from None
    if not unpacking.eof:
        raise ArtifactError("this is no whole Wasm module, or one larger than any network takes")
    return wasm


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and where it ends."""
    value = shift = 0
    for offset in range(at, min(at + 5, len(data))):
        value |= (data[offset] & 0x7F) << shift
        shift += 7
        if data[offset] < 0x80:
            return value, offset + 1
    raise ArtifactError("this is no whole Wasm module: it ends within a number")
