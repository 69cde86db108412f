"""Copying at mainnet's speed: it uses what the network takes, is rarely refused, and goes on where it was.

Seconds are those of the simulated mainnet, which are the same on every machine.
"""

from __future__ import annotations

import pytest

from support import virtual_time
from support.mainnet import Conditions, Faults
from support.mainnet_world import Creation, Resumed, mainnet_world
from support.virtual_time import VirtualTimeLoop

FILE_BYTES = 1_500_000


def create(conditions: Conditions, files: int) -> Creation:
    """A creation of a capsule with so many files."""

    async def main(loop: VirtualTimeLoop) -> Creation:
        async with mainnet_world(loop) as world, world.owner(*(FILE_BYTES,) * files) as owner:
            return await world.create(owner, conditions)

    return virtual_time.run(main)


def test_copying_uses_what_blocks_have_room_for() -> None:
    conditions = Conditions()
    made = create(conditions, 12)
    assert made.copying_bytes_per_s >= 0.95 * conditions.ingress_bytes_per_s
    assert made.record.refused_bytes == 0


def test_copying_uses_what_a_gateway_lets_through_and_is_rarely_refused(sweep: bool) -> None:
    cap, files = 2_000_000.0, 333 if sweep else 16
    made = create(Conditions(bytes_per_s=cap), files)
    assert made.copying_bytes_per_s >= 0.95 * cap
    assert made.record.refused_bytes <= 0.05 * made.content_bytes + 8 * FILE_BYTES  # while the cap is looked for


def test_what_a_gateway_counts_may_be_requests() -> None:
    made = create(Conditions(requests_per_s=4.0), 10)
    assert made.copying_bytes_per_s >= 0.95 * 2 * FILE_BYTES  # each chunk is read by a request, too
    assert made.outcome.bytes_moved == made.content_bytes


def test_a_run_that_goes_on_at_90_percent_sends_hardly_anything_again() -> None:
    async def main(loop: VirtualTimeLoop) -> Resumed:
        async with mainnet_world(loop) as world, world.owner(*(FILE_BYTES,) * 12) as owner:
            return await world.resume(owner, Conditions(), at=0.9)

    resumed = virtual_time.run(main)
    assert resumed.sent_again < 0.01
    assert resumed.after.outcome.bytes_moved <= 0.1 * resumed.after.content_bytes


@pytest.mark.sample(2)
@pytest.mark.parametrize("seed", range(20))
def test_a_creation_on_a_bad_network_ends_well(seed: int) -> None:
    faults = Faults(seed=seed, unavailable=0.05, lost=0.05, cut=0.05, late=0.02)
    made = create(Conditions(faults=faults), 3)
    assert made.outcome.source_manifest == made.outcome.target_manifest
    assert made.outcome.bytes_moved >= made.content_bytes
