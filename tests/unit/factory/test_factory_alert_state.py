"""The file that remembers what was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.factory.alert_state import AlertState, Sent
from canister_factory.factory.errors import AlertStateError
from support.backend_script import BACKEND, OWNER


def test_what_was_sent_is_there_after_a_restart_for_each_backend(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = AlertState(path)
    assert state.last(BACKEND) is None
    state.remember(BACKEND, Sent(id=3, at=30))
    state.remember(OWNER, Sent(id=1, at=10))
    state.remember(BACKEND, Sent(id=4, at=40))
    again = AlertState(path)
    assert (again.last(BACKEND), again.last(OWNER)) == (Sent(id=4, at=40), Sent(id=1, at=10))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"backends": {"x": {"id": -1, "at": 0}}}', "\0"])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(AlertStateError, match="can't be read: it holds something else"):
        AlertState(path)
    assert path.read_text() == content


def test_a_folder_that_is_not_there_is_named_and_what_was_said_before_stands(tmp_path: Path) -> None:
    state = AlertState(tmp_path / "gone" / "state.json")
    with pytest.raises(AlertStateError, match="can't be written: No such file or directory"):
        state.remember(BACKEND, Sent(id=1, at=1))
    assert state.last(BACKEND) is None
