"""A creation at mainnet's speed takes few updates one after another, and closes the shared side for a short time.

Seconds are those of the simulated mainnet, which are the same on every machine.
"""

from __future__ import annotations

import pytest

from support import virtual_time
from support.mainnet import Conditions
from support.mainnet_world import Creation, mainnet_world
from support.virtual_time import VirtualTimeLoop

FILE_BYTES = 1_500_000
EMPTY: tuple[int, ...] = ()
SMALL = (2_000, 200_000, 400_000)
MB_60, MB_500 = (FILE_BYTES,) * 40, (FILE_BYTES,) * 333


def create(conditions: Conditions, sizes: tuple[int, ...]) -> Creation:
    """A creation of a capsule with memories of these sizes, in bytes."""

    async def main(loop: VirtualTimeLoop) -> Creation:
        async with mainnet_world(loop) as world, world.owner(*sizes) as owner:
            return await world.create(owner, conditions)

    return virtual_time.run(main)


@pytest.mark.parametrize("sizes", [EMPTY, SMALL], ids=["no content", "600 kB"])
def test_a_small_capsule_takes_8_updates_one_after_another_at_most(sizes: tuple[int, ...]) -> None:
    made = create(Conditions(), sizes)
    assert len(made.chain) <= 8, made.chain
    assert made.seconds <= 18
    assert made.locked_s <= 8


def test_with_a_block_for_each_call_that_a_canister_makes_a_small_capsule_takes_24_seconds() -> None:
    assert create(Conditions(blocks_per_inner_call=1.0), SMALL).seconds <= 24


def test_a_large_capsule_takes_15_seconds_more_than_its_bytes_and_the_lock_not_longer_than_for_a_small_one(
    sweep: bool,
) -> None:
    conditions = Conditions()
    made = create(conditions, MB_500 if sweep else MB_60)
    assert made.copying_bytes_per_s >= 0.95 * conditions.ingress_bytes_per_s
    assert made.seconds - made.content_bytes / conditions.ingress_bytes_per_s <= 15
    assert made.bytes_per_s >= (0.85 if sweep else 0.5) * conditions.ingress_bytes_per_s
    assert made.locked_s <= 8


def test_60_mb_behind_a_gateway_take_twice_as_long_as_their_bytes_at_most() -> None:
    cap = 2_500_000.0
    made = create(Conditions(bytes_per_s=cap), MB_60)
    assert made.copying_bytes_per_s >= 0.95 * cap
    assert made.bytes_per_s >= 0.5 * cap
