"""A canister's chunk store: pieces of a Wasm module that is too large for one message, by their SHA-256.

Owns its limits and putting a module together. Does not own who may use it (`management`).

Source: interface specification, "IC method upload_chunk" and "IC method install_chunked_code".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import MAX_CHUNK_BYTES, CanisterState, text_of

MAX_CHUNKS = 100


def upload(canister: CanisterState, chunk: bytes, pay: Callable[[], None]) -> bytes:
    """Stores a chunk and returns its hash; the same chunk again changes nothing and costs nothing.

    Args:
        canister: whose store it is.
        chunk: bytes.
        pay: called before a new chunk is stored; may refuse.

    Raises:
        CanisterError: IC0504, the chunk is too large or the store is full.
    """
    if len(chunk) > MAX_CHUNK_BYTES:
        raise _error(f"the chunk has {len(chunk)} bytes, at most {MAX_CHUNK_BYTES} are allowed")
    digest = hashlib.sha256(chunk).digest()
    if digest in canister.chunks:
        return digest
    if len(canister.chunks) >= MAX_CHUNKS:
        raise _error(f"the store is full with {MAX_CHUNKS} chunks; clear it with clear_chunk_store")
    pay()
    canister.chunks = {**canister.chunks, digest: chunk}
    return digest


def assemble(store: CanisterState, hashes: Iterable[bytes], expected: bytes) -> bytes:
    """The module that these chunks make up, in this order.

    Raises:
        CanisterError: IC0504, a chunk is missing, or the whole doesn't have the expected hash.
    """
    parts = []
    for digest in hashes:
        if digest not in store.chunks:
            raise _error(f"chunk {digest.hex()} is not in the store of {text_of(store.id)}")
        parts.append(store.chunks[digest])
    wasm = b"".join(parts)
    actual = hashlib.sha256(wasm).digest()
    if actual != expected:
        raise _error(f"the chunks make up a module with hash {actual.hex()}, but wasm_module_hash is {expected.hex()}")
    return wasm


def _error(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_ERROR, f"Error from Wasm chunk store: {problem}.", "IC0504")
