"""What `replica start` says of a state directory that it can't use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.store.manifest import Manifest
from support.replica_shell import Shell, error_of


def lay_state(directory: Path) -> None:
    """A state that a replica has left in order."""

    async def live() -> None:
        async with ReplicaServer(directory):
            pass

    asyncio.run(live())


def test_the_state_of_a_newer_version_is_refused(shell: Shell) -> None:
    directory = shell.home / "replica"
    lay_state(directory)
    manifest = Manifest.decoded((directory / "manifest").read_bytes())
    (directory / "manifest").write_bytes(replace(manifest, format=99).encoded())
    for how in ((), ("--background",)):
        said = error_of(shell("replica", "start", "--port", "0", *how))
        assert "has format 99, this version reads format 7" in said
        assert str(directory) in said
        assert "--state-dir" in said


@pytest.mark.parametrize("content", ["nothing", "directory", b"\xff\xfe\x00damaged", b""])
def test_keys_that_can_not_be_read_are_named(shell: Shell, content: bytes | str) -> None:
    directory = shell.home / "replica"
    lay_state(directory)
    keys = directory / "keys.json"
    if isinstance(content, bytes):
        keys.write_bytes(content)
    else:
        keys.unlink()
    if content == "directory":
        keys.mkdir()
    said = error_of(shell("replica", "start", "--port", "0"))
    assert str(keys) in said
    assert "--state-dir" in said


@pytest.mark.parametrize("name", ["lock", "manifest", "journal-1", "replica.json"])
def test_what_lies_in_the_place_of_a_state_file_is_one_line(shell: Shell, name: str) -> None:
    (shell.home / "replica" / name).mkdir(parents=True)
    said = error_of(shell("replica", "start", "--port", "0"))
    assert str(shell.home / "replica") in said
    assert "--state-dir" in said
