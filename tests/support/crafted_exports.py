"""Exports that no replica has written: what a stranger may give somebody to import."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from canister_factory.replica.store.files import Files
from canister_factory.replica.store.manifest import Manifest, Seal
from canister_factory.replica.store.names import MANIFEST, state_name
from canister_factory.replica.store.snapshot import Snapshot


def pack(directory: Path, target: Path, extra: Iterable[tuple[tarfile.TarInfo, bytes]] = ()) -> None:
    """Packs the files of a state directory, and further entries, as an export whose checksum is right."""
    content_of_tar = io.BytesIO()
    with tarfile.open(fileobj=content_of_tar, mode="w|") as tar:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.name != "lock":
                tar.add(path, str(path.relative_to(directory)))
        for entry, content in extra:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    seal(content_of_tar.getvalue(), target)


def seal(tar: bytes, target: Path) -> None:
    """Makes an export of a tar, with the right checksum."""
    padded = tar.ljust(-(-len(tar) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE, b"\0")
    data = b"canister-factory replica export 1\n" + gzip.compress(padded)
    target.write_bytes(data + hashlib.sha256(data).digest())


def extended_header(content: bytes) -> bytes:
    """An extended header of a tar with any content."""
    made = tarfile.TarInfo("header")
    made.type, made.size = tarfile.XHDTYPE, len(content)
    return made.tobuf(tarfile.USTAR_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def entry(name: str, content: bytes = b"x", type_: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """One more entry for `pack`; a link leads to a file of the system."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = type_, "/etc/passwd"
    return made, content


def rewrite(directory: Path, change: Callable[[Snapshot], Snapshot]) -> None:
    """Changes what a state directory's `state-<generation>` says, with all checksums right."""
    manifest = Manifest.decoded((directory / MANIFEST).read_bytes())
    name = state_name(manifest.generation)
    changed = change(Snapshot.decoded(name, (directory / name).read_bytes()))
    content = changed.encoded()
    (directory / name).write_bytes(content)
    sealed = replace(manifest, state=Seal.of(content), changes=changed.manifest.changes)
    sealed.save(Files(power=False), directory)


def sign(directory: Path, line: bytes) -> None:
    """Makes a line the manifest, with its checksum."""
    (directory / MANIFEST).write_bytes(line + hashlib.sha256(line).hexdigest().encode() + b"\n")
