"""Export, import and mending of a state directory."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import IO

import pytest

from canister_factory.replica.node import maintenance
from canister_factory.replica.node.maintenance import MaintenanceError
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.node.state_lock import StateDirectoryError, acquire
from canister_factory.replica.store.files import Files
from canister_factory.replica.subnet.durability import CheckpointError
from support.replica_bench import Bench
from support.store_history import contents, opener


def ignore(count: int) -> None:
    """Nobody watches."""


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, bytes]:
    """An export of a network with a canister, some of it in the journal only; and its contents."""
    server = ReplicaServer(tmp_path / "state", power=False)
    server.subnet.close()
    server.release()
    bench = Bench(opener(tmp_path / "state", files=Files(power=False)))
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.call(canister, "remember", b"exported")
    bench.subnet.persist()
    maintenance.export(tmp_path / "state", tmp_path / "file", ignore)
    return tmp_path / "file", contents(bench.subnet)


def test_an_export_is_the_same_network_elsewhere(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    file, before = exported
    assert file.stat().st_mode & 0o777 == 0o600
    inspection = maintenance.import_(file, tmp_path / "below" / "other", ignore)
    assert inspection.damages == []
    other = Bench(opener(tmp_path / "below" / "other", files=Files(power=False)))
    assert contents(other.subnet) == before
    assert (tmp_path / "below" / "other" / "keys.json").read_bytes() == (tmp_path / "state" / "keys.json").read_bytes()


def test_there_is_no_compiled_code_in_an_export(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    maintenance.import_(exported[0], tmp_path / "other", ignore)
    contents_of_files = [path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()]
    assert any(content.startswith(b"\0asm") for content in contents_of_files)
    assert not any(b"\x7fELF" in content for content in contents_of_files), "the form of compiled modules"


def test_an_export_depends_on_no_execution_however_much_there_is_to_save(
    tmp_path: Path, exported: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(opener(tmp_path / "state", files=Files(power=False)))
    bench._requests = 1000
    bench.call(next(iter(bench.subnet.canisters)), "count")
    bench.subnet.persist()
    monkeypatch.setattr("canister_factory.replica.store.checkpoint._unsaved_bytes", lambda state: 1 << 40)
    maintenance.export(tmp_path / "state", tmp_path / "more", ignore)
    inspection = maintenance.import_(tmp_path / "more", tmp_path / "other", ignore)
    assert inspection.journal is not None
    assert inspection.journal.records == 0


def test_a_damaged_export_is_refused_and_leaves_nothing(
    tmp_path: Path, exported: tuple[Path, bytes], sweep: bool
) -> None:
    content = exported[0].read_bytes()
    chance = random.Random(1)
    for at in range(len(content)) if sweep else [0, len(content) - 1, *chance.sample(range(len(content)), 20)]:
        exported[0].write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(MaintenanceError, match="nothing was imported"):
            maintenance.import_(exported[0], tmp_path / "other", ignore)
        exported[0].write_bytes(content[:at])
        with pytest.raises(MaintenanceError, match="nothing was imported"):
            maintenance.import_(exported[0], tmp_path / "other", ignore)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "state"]


def test_an_import_replaces_nothing(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    with pytest.raises(MaintenanceError, match=r"state isn't empty.*--state-dir"):
        maintenance.import_(exported[0], tmp_path / "state", ignore)
    (tmp_path / "empty").mkdir()
    maintenance.import_(exported[0], tmp_path / "empty", ignore)
    assert (tmp_path / "empty" / "manifest").exists()


def test_a_replica_that_begins_during_an_import_keeps_its_directory(
    tmp_path: Path, exported: tuple[Path, bytes]
) -> None:
    locks: list[IO[str]] = []

    def start(count: int) -> None:
        if not locks:
            locks.append(acquire(tmp_path / "other"))

    with pytest.raises(StateDirectoryError, match="is used by another replica"):
        maintenance.import_(exported[0], tmp_path / "other", start)
    assert (tmp_path / "other" / "lock").stat().st_ino == os.fstat(locks[0].fileno()).st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other", "state"]
    locks[0].close()


def test_an_import_goes_where_a_link_leads_to(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    (tmp_path / "disk" / "empty").mkdir(parents=True)
    (tmp_path / "other").symlink_to(tmp_path / "disk" / "empty")
    maintenance.import_(exported[0], tmp_path / "other", ignore)
    assert (tmp_path / "disk" / "empty" / "manifest").exists()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["empty"]


def test_an_export_of_a_damaged_state_is_refused(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    (image,) = (tmp_path / "state" / "images").glob("*-main-*")
    image.write_bytes(b"")
    with pytest.raises(CheckpointError, match=image.name):
        maintenance.export(tmp_path / "state", tmp_path / "again", ignore)
    assert not (tmp_path / "again").exists()


def test_an_export_replaces_its_own_file_only(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    beside = tmp_path / "file.new"
    beside.write_text("a person's")
    maintenance.export(tmp_path / "state", exported[0], ignore)
    assert beside.read_text() == "a person's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "file.new", "state"]


@pytest.mark.parametrize("name", ["manifest", "keys.json", "other"])
def test_an_export_into_the_state_itself_is_refused(tmp_path: Path, exported: tuple[Path, bytes], name: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state")
    before = {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
    with pytest.raises(MaintenanceError, match="is within the state directory"):
        maintenance.export(tmp_path / "state", tmp_path / "link" / name, ignore)
    assert {path: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()} == before


def test_an_export_does_not_take_the_place_of_a_device(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    os.mkfifo(tmp_path / "device")
    with pytest.raises(MaintenanceError, match="is no file that can be replaced"):
        maintenance.export(tmp_path / "state", tmp_path / "device", ignore)
    assert (tmp_path / "device").is_fifo()


def test_a_directory_without_a_state_stays_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir(mode=0o755)
    (notes / "lock").write_text("a person's")
    (notes / "images").mkdir(mode=0o755)
    with pytest.raises(StateDirectoryError, match="there is no state in"), maintenance.held(notes):
        pass
    with pytest.raises(StateDirectoryError, match="there is no state in"):
        maintenance.export(notes, tmp_path / "file", ignore)
    assert [path.stat().st_mode & 0o777 for path in (notes, notes / "images")] == [0o755, 0o755]
    assert sorted(path.name for path in notes.iterdir()) == ["images", "lock"]
    assert (notes / "lock").read_text() == "a person's"
    (notes / "creating").touch()
    with pytest.raises(StateDirectoryError, match="there is no state in"):
        maintenance.export(notes, tmp_path / "file", ignore)
    assert not (tmp_path / "file").exists()


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    server = ReplicaServer(tmp_path / "state", power=False)
    with pytest.raises(StateDirectoryError, match="is used by another replica"), maintenance.held(tmp_path / "state"):
        pass
    with pytest.raises(StateDirectoryError, match="there is no state directory"), maintenance.held(tmp_path / "none"):
        pass
    server.subnet.close()
    server.release()
    assert not (tmp_path / "none").exists()


def test_an_error_of_who_holds_a_directory_is_not_said_of_the_directory(exported: tuple[Path, bytes]) -> None:
    """Such as that of a terminal that was closed."""
    with pytest.raises(BrokenPipeError), maintenance.held(exported[0].with_name("state")):
        raise BrokenPipeError


def test_lost_keys_are_made_anew(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    (tmp_path / "state" / "keys.json").unlink()
    with maintenance.held(tmp_path / "state"):
        inspection = maintenance.check(tmp_path / "state", ignore)
        (damage,) = inspection.damages
        assert "new root key" in str(damage.loss)
        maintenance.mend(tmp_path / "state", inspection)
        assert maintenance.check(tmp_path / "state", ignore).damages == []
    assert contents(Bench(opener(tmp_path / "state", files=Files(power=False))).subnet) == exported[1]


def test_what_can_not_be_mended_is_left_alone(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    (state,) = (tmp_path / "state").glob("state-*")
    state.write_bytes(b"")
    with maintenance.held(tmp_path / "state"):
        inspection = maintenance.check(tmp_path / "state", ignore)
        with pytest.raises(MaintenanceError, match="can't be mended"):
            maintenance.mend(tmp_path / "state", inspection)
    assert not (tmp_path / "state" / "damaged-1").exists()
