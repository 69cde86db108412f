"""What must hold of all creations of a play at any time, and what everything must come to when nobody acts any more.

Judged from what the network and the canisters have, beside what the play remembers. Owns these truths; not the acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.factory.history import judge
from support.backend_world import ADMIN, OPERATOR, TRILLION
from support.creation_play import LONGEST_LOCK_NS, OPEN, Estate, Play
from support.creation_worker import DONE, FAILED, PlainWorker
from support.personal_world import content_checksum, manifest_hash

HOUR, DAY = 3_600, 86_400
BEGAN_WITH = 100 * TRILLION
"""Cycles of the backend."""


def check(play: Play) -> None:
    """At any time between two acts."""
    if not play.running:
        return
    registry = play.world.ok("list_registry", {}, sender=ADMIN)["items"]
    open_requests = play.world.ok("list_open_requests", {}, sender=ADMIN)["items"]
    _books(play, registry)
    for estate in play.estates.values():
        creation = play.world.creation(estate.owner)
        _leases(play, estate, open_requests)
        if creation is not None:
            _canisters(play, estate, creation, registry)
            _completion(play, estate, creation)
        _contents(play, estate)


def checksums(memories: Mapping[str, bytes]) -> dict[str, bytes]:
    """As a canister lists them."""
    return {memory_id: content_checksum([content]) for memory_id, content in memories.items()}


# --- money -----------------------------------------------------------------------------------------------------------


def _books(play: Play, registry: list[dict[str, Any]]) -> None:
    """The reserve's books say what canisters got, and nothing else has left the backend."""
    world, reserve = play.world, play.world.reserve()
    completed = [each["canister_id"] for each in world.creations().values() if each["status"] == Case("Completed")]
    owed = [canister for canister in completed if play.is_owed(canister)]
    for canister in play.given:
        if world.is_there(canister):
            assert world.cycles_given(canister) == play.given[canister]
    assert {entry["canister_id"]: entry["cycles_consumed"] for entry in registry} == play.given
    assert set(world.subnet.canisters) <= {each.bytes for each in (*play.given, world.backend)}
    spent = sum(play.given.values())
    assert reserve["total_consumed"] == spent, "the books say something else than what canisters got"
    assert world.cycles_given(world.backend) == BEGAN_WITH - spent, "cycles went somewhere else"
    waiting = [each for each in world.creations().values() if each["status"].tag in OPEN]
    assert (reserve["in_flight"] > 0) == bool(waiting or owed), "cycles are held for nobody, or aren't for somebody"


# --- one creation ----------------------------------------------------------------------------------------------------


def _leases(play: Play, estate: Estate, open_requests: list[dict[str, Any]]) -> None:
    """A creation is kept by the lease that was given last, and no longer than that says."""
    found = next((each for each in open_requests if each["owner"] == estate.owner), None)
    if found is None:
        return
    alive = [each for each in play.leases if each.owner == estate.owner and not each.over]
    lease = next((each for each in alive if play.world.now_ns < each.expires_ns), None)
    told = (found["leased_until"], found["worker"])
    assert told == ((lease.expires_ns, lease.worker) if lease is not None else (None, None))


def _canisters(play: Play, estate: Estate, creation: dict[str, Any], registry: list[dict[str, Any]]) -> None:
    """There is one canister at most that isn't named for clean-up, and no lock outlives its lease or seal."""
    lost = creation["lost_canisters"]
    own = {each["canister_id"]: each["status"].tag for each in registry if each["created_by"] == estate.owner}
    kept = [canister for canister in own if canister not in lost and canister not in estate.cleared]
    assert kept == [each for each in [creation["canister_id"]] if each is not None], "a canister that nobody knows"
    assert all(own[canister] == "Failed" for canister in lost)
    assert all(own[canister] == creation["status"].tag for canister in kept)
    until = creation["locked_until"]
    assert until is None or until <= play.world.now_ns + LONGEST_LOCK_NS, "locked for too long"


def _contents(play: Play, estate: Estate) -> None:
    """Whatever becomes of a creation, what was accepted here is here; what a canister accepted is there."""
    assert play.world.memories(estate.owner) == checksums(estate.accepted), "the original was changed"
    for canister, written in estate.there.items():
        if canister not in play.hostile_since or canister == estate.completed:
            there = play.world.memories(estate.owner, on=canister)
            assert checksums(written).items() <= there.items(), "a canister lost what it accepted"


