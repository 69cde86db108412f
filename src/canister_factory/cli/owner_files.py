"""`owner add|ls|get`: files that become memories of one's own canister, and memories that become files.

Owns these commands. Does not own: which files count (`local_files`), adding and reading (`canister_factory.owner`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import FAILED, CommandError, InputError
from canister_factory.cli.own_canister import Ask, Own, own_canister_command
from canister_factory.cli.results import done, listing, moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from canister_factory.cli.local_files import Selection
    from canister_factory.cli.progress import Advance
    from canister_factory.contract.manifest_models import MemoryManifest
    from canister_factory.factory.source import Source
    from canister_factory.owner.adding import Added, Adding, File
    from canister_factory.owner.memories import Listed

_STANDARD_OUTPUT = Path("-")
_NAMED = 3


def capsule_of(own: Own) -> str:
    """The id of the owner's capsule.

    Raises:
        CommandError: there is none yet.
    """
    if own.info.capsule_id is None:
        raise CommandError(f"{own.canister_id} has no capsule yet: its import isn't finished")
    return own.info.capsule_id


# ---- add ----


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILES...")
@click.option("--again", is_flag=True, help="Store also what is there already.")
@click.option("--all", "hidden", is_flag=True, help="Take hidden files and folders of folders, too.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out files and folders with such a name.")
@own_canister_command
def add(files: tuple[Path, ...], again: bool, hidden: bool, exclude: tuple[str, ...], ask: Ask[Own]) -> None:
    """Store files as memories, each once.

    A file gets its own name; one in a folder gets its path from the folder's name on. A file is there already when a
    memory has the same name and the same bytes. Memories are private until you share them. When that is interrupted,
    the same command goes on.

    \b
    Example:
      canister-factory owner add ~/Pictures letter.pdf --identity owner.pem
    """
    from canister_factory.cli.local_files import given_files

    selection = given_files(files, lambda reason: output.note(f"left out: {reason}"), hidden=hidden, exclude=exclude)

    async def work(own: Own) -> Added:
        from canister_factory.cli.progress import bytes_bar
        from canister_factory.owner.adding import Adding
        from canister_factory.owner.upload_notes import UploadNotes

        notes = UploadNotes.about(own.canister_id)
        adding = Adding(own.client, capsule_of(own), notes, again=again)
        missing = await adding.plan(selection.files)
        if not missing:
            return adding.done
        total = sum(file.size for file in missing)
        output.note(
            f"{quantities.files(len(missing))}, {quantities.size(total)}, to {own.canister_id}{_there(adding.done)}"
        )
        interrupts.if_interrupted("the same command goes on; what is stored stays")
        with bytes_bar("storing", total) as advance:
            return await _run(adding, missing, advance)

    _report(ask(work), selection)


async def _run(adding: Adding, missing: list[File], advance: Advance) -> Added:
    """Stores the files; an error says what was stored before."""
    try:
        return await adding.run(missing, advance)
    except Exception as error:
        stored = adding.done.stored
        names = ", ".join(output.printable(name) for name, _ in stored[:_NAMED])
        more = f" and {len(stored) - _NAMED:,} more" if len(stored) > _NAMED else ""
        which = f" ({names}{more})" if stored else ""
        error.add_note(
            f"{len(stored):,} of {quantities.files(len(missing))} are stored{which}; the same command goes on"
        )
        raise


def _report(added: Added, selection: Selection) -> None:
    stored = (
        f"Stored {quantities.files(len(added.stored))}, {quantities.size(added.bytes)}"
        if added.stored
        else "Nothing is new"
    )
    done(
        f"{stored}{_there(added)}.",
        stored=[{"name": name, "id": id} for name, id in added.stored],
        present=[{"name": name, "id": id} for name, id in added.present],
        unreadable=selection.unreadable,
        bytes=added.bytes,
    )
    if selection.unreadable:
        output.note(f"Not everything was stored: {len(selection.unreadable):,} can't be read and were left out.")
        click.get_current_context().exit(FAILED)


def _there(added: Added) -> str:
    count = len(added.present)
    return f"; {quantities.files(count)} {'is' if count == 1 else 'are'} there already" if count else ""


# ---- ls ----


@click.command()
@own_canister_command
def ls(ask: Ask[Own]) -> None:
    """List your memories.

    With --json each line is an object, and lines come as the canister's pages do. --full shows the ids.
    """

    async def work(own: Own) -> None:
        from canister_factory.owner.memories import Listed, memories

        async def items() -> AsyncIterator[Listed]:
            async for summary in memories(own.client, capsule_of(own)):
                yield Listed.of(summary)

        headers = ["name", "type", "size", "date", "access"] + (["id"] if settings.current().full else [])
        await listing(items(), headers, _row, "no memories")

    ask(work)


def _row(memory: Listed) -> list[object]:
    from canister_factory.cli.access import access_words

    dated = memory.date_of_memory if memory.date_of_memory is not None else memory.created_at
    size = quantities.size(memory.size) if memory.elsewhere is None else "elsewhere"
    row: list[object] = [memory.name, memory.memory_type.value, size, moment(dated)[:10], access_words(memory.access)]
    return row + ([memory.id] if settings.current().full else [])


# ---- get ----


@click.command()
@click.argument("wanted", metavar="ID|NAME")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="File or folder to write, '-' for stdout.  [default: the memory's name, in this folder]",
)
@own_canister_command
def get(wanted: str, target: Path | None, ask: Ask[Own]) -> None:
    """Write the bytes of a memory into a file.

    Each chunk is compared with its hash, and the file is there as a whole or not at all. No file is overwritten. When
    several memories have NAME, the error has their ids.
    """
    if target == _STANDARD_OUTPUT:
        if settings.current().json:
            raise InputError("with --json stdout is for JSON: give another file than '-'")
        if sys.stdout.isatty():
            raise InputError("stdout is a terminal, and a memory's bytes could do anything to it: send them to a file")

    async def work(own: Own) -> dict[str, Any]:
        from canister_factory.factory.config import FactoryConfig
        from canister_factory.factory.source import Source
        from canister_factory.owner.backup import PersonalCapsule
        from canister_factory.owner.memories import find
        from canister_factory.owner.memory_file import manifest_of

        summary = await find(own.client, capsule_of(own), wanted)
        manifest = await manifest_of(own.client, summary)
        source = Source(PersonalCapsule(own.client), FactoryConfig())
        about = {"id": manifest.memory_id, "name": summary.memory.info.name, "size": int(manifest.total_size)}
        if target == _STANDARD_OUTPUT:
            await _to_stdout(source, manifest)
            return about
        path = _path(summary.memory.info.name, target)
        return {**about, "file": str(path), "was_there": await _to_file(source, manifest, path)}

    got = ask(work)
    if "file" in got:
        there = "is there already, with the same bytes" if got["was_there"] else "is written"
        done(f"{got['file']}, {quantities.size(got['size'])}, {there}.", **got)


def _path(name: str, target: Path | None) -> Path:
    from canister_factory.owner.download import safe_name

    if target is None or target.is_dir():
        return (target or Path()) / safe_name(name).name
    return target


async def _to_file(source: Source, manifest: MemoryManifest, path: Path) -> bool:
    """Writes the file; returns whether it was there.

    Raises:
        CommandError: another one is there.
    """
    from canister_factory.cli.progress import bytes_bar
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.window import Window
    from canister_factory.owner.memory_file import write_memory

    if _is_there(path, manifest):
        return True
    interrupts.if_interrupted("no file was written")
    config = FactoryConfig()
    with bytes_bar("fetching", manifest.total_size) as advance:
        await write_memory(source, Window(config.start_window, config.max_window), manifest, path, advance)
    return False


def _is_there(path: Path, manifest: MemoryManifest) -> bool:
    from canister_factory.owner.memory_file import holds

    if not os.path.lexists(path):
        return False
    if path.is_file() and holds(path, manifest):
        return True
    raise CommandError(f"{path} exists, with other bytes; give another file with -o")


async def _to_stdout(source: Source, manifest: MemoryManifest) -> None:
    from canister_factory.owner.memory_file import chunks_of

    interrupts.if_interrupted("stdout has only a part")
    async for chunk in chunks_of(source, manifest):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
