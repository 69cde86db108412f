"""Canister snapshots among the files of a state: each is written once, since a snapshot never changes.

Owns which of them are written, and their way back. Does not own the files (`images`, `directory`), or the rest of a
snapshot, which is part of the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.store.images import Changes, Images
from canister_factory.replica.store.snapshot import StoredCanister, StoredSnapshot
from canister_factory.replica.store.state_codec import StateFormatError
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.snapshot import Snapshot


class CanisterSnapshots:
    """Those of one state directory.

    Attributes:
        written: the snapshots whose contents are in files, by id.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self.written: dict[bytes, Snapshot] = {}

    def __repr__(self) -> str:
        return f"<CanisterSnapshots written={len(self.written)}>"

    def save(
        self, snapshots: dict[bytes, Snapshot], former: StoredCanister | None, number: int, changes: Changes
    ) -> dict[bytes, StoredSnapshot]:
        """Writes the memories of those that aren't in files yet; all of them. `snapshots`: of one canister, by id.

        Raises:
            OSError: the disk refuses.
        """
        known = former.snapshots if former is not None else {}
        return {
            id_: known[id_]
            if id_ in known and self.written.get(id_) is snapshot
            else self._write(snapshot, number, changes)
            for id_, snapshot in snapshots.items()
        }

    def _write(self, snapshot: Snapshot, number: int, changes: Changes) -> StoredSnapshot:
        name = f"{snapshot.id.hex()}-{{}}-{number}".format
        main = self._images.save(snapshot.main, None, name("main"), changes)
        stable = self._images.save(snapshot.stable, None, name("stable"), changes)
        return StoredSnapshot(hashlib.sha256(snapshot.wasm).digest(), main, stable)

    def load(self, canister: CanisterState, stored: StoredCanister, module: Callable[[bytes], bytes]) -> None:
        """Gives the snapshots of a restored canister their contents. `module`: the Wasm with a SHA-256.

        Raises:
            StateFormatError: there is none for one of them.
            DamagedError, OSError: it can't be read.
        """
        for id_, snapshot in canister.snapshots.items():
            if id_ not in stored.snapshots:
                raise StateFormatError(f"the content of snapshot {id_.hex()} is missing")
            its = stored.snapshots[id_]
            main, stable = StableMemory(), StableMemory()
            main.restore(self._images.load(its.main))
            stable.restore(self._images.load(its.stable))
            whole = replace(snapshot, wasm=module(its.module_hash), main=main, stable=stable)
            canister.snapshots[id_] = self.written[id_] = whole