def _completion(play: Play, estate: Estate, creation: dict[str, Any]) -> None:
    """Completed is said of a canister with a good past, with everything, which its owner got alone; and for good."""
    if creation["status"] != Case("Completed"):
        assert estate.completed is None, "what was Completed isn't any more"
        return
    canister = creation["canister_id"]
    if estate.completed is not None:
        assert canister == estate.completed
        return
    estate.completed = canister
    equal = estate.equal
    assert equal is not None, "Completed without a verification"
    assert equal.canister == canister, "Completed without a verification of this canister"
    history, known = play.world.history(canister), play.known(estate.owner)
    assert judge(known, history).handed_over, "its owner didn't get it alone"
    assert judge(known, history, equal.attested, after_verification=True).handed_over
    everything = estate.accepted | estate.there.get(canister, {})
    there = play.world.memories(estate.owner, on=canister)
    assert there == checksums(everything), "Completed, but with something else"
    assert all(play.world.memory(estate.owner, each, canister) == content for each, content in everything.items())
    held = play.world.ok("get_manifest", sender=estate.owner, on=canister, kind="personal")
    assert held["imported"] is not None, "Completed with an import that isn't final"
    assert held["imported"]["manifest_hash"] == creation["source_manifest"]["manifest_hash"]
    if canister not in estate.there:
        entries = play.world.ok("list_import_entries", None, None, sender=estate.owner, on=canister, kind="personal")
        assert manifest_hash(entries["entries"]) == held["imported"]["manifest_hash"]


# --- the end ---------------------------------------------------------------------------------------------------------


def check_end(play: Play) -> None:
    """Nobody acts any more, but time goes on: each owner can write on one side, and what was handed over is Completed.
    Then whatever is open comes to its end, by an honest worker and, where it failed for good, an admin.
    """
    world = play.world
    play.switch("backend", is_on=True)
    play.switch("reserve", is_on=True)
    for _ in range(3):
        world.pass_time(HOUR)
    check(play)
    for estate in play.estates.values():
        _settled(play, estate)
    _finish(play)


def _settled(play: Play, estate: Estate) -> None:
    owner = estate.owner
    creation = play.world.creation(owner)
    equal = estate.equal
    if equal is not None and equal.handed and not equal.tampered:
        assert play.status(owner) == "Completed", "handed over, but not Completed"
    if creation is not None and creation["locked_until"] is not None:
        _repair(play, owner, creation["canister_id"])
        play.world.pass_time(HOUR)
        check(play)
        creation = play.world.creation(owner)
        assert creation is not None
        assert creation["locked_until"] is None, "locked for ever"
    if estate.equal is not None:
        estate.equal.tampered = True  # it is settled: what is sealed from now on is so by another verification
    if creation is not None and creation["status"] == Case("Completed"):
        if creation["canister_id"] not in play.hostile_since:
            assert play.write_there(owner, creation["canister_id"]), "the owner can write nowhere"
    else:
        assert play.write(owner).tag == "Ok", "the owner can write nowhere"


def _repair(play: Play, owner: Principal, canister: Principal) -> None:
    """What the creation's message tells the owner of a canister that doesn't answer, though they alone control it."""
    assert play.world.controllers(canister) == {owner}, "locked for ever, and not for a canister of the owner's"
    settings = {"freezing_threshold": 7_776_000, "minimum_incoming_canister_call_cycles": 0}
    assert play.world.update_settings(canister, settings, owner)
    assert play.world.managed("start_canister", {"canister_id": canister}, owner)


def _finish(play: Play) -> None:
    world = play.world
    for what in ("room", "creation", "operator", "release"):
        play.switch(what, is_on=True)
    worker = PlainWorker(play, OPERATOR, "finisher")
    for owner, estate in play.estates.items():
        for attempt in range(3):
            world.pass_time(DAY)  # who failed often has to wait
            if attempt == 2:  # a canister that is of no use, or another operator's
                play.end_by_hand("cancel_personal_canister", owner=owner, sender=owner)
                play.clear(owner)
            play.request(owner)
            for _ in range(14):
                if worker.step(owner) in (DONE, FAILED):
                    break
            check(play)
            if estate.completed is not None:
                break
        assert estate.completed is not None, "a creation that nobody can bring to its end"
