"""Modules in use are compiled once, unused ones go, and large ones are compiled beside everything else."""

from __future__ import annotations

import gc
import threading

import pytest

from canister_factory.replica.runtime.compiled import AT_ONCE_BYTES, UNUSED_KEPT, Compiled
from canister_factory.replica.runtime.execution import Steps, finish


class Module:
    def __init__(self, wasm: bytes) -> None:
        self.wasm = wasm


class Builder:
    """Counts what is built; with `gate`, waits for it."""

    def __init__(self) -> None:
        self.built: list[bytes] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, wasm: bytes, digest: bytes) -> Module:
        assert self.gate.wait(10)
        self.threads.add(threading.current_thread().name)
        if wasm.startswith(b"bad"):
            raise ValueError("not a module")
        self.built.append(wasm)
        return Module(wasm)


LARGE = bytes(AT_ONCE_BYTES)


def ended(steps: Steps[Module]) -> Module:
    with pytest.raises(StopIteration) as end:
        next(steps)
    module: Module = end.value.value
    return module


def test_a_module_in_use_is_compiled_once_and_an_unused_one_is_forgotten() -> None:
    build = Builder()
    compiled = Compiled(build, background=False)
    used = compiled.compile(b"used")
    for number in range(100):
        compiled.compile(str(number).encode())
    gc.collect()
    assert compiled.compile(b"used") is used
    assert len(compiled) <= UNUSED_KEPT + 1
    assert build.built.count(b"used") == 1
    compiled.compile(b"99")
    assert build.built.count(b"99") == 1, "those used last are kept"


def test_a_large_module_is_compiled_by_another_thread_while_small_ones_go_on() -> None:
    build = Builder()
    compiled = Compiled(build, background=True)
    build.gate.clear()
    steps = compiled.compiling(LARGE)
    future = next(steps)
    assert future is not None
    assert not future.done()
    build.gate.set()
    assert ended(compiled.compiling(b"small")).wasm == b"small"
    future.result(10)
    assert ended(steps).wasm == LARGE
    assert build.threads == {"compiling modules", threading.current_thread().name}
    assert ended(compiled.compiling(LARGE)).wasm == LARGE, "known by now"


def test_what_a_module_is_refused_for_is_raised_where_it_is_wanted() -> None:
    compiled = Compiled(Builder(), background=True)
    with pytest.raises(ValueError, match="not a module"):
        finish(compiled.compiling(b"bad" + LARGE))


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    build = Builder()
    compiled = Compiled(build, background=True)
    build.gate.clear()
    first, second = compiled.compiling(LARGE), compiled.compiling(LARGE + b"2")
    in_progress = next(first)
    next(second)
    second.close()
    build.gate.set()
    assert in_progress is not None
    in_progress.result(10)
    finish(compiled.compiling(LARGE + b"3"))
    assert build.built == [LARGE, LARGE + b"3"]
