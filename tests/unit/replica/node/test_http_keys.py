"""Keys: made once, kept private, never shown."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from canister_factory.replica.node.keys import KeyFileError, ReplicaKeys
from canister_factory.replica.node.state_file import ReplicaRecord, read_record, remove_record, write_record


def test_the_keys_of_a_state_directory_stay_the_same(tmp_path: Path) -> None:
    first, second = ReplicaKeys.create(tmp_path), ReplicaKeys.load(tmp_path)
    assert first.root.public_key == second.root.public_key
    assert first.subnet.public_key == second.subnet.public_key
    assert first.node.public_key == second.node.public_key
    assert first.root.public_key != first.subnet.public_key


def test_every_state_directory_has_its_own_root_key(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = ReplicaKeys.create(tmp_path / "a"), ReplicaKeys.create(tmp_path / "b")
    assert one.root.public_key != other.root.public_key


def test_only_the_owner_can_read_the_key_file(tmp_path: Path) -> None:
    ReplicaKeys.create(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    keys = ReplicaKeys.create(tmp_path)
    stored = json.loads((tmp_path / "keys.json").read_text())
    assert len(stored) == 3
    for secret in stored.values():
        assert secret.lstrip("0") not in repr(keys)
        assert str(int(secret, 16)) not in repr(keys)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"root": "00", "subnet": "01", "node": "02"}', "\xff{}"])
def test_a_damaged_key_file_is_reported_and_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content, "latin-1")
    with pytest.raises(KeyFileError, match=r"keys\.json is damaged") as raised:
        ReplicaKeys.load(tmp_path)
    assert raised.value.__cause__ is None
    assert file.read_text("latin-1") == content


def test_a_key_file_that_is_missing_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=rf"{tmp_path}/keys\.json can't be read .*another --state-dir"):
        ReplicaKeys.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_record_of_a_replica_is_read_back_and_only_its_own_is_removed(tmp_path: Path) -> None:
    ours, newer = ReplicaRecord("http://127.0.0.1:1", "aa", 1), ReplicaRecord("http://127.0.0.1:2", "bb", 2)
    write_record(tmp_path, ours)
    assert read_record(tmp_path) == ours
    write_record(tmp_path, newer)
    remove_record(tmp_path, ours)
    assert read_record(tmp_path) == newer
    remove_record(tmp_path, newer)
    assert read_record(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_is_not_ours_to_understand_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "replica.json").write_text('{"url": 1')
    assert read_record(tmp_path) is None
