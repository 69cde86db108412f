"""A backend that was restored under another id: owners tell their canisters, and have from it what they had before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.results import Verdict
from canister_factory.cli.verify_past import check_settings
from canister_factory.contract.admin_models import NotificationKind, NumberedPageRequest
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import (
    CreatePersonalCanisterConfig,
    CreationErrorKind,
    CreationStatus,
    ErasureStage,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import CreationFailedError
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience, CanisterSettings
from canister_factory.operating.open_creations import Fate, fates
from canister_factory.owner.errors import ControlError
from canister_factory.owner.move_back import MoveBack, undo
from canister_factory.owner.new_backend import NewBackend, Telling
from support.backend_copies import CONFIG, back_up, elsewhere
from support.cli_world import Cli
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import DyingAgent, Killed, killed_at


async def told(world: World, agent: Agent | None = None, canister_id: Principal | None = None) -> Telling:
    """As `owner backend` does it."""
    new = NewBackend(agent or world.owner, world.backend_id)
    telling = await new.look(canister_id)
    await new.tell(telling)
    return telling


async def moved_and_lost(world: World, path: Path, *, is_shown: bool = False) -> tuple[World, dict[str, bytes]]:
    """A completed creation, whose backend is restored under another id; what its canister has."""
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(CreatePersonalCanisterConfig(show_status=is_shown))
    await world.orchestrator().run(world.owner_id)
    await back_up(world, path)
    return await elsewhere(world, path), contents


def personal(world: World, canister_id: Principal) -> PersonalClient:
    return PersonalClient(world.owner, canister_id)


async def test_undo_is_possible_again_once_the_canister_knows_the_backend(world: World, tmp_path: Path) -> None:
    moved, contents = await moved_and_lost(world, tmp_path / "backup")
    canister = (await moved.creation()).canister_id
    assert canister is not None
    with pytest.raises(CreationRefused, match=r"gave no manifest: .*its owner tells it of this one \(owner backend\)"):
        await undo(moved.as_owner, personal(moved, canister))
    telling = await told(moved)
    assert telling == Telling(canister, world.backend_id, moved.backend_id, True, None)
    undone = await undo(moved.as_owner, personal(moved, canister))
    assert undone.status == CreationStatus.Undone
    assert await read_back(moved.as_owner) == contents
    await moved.as_owner.add_memory_to_capsule(inline(b"again"), note("again"))


async def test_what_was_written_since_is_moved_back_to_it(world: World, tmp_path: Path) -> None:
    moved, contents = await moved_and_lost(world, tmp_path / "backup")
    canister = (await moved.creation()).canister_id
    assert canister is not None
    there = personal(moved, canister)
    await there.add_memory_to_capsule(inline(b"written there"), note("new"))
    capsule_id = (await there.get_personal_info()).capsule_id
    assert capsule_id is not None
    await told(moved, canister_id=canister)
    outcome = await MoveBack(moved.owner, moved.as_owner, there, capsule_id, CONFIG).run()
    assert (outcome.creation.status, outcome.counts["added"]) == (CreationStatus.Undone, 1)
    assert sorted((await read_back(moved.as_owner)).values()) == sorted([*contents.values(), b"written there"])


async def test_the_copy_on_it_is_erased_at_its_owners_wish(world: World, tmp_path: Path) -> None:
    moved, _ = await moved_and_lost(world, tmp_path / "backup")
    with pytest.raises(CreationRefused, match="owner backend"):
        await moved.as_owner.request_erasure(None)
    await told(moved)
    erasure = (await moved.as_owner.request_erasure(None)).erasure
    assert erasure is not None
    assert erasure.stage == ErasureStage.Waiting


async def settings_seen(moved: World, canister: Principal) -> str:
    """What `verify` says of the settings, which are right in any case."""
    check = await check_settings(moved.owner, canister, moved.owner_id, await moved.as_owner.get_backend_ids())
    assert check.verdict == Verdict.OK
    return check.found


async def test_verify_says_that_the_backend_is_to_see_the_status_by_its_new_id(world: World, tmp_path: Path) -> None:
    moved, _ = await moved_and_lost(world, tmp_path / "backup", is_shown=True)
    canister = (await moved.creation()).canister_id
    assert canister is not None
    seen = await settings_seen(moved, canister)
    assert "can not see its status, which you allowed, by the id that it has now: 'owner backend' tells" in seen
    await told(moved)
    assert "the backend may see its status, which you allowed (certified)" in await settings_seen(moved, canister)


@pytest.mark.parametrize("others", [[], ["friend"]], ids=["alone", "beside a friend"])
async def test_whom_the_owner_let_see_the_status_goes_along(world: World, tmp_path: Path, others: list[str]) -> None:
    moved, _ = await moved_and_lost(world, tmp_path / "backup", is_shown=True)
    canister = (await moved.creation()).canister_id
    assert canister is not None
    management, friends = ManagementCanister(moved.owner), [world.operator_id for _ in others]
    before = Audience(allowed_viewers=[world.backend_id, *friends])
    await management.update_settings(canister, CanisterSettings(status_visibility=before))
    assert (await told(moved)).viewers == (*friends, moved.backend_id)
    settings = (await management.canister_status(canister)).settings
    assert settings.status_visibility == Audience(allowed_viewers=[*friends, moved.backend_id])
    assert settings.controllers == [moved.owner_id]
    again = await NewBackend(moved.owner, moved.backend_id).look(canister)
    assert again.is_told


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["change_backend", "update_settings"])
async def test_a_telling_that_was_killed_is_ended_by_the_same_call(
    world: World, tmp_path: Path, step: str, executed: bool
) -> None:
    moved, _ = await moved_and_lost(world, tmp_path / "backup", is_shown=True)
    agent = await moved.stack.enter_async_context(DyingAgent(moved.owner.identity, moved.network))
    agent.dies_of, agent.executed = step, executed
    with pytest.raises(Killed):
        await told(moved, agent)
    telling = await told(moved)
    assert (await NewBackend(moved.owner, moved.backend_id).look(telling.canister_id)).is_told
    status = await ManagementCanister(moved.owner).canister_status(telling.canister_id)
    assert status.settings.status_visibility == Audience(allowed_viewers=[moved.backend_id])


async def test_a_backend_that_does_not_know_the_canister_is_refused(world: World, tmp_path: Path) -> None:
    await back_up(world, tmp_path / "backup")
    await fill(world.as_owner)
    canister = (await world.create()).creation.canister_id
    assert canister is not None
    moved = await elsewhere(world, tmp_path / "backup")
    refused = f"{moved.backend_id} doesn't know {canister} as yours: it has no canister of {moved.owner_id}"
    with pytest.raises(ControlError, match=refused):
        await told(moved, canister_id=canister)
    with pytest.raises(ControlError, match="doesn't know any canister as yours"):
        await told(moved, moved.operator)
    assert (await personal(moved, canister).get_personal_info()).backend == world.backend_id


async def test_a_canister_that_is_not_handed_over_is_not_told(world: World) -> None:
    canister = (await killed_at(world, "after the import was final")).canister_id
    with pytest.raises(ControlError, match=f"{canister} isn't handed over to you yet"):
        await told(world, canister_id=canister)


async def test_a_creation_that_was_completed_after_the_backup_is_completed_again_and_not_paid_twice(
    world: World, tmp_path: Path
) -> None:
    contents = await fill(world.as_owner)
    canister = (await killed_at(world, "in the middle of the copy")).canister_id
    assert canister is not None
    await back_up(world, tmp_path / "backup")
    await world.orchestrator().run(world.owner_id)  # what the backup doesn't know of
    moved = await elsewhere(world, tmp_path / "backup")
    [only] = [each async for each in fates(moved.admin, moved.as_admin)]
    assert only.fate == Fate.OWNERS
    with pytest.raises(CreationFailedError, match=r"until its owner tells it of this one \(owner backend\)"):
        await moved.orchestrator().run(moved.owner_id)

    management = ManagementCanister(moved.owner)
    before = (await management.canister_status(canister)).cycles
    await told(moved)
    outcome = await moved.create()
    assert (outcome.creation.status, outcome.creation.canister_id) == (CreationStatus.Completed, canister)
    assert await read_back(moved.personal(canister)) == contents
    assert (await management.canister_status(canister)).cycles <= before
    notices = (await moved.as_admin.list_notifications(NumberedPageRequest())).items
    assert [each.subject for each in notices if each.kind == NotificationKind.DepositUnknown] == [canister]
    missing = (await moved.need()).rest
    await moved.as_admin.pay_rest(moved.owner_id)
    assert (await management.canister_status(canister)).cycles > before + missing // 2
    with pytest.raises(CreationRefused) as refused:
        await moved.as_admin.pay_rest(moved.owner_id)
    assert refused.value.error.kind == CreationErrorKind.InvalidRequest


def test_the_owners_commands_say_what_to_do_and_do_it(requested: Cli, tmp_path: Path) -> None:
    requested.directly("owner", lambda _agent, backend: fill(backend))
    former = requested.backend_id
    canister = requested.ok("operator", "run", requested.id("owner")).json["canister_id"]
    requested.ok("admin", "backend", "backup", tmp_path / "copy")
    restored = requested.ok("admin", "backend", "restore", tmp_path / "copy", "--new", backend=False)
    new = Principal.from_str(restored.json["canister_id"])
    requested.backend_id = new
    for command in (["undo"], ["move-back"], ["erase"]):
        error = requested.run("owner", "owner", *command, "--yes").error
        assert f"{canister} answers the backend {former}, and this is {new}." in error
        assert f"'owner backend {new}'" in error

    paid = requested.run("admin", "admin", "pay-rest", requested.id("owner"), "--yes")
    assert "Nothing of it waits for an admin's word" in paid.error, "it was paid before the backup"
    checks = {each["name"]: each for each in requested.ok("owner", "verify", requested.id("owner")).json["checks"]}
    assert f"which has the id {new} now: 'owner backend' tells the canister" in checks["what it says"]["found"]
    asked = requested.run("owner", "owner", "backend", new, backend=False).error
    assert asked.startswith(f"Let {canister} belong with the backend {new} in the place of {former}?")
    stranger = requested.run("stranger", "owner", "backend", new, "--canister", canister, "--yes", backend=False)
    assert f"doesn't know {canister} as yours" in stranger.error
    done = requested.ok("owner", "owner", "backend", new, "--yes", backend=False).json
    assert done == {
        "canister_id": canister,
        "backend_before": str(former),
        "backend": str(new),
        "is_successor": True,
        "status_viewers": None,
    }
    again = requested.ok("owner", "owner", "backend", new, "--canister", canister, backend=False)
    assert again.json["backend_before"] == str(new)
    assert requested.ok("owner", "verify", requested.id("owner")).json["ok"] is True
    back = requested.ok("owner", "owner", "backend", former, "--yes", backend=False)
    assert json.loads(back.out)["is_successor"] is False
    assert "which doesn't say that it ever was" in back.err
    requested.ok("owner", "owner", "backend", new, "--yes", backend=False)
    assert requested.ok("owner", "owner", "undo", "--yes").json["status"] == "Undone"
