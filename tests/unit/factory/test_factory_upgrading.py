"""The order of an upgrade's steps, and what stands on record when each is sent; how it ends, well or not."""

from __future__ import annotations

import pytest

from canister_factory.factory.errors import UpgradeError, VerifyError
from canister_factory.factory.upgrade_record import SNAPSHOT, UNTIL, VARIABLE, Record
from canister_factory.factory.upgrade_turn import TURN_NS
from canister_factory.factory.upgrading import Upgraded
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management_types import RunState
from support.upgraded_canister import NEW, OLD, ROOT, Judgement, UpgradedCanister, upgrading

TRAPPED = RejectedError(5, "it traps when it starts", "IC0502", certified=True)
RECORD = Record(OLD, NEW.module_hash, 0)
DAY_NS = 86_400 * 10**9


def methods(canister: UpgradedCanister) -> list[str]:
    return [method for method, _, _ in canister.sent if method != "update_settings"]


async def test_the_steps_of_an_upgrade_in_their_order() -> None:
    canister, health = UpgradedCanister(), Judgement()
    canister.variables = {"LANGUAGE": "eo"}
    upgraded = await upgrading(canister, health).run()
    assert upgraded == Upgraded(OLD, NEW.module_hash, None)
    assert methods(canister) == [
        *("stop_canister", "take_canister_snapshot", "install_code", "start_canister", "delete_canister_snapshot"),
    ]
    assert health.asked == [("facts", ROOT)], "judged by the snapshot's root"
    assert (canister.variables, canister.snapshots) == ({"LANGUAGE": "eo"}, {})


@pytest.mark.parametrize("unsound", [None, VerifyError("another root")], ids=["good", "unsound"])
async def test_each_change_expires_by_the_time_that_is_on_record_when_it_is_sent(unsound: Exception | None) -> None:
    canister = UpgradedCanister()
    run = upgrading(canister, Judgement(unsound)).run()
    if unsound is None:
        await run
    else:
        with pytest.raises(UpgradeError, match="another root"):
            await run
        assert "load_canister_snapshot" in methods(canister)
    (beginning, _, _), *others = canister.sent
    assert beginning == "update_settings"
    assert len(others) >= 8
    assert [method for method, latest_ns, record in others if record.get(UNTIL) != str(latest_ns)] == []


async def test_a_run_that_finds_a_record_judges_nothing_before_the_time_is_over() -> None:
    """The killed run's installation arrives while this one waits."""
    canister, said = UpgradedCanister(), list[str]()
    until_ns = canister.now_ns + TURN_NS
    canister.variables = {VARIABLE: RECORD.text, UNTIL: str(until_ns)}
    canister.state = RunState.stopped
    canister.snapshots = {b"s": (canister.now_ns, OLD)}

    sent_before: list[int] = []

    def arrives() -> None:
        sent_before.append(len(canister.sent))
        canister.module = NEW.module_hash

    canister.after_sleep = arrives
    health = Judgement()
    upgraded = await upgrading(canister, health, say=said.append).run()
    assert sent_before[0] == 0
    assert said[0].startswith("an earlier run's messages may still arrive: waiting until 20")
    assert upgraded.after == NEW.module_hash
    assert "install_code" not in methods(canister)
    assert health.asked == [("", ROOT)]
    assert (canister.variables, canister.snapshots) == ({}, {})


async def test_a_module_that_the_network_refuses_leaves_the_old_one_running() -> None:
    canister = UpgradedCanister()
    canister.refused = {"install_code": TRAPPED}
    with pytest.raises(UpgradeError, match=r"was taken back, .* it traps when it starts") as caught:
        await upgrading(canister).run()
    assert caught.value.__cause__ is TRAPPED
    assert (canister.module, canister.state) == (OLD, RunState.running)
    assert (canister.variables, canister.snapshots) == ({}, {})


async def test_an_unsound_module_goes_and_the_record_says_so_before_it_does() -> None:
    canister = UpgradedCanister()
    with pytest.raises(UpgradeError, match="less than before"):
        await upgrading(canister, Judgement(VerifyError("less than before"))).run()
    (record,) = [record for method, _, record in canister.sent if method == "load_canister_snapshot"]
    assert record[VARIABLE].startswith("back ")
    assert (canister.module, canister.state) == (OLD, RunState.running)
    assert (canister.variables, canister.snapshots) == ({}, {})


