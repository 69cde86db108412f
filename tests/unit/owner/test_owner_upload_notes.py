"""Notes of uploads: kept from one run to the next, about one file as it was, and without its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.owner.errors import AddError
from canister_factory.owner.upload_notes import UploadNotes

FILM = Path("/home/me/film.mp4")


def test_an_upload_is_known_in_the_next_run_until_it_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    UploadNotes(file).begun(FILM, 5, 7, 11)
    assert "film" not in file.read_text()
    later = UploadNotes(file)
    assert later.get(FILM, 5, 7) == 11
    assert {later.get(FILM, 6, 7), later.get(FILM, 5, 8), later.get(Path("/home/me/other"), 5, 7)} == {None}
    later.ended(FILM, 5, 7)
    assert UploadNotes(file).get(FILM, 5, 7) is None


def test_the_notes_of_a_canister_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    one, other = Principal(b"\1"), Principal(b"\2")
    UploadNotes.about(one).begun(FILM, 5, 7, 11)
    assert (UploadNotes.about(one).get(FILM, 5, 7), UploadNotes.about(other).get(FILM, 5, 7)) == (11, None)
    assert (tmp_path / "home" / "uploads").stat().st_mode & 0o777 == 0o700


def test_the_oldest_notes_make_room(tmp_path: Path) -> None:
    notes = UploadNotes(tmp_path / "notes.json")
    for number in range(250):
        notes.begun(FILM, number, 0, number)
    kept = UploadNotes(tmp_path / "notes.json")
    assert [number for number in range(250) if kept.get(FILM, number, 0) is not None] == list(range(50, 250))


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": "b"}', "\0"])
def test_damaged_notes_are_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(content)
    notes = UploadNotes(tmp_path / "notes.json")
    notes.begun(FILM, 5, 7, 11)
    assert UploadNotes(tmp_path / "notes.json").get(FILM, 5, 7) == 11


def test_a_place_that_cant_be_used_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(AddError, match="CANISTER_FACTORY_HOME names another directory"):
        UploadNotes(tmp_path / "home" / "notes.json")
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(AddError, match=r"taken\.json, which notes uploads that have begun, can't be used"):
        UploadNotes(tmp_path / "taken.json")
