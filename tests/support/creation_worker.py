"""A worker that makes creations as the protocol says, one step at a time, and finds out from the network what is next.

It may be stopped between any two steps and replaced by another. Owns the order of the steps; what an answer must be is
`creation_play`'s. The orchestrator itself is tested over HTTP, in `tests/integration` and `tests/faults`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.adverse_world import UNANSWERED
from support.backend_world import failure, wasm
from support.creation_play import OPEN, Lease, Play

DONE, FAILED, BLOCKED = "done", "failed", "blocked"


@dataclass
class PlainWorker:
    """One of an operator's workers. What it remembers of a creation is its lease."""

    play: Play
    operator: Principal
    name: str
    leases: dict[Principal, Lease] = field(default_factory=dict)

    def step(self, owner: Principal) -> str:
        """Does what is next, and says what that was: a method, or how it ended for this worker."""
        play = self.play
        if not play.running or play.status(owner) not in OPEN:
            return DONE
        lease = self.leases.get(owner)
        if lease is None or not play.is_live(lease):
            claimed = play.claim(owner, self.operator, self.name)
            if claimed is None:
                return BLOCKED
            self.leases[owner] = claimed
            return "claim_creation"
        canister = play.canister(owner)
        if canister is None:
            play.leased("provision_canister", lease)
            return "provision_canister"
        if not play.world.is_there(canister):
            return self._fail(lease)
        controllers = play.world.controllers(canister)
        if controllers == {owner} != {self.operator}:
            return self._complete(lease, owner)
        if controllers != {self.operator, owner}:
            return self._fail(lease)
        return self._fill(lease, owner, canister)

    def _fill(self, lease: Lease, owner: Principal, canister: Principal) -> str:
        play, state = self.play, self.play.world.state(canister)
        if state.module is None or state.module.hash not in play.approved:
            mode = "install"
            if state.history_length > 1:
                answer = play.leased("start_over", lease)
                if answer != Case("Ok", True):
                    return "start_over"
                mode = "install" if state.module is None else "reinstall"
            play.importers.setdefault(canister, set()).add(self.operator)
            play.world.deploy(canister, owner, self.operator, mode, wasm("personal"))
            return "install_code"
        creation = play.world.creation(owner)
        assert creation is not None
        if creation["verified"] and creation["locked_until"] is not None:
            equal = play.estates[owner].equal
            if equal is not None and play.world.now_ns + 1_000_000 < equal.permit_ns:
                play.set_controllers(owner, canister, self.operator, owner)
                return "update_settings"
        if not self._copied(lease, owner, canister):
            return self._fail(lease)
        play.leased("verify_creation", lease)
        return "verify_creation"

    def _copied(self, lease: Lease, owner: Principal, canister: Principal) -> bool:
        """Whether the canister has the capsule as it was just now: the difference is brought there in one message."""
        play = self.play
        listed = play.leased("list_export_entries", lease, None, None)
        begun = play.world.ask("begin_import", sender=self.operator, on=canister)
        if "Err" in (listed.tag, begun.tag):
            return False
        play.importers.setdefault(canister, set()).add(self.operator)
        there = play.world.ask("list_import_entries", None, None, sender=self.operator, on=canister).value["entries"]
        source = {(entry["kind"].tag, entry["id"]): entry for entry in listed.value["entries"]}
        target = {(entry["kind"].tag, entry["id"]): entry for entry in there}
        refs = [ref(entry) for key, entry in source.items() if target.get(key) != entry]
        pending = play.world.ask("get_import_status", {}, sender=self.operator, on=canister).value["pending"]
        removed = [ref(entry) for key, entry in target.items() if key not in source]
        removed += [{"kind": Case("Memory"), "id": each["memory_id"]} for each in pending]
        batch: dict[str, Any] = {"removed": removed, "items": [], "chunks": [], "commits": [], "finalize": True}
        if refs:
            batch["items"] = play.leased("get_export_items", lease, refs).value
            ids = [each["id"] for each in refs if each["kind"].tag == "Memory"]
            batch["commits"] = play.leased("get_export_memory_manifests", lease, ids).value
            batch["chunks"] = [
                {
                    "memory_id": content["memory_id"],
                    "index": index,
                    "bytes": play.leased("read_export_chunk", lease, content["memory_id"], index).value,
                    "sha256": checksum,
                }
                for content in batch["commits"]
                for index, checksum in enumerate(content["chunk_checksums"])
            ]
        return play.world.ask("import_batch", batch, sender=self.operator, on=canister).tag == "Ok"

    def _complete(self, lease: Lease, owner: Principal) -> str:
        creation = self.play.world.creation(owner)
        assert creation is not None
        if not creation["verified"]:
            answer = self.play.leased("verify_creation", lease)
            if answer.tag == "Ok" and answer.value["matches"]:
                return "verify_creation"
            return self._fail(lease)
        answer = self.play.leased("complete_creation", lease)
        return "complete_creation" if answer.tag == "Ok" else self._fail(lease)

    def _fail(self, lease: Lease) -> str:
        """Puts it on record that it can't go on; unless the creation has ended already."""
        answer = self.play.leased("fail_creation", lease, failure())
        return BLOCKED if answer is UNANSWERED else FAILED


def ref(entry: dict[str, Any]) -> dict[str, Any]:
    return {"kind": entry["kind"], "id": entry["id"]}
