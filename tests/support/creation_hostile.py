"""What a controller of a personal canister may do to it with bad intentions, before it is its owner's.

Each act is one or a few calls to the network or to the canister; those that are refused change nothing. Owns the acts;
not when they are done, nor what must hold all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import STRANGER, another_build, wasm
from support.creation_play import Play

HUGE = 10**30
KEEPING = Case("upgrade", None)

Act = Callable[[Play, Principal, Principal, Principal], None]
"""Takes the play, the owner, the canister and who does it."""


def _deploy(module: Callable[[], bytes], *modes: Any) -> Act:
    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        for mode in modes:
            play.importers.setdefault(canister, set()).add(who)
            if play.world.deploy(canister, owner, who, mode, module()):
                play.tamper(canister)

    return act


def _doctored() -> bytes:
    return another_build("personal")


def _right() -> bytes:
    return wasm("personal")


def _doctor_and_back(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
    """Another build, which keeps memory, and the right one again: no comparison of contents shows that."""
    _deploy(_doctored, KEEPING)(play, owner, canister, who)
    _deploy(_right, KEEPING)(play, owner, canister, who)


def _controllers(choose: Callable[[Play, Principal, Principal], list[Principal]]) -> Act:
    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        play.set_controllers(owner, canister, who, *choose(play, owner, who))

    return act


def _manage(method: str) -> Act:
    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        if play.world.managed(method, {"canister_id": canister}, who):
            play.tamper(canister)

    return act


def _delete(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
    _manage("stop_canister")(play, owner, canister, who)
    _manage("delete_canister")(play, owner, canister, who)


def _settings(**settings: int) -> Act:
    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        if play.world.update_settings(canister, settings, who):
            play.tamper(canister)

    return act


def _load_snapshot(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
    """What the canister was just now is loaded again."""
    world = play.world
    if canister not in map(Principal, world.subnet.canisters) or who not in world.controllers(canister):
        return
    if world.managed("take_canister_snapshot", {"canister_id": canister}, who):
        snapshot = next(reversed(world.state(canister).snapshots))
        if world.managed("load_canister_snapshot", {"canister_id": canister, "snapshot_id": snapshot}, who):
            play.tamper(canister)


def _import(finalize: bool, *steps: Callable[[Play, Principal], dict[str, Any]]) -> Act:
    """A batch of an import that is opened again for it."""

    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        if play.world.ask("begin_import", sender=who, on=canister).tag != "Ok":
            return
        play.importers.setdefault(canister, set()).add(who)
        play.tamper(canister)
        batch: dict[str, Any] = {"removed": [], "items": [], "chunks": [], "commits": [], "finalize": finalize}
        for step in steps:
            batch |= step(play, owner)
        play.world.ask("import_batch", batch, sender=who, on=canister)

    return act


def _without_a_memory(play: Play, owner: Principal) -> dict[str, Any]:
    memory_id = next(iter(play.estates[owner].accepted), "none")
    return {"removed": [{"kind": Case("Memory"), "id": memory_id}]}


def _with_a_chunk(play: Play, owner: Principal) -> dict[str, Any]:
    sha256 = bytes.fromhex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")  # of one zero byte
    return {"chunks": [{"memory_id": "mem-planted", "index": 0, "bytes": b"\0", "sha256": sha256}]}


def _leave_to(choose: Callable[[Play, Principal, Principal], list[Principal]], before: Act) -> Act:
    def act(play: Play, owner: Principal, canister: Principal, who: Principal) -> None:
        before(play, owner, canister, who)
        _controllers(choose)(play, owner, canister, who)

    return act


def _owner(play: Play, owner: Principal, who: Principal) -> list[Principal]:
    return [owner]


ACTS: dict[str, Act] = {
    "hand over": _controllers(_owner),
    "plant a controller": _controllers(lambda play, owner, who: [owner, who, STRANGER]),
    "take a planted one away": _controllers(lambda play, owner, who: [owner, who]),
    "keep the owner out": _controllers(lambda play, owner, who: [who]),
    "give it away": _controllers(lambda play, owner, who: [STRANGER]),
    "leave it to nobody": _controllers(lambda play, owner, who: []),
    "install a doctored build": _deploy(_doctored, "install"),
    "reinstall a doctored build": _deploy(_doctored, "reinstall"),
    "install the right one": _deploy(_right, "install"),
    "reinstall the right one": _deploy(_right, "reinstall"),
    "upgrade to the right one": _deploy(_right, KEEPING),
    "doctor and back": _doctor_and_back,
    "uninstall": _manage("uninstall_code"),
    "stop": _manage("stop_canister"),
    "start": _manage("start_canister"),
    "delete": _delete,
    "freeze": _settings(freezing_threshold=HUGE // 10**12),
    "ask for cycles": _settings(minimum_incoming_canister_call_cycles=10**9),
    "load a snapshot": _load_snapshot,
    "open the import": _import(False),
    "finalize": _import(True),
    "remove a memory": _import(True, _without_a_memory),
    "plant a chunk": _import(True, _with_a_chunk),
    "empty and hand over": _leave_to(_owner, _import(True, _without_a_memory)),
    "upgrade and hand over": _leave_to(_owner, _deploy(_right, KEEPING)),
    "reinstall and hand over": _leave_to(_owner, _deploy(_right, "reinstall")),
    "stop and hand over": _leave_to(_owner, _manage("stop_canister")),
    "doctor and hand over": _leave_to(_owner, _doctor_and_back),
}
