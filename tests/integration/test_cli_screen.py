"""What a person sees on a real terminal: rendered screens of 120, 80 and 60 columns."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from support.creation_world import World
from support.terminal_screen import Seen, on_terminal

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")

CANISTER = r"[a-z2-7]{5}(-[a-z2-7]{5}){3}-cai"
SHORT = r"[a-z2-7]{5}-…-[a-z2-7]{3}"
PERSON = r"[a-z2-7]{5}(-[a-z2-7]{5}){9}-[a-z2-7]{3}"
HASH = r"[0-9a-f]{8}…[0-9a-f]{8}"
CYCLES = r"[\d.]+ T \([\d,]+\)"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
TOOK = r"[\d.]+ s, [\d.]+ [kM]B/s"

WHOLE_DEMO = rf"""
2 files, 30\.0 MB, from \S+
embedded replica at http://127\.0\.0\.1:\d+
backend {CANISTER}, admin {SHORT}, operator {SHORT}
approved release {HASH}
reserve: {CYCLES} available, topped up to {CYCLES}; this creation needs {CYCLES}
storing the files as memories: 30\.0 MB in {TOOK}
owner {SHORT}: 2 memories, a gallery, two connections and a group
create_personal_canister: Requested; waiting for a worker\.
Exporting: 2 memories, 30,000,\d\d\d bytes, revision \d+
created {CANISTER} with {CYCLES} cycles, controllers {SHORT}, {SHORT}
Creating: {CANISTER}
Installing: module and API version are right
Importing: 2 memories, 30,000,\d\d\d bytes
verified: both canisters have the manifest {HASH} \(certified\)
handed over: the only controller is {SHORT}
Verifying: both sides are equal, the owner alone controls the canister
Completed: done
creating the personal canister: 30\.0 MB in {TOOK}
reading everything back as the owner: 30\.0 MB in {TOOK}
Personal canister
status Completed
canister {CANISTER}
controllers before operator {SHORT}, owner {SHORT}
controllers after owner {SHORT} \(certified\)
module hash {HASH} \(certified\)
memories 2, 30\.0 MB, read back by the owner: every byte equal
memory size \d\d\.\d MB
source manifest {HASH}
target manifest {HASH} \(certified\)
cycles consumed {CYCLES}
paid until {TIME}
reserve {CYCLES} before, {CYCLES} after
copying {TOOK}
creation [\d.]+ s
whole demo [\d.]+ s
The 2 files of owner {SHORT} are on canister {CANISTER}, which they alone control, paid until {TIME}\."""


@pytest.fixture(scope="module")
def memories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that each bar is drawn for a while."""
    directory = tmp_path_factory.mktemp("memories")
    (directory / "film.mp4").write_bytes(os.urandom(30_000_000))
    (directory / "note.txt").write_text("a note")
    return directory


def clean(seen: Seen) -> bool:
    """Whether nothing of a bar is left, and the cursor is there."""
    return seen.cursor_is_shown and not re.search("[━╸╺]|MB of", seen.text)


@pytest.mark.parametrize("columns", [120, 80, 60])
def test_the_demo_leaves_whole_lines_and_nothing_of_its_bars(memories: Path, columns: int) -> None:
    seen = on_terminal(["demo", str(memories)], columns=columns)
    assert seen.code == 0, seen.text
    assert clean(seen)
    # However lines are wrapped: this and nothing else is on the screen, so none is torn, doubled or drawn over.
    assert re.fullmatch(" ".join(WHOLE_DEMO.split("\n")[1:]), " ".join(seen.text.split())), seen.text
    bar = "━.*MB of 30.0 MB" if columns >= 80 else "MB of 30.0 MB"
    drawn = [line for frame in seen.frames for line in frame if re.search(bar, line)]
    for what in ("storing the files as memories", "creating the personal canister"):
        assert any(line.startswith(what) for line in drawn), "no bar was drawn"


@pytest.mark.parametrize("columns", [120, 80])
def test_with_full_each_id_stands_whole_on_its_line(columns: int) -> None:
    seen = on_terminal(["demo", "--full"], columns=columns)
    assert seen.code == 0, seen.text
    assert "…" not in seen.text
    ids = [match[0] for line in seen.lines for match in re.finditer(r"(?:\b[a-z2-7]{5}-)+[a-z2-7-]*", line)]
    assert [one for one in ids if not re.fullmatch(f"{CANISTER}|{PERSON}", one)] == []
    assert len([one for one in ids if len(one) == 63]) >= 10
    digits = [match[0] for line in seen.lines for match in re.finditer(r"\b[0-9a-f]{16,}\b", line)]
    assert {len(one) for one in digits} == {64}


# --- Commands on a network that runs --------------------------------------------------------------------------------


