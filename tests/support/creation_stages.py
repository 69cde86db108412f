"""A creation at each stage that a worker with a lease is at, on a backend in this process."""

from __future__ import annotations

from typing import Any

from support.backend_world import OPERATOR, World

STAGES = ["Exporting", "Creating", "Installing", "Importing", "Verifying"]
"""Those that a worker with a lease is at: the claim begins the first."""


PERMIT_S, GRACE_S = 120, 60
"""How long a handoff is permitted, and the seal lasts beyond that."""


def at_stage(stage: str) -> tuple[World, dict[str, Any]]:
    """A creation at a stage, and its lease."""
    world = World()
    world.request()
    lease = world.claim()
    if STAGES.index(stage) >= STAGES.index("Creating"):
        world.ok("provision_canister", lease, sender=OPERATOR)
    if STAGES.index(stage) > STAGES.index("Creating"):
        assert world.report(lease, stage).tag == "Ok"
    return world, lease
