"""A disk that fails at any of the store's operations: nothing that was answered is lost, or the start refuses."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from canister_factory.replica.store import checkpoint
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from support.faulty_files import Died, FaultyFiles, PowerFiles, dying, failing
from support.store_history import History


@pytest.fixture(scope="module", params=["at once", "beside", "beside, calls ahead"])
def beside(request: pytest.FixtureRequest) -> Iterator[bool]:
    """How snapshots are written: while nothing else happens, or while the next calls are executed; these are written
    when they are, or ahead, as large ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "beside, calls ahead":
            patch.setattr(checkpoint, "LARGE_BYTES", 1)
        yield request.param != "at once"


def lived(directory: Path, files: FaultyFiles, beside: bool) -> History:
    """A whole life, or as much of it as the disk allows."""
    directory.mkdir()
    history = History(directory, files, beside=beside)
    for _ in history.steps():
        pass
    return history


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory, beside: bool) -> list[str]:
    """The kinds of all operations of a life without faults, in their order."""
    files = FaultyFiles()
    lived(tmp_path_factory.mktemp("whole") / "state", files, beside)
    return files.kinds


def sampled(operations: list[str], beside: bool, sweep: bool, count: int, seed: str, kind: str = "") -> Iterator[int]:
    """Numbers of operations (of one kind): all of them, or a sample that is the same each time."""
    numbers = [number for number, each in enumerate(operations) if kind in each]
    count = count if beside else count // 3  # replicas write beside; the other way is what remains with one thread
    return iter(numbers if sweep else sorted(random.Random(seed).sample(numbers, min(count, len(numbers)))))


def assert_nothing_is_lost(history: History, directory: Path | None = None) -> None:
    """A start finds what was promised, or what was begun after it."""
    found = history.found(directory)
    assert history.promised is None or found in {history.promised, *history.possible}


def start(history: History) -> bytes | str:
    """What a start finds, or why it refuses."""
    try:
        return history.found()
    except CheckpointError as error:
        return str(error)


def rest_of(history: History) -> str:
    """Lives on; why that ended early, or nothing."""
    try:
        for _ in history.steps():
            pass
    except (CheckpointError, SubnetBrokenError) as error:
        return str(error)
    return ""


def test_a_life_takes_all_kinds_of_operations(operations: list[str]) -> None:
    assert set(operations) == {
        *("create", "make_directory", "remove", "replace", "reserve", "sync", "sync_directory", "truncate", "write"),
    }


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_process_that_is_killed_at_any_operation_loses_nothing(
    tmp_path: Path, operations: list[str], beside: bool, sweep: bool, share: float
) -> None:
    for at in sampled(operations, beside, sweep, 14, f"kill {share}"):
        files = FaultyFiles(at=at, share=share)
        files.fault = dying(files)
        directory = tmp_path / str(at)
        history = History(directory, files, beside=beside)
        directory.mkdir()
        with pytest.raises(Died):
            for _ in history.steps():
                pass
        assert_nothing_is_lost(history)
        shutil.rmtree(directory)


def test_a_power_failure_at_any_operation_loses_nothing(
    tmp_path: Path, operations: list[str], beside: bool, sweep: bool
) -> None:
    for at in sampled(operations, beside, sweep, 30, "power"):
        chance = random.Random(at)
        directory = tmp_path / str(at)
        directory.mkdir()
        files = PowerFiles(at=at, share=chance.random(), root=directory)
        files.fault = dying(files)
        history = History(directory, files, beside=beside)
        with pytest.raises(Died):
            for _ in history.steps():
                pass
        for cut in range(3):
            files.cut(tmp_path / f"{at}-{cut}", chance)
            assert_nothing_is_lost(history, tmp_path / f"{at}-{cut}")
            shutil.rmtree(tmp_path / f"{at}-{cut}")
        shutil.rmtree(directory)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("count", [1, 8])
def test_an_operation_that_fails_loses_nothing(
    tmp_path: Path, operations: list[str], beside: bool, sweep: bool, code: int, count: int
) -> None:
    for at in sampled(operations, beside, sweep, 14, f"error {code} {count}"):
        files = FaultyFiles(at=at, count=count, share=0.5, fault=failing(code))
        history = History(tmp_path / str(at), files, beside=beside)
        history.directory.mkdir()
        rest_of(history)
        assert_nothing_is_lost(history)
        shutil.rmtree(history.directory)


def test_a_flipped_byte_in_any_write_is_noticed_or_harmless(
    tmp_path: Path, operations: list[str], beside: bool, sweep: bool
) -> None:
    refused = 0
    for at in sampled(operations, beside, sweep, 40, "flip", "write"):
        files = FaultyFiles(at=at, flip=random.Random(at))
        history = History(tmp_path / str(at), files, beside=beside)
        history.directory.mkdir()
        reason = rest_of(history) or start(history)
        if isinstance(reason, str):
            assert str(history.directory) in reason
            refused += 1
        else:
            assert reason == history.promised
        assert files.flipped
        shutil.rmtree(history.directory)
    assert refused


def lived_until(stop: int, directory: Path) -> tuple[History, dict[Path, bytes]]:
    """A life up to one of its steps, and the files that it has left there."""
    directory.mkdir()
    history = History(directory, FaultyFiles())
    for number, _ in enumerate(history.steps()):
        if number == stop:
            break
    return history, {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stop", [5, 8, 14, 17])
def test_a_file_that_is_cut_off_anywhere_is_noticed(tmp_path: Path, sweep: bool, stop: int) -> None:
    history, whole = lived_until(stop, tmp_path / "state")
    chance, refused = random.Random(stop), 0
    for path, content in whole.items():
        lengths = {0, 1, len(content) // 2, len(content) - 1} | {chance.randrange(len(content) + 1) for _ in range(3)}
        for length in sorted(range(len(content)) if sweep and len(content) < 1_000 else lengths):
            path.write_bytes(content[:length])
            found = start(history)
            if isinstance(found, str):
                assert str(path) in found
                refused += 1
            else:
                assert found == history.promised, f"{path.name} with {length} of {len(content)} bytes"
            path.write_bytes(content)
        path.unlink()
        with pytest.raises(CheckpointError, match=path.name):
            history.found()
        path.write_bytes(content)
    assert history.found() == history.promised
    assert refused > 5 * len(whole), "only a journal has a part at its end that nothing is lost with"


@pytest.mark.parametrize("stop", [5, 17])
def test_a_flipped_byte_anywhere_is_noticed_or_harmless(tmp_path: Path, sweep: bool, stop: int) -> None:
    history, whole = lived_until(stop, tmp_path / "state")
    chance = random.Random(stop)
    for path, content in whole.items():
        used = len(content.rstrip(b"\0")) or 1
        for at in range(used) if sweep and used < 1_000 else [chance.randrange(used) for _ in range(12)]:
            path.write_bytes(content[:at] + bytes([content[at] ^ chance.randrange(1, 256)]) + content[at + 1 :])
            found = start(history)
            if isinstance(found, str):
                assert str(path) in found
            else:
                assert found == history.promised, f"{path.name} at {at}"
            for each in whole:
                each.write_bytes(whole[each])