async def test_nothing_goes_back_to_a_snapshot_that_somebody_has_uploaded() -> None:
    """An earlier controller could leave both, the record and a snapshot with any module, and have them wait here."""
    canister = UpgradedCanister()
    canister.variables = {VARIABLE: Record(b"y" * 32, NEW.module_hash, 0, goes_back=True).text}
    canister.snapshots, canister.uploaded = {b"s": (canister.now_ns, b"x" * 32)}, {b"s"}
    with pytest.raises(UpgradeError, match=f"its snapshot 73 was uploaded, .* {VARIABLE}"):
        await upgrading(canister).run()
    assert (canister.module, canister.state) == (OLD, RunState.running)
    assert methods(canister) == []


@pytest.mark.parametrize("state", [RunState.running, RunState.stopped])
@pytest.mark.parametrize("record", [RECORD, Record(b"y" * 32, NEW.module_hash, 0, goes_back=True)], ids=["on", "back"])
async def test_nothing_goes_back_that_somebody_may_have_written_to(record: Record, state: RunState) -> None:
    """An earlier controller could leave a record and a snapshot of the canister, and have both wait here."""
    canister, health = UpgradedCanister(), Judgement(VerifyError("another root"))
    canister.variables, canister.state = {VARIABLE: record.text}, state
    canister.module, canister.snapshots = NEW.module_hash, {b"s": (canister.now_ns, OLD)}
    health.is_written = True
    with pytest.raises(UpgradeError, match=f"left as it is: its environment variable {VARIABLE} .* takes writes"):
        await upgrading(canister, health).run()
    assert (canister.module, list(canister.snapshots), health.asked) == (NEW.module_hash, [b"s"], [])
    assert canister.state == RunState.running
    assert VARIABLE in canister.variables, "whoever set it, it is the owner's to remove"

    health.is_written = False
    with pytest.raises(UpgradeError, match="was taken back"):
        await upgrading(canister, health).run()
    assert (canister.module, canister.variables) == (OLD, {})


async def test_a_module_of_somebody_else_is_left_with_the_snapshot() -> None:
    canister = UpgradedCanister()
    canister.variables = {VARIABLE: RECORD.text}
    canister.module, canister.snapshots = b"x" * 32, {b"s": (canister.now_ns, OLD)}
    with pytest.raises(UpgradeError, match="somebody else installed it"):
        await upgrading(canister).run()
    assert (canister.module, list(canister.snapshots), canister.variables) == (b"x" * 32, [b"s"], {})


async def test_an_end_whose_answer_is_lost_for_longer_than_a_turn_is_still_the_end() -> None:
    canister = UpgradedCanister()
    canister.module = NEW.module_hash
    canister.variables = {VARIABLE: RECORD.text}

    class Last(Judgement):
        """What is set after it, is set for the last time."""

        async def check(self, before: str, certified: bytes | None) -> None:
            canister.lost = ["update_settings"]

    def much_later() -> None:
        canister.now_ns += TURN_NS

    canister.after_sleep = much_later
    upgraded = await upgrading(canister, Last()).run()
    assert canister.slept, "it was tried again"
    assert upgraded.after == NEW.module_hash
    assert canister.variables == {}


async def test_what_runs_already_and_what_is_empty_needs_no_turn() -> None:
    canister = UpgradedCanister()
    canister.module = NEW.module_hash
    assert not (await upgrading(canister).run()).changed
    canister.module = None  # type: ignore[assignment]
    with pytest.raises(UpgradeError, match="has no module"):
        await upgrading(canister).run()
    assert canister.sent == []


async def test_a_plan_says_what_is_missing_and_changes_nothing() -> None:
    canister = UpgradedCanister()
    canister.cycles = 10**9
    plan = await upgrading(canister).plan()
    assert plan.problem is not None
    assert f"needs {plan.cycles.missing:,} more" in plan.problem
    assert plan.changes
    canister.state = RunState.stopped
    stopped = await upgrading(canister).plan()
    assert stopped.problem == "it is stopped; start it first"
    assert canister.sent == []


async def test_a_snapshot_that_stays_is_on_record() -> None:
    canister = UpgradedCanister()
    upgraded = await upgrading(canister, keep_ns=7 * DAY_NS).run()
    assert upgraded.kept is not None
    assert canister.variables == {SNAPSHOT: upgraded.kept.text}
