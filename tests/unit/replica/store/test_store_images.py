"""Images of memories: a snapshot writes what changed, and what nobody changes is mapped from its file."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from canister_factory.replica.runtime.copy_on_write import copy_on_write_works
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.store.files import DamagedError, Files
from canister_factory.replica.store.images import CHUNK_BYTES, NO_IMAGE, Changes, Image, Images
from canister_factory.replica.store.manifest import Seal
from support.replica_bench import Bench
from support.store_history import opener

FILES = Files(power=False)


class Saved:
    """A stable memory and its image, saved after each change."""

    def __init__(self, path: Path) -> None:
        (path / "images").mkdir()
        self.path = path
        self.images = Images(FILES, path)
        self.memory = StableMemory()
        self.image: Image | None = None
        self.number = 0

    def save(self) -> int:
        """Saves it, and puts the changes into the image; how many bytes were written for that."""
        before, self.number = self.images.written_bytes, self.number + 1
        changes = Changes(self.path / f"changes-{self.number}")
        self.image = self.images.save(self.memory, self.image, f"memory-{self.number}", changes)
        self.memory.mark_saved()
        if changes.seal is not None:
            FILES.close(changes.file)
            self.images.settle(changes.path, changes.seal, changes.runs)
        assert self.read() == self.memory.read(0, self.memory.size_bytes)
        return self.images.written_bytes - before

    def read(self) -> bytes:
        assert self.image is not None
        state = self.images.load(self.image)
        content = bytearray(state.length)
        for offset, data in state.extents:
            content[offset : offset + len(data)] = data
        return bytes(content)


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    return Saved(tmp_path)


def test_a_memory_without_pages_has_no_file(saved: Saved) -> None:
    assert saved.save() == 0
    assert saved.image == NO_IMAGE


def test_a_save_writes_what_changed(saved: Saved) -> None:
    saved.memory.grow(100)
    for chunk in range(50):
        saved.memory.write(chunk * CHUNK_BYTES, b"first")
    assert saved.save() == 50 * CHUNK_BYTES, "zeroes aren't written"
    assert saved.save() == 0
    saved.memory.write(7 * CHUNK_BYTES + 5000, b"second")
    assert saved.save() == 2 * 4096, "once beside the image, and once into it"
    saved.memory.write(70 * CHUNK_BYTES, b"third")
    assert saved.save() == CHUNK_BYTES, "what was zeroes is written once"
    saved.memory.grow(1)
    assert saved.save() == 0
    assert saved.number == 5
    assert [path.name for path in (saved.path / "images").iterdir()] == ["memory-1"]


def test_a_range_over_several_parts_is_saved_whole(saved: Saved) -> None:
    saved.memory.grow(4)
    saved.memory.write(0, b"a" * 2 * CHUNK_BYTES)
    saved.save()
    saved.memory.write(CHUNK_BYTES - 10_000, b"b" * (2 * CHUNK_BYTES))
    saved.save()
    assert saved.read().strip(b"\0") == b"a" * (CHUNK_BYTES - 10_000) + b"b" * 2 * CHUNK_BYTES


def test_a_memory_that_is_new_for_the_greater_part_gets_a_new_file(saved: Saved) -> None:
    saved.memory.grow(4)
    saved.memory.write(0, b"a" * 4 * CHUNK_BYTES)
    saved.save()
    saved.memory.write(0, b"b" * 3 * CHUNK_BYTES)
    assert saved.save() == 4 * CHUNK_BYTES
    assert saved.image is not None
    assert saved.image.name == "memory-2"


def test_what_an_unfinished_snapshot_left_in_a_part_of_zeroes_is_never_seen(saved: Saved) -> None:
    saved.memory.grow(3)
    saved.memory.write(0, b"first")
    saved.save()
    assert saved.image is not None
    path = saved.images.path(saved.image)
    content = path.read_bytes()
    path.write_bytes(content[:CHUNK_BYTES] + b"left" * (CHUNK_BYTES // 4) + content[2 * CHUNK_BYTES :])
    assert saved.read() == content
    FILES.close(saved.images.open(saved.image))
    assert path.read_bytes() == content


def test_a_damaged_part_is_named(saved: Saved) -> None:
    saved.memory.grow(3)
    saved.memory.write(2 * CHUNK_BYTES, b"first")
    saved.save()
    assert saved.image is not None
    damaged = Image(saved.image.name, saved.image.length, array("q", [-1, -1, 5]))
    with pytest.raises(DamagedError, match=r"^images/memory-1 is damaged at byte 131072$"):
        saved.images.open(damaged)


class ClosedFiles(Files):
    """Tells which files were closed."""

    def __init__(self, *, power: bool) -> None:
        super().__init__(power=power)
        self.closed: list[int] = []

    def close(self, file: int) -> None:
        super().close(file)
        self.closed.append(file)


def test_of_the_images_that_changes_belong_to_the_missing_one_is_named_and_nothing_stays_open(saved: Saved) -> None:
    saved.memory.grow(1)
    saved.memory.write(0, b"first")
    saved.save()
    assert saved.image is not None
    changes = saved.path / "changes-2"
    FILES.write_whole(changes, b"onetwo")
    files = ClosedFiles(power=False)
    runs = [(saved.image.name, 0, 3), ("memory-9", 0, 3)]
    with pytest.raises(DamagedError, match=r"^images/memory-9 is missing$"):
        Images(files, saved.path).settle(changes, Seal.of(b"onetwo"), runs)
    assert len(files.closed) == 2, "each file once: its number may be another's by then"
    Images(files, saved.path).settle(changes, Seal.of(b"onetwo"), runs, without={"memory-9"})
    assert saved.images.path(saved.image).read_bytes()[:5] == b"onest"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files can't be listed here")
def test_of_several_images_none_stays_open_when_one_is_damaged(saved: Saved) -> None:
    saved.memory.grow(1)
    saved.memory.write(0, b"first")
    saved.save()
    assert saved.image is not None
    damaged = Image(saved.image.name, saved.image.length, array("q", [5]))
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(DamagedError, match="is damaged at byte 0"):
        saved.images.open_all([saved.image, damaged, saved.image, NO_IMAGE])
    assert sorted(os.listdir("/proc/self/fd")) == before
    for file in saved.images.open_all([saved.image, NO_IMAGE]):
        FILES.close(file)


def memories(bench: Bench) -> list[bool]:
    """Of each canister, whether its Wasm memory is the file that it was saved in."""
    return [
        canister.instance is not None and canister.instance.memory.is_saved
        for canister in bench.subnet.canisters.values()
    ]


@pytest.mark.skipif(not copy_on_write_works(), reason="this kernel can't list the pages that were written")
def test_memories_that_nobody_changes_are_mapped_from_their_files(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES, messages=1))
    first, second = bench.puppet(), bench.puppet()
    bench.subnet.persist()
    assert memories(bench) == [False, False]
    bench.call(first, "count")
    bench.call(first, "count")
    bench.subnet.persist()
    assert memories(bench) == [False, True]
    assert bench.call(second, "count") == b"\1\0\0\0"
    bench.subnet.close()
    bench.restart()
    assert memories(bench) == [True, True]
    assert (bench.count(first), bench.count(second)) == (2, 1)
    bench.call(second, "count")
    assert memories(bench) == [True, False]
    bench.subnet.close()
    bench.restart()
    assert (bench.count(first), bench.count(second)) == (2, 2)


def test_a_snapshot_of_canisters_that_are_idle_writes_no_memory(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES))
    canisters = [bench.puppet() for _ in range(3)]
    checkpoint = bench.subnet._checkpoint
    assert isinstance(checkpoint, Checkpoint)
    checkpoint.snapshot(bench.subnet.state)
    images = checkpoint._directory.images
    before = images.written_bytes
    bench.call(canisters[0], "count")
    checkpoint.snapshot(bench.subnet.state)
    assert images.written_bytes - before == 2 * 4096
