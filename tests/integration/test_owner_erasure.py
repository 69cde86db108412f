"""What a completed creation leaves on the backend, erased at its owner's wish: in time, wholly, with a receipt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CertifiedReceipt,
    CreationErrorKind,
    CreationStatus,
    ErasureStage,
)
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.contract.memory_models import MemoryAccess, PageRequest
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.erasure_receipt import keep, verified
from canister_factory.owner.errors import ReceiptError
from canister_factory.owner.move_back import undo
from canister_factory.testing import EmbeddedReplica
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import DyingAgent, Killed

DAY = 86_400
DAY_NS = DAY * 10**9


class Moved:
    """A completed creation, on a network whose time goes on as the test wants."""

    def __init__(self, world: World, replica: EmbeddedReplica, contents: dict[str, bytes], canister_id: Principal):
        self.world = world.by_clock(replica.clock)
        self.replica = replica
        self.contents = contents
        self.canister_id = canister_id

    @property
    def client(self) -> BackendClient:
        return self.world.as_owner

    def days(self, days: float) -> None:
        self.replica.advance(days * DAY)

    async def erasing_goes_on(self, most: int = 40) -> None:
        """Rounds until everything is erased."""
        for _ in range(most):
            erasure = (await self.world.creation()).erasure
            assert erasure is not None
            if erasure.stage == ErasureStage.Erased:
                return
            self.replica.advance(2)
            await self.client.whoami()
        raise AssertionError("it isn't erased")


@pytest.fixture
async def moved(world: World, own_replica: EmbeddedReplica | None) -> Moved:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    contents = await fill(world.as_owner)
    public = note("public", access=MemoryAccess(Public=None))
    contents[await world.as_owner.add_memory_to_capsule(inline(b"public"), public)] = b"public"
    await world.create()
    canister_id = (await world.creation()).canister_id
    assert canister_id is not None
    return Moved(world, own_replica, contents, canister_id)


async def test_after_the_period_nothing_is_left_but_a_head_and_a_receipt_that_the_network_certifies(
    moved: Moved, tmp_path: Path
) -> None:
    world, client = moved.world, moved.client
    capsule_id = (await world.personal(moved.canister_id).get_personal_info()).capsule_id
    assert capsule_id is not None
    source = (await world.creation()).source_manifest
    assert source is not None
    asked = (await client.request_erasure()).erasure
    assert asked is not None
    assert asked.stage == ErasureStage.Waiting
    assert asked.due_at - asked.requested_at == 7 * DAY_NS
    assert (await client.request_erasure()).erasure == asked, "once more changes nothing"
    with pytest.raises(CreationRefused) as early:
        await client.get_erasure_receipt()
    assert early.value.kind == "TooEarly"
    assert await read_back(client) == moved.contents, "it can be read until then"

    moved.days(7)
    await moved.erasing_goes_on()
    with pytest.raises(CreationRefused) as late:
        await client.cancel_erasure()
    assert late.value.kind == "TooLate"
    with pytest.raises(CreationRefused) as gone:
        await undo(client, world.personal(moved.canister_id))
    assert gone.value.error.kind == CreationErrorKind.TooLate

    used = (await client.get_my_quota()).used
    assert (used.content_bytes, used.memories, used.galleries, used.uploads) == (0, 0, 0, 0)
    assert used.record_bytes <= 1_000 + 200, "the capsule's head, and the registration"
    audit = await world.as_admin.audit_contents()
    assert (audit.chunks, audit.held_bytes, audit.consistent, audit.manifests_consistent) == (0, 0, True, True)

    told = await client.get_erasure_receipt()
    receipt = verified(told, world.backend_id, world.owner_id, world.owner.certificates, world.owner.clock())
    assert (receipt.canister_id, receipt.manifest_hash) == (moved.canister_id, source.manifest_hash)
    assert receipt.imported_manifest_hash == source.manifest_hash
    assert (receipt.memories, receipt.content_size) == (source.memories, source.content_size)
    keep(told, receipt, tmp_path / "receipt.json")
    assert json.loads((tmp_path / "receipt.json").read_text())["receipt"]["canister_id"] == str(moved.canister_id)
    with pytest.raises(ReceiptError, match="there already"):
        keep(told, receipt, tmp_path / "receipt.json")
    forged = told.model_copy(update={"encoded": told.encoded[:-1] + bytes((told.encoded[-1] ^ 1,))})
    with pytest.raises(ReceiptError, match="doesn't certify"):
        verified(forged, world.backend_id, world.owner_id, world.owner.certificates, world.owner.clock())
    assert await read_back(world.personal(moved.canister_id)) == moved.contents


async def test_who_asks_for_old_ids_is_told_where_they_are_if_they_may_know(moved: Moved) -> None:
    client = moved.client
    capsule_id = (await client.register_capsule()).capsule_id
    memory_id = next(iter(moved.contents))
    neighbour = BackendClient(moved.world.agent(clock_ns=moved.replica.clock), moved.world.backend_id)
    await neighbour.register_capsule()
    hers = await neighbour.add_memory_to_capsule(inline(b"hers"), note("hers"))
    await client.request_erasure(DAY_NS)
    moved.days(1)
    await moved.erasing_goes_on()
    asked = {
        "get_capsule": (capsule_id,),
        "list_capsule_memories": (capsule_id, PageRequest()),
        "get_memory_from_capsule": (memory_id,),
        "read_memory_chunk": (memory_id, 0),
        "delete_memory_from_capsule": (memory_id,),
        "list_connections": (),
        "list_capsule_events": (capsule_id,),
    }
    for method, arguments in asked.items():
        with pytest.raises(CapsuleRefused) as refused:
            await getattr(client, method)(*arguments)
        assert refused.value.kind == "Moved", method
        assert refused.value.error.value.personal_canister == moved.canister_id
    with pytest.raises(CapsuleRefused) as of_others:
        await client.get_memory_from_capsule(hers)
    assert of_others.value.kind == "Moved", "as of an id that nobody made: nothing is told of others' memories"
    stranger = BackendClient(moved.world.agent(clock_ns=moved.replica.clock), moved.world.backend_id)
    for memory_id in moved.contents:
        with pytest.raises(CapsuleRefused) as hidden:
            await stranger.get_memory_from_capsule(memory_id)
        assert hidden.value.kind == "NotFound"
    assert (await stranger.list_capsule_memories(capsule_id, PageRequest())).items == []


async def test_until_it_begins_the_owner_changes_their_mind(moved: Moved) -> None:
    client = moved.client
    for wrong in (DAY_NS - 1, 90 * DAY_NS + 1):
        with pytest.raises(CreationRefused) as refused:
            await client.request_erasure(wrong)
        assert refused.value.kind == "InvalidRequest"
    with pytest.raises(CreationRefused) as nothing:
        await client.cancel_erasure()
    assert nothing.value.kind == "TooEarly"
    await client.request_erasure(2 * DAY_NS)
    with pytest.raises(CreationRefused, match="cancel"):
        await client.undo_personal_canister()
    with pytest.raises(CreationRefused, match="cancel"):
        await client.begin_move_back()
    moved.days(1.9)
    assert (await client.cancel_erasure()).erasure is None
    moved.days(3)
    assert await read_back(moved.client) == moved.contents
    assert (await undo(client, moved.world.personal(moved.canister_id))).status == CreationStatus.Undone


async def test_without_the_owners_canister_nothing_is_erased(moved: Moved) -> None:
    client, management = moved.client, ManagementCanister(moved.world.owner)
    await client.request_erasure(DAY_NS)
    await management.stop_canister(moved.canister_id)
    moved.days(1)
    for _ in range(5):
        moved.replica.advance(2)
    erasure = (await moved.world.creation()).erasure
    assert erasure is not None
    assert erasure.stage == ErasureStage.Waiting
    assert "gave no manifest" in erasure.message
    assert await read_back(moved.client) == moved.contents

    await management.delete_canister(moved.canister_id)
    moved.replica.advance(3_700)
    for _ in range(5):
        moved.replica.advance(2)
    erasure = (await moved.world.creation()).erasure
    assert erasure is not None
    assert "the only copy is here" in erasure.message
    await client.cancel_erasure()
    with pytest.raises(CreationRefused, match="the only copy is here"):
        await client.request_erasure()
    assert (await client.undo_personal_canister()).status == CreationStatus.Undone, "there is no other copy"


async def test_a_receipt_without_a_certificate_is_none(moved: Moved) -> None:
    await moved.client.request_erasure(DAY_NS)
    moved.days(1)
    await moved.erasing_goes_on()
    told: CertifiedReceipt = (await moved.client.get_erasure_receipt()).model_copy(update={"certificate": None})
    world = moved.world
    with pytest.raises(ReceiptError, match="no certificate"):
        verified(told, world.backend_id, world.owner_id, world.owner.certificates, world.owner.clock())


@pytest.mark.parametrize("executed", [False, True])
async def test_who_is_killed_asking_asks_again(moved: Moved, executed: bool) -> None:
    world = moved.world
    for call in ("request_erasure", "cancel_erasure", "request_erasure"):
        agent = DyingAgent(world.owner.identity, world.network, clock_ns=moved.replica.clock)
        agent.executed, agent.dies_at = executed, 1
        with pytest.raises(Killed):
            await getattr(BackendClient(agent, world.backend_id), call)()
        await agent.close()
        present = (await world.creation()).erasure
        assert (present is not None) == ((call == "request_erasure") == executed), "it was executed, or it wasn't"
        if (call == "request_erasure") != (present is not None):
            await getattr(moved.client, call)()
    asked = await moved.client.request_erasure()
    assert asked.erasure is not None
    assert asked.erasure.stage == ErasureStage.Waiting
