"""`owner add|ls|get|share|events`: files that go to one's own canister and come back, and who else reads them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from canister_factory.candid.principal import Principal
from canister_factory.cli import main
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.memory_models import (
    BlobKind,
    BlobRef,
    MemoryData,
    MemoryType,
    NewMemory,
)
from canister_factory.ic.agent import Agent
from support.cli_world import Cli
from support.creation_world import inline
from support.small_disk import environment, on_small_disk, shell


class Owned:
    """Commands of an owner whose canister is ready."""

    def __init__(self, cli: Cli, canister_id: Principal) -> None:
        self.cli = cli
        self.canister_id = canister_id

    def run(self, *args: object) -> Any:
        return self.cli.run("owner", "owner", *args, "--canister", self.canister_id, backend=False)

    def ok(self, *args: object) -> Any:
        """The one object that a command prints."""
        return self.cli.ok("owner", "owner", *args, "--canister", self.canister_id, backend=False).json

    def ls(self) -> dict[str, dict[str, Any]]:
        """The memories by their names, as far as these differ."""
        lines = self.cli.ok("owner", "owner", "ls", "--canister", self.canister_id, backend=False).lines
        return {line["name"]: line for line in lines}

    def as_person(self, *args: object) -> str:
        """What a person sees on stdout."""
        words = self.cli.arguments("owner", "owner", *args, "--canister", self.canister_id, backend=False)
        result = CliRunner().invoke(main, [word for word in words if word != "--json"])
        assert result.exit_code == 0, result.output
        return result.stdout

    def store(self, name: str, data: MemoryData) -> str:
        """A memory that no command makes: returns its id."""

        async def work() -> str:
            async with Agent(self.cli.identities["owner"], self.cli.network) as agent:
                return await PersonalClient(agent, self.canister_id).add_memory_to_capsule(
                    data,
                    NewMemory(memory_type=MemoryType.Document, name=name, content_type="text/plain"),
                )

        return asyncio.run(work())


@pytest.fixture
def owned(requested: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owned:
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    canister_id = requested.ok("operator", "run", requested.id("owner")).json["canister_id"]
    return Owned(requested, Principal.from_str(canister_id))


def files(**contents: bytes) -> None:
    for name, content in contents.items():
        path = Path(name.replace("__", "/").replace("_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_files_go_to_the_canister_once_and_come_back_under_their_names(owned: Owned) -> None:
    long = os.urandom(2_500_000)
    files(album__a_jpg=b"picture", album__deep__b_txt=b"note", letter_pdf=long, empty_bin=b"")
    added = owned.ok("add", "album", "letter.pdf", "empty.bin")
    assert {one["name"] for one in added["stored"]} == {"album/a.jpg", "album/deep/b.txt", "letter.pdf", "empty.bin"}
    assert (added["present"], added["bytes"]) == ([], 11 + len(long))
    listed = owned.ls()
    assert {name: (one["memory_type"], int(one["size"])) for name, one in listed.items()} == {
        "album/a.jpg": ("Image", 7),
        "album/deep/b.txt": ("Note", 4),
        "letter.pdf": ("Document", len(long)),
        "empty.bin": ("Document", 0),
    }
    assert {str(one["access"]) for one in listed.values()} == {str({"Private": None})}

    again = owned.ok("add", "album", "letter.pdf", "empty.bin", "letter.pdf")
    assert (again["stored"], len(again["present"]), again["bytes"]) == ([], 5, 0)
    files(letter_pdf=b"another one")
    changed = owned.ok("add", "letter.pdf")["stored"]
    assert [one["name"] for one in changed] == ["letter.pdf"]

    for name in ("album/a.jpg", listed["album/deep/b.txt"]["id"]):
        owned.ok("get", name)
    assert (Path("a.jpg").read_bytes(), Path("b.txt").read_bytes()) == (b"picture", b"note")
    got = owned.ok("get", listed["letter.pdf"]["id"], "-o", "back.pdf")
    assert Path("back.pdf").read_bytes() == long
    assert (got["was_there"], got["size"]) == (False, len(long))
    assert owned.ok("get", listed["letter.pdf"]["id"], "-o", "back.pdf")["was_there"] is True
    assert "no memory has the id or the name 'back.pdf'".replace("'", "") in owned.run("get", "back.pdf").error
    assert sorted(os.listdir()) == ["a.jpg", "album", "b.txt", "back.pdf", "empty.bin", "letter.pdf"]


def test_what_is_stored_twice_is_asked_for_by_its_id(owned: Owned) -> None:
    files(a_txt=b"same", b__a_txt=b"same")
    assert len(owned.ok("add", "a.txt", "b/a.txt")["stored"]) == 1  # both are named a.txt, and have the same bytes
    (second,) = owned.ok("add", "a.txt", "--again")["stored"]
    told = owned.run("get", "a.txt", "-o", "x").error
    assert told.startswith("2 memories have the name a.txt; give an id: mem-")
    assert second["id"] in told
    assert "2 memories have the name" in owned.run("share", "a.txt", "--public", "--yes").error
    assert owned.ok("get", second["id"], "-o", "x")["name"] == "a.txt"


def test_names_of_every_kind_go_and_come_back_and_lead_nowhere(owned: Owned, tmp_path: Path) -> None:
    names = [b"caf\xe9.txt", b"line\nfeed\x1b[2J.txt", "\u202egpj.exe".encode(), b"x" * 255, b"...", b"-rf"]
    for number, name in enumerate(names):
        Path("odd").mkdir(exist_ok=True)
        (Path("odd") / os.fsdecode(name)).write_bytes(b"%d" % number)
    told = owned.run("add", "odd", "--all")
    assert "the name of a memory has at most 255 characters" in told.error
    assert owned.ls() == {}
    os.chdir("odd")
    added = owned.ok("add", ".", "--all")
    assert len(added["stored"]) == len(names)
    assert "caf\\xe9.txt" in owned.ls()
    shown = owned.as_person("ls")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    os.chdir(tmp_path / "here")
    for hostile in ("../../evil.txt", "/etc/evil", "a/../evil", "nul\x00byte"):
        file = Path(owned.ok("get", owned.store(hostile, inline(b"mine")))["file"])
        assert file.resolve().parent == tmp_path / "here"
        assert file.read_bytes() == b"mine"
        file.unlink()
    assert "is not a file" in owned.run("add", "/dev/null").error
    assert "missing can't be read: No such file" in owned.run("add", "odd", "missing").error


def test_a_file_that_is_refused_leaves_the_others_stored_and_the_next_attempt_knows_them(owned: Owned) -> None:
    files(small_txt=b"small")
    with Path("zz.bin").open("wb") as large:
        large.truncate(1_073_741_825)  # one more byte than an upload may have; no disk is taken
    told = owned.run("add", "small.txt", "zz.bin")
    assert told.code == 1
    assert "zz.bin (1,073,741,825 bytes) can't be stored: begin_memory_upload:" in told.error
    assert told.error.endswith("1 of 2 files are stored (small.txt); the same command goes on")
    assert set(owned.ls()) == {"small.txt"}
    assert [one["name"] for one in owned.ok("add", "small.txt")["present"]] == ["small.txt"]


def test_get_overwrites_nothing_and_says_where_bytes_are_that_arent_here(owned: Owned) -> None:
    files(mine_txt=b"mine")
    owned.ok("add", "mine.txt")
    files(mine_txt=b"changed since")
    assert "mine.txt exists, with other bytes; give another file with -o" in owned.run("get", "mine.txt").error
    assert Path("mine.txt").read_bytes() == b"changed since"
    Path("link").symlink_to("nowhere")
    assert "link exists" in owned.run("get", "mine.txt", "-o", "link").error
    Path("folder").mkdir()
    assert owned.ok("get", "mine.txt", "-o", "folder")["file"] == "folder/mine.txt"
    elsewhere = BlobRef(kind=BlobKind.MemoryBlobKindExternal, locator="https://example.com/x", hash=None)
    owned.store("cloud", MemoryData(blob_ref=elsewhere))
    assert "https://example.com/x does" in owned.run("get", "cloud").error
    assert owned.as_person("get", "mine.txt", "-o", "-") == "mine"
    assert "stdout is for JSON" in owned.run("get", "mine.txt", "-o", "-").error


def test_a_full_disk_leaves_no_part_of_a_file(owned: Owned, tmp_path: Path) -> None:
    files(large_bin=os.urandom(3_000_000))
    owned.ok("add", "large.bin")
    disk = tmp_path / "disk"
    words = owned.cli.arguments("owner", "owner", "get", "large.bin", "--canister", owned.canister_id, backend=False)
    script = f"{shell(*words, '-o', str(disk / 'out'))}; echo left: $(ls -A {disk})"
    ran = subprocess.run(
        on_small_disk(disk, "1m", script), capture_output=True, text=True, env=environment(), timeout=300
    )
    assert "can't be written: No space left on device; make room" in ran.stdout
    assert ran.stdout.endswith("left:\n")


def test_who_may_read_a_memory_is_shown_before_and_after_and_the_canister_keeps_to_it(owned: Owned) -> None:
    files(will_txt=b"to my daughter")
    owned.ok("add", "will.txt")
    daughter = owned.cli.id("stranger")

    memory_id = owned.ls()["will.txt"]["id"]

    def reads() -> bool:
        async def work() -> bool:
            async with Agent(owned.cli.identities["stranger"], owned.cli.network) as agent:
                memory = await PersonalClient(agent, owned.canister_id).get_memory_from_capsule(memory_id)
                return memory.data.data == b"to my daughter"

        try:
            return asyncio.run(work())
        except CapsuleRefused as refusal:
            return refusal.kind != "NotFound"

    rule = ["share", "will.txt", "--with", daughter, "--event", "AfterDeath", "--after", "2020-01-01"]
    assert "There is no terminal to answer on: repeat the command with --yes" in owned.run(*rule).error
    shared = owned.ok(*rule, "--yes")
    assert shared["before"] == {"Private": None}
    assert shared["access"]["Scheduled"]["access"]["EventTriggered"]["trigger_event"] == {"AfterDeath": None}
    assert owned.ok(*rule)["changed"] is False
    assert "from 2020-01-01 00:00:00 UTC on: after AfterDeath: " in owned.as_person("ls")
    assert not reads()
    owned.ok("events", "record", "AfterDeath")
    assert reads()
    assert owned.cli.run("owner", "owner", "events", "list", "--canister", owned.canister_id, backend=False).lines
    owned.ok("events", "executors", "add", daughter)
    owned.ok("events", "revoke", "AfterDeath")
    assert not reads()
    owned.ok("share", "will.txt", "--public", "--yes")
    assert reads()
    assert "was 'public', and is 'private' now" in owned.as_person("share", "will.txt", "--private", "--yes")
    assert not reads()


def test_somebody_elses_canister_is_left_alone(owned: Owned) -> None:
    files(a_txt=b"a")
    for words in (["add", "a.txt"], ["ls"], ["get", "a.txt"], ["share", "a.txt", "--public", "--yes"]):
        ran = owned.cli.run("stranger", "owner", *words, "--canister", owned.canister_id, backend=False)
        assert "belongs to" in ran.error
