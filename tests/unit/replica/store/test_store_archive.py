"""An export that a stranger made, with all checksums right: an import refuses it, and nothing else is touched."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canister_factory.replica.node import maintenance
from canister_factory.replica.node.maintenance import MaintenanceError
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.store.manifest import Seal
from canister_factory.replica.store.snapshot import Snapshot
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.durability import CheckpointError
from support.crafted_exports import entry, extended_header, pack, rewrite, seal, sign
from support.store_history import make_state

PRECIOUS = b"precious" * 100


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory with one canister, beside a file that must stay as it is."""
    (tmp_path / "notes").write_bytes(PRECIOUS)
    directory = tmp_path / "state"
    make_state(directory)
    yield directory
    assert (tmp_path / "notes").read_bytes() == PRECIOUS


def refused(state: Path, *extra: tuple[tarfile.TarInfo, bytes]) -> str:
    """What an import says of the packed directory."""
    file, target = state.parent / "file", state.parent / "imported"
    pack(state, file, extra)
    before = sorted(state.parent.iterdir())
    with pytest.raises(MaintenanceError, match="nothing was imported") as raised:
        maintenance.import_(file, target, lambda count: None)
    assert sorted(state.parent.iterdir()) == before
    return str(raised.value)


@pytest.mark.parametrize("where", ["../../notes", "{parent}/notes", "..", "00-main-1"])
def test_changes_for_a_file_that_is_no_image_are_refused(state: Path, where: str) -> None:
    name = where.format(parent=state.parent)

    def change(snapshot: Snapshot) -> Snapshot:
        number = snapshot.manifest.generation
        (state / f"changes-{number}").write_bytes(b"overwritten")
        manifest = replace(snapshot.manifest, changes=Seal.of(b"overwritten"))
        return replace(snapshot, manifest=manifest, change_runs=[(name, 0, 11)])

    rewrite(state, change)
    assert "state-" in refused(state)
    with pytest.raises(CheckpointError, match="can't be trusted"):
        ReplicaServer(state, power=False)


@pytest.mark.parametrize("name", ["..", ".", "../notes", "a\0b", "notes", ""])
def test_an_image_with_another_name_is_refused(state: Path, name: str) -> None:
    def change(snapshot: Snapshot) -> Snapshot:
        canisters = {
            id_: replace(stored, main=replace(stored.main, name=name)) for id_, stored in snapshot.canisters.items()
        }
        return replace(snapshot, canisters=canisters)

    rewrite(state, change)
    assert "state-" in refused(state)


@pytest.mark.parametrize("what", ["no state", "no canisters"])
def test_a_state_of_something_else_is_refused(state: Path, what: str) -> None:
    def change(snapshot: Snapshot) -> Snapshot:
        if what == "no canisters":
            return replace(snapshot, canisters={})
        return replace(snapshot, state=encode_state((1, 2)))

    rewrite(state, change)
    file = state.parent / "file"
    pack(state, file)
    for use in (lambda: maintenance.import_(file, state.parent / "imported", repr), lambda: ReplicaServer(state)):
        with pytest.raises(CheckpointError, match="isn't the state of a subnet with these canisters"):
            use()
    assert not (state.parent / "imported").exists()


@pytest.mark.parametrize("change", [{"salt": "zz"}, {"keys": [1]}, {"generation": "x"}, {"generation": 0}, {"more": 1}])
def test_a_manifest_that_says_nothing_sensible_is_refused(state: Path, change: dict[str, object]) -> None:
    fields = json.loads((state / "manifest").read_bytes().partition(b"\n")[0])
    sign(state, json.dumps(fields | change).encode() + b"\n")
    assert "manifest can't be read" in refused(state)


@pytest.mark.parametrize("line", [b"[]\n", b"1\n", b"{\n"])
def test_a_manifest_of_another_form_is_refused(state: Path, line: bytes) -> None:
    sign(state, line)
    assert "manifest can't be read" in refused(state)


@pytest.mark.parametrize(
    "extra",
    [
        entry("/manifest"),
        entry("../notes"),
        entry("images/.."),
        entry("images/../../../notes"),
        entry("images/notes"),
        entry("images/00-main-1/00-main-1"),
        entry("modules/../notes"),
        entry("images"),
        entry("notes"),
        entry("lock"),
        entry("images/00-main-9", b"", tarfile.SYMTYPE),
        entry("images/00-main-9", b"", tarfile.LNKTYPE),
        entry("images/00-main-9", b"", tarfile.DIRTYPE),
        entry("images/00-main-9", b"", tarfile.FIFOTYPE),
        entry("images/00-main-9", b"", tarfile.CHRTYPE),
    ],
    ids=lambda extra: f"{extra[0].name} {extra[0].type!r}",
)
def test_an_entry_that_is_no_file_of_a_state_is_refused(state: Path, extra: tuple[tarfile.TarInfo, bytes]) -> None:
    assert f"it holds {extra[0].name!r}" in refused(state, extra)


def test_a_name_that_no_file_can_have_is_refused(state: Path) -> None:
    made, content = entry("images/00-main-9")
    made.pax_headers = {"path": "images/00\0-main-9"}
    assert "it holds" in refused(state, (made, content))


def test_a_file_with_holes_that_claims_to_be_endless_is_refused(state: Path) -> None:
    made, content = entry("images/00-main-9")
    made.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,1,1152921504606846976,0"}
    made.pax_headers |= {"GNU.sparse.size": "1152921504606846976", "GNU.sparse.name": made.name}
    assert f"it holds {made.name!r}" in refused(state, (made, content))


@pytest.mark.parametrize(
    "tar",
    [
        extended_header(b"99999999999999999999 path=x\n"),
        extended_header(b"22 GNU.sparse.map=a,b\n") + tarfile.TarInfo("manifest").tobuf(),
        extended_header(b"9 path=x\n") * 2000,
        b"no tar",
        b"",
    ],
    ids=["endless header", "holes that are none", "headers of headers", "text", "nothing"],
)
def test_a_tar_that_can_not_be_read_is_refused(tmp_path: Path, tar: bytes) -> None:
    seal(tar, tmp_path / "file")
    with pytest.raises(MaintenanceError, match="nothing was imported"):
        maintenance.import_(tmp_path / "file", tmp_path / "imported", lambda count: None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