def on_network(world: World, *command: str) -> list[str]:
    return [*command, "--network", world.network.url, "--root-key", world.network.root_key.hex()]


def torn_ids(seen: Seen) -> list[str]:
    """What looks like an id and isn't a whole canister's or a short one: a piece of one that was wrapped or cut."""
    pieces = [
        match[0] for line in seen.lines for match in re.finditer(r"\b[a-z2-7]{5}-[a-z2-7…-]*|-[a-z2-7]{3}\b", line)
    ]
    known = {*re.findall(r"[a-z]+-[a-z]+", "canister-factory read-only")}
    return [piece for piece in pieces if not re.fullmatch(f"{CANISTER}|{SHORT}|{PERSON}", piece) and piece not in known]


@pytest.mark.parametrize("columns", [80, 60])
async def test_a_run_and_what_can_be_asked_about_it_are_readable(
    operator: World, preloaded: Path, tmp_path: Path, columns: int
) -> None:
    owner = ["--identity", str(tmp_path / "owner.pem")]
    whom = str(operator.owner_id)
    short = f"{whom[:5]}-…-{whom[-3:]}"
    seen = {
        name: on_terminal(on_network(operator, *command), columns=columns, command=[str(preloaded)])
        for name, command in {
            "run": ["run", whom],
            "list": ["list"],
            "overview": ["admin", "status", "--identity", str(tmp_path / "admin.pem")],
            "registry": ["admin", "registry"],
            "reserve": ["reserve", "status"],
            "consumption": ["reserve", "consumption"],
            "status": ["status", *owner],
            "verify": ["verify", whom, *owner],
            "doctor": ["doctor"],
        }.items()
    }
    for name, screen in seen.items():
        assert screen.code == 0, (name, screen.text)
        assert clean(screen)
        assert torn_ids(screen) == [], (name, screen.text)
    canister = next(line.split()[1] for line in seen["status"].lines if line.startswith("canister "))
    assert re.fullmatch(CANISTER, canister)
    for name in ("run", "list", "registry", "consumption", "status", "verify"):
        assert canister in seen[name].text, name
        assert short in seen[name].text, name
    assert [line for line in seen["run"].lines if line.startswith("handed over:")] == [
        f"handed over: the only controller is {short}"
    ]
    # A row that fits is a line, one that doesn't is a list.
    row = rf"{short}  Completed  {canister}  {CYCLES}"
    as_list = (
        rf"owner            {short}\nstatus           Completed\ncanister         {canister}\ncycles consumed  {CYCLES}"
    )
    assert re.search(row if columns >= 80 else as_list, seen["list"].text), seen["list"].text


async def test_a_worker_names_owners_in_short(operator: World) -> None:
    seen = on_terminal(on_network(operator, "worker", "--once"), columns=60)
    assert seen.code == 0, seen.text
    assert clean(seen)
    assert torn_ids(seen) == []
    whom = str(operator.owner_id)
    assert f"{whom[:5]}-…-{whom[-3:]}: claimed at Exporting" in seen.lines
    assert seen.lines[-1] == "1 completed, 0 failed"


async def test_an_error_is_wrapped_between_words(operator: World) -> None:
    seen = on_terminal(on_network(operator, "cleanup", str(operator.operator_id)), columns=80)
    assert seen.code == 1
    assert seen.lines[0].startswith("error: ")
    assert torn_ids(seen) == [], seen.text
    wrong = on_terminal(on_network(operator, "admin", "nonsense"), columns=60)
    assert wrong.code == 2
    assert "error: No such command 'nonsense'." in wrong.text
    assert clean(wrong)


async def test_what_a_change_ends_with_is_wrapped_between_words(operator: World, tmp_path: Path) -> None:
    disable = on_network(operator, "admin", "disable", "--identity", str(tmp_path / "admin.pem"))
    seen = on_terminal(disable, columns=60)
    assert seen.lines == [
        "The backend refuses requests, and uses no cycles of the",
        "reserve. Creations in progress continue after 'admin",
        "enable'.",
    ]


def test_a_replica_starts_and_ends_on_a_terminal(tmp_path: Path) -> None:
    seen = on_terminal(
        ["replica", "start", "--port", "0", "--state-dir", str(tmp_path / "state")],
        columns=60,
        when=lambda text: "root key" in text and str(tmp_path / "state") in text.replace("\n", ""),
        environment={"CANISTER_FACTORY_HOME": str(tmp_path / "home")},
    )
    assert seen.code == 0, seen.text
    assert clean(seen)
    notice = [
        "The embedded replica is for development and tests. It",
        "listens on this machine only, and has its own root key.",
    ]
    assert seen.lines[:2] == notice
    assert not (tmp_path / "state" / "replica.json").exists()
