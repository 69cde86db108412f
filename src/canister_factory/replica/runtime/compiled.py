"""Which modules are compiled, and compiling large ones beside everything else.

Owns the modules in use, the few that were used last, and the thread that compiles. Does not own compiling (`engine`).
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from canister_factory.replica.runtime.execution import Steps
from canister_factory.replica.runtime.workers import Workers

M = TypeVar("M")

UNUSED_KEPT: Final = 8
"""So many modules are kept though no canister has them: the same one is often installed again."""
AT_ONCE_BYTES: Final = 16 * 1024
"""Smaller ones are compiled at once, in a few milliseconds."""
_NICENESS: Final = 10


class Compiled(Generic[M]):
    """Modules by the SHA-256 of their bytes. A module that nobody uses goes, but for those used last.

    Args:
        build: compiles bytes with that hash; may run in two threads at once.
        background: larger modules are compiled by a thread of its own, which lets go of Python while it does.
    """

    def __init__(self, build: Callable[[bytes, bytes], M], *, background: bool) -> None:
        self._build = build
        self._worker = Workers("compiling modules", niceness=_NICENESS) if background else None
        self._used: WeakValueDictionary[bytes, M] = WeakValueDictionary()
        self._last: deque[M] = deque(maxlen=UNUSED_KEPT)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._used)

    def compile(self, wasm: bytes) -> M:
        """The module of these bytes. Raises what `build` raises."""
        digest = hashlib.sha256(wasm).digest()
        return self._known(digest) or self._built(wasm, digest)

    def compiling(self, wasm: bytes) -> Steps[M]:
        """The same; other work can be done until it is there."""
        digest = hashlib.sha256(wasm).digest()
        module = self._known(digest)
        if module is not None:
            return module
        if self._worker is None or len(wasm) < AT_ONCE_BYTES:
            return self._built(wasm, digest)
        future = self._worker.submit(lambda: self._built(wasm, digest))
        try:
            while not future.done():
                yield future
        except GeneratorExit:
            future.cancel()
            raise
        return future.result()

    def end(self) -> None:
        """Lets the thread end, if there is one."""
        if self._worker is not None:
            self._worker.end()

    def _known(self, digest: bytes) -> M | None:
        with self._lock:
            module = self._used.get(digest)
            if module is not None:
                self._note(module)
            return module

    def _built(self, wasm: bytes, digest: bytes) -> M:
        module = self._build(wasm, digest)
        with self._lock:
            module = self._used.setdefault(digest, module)
            self._note(module)
        return module

    def _note(self, module: M) -> None:
        with suppress(ValueError):
            self._last.remove(module)
        self._last.append(module)
