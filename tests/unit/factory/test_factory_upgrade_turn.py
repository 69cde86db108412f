"""A run's turn at a canister: what it changes expires by the time on record, and another run waits until then."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_record import UNTIL, VARIABLE
from canister_factory.factory.upgrade_turn import LEFT_NS, TURN_NS, UNRECORDED_NS, Turn
from support.one_canister import ID
from support.upgraded_canister import BEGIN_NS, UpgradedCanister


def turn_at(canister: UpgradedCanister, said: list[str] | None = None) -> Turn:
    told = [] if said is None else said
    retry = Retry(FactoryConfig(), sleep=canister.sleep)
    return Turn(canister, ID, retry, told.append, canister.sleep)  # type: ignore[arg-type]


def changes(canister: UpgradedCanister) -> list[tuple[str, int | None]]:
    return [(method, latest_ns) for method, latest_ns, _ in canister.sent]


async def test_a_change_is_sent_once_its_latest_time_is_on_record() -> None:
    canister = UpgradedCanister()
    canister.variables = {"LANGUAGE": "eo"}
    turn = turn_at(canister)
    await turn.waited_for()
    assert canister.sent == [], "looking begins no turn"
    await turn.management.stop_canister(ID)
    (taking, _, _), (stopping, latest_ns, on_record) = canister.sent
    assert (taking, stopping) == ("update_settings", "stop_canister")
    assert on_record == {"LANGUAGE": "eo", UNTIL: str(latest_ns)}
    await turn.management.start_canister(ID)
    assert changes(canister)[2:] == [("start_canister", latest_ns)], "one turn has many changes"


async def test_a_turn_is_prolonged_before_too_little_of_it_is_left_by_a_message_that_expires_with_it() -> None:
    canister = UpgradedCanister()
    turn = turn_at(canister)
    await turn.waited_for()
    first_ns = await turn.latest_ns()
    canister.now_ns = first_ns - LEFT_NS
    assert await turn.latest_ns() == first_ns
    canister.now_ns += 1
    later_ns = await turn.latest_ns()
    assert later_ns > first_ns
    assert changes(canister)[-1] == ("update_settings", first_ns)
    assert canister.variables[UNTIL] == str(later_ns)


async def test_another_run_waits_until_the_time_is_over_and_says_so_once() -> None:
    canister, said = UpgradedCanister(), list[str]()
    until_ns = canister.now_ns + TURN_NS
    canister.variables = {UNTIL: str(until_ns)}
    canister.after_sleep = lambda: canister.variables.update({VARIABLE: "came in between"})
    status = await turn_at(canister, said).waited_for()
    assert canister.now_ns > until_ns
    assert said == ["an earlier run's messages may still arrive: waiting until 2030-03-17 17:48:41 UTC"]
    found = {each.name for each in status.settings.environment_variables or ()}
    assert VARIABLE in found, "the status is that of afterwards"


async def test_who_prolongs_its_turn_is_waited_for_again() -> None:
    canister, said = UpgradedCanister(), list[str]()
    canister.variables = {UNTIL: str(canister.now_ns + TURN_NS)}
    left = [canister.now_ns + 3 * TURN_NS]
    canister.after_sleep = lambda: canister.variables.update({UNTIL: str(left.pop())} if left else {})
    await turn_at(canister, said).waited_for()
    assert len(said) == 2
    assert canister.now_ns > int(canister.variables[UNTIL])


async def test_what_is_over_or_no_time_is_not_waited_for() -> None:
    for value in (str(UpgradedCanister().now_ns - 1), "soon", "-5", "", "٣"):
        canister = UpgradedCanister()
        canister.variables = {UNTIL: value}
        await turn_at(canister).waited_for()
        assert canister.slept == [], value


async def test_a_run_whose_turn_another_one_has_taken_stops_before_it_changes_anything() -> None:
    canister = UpgradedCanister()
    slow, other = turn_at(canister), turn_at(canister)
    await slow.waited_for()
    await slow.latest_ns()
    canister.now_ns += TURN_NS
    await other.waited_for()
    await other.management.stop_canister(ID)
    before = changes(canister)
    with pytest.raises(UpgradeError, match="another run has gone on"):
        await slow.management.start_canister(ID)
    assert changes(canister) == before


async def test_of_two_that_begin_at_once_one_stops() -> None:
    canister = UpgradedCanister()
    turns = [turn_at(canister) for _ in range(2)]
    for turn in turns:
        await turn.waited_for()
    await turns[0].latest_ns()
    with pytest.raises(UpgradeError, match="another run has gone on"):
        await turns[1].latest_ns()


async def test_nothing_is_changed_while_a_message_may_arrive_whose_sender_looked_before_the_turn() -> None:
    canister = UpgradedCanister()
    killed, said = turn_at(canister), list[str]()
    await killed.waited_for()
    looked_ns = canister.now_ns
    await killed.latest_ns()
    _, latest_ns = changes(canister)[0]
    assert latest_ns is not None
    assert latest_ns <= looked_ns + UNRECORDED_NS, "counted from the look, not from the sending"
    canister.now_ns, canister.variables = BEGIN_NS + 1, {}  # the message is on its way still
    turn = turn_at(canister, said)
    await turn.waited_for()
    await turn.latest_ns()
    assert canister.now_ns > latest_ns
    assert said == ["making sure that no other run has begun as well: 40 seconds"]
    slept = len(canister.slept)
    canister.now_ns += TURN_NS - 2 * UNRECORDED_NS - LEFT_NS
    await turn.latest_ns()
    assert (len(canister.sent), len(canister.slept)) == (3, slept), "a turn that is prolonged has no gap"


async def test_who_is_overtaken_while_it_makes_sure_to_be_alone_stops() -> None:
    canister = UpgradedCanister()
    turn = turn_at(canister)
    await turn.waited_for()
    canister.after_sleep = lambda: canister.variables.update({UNTIL: str(canister.now_ns + TURN_NS)})
    with pytest.raises(UpgradeError, match="another run has gone on") as caught:
        await turn.management.stop_canister(ID)
    assert caught.value.retry_helps
    assert [method for method, _ in changes(canister)] == ["update_settings"]


async def test_a_turn_that_was_over_before_it_was_prolonged_begins_anew() -> None:
    """A computer that slept: another run may have looked since."""
    canister = UpgradedCanister()
    turn = turn_at(canister)
    await turn.waited_for()
    first_ns = await turn.latest_ns()
    canister.now_ns = looked_ns = first_ns + 1
    await turn.latest_ns()
    _, latest_ns = changes(canister)[-1]
    assert latest_ns is not None
    assert first_ns < latest_ns <= looked_ns + UNRECORDED_NS
    assert canister.now_ns > latest_ns + UNRECORDED_NS


async def test_a_turn_whose_beginning_was_executed_unseen_is_this_runs_all_the_same() -> None:
    canister = UpgradedCanister()
    canister.lost = ["update_settings"]
    turn = turn_at(canister)
    await turn.waited_for()
    latest_ns = await turn.latest_ns()
    assert canister.variables == {UNTIL: str(latest_ns)}
    assert [method for method, _ in changes(canister)] == ["update_settings"]


async def test_changes_that_are_made_at_once_begin_one_turn() -> None:
    canister = UpgradedCanister()
    turn = turn_at(canister)
    await turn.waited_for()
    assert len(set(await asyncio.gather(*(turn.latest_ns() for _ in range(4))))) == 1
    assert len(canister.sent) == 1


async def test_after_its_end_another_turn_begins() -> None:
    canister = UpgradedCanister()
    turn = turn_at(canister)
    await turn.waited_for()
    first_ns = await turn.latest_ns()
    canister.variables = {}
    turn.ended()
    assert repr(turn) == f"Turn({ID})"
    assert await turn.latest_ns() > first_ns
