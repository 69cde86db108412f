"""What time does to a capsule, on both canisters, with a clock that moves only when told: nonces and uploads expire,
memories that open."""

from __future__ import annotations

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OWNER, STRANGER
from support.owner_world import Canister, begin, canister_with_capsule, put
from support.personal_world import FRIEND, by_principal, inline, new_memory, sha256

CHUNKS = [b"a" * 1000, b"b" * 17]
NONCE_SECONDS = 600
UPLOAD_SECONDS = 3600


@pytest.fixture(params=["backend", "personal"])
def world(request: pytest.FixtureRequest) -> Canister:
    return canister_with_capsule(request.param)


def test_a_nonce_is_valid_for_ten_minutes_and_then_free(world: Canister) -> None:
    world.ok("prove_nonce", "session-1")
    world.advance(NONCE_SECONDS - 1)
    assert world.ok("verify_nonce", "session-1", sender=STRANGER) == OWNER
    world.advance(1)
    assert world.err("verify_nonce", "session-1", sender=STRANGER).tag == "NotFound"
    for number in range(10):
        world.ok("prove_nonce", f"later-{number}")
    assert world.err("prove_nonce", "session-1").tag == "LimitExceeded", "expired nonces leave room, others don't"
    assert world.err("verify_nonce", "session-1").tag == "NotFound"


def test_proving_a_nonce_again_gives_it_another_ten_minutes(world: Canister) -> None:
    world.ok("register_with_nonce", "session-1")
    world.advance(NONCE_SECONDS - 1)
    world.ok("prove_nonce", "session-1")
    world.advance(NONCE_SECONDS - 1)
    assert world.ok("verify_nonce", "session-1") == OWNER
    world.advance(1)
    assert world.err("verify_nonce", "session-1").tag == "NotFound"


def test_an_expired_upload_takes_nothing_any_more_and_becomes_no_memory(world: Canister) -> None:
    upload_id = begin(world, CHUNKS)
    put(world, upload_id, CHUNKS, 0)
    world.advance(UPLOAD_SECONDS)
    expired = Case("SessionExpired", {"session": upload_id, "expired_at": world.now_ns})
    assert world.err("put_memory_upload_chunk", upload_id, 1, CHUNKS[1], sha256(CHUNKS[1])) == expired
    assert world.err("commit_memory_upload", upload_id) == expired
    assert world.err("get_memory_upload", upload_id) == expired
    assert world.ok("list_capsule_memories", None, {})["total"] == 0
    begin(world, CHUNKS)
    assert world.err("get_memory_upload", upload_id).tag == "NotFound", "its bytes are freed when others begin"


def test_each_chunk_keeps_an_upload_alive(world: Canister) -> None:
    upload_id = begin(world, CHUNKS)
    for index in (0, 1):
        world.advance(UPLOAD_SECONDS - 1)
        put(world, upload_id, CHUNKS, index)
    world.advance(UPLOAD_SECONDS - 1)
    memory_id = world.ok("commit_memory_upload", upload_id)
    assert [world.ok("read_memory_chunk", memory_id, index) for index in (0, 1)] == CHUNKS


def test_a_refused_chunk_keeps_no_upload_alive(world: Canister) -> None:
    upload_id = begin(world, CHUNKS)
    world.advance(UPLOAD_SECONDS - 1)
    assert world.err("put_memory_upload_chunk", upload_id, 0, CHUNKS[0], bytes(32)).tag == "ChecksumMismatch"
    world.advance(1)
    assert world.err("put_memory_upload_chunk", upload_id, 0, CHUNKS[0], sha256(CHUNKS[0])).tag == "SessionExpired"


def test_a_scheduled_memory_opens_at_its_time_for_whom_the_rule_within_names(world: Canister) -> None:
    opens = world.now_ns + 60_000_000_000
    named = Case("Custom", {"individuals": [by_principal(FRIEND)], "groups": []})
    ids = {
        name: world.ok(
            "add_memory_to_capsule",
            inline(b"x"),
            new_memory(access=Case("Scheduled", {"accessible_after": opens, "access": access})),
        )
        for name, access in (("public", Case("Public")), ("friend", named), ("private", Case("Private")))
    }

    def readers(memory_id: str) -> list[str]:
        people = {"owner": OWNER, "friend": FRIEND, "anonymous": ANONYMOUS}
        answers = {name: world.call("get_memory_from_capsule", memory_id, sender=who) for name, who in people.items()}
        return [name for name, answer in answers.items() if answer.tag == "Ok"]

    world.advance(59.999)
    assert {name: readers(memory_id) for name, memory_id in ids.items()} == {name: ["owner"] for name in ids}
    world.advance(0.001)
    assert {name: readers(memory_id) for name, memory_id in ids.items()} == {
        "public": ["owner", "friend", "anonymous"],
        "friend": ["owner", "friend"],
        "private": ["owner"],
    }
