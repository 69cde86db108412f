"""A world in which calls are lost, late or refused, and which can be put back to where it was.

Adds to `World`: marks, answers that may not come, messages that get in between, what the network itself knows of a
canister (its history, all the cycles that it ever got). Does not own who does what (`adverse_acts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from canister_factory.candid.conversion import from_candid
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.history_models import CanisterHistory
from canister_factory.replica.subnet.anchor import Anchor
from canister_factory.replica.subnet.canister import MAX_HISTORY
from canister_factory.replica.subnet.canister_history import change_record
from canister_factory.replica.subnet.state import LAST_CANISTER_ID
from support.backend_world import (
    ADMIN,
    RejectedError,
    World,
    encode_args,
    interface,
    person,
)

OWNERS = (person("ana"), person("ben"))
UNANSWERED = Case("Err", {"kind": Case("Busy"), "message": "no answer"})
"""Stands for the answer of a call that was rejected: the canister is stopped, frozen, deleted or without code."""


Sent = tuple[str, tuple[Any, ...], Principal]
"""A method of the backend, its arguments, and who calls."""


@dataclass(frozen=True)
class Mark:
    """What `AdverseWorld.back_to` goes back to."""

    anchor: Anchor
    now_ns: int
    requests: int


class AdverseWorld(World):
    """Owners with capsules of a memory each, an approved release, and a mark that every play begins from."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: tuple[tuple[int, int], dict[Principal, dict[str, Any]]] | None = None
        self.approve()
        self.first = {owner: self._begin(owner) for owner in OWNERS}
        self.mark = self._mark()

    def _begin(self, owner: Principal) -> dict[str, bytes]:
        self.capsule(owner)
        return {self.add_memory(20, owner).value: bytes(20)}

    def _mark(self) -> Mark:
        return Mark(self.subnet.anchor(), self.now_ns, self._requests)

    def back_to_mark(self) -> None:
        """Everything is as it was before the last play."""
        self.subnet.revert(self.mark.anchor)
        self.now_ns, self._requests = self.mark.now_ns, self.mark.requests
        self._seen = None
        self.has_room(for_more=True)
        self.mark = self._mark()

    def has_room(self, *, for_more: bool) -> None:
        """Whether the subnet can take another canister: if not, the management canister rejects `create_canister`."""
        state = self.subnet.state
        state.last_canister_id = LAST_CANISTER_ID if for_more else max(state.canisters)

    def submit(self, callee: Principal, method: str, arg: bytes, sender: Principal) -> bytes:
        """Messages come one after another: what was done before another thing was done at an earlier time."""
        self.now_ns += 1_000_000
        return super().submit(callee, method, arg, sender)

    # --- calls -------------------------------------------------------------------------------------------------------

    def ask(self, method: str, *args: Any, sender: Principal, on: Principal | None = None) -> Case:
        """Calls the backend, or a personal canister; `UNANSWERED` when the call is rejected."""
        try:
            answer = self.call(method, *args, sender=sender, on=on, kind="backend" if on is None else "personal")
        except RejectedError:
            return UNANSWERED
        assert isinstance(answer, Case)
        return answer

    def managed(self, method: str, argument: dict[str, Any], sender: Principal) -> bool:
        """Whether the management canister did it."""
        try:
            self.manage(method, argument, sender)
        except RejectedError:
            return False
        return True

    def deploy(self, canister: Principal, owner: Principal, sender: Principal, mode: Any, module: bytes) -> bool:
        """Installs a module with the arguments that the owner's creation has."""
        init = encode_args(interface("personal").init_args, [{"owner": owner, "backend": self.backend}])
        try:
            self.install(canister, module, init, sender, mode)
        except RejectedError:
            return False
        return True

    def while_under_way(self, first: Sent, second: Sent, messages: int, late_s: int) -> tuple[Case, Case]:
        """The answers of two updates of the backend: `messages` are executed, and some seconds pass, until the second
        is sent, before which nothing more is executed than what time does by itself.
        """
        requests = [self.start(first[0], *first[1], sender=first[2])]
        for _ in range(messages):
            self.subnet.execute_round(1)
        self.advance(late_s)
        self.subnet.execute_round(0)
        requests.append(self.start(second[0], *second[1], sender=second[2]))
        self.run()
        answers = [self._answer(sent[0], request) for sent, request in zip((first, second), requests, strict=True)]
        return answers[0], answers[1]

    def _answer(self, method: str, request: bytes) -> Case:
        try:
            answer = self.finish(method, request)
        except RejectedError:
            return UNANSWERED
        assert isinstance(answer, Case)
        return answer

    def pass_time(self, seconds: int) -> None:
        """Timers that are due are executed, and what they ask is answered."""
        self.advance(seconds)
        for _ in range(4):
            self.run()
            self.advance(1)
        self.run()

    # --- what can be seen --------------------------------------------------------------------------------------------

    def creations(self) -> dict[Principal, dict[str, Any]]:
        """All of them by their owners, as admins see them. To be asked while the backend runs."""
        moment = (self.subnet.executed_messages, self.now_ns)
        if self._seen is None or self._seen[0] != moment:
            listed = self.ok("list_all_creation_states", {}, sender=ADMIN)["items"]
            self._seen = moment, {creation["owner"]: creation for creation in listed}
        return self._seen[1]

    def creation(self, owner: Principal) -> dict[str, Any] | None:
        """The owner's; None where there is none."""
        return self.creations().get(owner)

    def is_there(self, canister: Principal) -> bool:
        return canister.bytes in self.subnet.canisters

    def history(self, canister: Principal) -> CanisterHistory:
        """What `canister_info` tells when it is asked for all that there is."""
        state = self.state(canister)
        told = {
            "total_num_changes": state.history_length,
            "recent_changes": [change_record(change) for change in state.history[-MAX_HISTORY:]],
            "module_hash": state.module and state.module.hash,
            "controllers": [Principal(controller) for controller in state.settings.controllers],
        }
        history = from_candid(CanisterHistory, told)
        assert isinstance(history, CanisterHistory)
        return history

    def cycles_given(self, canister: Principal) -> int:
        """All the cycles that the canister ever got, its creation's fee included: what it has, and what it used."""
        state = self.state(canister)
        return state.balance + sum(state.consumed.values())

    def memories(self, owner: Principal, on: Principal | None = None) -> dict[str, bytes]:
        """Which memories the owner finds there, and the checksums of their contents (`content_checksum`)."""
        answer = self.ask("list_capsule_memories", None, {}, sender=owner, on=on)
        if answer.tag != "Ok":
            return {}
        assert answer.value["next"] is None
        records = [item["memory"] for item in answer.value["items"]]
        return {record["id"]: record["blob_ref"]["hash"] for record in records}

    def memory(self, owner: Principal, memory_id: str, on: Principal | None = None) -> bytes | None:
        """The bytes of a memory, as its owner reads them."""
        answer = self.ask("get_memory_from_capsule", memory_id, sender=owner, on=on)
        return answer.value["data"]["data"] if answer.tag == "Ok" else None

    def update_settings(self, canister: Principal, settings: dict[str, Any], sender: Principal) -> bool:
        return self.managed("update_settings", {"canister_id": canister, "settings": settings}, sender)


@cache
def adverse_world() -> AdverseWorld:
    """One for all plays of a process; each begins with `back_to_mark`."""
    return AdverseWorld()
