"""The place of compiled modules: for this user alone, bounded, and never in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from canister_factory.replica.node.compiled_modules import DIRECTORY_VARIABLE, compiled_modules_directory
from canister_factory.replica.runtime.engine import Engine
from support.replica_puppet import puppet

DAY = 86_400


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "caches" / "compiled"))
    return tmp_path / "caches" / "compiled"


def test_it_is_made_for_this_user_alone(place: Path) -> None:
    assert compiled_modules_directory() == place
    assert place.stat().st_mode & 0o777 == 0o700
    assert compiled_modules_directory() == place


def test_without_a_choice_it_is_where_caches_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert compiled_modules_directory() == tmp_path / "xdg" / "canister-factory" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compiled_modules_directory() == tmp_path / ".cache" / "canister-factory" / "compiled"


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_where_others_can_write_nothing_is_kept(place: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    place.mkdir(parents=True)
    place.chmod(mode)
    assert compiled_modules_directory() is None
    assert f"{place} belongs to others, or others can write to it" in caplog.text


def test_where_nothing_can_be_made_nothing_is_kept(place: Path) -> None:
    place.parent.write_text("a file")
    assert compiled_modules_directory() is None


def test_what_was_not_used_for_a_month_and_the_oldest_of_too_many_are_deleted(place: Path) -> None:
    place.mkdir(parents=True)
    for number in range(70):
        path = place / f"{number}.cwasm"
        path.touch()
        os.utime(path, (0, time.time() - number * 60))
    (place / "old.cwasm").touch()
    os.utime(place / "old.cwasm", (0, time.time() - 31 * DAY))
    os.utime(place / "5.cwasm", (0, time.time() - 31 * DAY))
    compiled_modules_directory()
    assert {path.stem for path in place.iterdir()} == {str(number) for number in range(65) if number != 5}


def test_files_of_a_person_who_chose_their_directory_stay(place: Path) -> None:
    place.mkdir(parents=True)
    for name in ("diary.txt", *map(str, range(70))):
        (place / name).touch()
        os.utime(place / name, (0, time.time() - 400 * DAY))
    (place / "photos").mkdir()
    compiled_modules_directory()
    assert len(list(place.iterdir())) == 72


def test_an_engine_marks_what_it_uses(place: Path) -> None:
    module = puppet()
    Engine(compiled_modules_directory()).compile(module)
    (kept,) = place.glob("*.cwasm")
    os.utime(kept, (0, time.time() - 29 * DAY))
    Engine(compiled_modules_directory()).compile(module)
    assert kept.stat().st_mtime > time.time() - DAY
