"""A backend in process that is put back to an earlier state, as a restore of a backup does it."""

from __future__ import annotations

from collections.abc import Callable

from canister_factory.candid.principal import Principal
from support.backend_world import ADMIN, CONTROLLER, OPERATOR, OWNER, World
from support.reserve_figures import FIRST_PART, hide_statuses

MINUTE = 61


def got(world: World, canister: Principal) -> int:
    """All that the canister ever got, its creation's fee included."""
    state = world.state(canister)
    return int(state.balance + sum(state.consumed.values()))


def switch(world: World, enabled: bool) -> None:
    """All that uses cycles, stopped or not."""
    world.ok("set_personal_canister_creation_enabled", enabled, sender=ADMIN)


def later(world: World, seconds: float = MINUTE) -> None:
    """After so long, when timers that are due have run."""
    world.advance(seconds)
    world.run()


def snapshot(world: World) -> Callable[[], None]:
    """Takes a snapshot of the backend as a backup does; returns what puts the backend back to it, as a restore does."""
    on = {"canister_id": world.backend}
    world.manage("stop_canister", on, sender=CONTROLLER)
    taken = world.manage("take_canister_snapshot", on, sender=CONTROLLER)["id"]
    world.manage("start_canister", on, sender=CONTROLLER)

    def load() -> None:
        world.manage("stop_canister", on, sender=CONTROLLER)
        world.manage("load_canister_snapshot", on | {"snapshot_id": taken}, sender=CONTROLLER)
        world.upgrade_backend()
        world.manage("start_canister", on, sender=CONTROLLER)

    return load


def owed(world: World) -> Principal:
    """A completed creation whose canister hasn't got the rest yet, since all that uses cycles is stopped."""
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    switch(world, False)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert (world.stage(), got(world, canister)) == ("Completed", FIRST_PART)
    return canister


def doubted(world: World) -> Principal:
    """A canister of which the backend, put back, doesn't know whether it has paid it the rest; it hasn't."""
    hide_statuses(world)
    canister = owed(world)
    snapshot(world)()
    switch(world, True)
    later(world)
    return canister
