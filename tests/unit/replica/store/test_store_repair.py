"""A damaged state directory: what a look at it finds, and what mending it loses."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from canister_factory.replica.store.files import Files
from canister_factory.replica.store.inspection import Inspection, Inspector
from canister_factory.replica.store.repair import put_aside, repair
from canister_factory.replica.subnet.durability import CheckpointError
from support.faulty_files import FaultyFiles, failing
from support.replica_bench import Bench
from support.snapshot_calls import load, take
from support.store_history import contents, opener

FILES = Files(power=False)


class Place:
    """A state directory with two canisters, counted to 2 in a snapshot and to 3 after it, and its journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        bench = Bench(opener(path, files=FILES))
        self.first, self.second = bench.puppet(), bench.puppet()
        for canister in (self.first, self.second):
            bench.call(canister, "count")
            bench.call(canister, "count")
            bench.call(canister, "remember", b"kept")
        bench.subnet.close()
        bench = Bench(opener(path, files=FILES))
        for canister in (self.first, self.second):
            bench.subnet.persist()
            bench._requests += 1000
            bench.call(canister, "count")
        bench.subnet.persist()
        self.contents = contents(bench.subnet)

    def file(self, pattern: str) -> Path:
        (found,) = self.path.glob(pattern)
        return found

    def damage(self, pattern: str, at: int = 100) -> Path:
        path = self.file(pattern)
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
        return path

    def inspect(self) -> Inspection:
        return Inspector(self.path, FILES).inspect()

    def mend(self) -> Path:
        """Mends it; the directory with what was put aside."""
        inspection = self.inspect()
        aside = put_aside(self.path, FILES, inspection)
        repair(self.path, FILES, inspection)
        assert self.inspect().damages == []
        return aside

    def start(self) -> Bench:
        bench = Bench(opener(self.path, files=FILES))
        bench._requests = 5000
        return bench


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def found(inspection: Inspection) -> list[tuple[str, str]]:
    return [(damage.name, damage.damage) for damage in inspection.damages]


def test_a_look_at_a_whole_state_reads_all_and_changes_nothing(place: Place) -> None:
    before = {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()}
    inspection = place.inspect()
    assert inspection.damages == []
    assert inspection.journal is not None
    assert inspection.journal.records == 4
    assert inspection.files == len(before)
    assert {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()} == before


def test_a_directory_without_a_state_is_empty(tmp_path: Path) -> None:
    assert Inspector(tmp_path, FILES).inspect().is_empty


def test_changes_that_are_not_in_the_images_yet_are_looked_through(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = place.start()
    images = bench.subnet._checkpoint._directory.images  # type: ignore[union-attr]

    def die(*_: object, **__: object) -> None:
        raise OSError(5, "no more")

    monkeypatch.setattr(images, "settle", die)
    kept = contents(bench.subnet)
    bench.subnet.close()
    changes = place.file("changes-*")
    assert place.inspect().damages == []
    whole = changes.read_bytes()
    changes.write_bytes(b"?" + whole[1:])
    inspection = place.inspect()
    assert found(inspection)[0] == (changes.name, "is damaged, or belongs to another state")
    assert inspection.lost_canisters == {place.first, place.second}
    changes.write_bytes(whole)
    assert contents(place.start().subnet) == kept


def test_several_damages_are_all_told(place: Place) -> None:
    image = place.damage(f"images/{place.first.hex()}-main-*", 0)
    module = place.damage("modules/*")
    journal = place.file("journal-*")
    journal.unlink()
    inspection = place.inspect()
    assert found(inspection) == [
        (f"images/{image.name}", "is damaged at byte 0"),
        (f"modules/{module.name}", "is damaged"),
        (journal.name, "is missing"),
    ]
    assert inspection.can_be_mended


def test_a_journal_that_is_damaged_in_the_middle_is_mended_up_to_there(place: Place) -> None:
    journal = place.file("journal-*")
    content = bytearray(journal.read_bytes())
    third = [at for at in range(len(content)) if content.startswith(b"\xa9rec", at)][3]
    content[third + 50] ^= 1
    journal.write_bytes(content)
    (damage,) = place.inspect().damages
    assert damage.name == journal.name
    assert damage.loss == "what was answered after record 2, at least 2 records"
    aside = place.mend()
    assert (aside / journal.name).read_bytes() == content
    bench = place.start()
    assert (bench.count(place.first), bench.count(place.second)) == (3, 2)
    assert bench.call(place.second, "count") == b"\x03\0\0\0"


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_without_a_journal_the_snapshot_is_left(place: Place, content: bytes | None) -> None:
    journal = place.file("journal-*")
    journal.unlink() if content is None else journal.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(journal)):
        place.start()
    place.mend()
    bench = place.start()
    assert (bench.count(place.first), bench.count(place.second)) == (2, 2)


@pytest.mark.parametrize("kind", ["main", "stable"])
def test_a_canister_with_a_damaged_memory_is_emptied_and_the_others_stay(place: Place, kind: str) -> None:
    image = place.damage(f"images/{place.first.hex()}-{kind}-*", 0)
    damaged = image.read_bytes()
    (damage,) = place.inspect().damages
    assert "code and memories of" in str(damage.loss)
    aside = place.mend()
    assert (aside / f"images-{image.name}").read_bytes() == damaged
    bench = place.start()
    assert bench.canister(place.first).module is None
    assert (bench.count(place.second), bench.query(place.second, "recall")[:4]) == (2, b"kept")
    bench.install(place.first)
    assert bench.count(place.first) == 0


