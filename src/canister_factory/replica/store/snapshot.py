"""`state-<generation>`: the state of one snapshot, and which images and modules belong to it.

Owns the form of that file. Does not own the state's form within it (`state_codec`), nor the images and modules.

The file says everything that the manifest says, so that a manifest that is lost can be made again.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2

from canister_factory.replica.store.files import DamagedError
from canister_factory.replica.store.images import Image
from canister_factory.replica.store.kept_statuses import StatusFile
from canister_factory.replica.store.manifest import Manifest, Seal
from canister_factory.replica.store.names import state_name
from canister_factory.replica.store.state_codec import StateFormatError, decode_state
from canister_factory.replica.subnet.state import SubnetState

_MAGIC: Final = b"CFstate3"
_HEADER: Final = struct.Struct("<8sQI")  # magic, length, CRC-32 of the content


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """What a canister snapshot has besides its fields: its module's SHA-256, its memories."""

    module_hash: bytes
    main: Image
    stable: Image


@dataclass(frozen=True, slots=True)
class StoredCanister:
    """What a canister has besides its fields: the module's SHA-256, its globals (64 raw bits each), its memories.

    `snapshots`: its canister snapshots, by their ids.
    """

    module_hash: bytes | None
    globals: tuple[int, ...]
    main: Image
    stable: Image
    snapshots: dict[bytes, StoredSnapshot] = field(default_factory=dict)

    @property
    def images(self) -> list[Image]:
        """All that belong to it."""
        return [self.main, self.stable, *(image for it in self.snapshots.values() for image in (it.main, it.stable))]

    @property
    def image_names(self) -> set[str]:
        return {image.name for image in self.images if image.name}

    @property
    def module_hashes(self) -> set[bytes]:
        """Of its own module and of its snapshots'."""
        own = set() if self.module_hash is None else {self.module_hash}
        return own | {snapshot.module_hash for snapshot in self.snapshots.values()}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of the file.

    Attributes:
        manifest: what the manifest says; `state` in it is meaningless here.
        canisters: by canister id.
        change_runs: where the bytes of `changes-<generation>` belong: (image, offset, length).
        state: the subnet's state without its statuses, from `encode_state`.
        statuses: the files with these, in their order.
    """

    manifest: Manifest
    canisters: dict[bytes, StoredCanister]
    change_runs: list[tuple[str, int, int]]
    state: bytes
    statuses: list[StatusFile]

    def encoded(self) -> bytes:
        """The content of the file."""
        manifest = self.manifest
        content = cbor2.dumps(
            [
                [manifest.generation, manifest.form, manifest.salt, _plain(manifest.keys), _plain(manifest.changes)],
                {id_: _plain_canister(stored) for id_, stored in self.canisters.items()},
                self.change_runs,
                self.state,
                [[file.generation, *_plain_seal(file.seal)] for file in self.statuses],
            ]
        )
        return _HEADER.pack(_MAGIC, len(content), zlib.crc32(content)) + content

    @classmethod
    def decoded(cls, name: str, data: bytes) -> Snapshot:
        """Reads what `encoded` gave; the manifest that it returns is complete.

        Raises:
            DamagedError: the file of this name is something else.
        """
        if len(data) < _HEADER.size:
            raise DamagedError(name, "is no state, or was cut off")
        magic, length, checksum = _HEADER.unpack_from(data)
        content = data[_HEADER.size :]
        if magic != _MAGIC or len(content) != length or zlib.crc32(content) != checksum:
            raise DamagedError(name, "is damaged, or no state")
        try:
            manifest, canisters, runs, state, statuses = cbor2.loads(content)
            snapshot = cls(
                _manifest(manifest, Seal.of(data)),
                {bytes(id_): _canister(stored) for id_, stored in canisters.items()},
                [(image, offset, size) for image, offset, size in runs],
                state,
                [StatusFile(int(generation), Seal(*seal)) for generation, *seal in statuses],
            )
            snapshot._check_runs()
        except (cbor2.CBORError, ValueError, TypeError, AttributeError) as error:
            raise DamagedError(name, f"can't be read ({type(error).__name__})") from error
        if state_name(snapshot.manifest.generation) != name:
            raise DamagedError(name, f"is the state of generation {snapshot.manifest.generation}")
        return snapshot

    def subnet_state(self) -> SubnetState:
        """The subnet's state without statuses; `canisters` has what is kept apart of each of its canisters.

        Raises:
            StateFormatError: it is none that this version understands, or of other canisters.
        """
        state = decode_state(self.state)
        if not isinstance(state, SubnetState) or state.canisters.keys() != self.canisters.keys():
            raise StateFormatError("it isn't the state of a subnet with these canisters")
        return state

    def _check_runs(self) -> None:
        """A start writes where they say, and the file may be somebody else's: only into images of this state."""
        lengths = {image.name: image.length for stored in self.canisters.values() for image in stored.images}
        for image, offset, size in self.change_runs:
            if not 0 <= offset <= offset + size <= lengths.get(image, -1):
                raise ValueError("a change is outside of the images")

    @property
    def status_names(self) -> set[str]:
        """The files with statuses that belong to it."""
        return {file.name for file in self.statuses}

    @property
    def image_names(self) -> set[str]:
        """The images that belong to it."""
        return set().union(*(stored.image_names for stored in self.canisters.values()))

    @property
    def module_hashes(self) -> set[bytes]:
        """SHA-256 of the modules that belong to it."""
        return set().union(*(stored.module_hashes for stored in self.canisters.values()))


def _plain_seal(seal: Seal) -> list[int]:
    return [seal.size, seal.crc32]


def _plain(seal: Seal | None) -> list[int] | None:
    return None if seal is None else _plain_seal(seal)


def _manifest(plain: list[Any], seal: Seal) -> Manifest:
    generation, form, salt, keys, changes = plain
    return Manifest(
        int(generation), str(form), str(salt), keys and Seal(*keys), seal, changes=changes and Seal(*changes)
    )


def _plain_canister(stored: StoredCanister) -> list[Any]:
    snapshots = {
        id_: [snapshot.module_hash, snapshot.main.to_plain(), snapshot.stable.to_plain()]
        for id_, snapshot in stored.snapshots.items()
    }
    return [stored.module_hash, stored.globals, stored.main.to_plain(), stored.stable.to_plain(), snapshots]


def _canister(plain: list[Any]) -> StoredCanister:
    module_hash, globals_, main, stable, snapshots = plain
    return StoredCanister(
        module_hash,
        tuple(globals_),
        Image.from_plain(main),
        Image.from_plain(stable),
        {
            bytes(id_): StoredSnapshot(hash_, Image.from_plain(its_main), Image.from_plain(its_stable))
            for id_, (hash_, its_main, its_stable) in snapshots.items()
        },
    )
