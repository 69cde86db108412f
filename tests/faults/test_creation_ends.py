"""What these tests ask of a creation's end can fail: each thing that is wrong is told."""

from __future__ import annotations

from canister_factory.ic.management_types import CanisterSettings
from support.creation_ends import Expected, faults_at_the_end, faults_of_the_line
from support.fault_world import ONE_MESSAGE, FaultWorld, Life, Stage
from support.mainnet import AT_ONCE


def test_an_end_that_is_as_it_must_be_has_no_faults(faults: Stage) -> None:
    async def scenario(world: FaultWorld) -> list[str]:
        person = await world.person(ONE_MESSAGE)
        life = await world.life(person)
        return faults_of_the_line(life) + await faults_at_the_end(world, person)

    assert faults.play(scenario) == []


def test_whatever_is_wrong_at_the_end_is_told(faults: Stage) -> None:
    async def scenario(world: FaultWorld) -> list[str]:
        person = await world.person(ONE_MESSAGE)
        (unfinished,) = await faults_at_the_end(world, person)
        assert unfinished.startswith("the creation is NotStarted, not Completed")
        await world.life(person)
        stranger = await world.person(ONE_MESSAGE)
        canister_id = (await person.creation()).canister_id
        assert canister_id is not None
        await person.management.take_canister_snapshot(canister_id)
        lost, *_ = person.contents
        await person.personal(canister_id).delete_memory_from_capsule(lost)
        settings = CanisterSettings(controllers=[person.principal, stranger.principal])
        await person.management.update_settings(canister_id, settings)
        await person.management.provisional_create_canister_with_cycles(10**12)
        return await faults_at_the_end(world, person, Expected(attempts=2))

    told = [what.partition(":")[0] for what in faults.play(scenario)]
    assert told == [
        "attempts",
        "canisters that are on no books",
        "cycles of the reserve in flight",  # another owner waits
        "controllers",
        "snapshots",
        "accepted writes that are missing",
    ]


def test_a_first_process_that_ends_by_a_defect_or_without_words_is_told(faults: Stage) -> None:
    async def scenario(world: FaultWorld) -> list[str]:
        way = world.broken_way(conditions=AT_ONCE)
        errors = (KeyError("x"), OSError("short"), OSError("the network\nfailed in two lines"))
        return [what for error in errors for what in faults_of_the_line(Life(way, error=error))]

    defect, *wordless = faults.play(scenario)
    assert defect.startswith("the first process ended by a defect of ours")
    assert [what.partition(":")[0] for what in wordless] == [
        "the first process doesn't say in one line why it ended"
    ] * 2