@pytest.mark.parametrize("kind", ["main", "stable"])
def test_a_canister_snapshot_that_is_damaged_is_deleted_and_its_canister_stays(place: Place, kind: str) -> None:
    bench = place.start()
    taken = [take(bench, place.first), take(bench, place.first)]
    bench.subnet.close()
    place.damage(f"images/{taken[0].hex()}-{kind}-*", 0)
    (damage,) = place.inspect().damages
    assert str(damage.loss).startswith(f"snapshot {taken[0].hex()} of ")
    place.mend()
    bench = place.start()
    assert list(bench.canister(place.first).snapshots) == taken[1:]
    assert bench.count(place.first) == 3
    load(bench, place.first, taken[1])


def test_all_canisters_of_a_lost_module_are_emptied(place: Place) -> None:
    place.file("modules/*").unlink()
    place.mend()
    bench = place.start()
    assert [canister.module for canister in bench.subnet.canisters.values()] == [None, None]


@pytest.mark.parametrize("content", [None, b"", b"{}\nsomething"])
def test_a_lost_manifest_is_made_again_of_the_state(place: Place, content: bytes | None) -> None:
    manifest = place.file("manifest")
    manifest.unlink() if content is None else manifest.write_bytes(content)
    (damage,) = place.inspect().damages
    assert damage.loss == "what came after snapshot 2, if there was a later one"
    place.mend()
    assert contents(place.start().subnet) == place.contents


def test_a_damaged_state_can_not_be_mended(place: Place) -> None:
    state = place.damage("state-*")
    inspection = place.inspect()
    assert not inspection.can_be_mended
    assert [damage.loss for damage in inspection.damages] == [None]
    state.unlink()
    place.file("manifest").unlink()
    assert not place.inspect().can_be_mended


def test_another_repair_puts_its_files_into_a_directory_of_its_own(place: Place) -> None:
    for number in (1, 2):
        place.file("journal-*").unlink()
        assert place.mend() == place.path / f"damaged-{number}"
    shutil.rmtree(place.path / "damaged-1")
    assert place.inspect().damages == []


def test_a_repair_after_an_earlier_copy_was_deleted_overwrites_none(place: Place) -> None:
    for _ in range(2):
        place.file("journal-*").unlink()
        aside = place.mend()
    kept = {path: path.read_bytes() for path in aside.iterdir()}
    shutil.rmtree(place.path / "damaged-1")
    place.damage(f"images/{place.first.hex()}-main-*", 0)
    assert place.mend() == place.path / "damaged-1"
    assert {path: path.read_bytes() for path in aside.iterdir()} == kept


def test_holes_of_a_lost_memory_stay_holes_beside_it(place: Place) -> None:
    image = place.damage(f"images/{place.first.hex()}-stable-*", 0)
    before = image.stat()
    with image.open("r+b") as file:
        file.truncate(before.st_size + (1 << 30))
    put_aside(place.path, FILES, place.inspect())
    copy = (place.path / "damaged-1" / f"images-{image.name}").stat()
    assert copy.st_size == before.st_size + (1 << 30)
    assert copy.st_blocks * 512 < before.st_size + (2 << 20)


def test_a_repair_that_finds_no_room_leaves_nothing(place: Place) -> None:
    place.damage(f"images/{place.first.hex()}-main-*", 0)
    before = {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()}
    files = FaultyFiles(at=4, count=1 << 30, fault=failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left on device"):
        put_aside(place.path, files, place.inspect())
    assert {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()} == before
    assert not (place.path / "damaged-1").exists()


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_what_became_of_requests_is_lost_with_its_file_and_nothing_else(place: Place, how: str) -> None:
    known = len(place.start().subnet.request_statuses)
    file = place.file("statuses-*")
    if how == "damaged":
        place.damage("statuses-*")
    else:
        file.unlink()
    with pytest.raises(CheckpointError, match=rf"{file.name} is (damaged|missing).*Nothing was deleted.*repair"):
        place.start()
    inspection = place.inspect()
    (damage,) = inspection.damages
    assert damage.name == file.name
    assert damage.loss == "what became of some earlier requests; and all that was answered since the last snapshot"
    place.mend()
    bench = place.start()
    assert len(bench.subnet.request_statuses) < known
    assert [bench.count(canister) for canister in (place.first, place.second)] == [2, 2]
    assert bench.query(place.first, "recall").startswith(b"kept")
    assert bench.call(place.first, "count") == b"\3\0\0\0"


def test_a_message_whose_status_was_lost_is_executed_all_the_same(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=FILES))
    canister = bench.puppet()
    request = bench.submit(canister, "count")
    bench.subnet.close()
    (file,) = tmp_path.glob("statuses-*")
    file.unlink()
    inspection = Inspector(tmp_path, FILES).inspect()
    put_aside(tmp_path, FILES, inspection)
    repair(tmp_path, FILES, inspection)
    bench = Bench(opener(tmp_path, files=FILES))
    bench.run()
    assert bench.count(canister) == 1
    assert bench.subnet.request_statuses[request].is_final
