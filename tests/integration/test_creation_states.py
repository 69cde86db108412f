"""An owner does something to the canister before it is theirs: the creation ends in a state with a name, whose words
say what lets it go on, and that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.factory.errors import CanisterState, CreationFailedError
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.testing import EmbeddedReplica
from support.creation_contents import pattern, read_back
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile
from support.killing import killed_at
from support.owner_acts import ACTS, Acting, act, make_good

SEALED_S = 200
PARTS = {"max_message_bytes": 50_000, "start_window": 1, "max_window": 1}


@dataclass(frozen=True)
class Ending:
    """What has to come of an act: the state, words of the message, and what a retry does."""

    words: str
    state: CanisterState | None = None
    kind: CreationErrorKind | None = None
    retry_helps: bool = True
    same_canister: bool = True


LOST = CreationErrorKind.HistoryFailed
ENDINGS = {
    "stops it": Ending("is stopped. A controller, such as its owner, has to start it", CanisterState.STOPPED),
    "starves it": Ending("has too few cycles to work. Somebody has to top it up", CanisterState.FROZEN),
    "deletes it": Ending(
        "was deleted by a controller.* 'cleanup {owner}'",
        CanisterState.DELETED,
        retry_helps=False,
        same_canister=False,
    ),
    "installs another module": Ending("code_deployment .* is of no approved release", None, LOST, same_canister=False),
    "uninstalls it": Ending("code_uninstall .* is nothing that a creation does", None, LOST, same_canister=False),
    "lets a stranger control it": Ending("control it, which is no operator", None, LOST, same_canister=False),
    "blackholes it": Ending("leaves it without a controller", None, LOST, same_canister=False),
    "takes it": Ending(
        "the owner alone controls .* adds the operator {operator} .* 'admin clear {owner}'", CanisterState.OWNERS_ALONE
    ),
    "reinstalls it": Ending("has no more what was stored in it", CanisterState.REINSTALLED),
}
PLACES = ("after the installation", "after the import was final", "after the verification")
HARMLESS = {("reinstalls it", place) for place in PLACES} | {("takes it", place) for place in PLACES[1:]}
"""An approved module without contents is filled again; who takes a canister that has everything may have it."""


async def write(world: World) -> dict[str, bytes]:
    """What the owner has: enough for two messages, of a run in `PARTS`."""
    data = [pattern(40_000, f"memory {number}") for number in range(2)]
    return {await world.as_owner.add_memory_to_capsule(inline(some), note("mine")): some for some in data}


async def ends(world: World, orchestrator: Orchestrator, ending: Ending) -> CreationFailedError:
    """The run fails as it has to, and so it is on record."""
    words = ending.words.format(owner=world.owner_id, operator=world.operator_id)
    with pytest.raises(CreationFailedError, match=words) as failed:
        await orchestrator.run(world.owner_id)
    assert failed.value.state == ending.state
    assert failed.value.retry_helps == ending.retry_helps
    creation = await world.creation()
    assert creation.status == CreationStatus.Failed
    assert creation.error is not None
    assert creation.error.message == failed.value.message
    assert creation.error.retry_helps == ending.retry_helps
    if ending.kind is not None:
        assert creation.error.kind == ending.kind
    if ending.state is not None:
        assert failed.value.context["state"] == str(ending.state)
    return failed.value


async def goes_on(world: World, hostile: Hostile, what: str, contents: dict[str, bytes]) -> Outcome:
    """Somebody does what the error says, and the owner gets all they had, on a canister that is theirs."""
    await make_good(hostile, what)
    outcome = await world.create()
    assert outcome.creation.status == CreationStatus.Completed
    assert outcome.controllers_after == {world.owner_id}
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents
    return outcome


@pytest.fixture
def pass_the_seal(own_replica: EmbeddedReplica | None, world: World) -> Callable[[], World]:
    """Lets the time go by in which a canister may be handed over; the world in that time."""
    if own_replica is None:
        pytest.skip("time goes by on a replica of the tests' own only")
    replica = own_replica

    def go() -> World:
        replica.advance(SEALED_S)
        return world.by_clock(replica.clock)

    return go


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ACTS)
async def test_what_an_owner_does_between_two_runs_has_a_name_and_a_way_on(
    world: World, pass_the_seal: Callable[[], World], what: str, place: str
) -> None:
    contents = await write(world)
    canister = (await killed_at(world, place)).canister_id
    assert canister is not None
    await act(Hostile(world, world.owner, canister), what)
    if (what, place) in HARMLESS:
        outcome = await world.orchestrator().run(world.owner_id)
        assert (outcome.creation.status, outcome.creation.canister_id) == (CreationStatus.Completed, canister)
        assert await read_back(world.personal(canister)) == contents
        return
    ending = ENDINGS[what]
    await ends(world, world.orchestrator(), ending)
    later = pass_the_seal()
    outcome = await goes_on(later, Hostile(later, later.owner, canister), what, contents)
    assert (outcome.creation.canister_id == canister) is ending.same_canister


@pytest.mark.parametrize("what", ACTS)
async def test_what_an_owner_does_in_the_middle_of_a_copy_has_a_name_and_a_way_on(world: World, what: str) -> None:
    contents = await write(world)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Acting(world, "put_memory_chunks", what))
    ending = ENDINGS[what]
    await ends(world, world.orchestrator(agent=agent, **PARTS), ending)
    assert agent.canister is not None
    outcome = await goes_on(world, Hostile(world, world.owner, agent.canister), what, contents)
    assert (outcome.creation.canister_id == agent.canister) is ending.same_canister


@pytest.mark.parametrize("what", ["installs another module", "uninstalls it", "lets a stranger control it"])
async def test_what_an_owner_does_just_before_the_handoff_is_judged_by_the_backend(world: World, what: str) -> None:
    contents = await write(world)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Acting(world, "update_settings", what))
    await ends(world, world.orchestrator(agent=agent), Ending("can't become its owner's", None, LOST))
    assert agent.canister is not None
    outcome = await goes_on(world, Hostile(world, world.owner, agent.canister), what, contents)
    assert outcome.creation.lost_canisters == [agent.canister]


@pytest.mark.parametrize("what", ["installs another module", "uninstalls it", "blackholes it"])
async def test_what_an_owner_does_just_after_the_handoff_is_theirs_to_do(world: World, what: str) -> None:
    await write(world)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Acting(world, "complete_creation", what))
    outcome = await world.orchestrator(agent=agent).run(world.owner_id)
    assert (outcome.creation.status, outcome.creation.canister_id) == (CreationStatus.Completed, agent.canister)


@pytest.mark.parametrize("method", ["verify_creation", "complete_creation"])
@pytest.mark.parametrize("what", ["stops it", "deletes it"])
async def test_a_canister_that_is_away_when_the_backend_asks_has_a_name(world: World, what: str, method: str) -> None:
    await write(world)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Acting(world, method, what))
    failed = await ends(world, world.orchestrator(agent=agent), ENDINGS[what])
    assert failed.canister_id == agent.canister


async def test_an_owner_who_takes_a_finished_canister_before_its_verification_has_it(world: World) -> None:
    contents = await write(world)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Acting(world, "verify_creation", "takes it"))
    outcome = await world.orchestrator(agent=agent).run(world.owner_id)
    assert (outcome.creation.status, outcome.creation.canister_id) == (CreationStatus.Completed, agent.canister)
    assert await read_back(world.personal(agent.canister)) == contents


async def test_an_owner_who_takes_an_empty_canister_is_told_to_let_the_operator_in_again(world: World) -> None:
    contents = await write(world)
    canister = (await killed_at(world, "after the canister was created")).canister_id
    assert canister is not None
    hostile = Hostile(world, world.owner, canister)
    await act(hostile, "takes it")
    await ends(world, world.orchestrator(), ENDINGS["takes it"])
    outcome = await goes_on(world, hostile, "takes it", contents)
    assert outcome.creation.canister_id == canister
