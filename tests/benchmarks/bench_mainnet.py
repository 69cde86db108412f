"""Creations at mainnet's speed: `scripts/bench mainnet`. Seconds are the simulated mainnet's, not the machine's.

A small capsule, without and with a block more for each call that a canister makes; 60 MB (500 MB as well with
`CANISTER_FACTORY_BENCH_LARGE=1`: half a minute) where blocks are the limit, and where a gateway lets through 2.5 MB a
second; a creation of 60 MB that is killed when 90 % are copied, and what the next run sends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from support import virtual_time  # noqa: E402 - found by the line above
from support.mainnet import Conditions  # noqa: E402
from support.mainnet_world import Creation, MainnetWorld, mainnet_world  # noqa: E402
from support.virtual_time import VirtualTimeLoop  # noqa: E402

FILE_BYTES = 1_500_000
SMALL = (2_000, 200_000, 400_000)
CAP = 2_500_000.0


async def _create(world: MainnetWorld, conditions: Conditions, sizes: tuple[int, ...]) -> Creation:
    async with world.owner(*sizes) as owner:
        return await world.create(owner, conditions)


def _of_small(name: str, made: Creation) -> dict[str, object]:
    return {
        f"{name}_seconds": round(made.seconds, 1),
        f"{name}_updates_one_after_another": len(made.chain),
        f"{name}_locked_seconds": round(made.locked_s, 1),
    }


def _of_large(name: str, made: Creation, admitted: float) -> dict[str, object]:
    sent = sum(each.size_bytes for each in made.content)
    return {
        **_of_small(name, made),
        f"{name}_copying_share_of_admitted_rate": round(made.copying_bytes_per_s / admitted, 3),
        f"{name}_whole_share_of_admitted_rate": round(made.bytes_per_s / admitted, 3),
        f"{name}_refused_share": round(made.record.refused_bytes / sent, 3),
    }


async def _measure(loop: VirtualTimeLoop) -> dict[str, object]:
    figures: dict[str, object] = {}
    blocks, capped = Conditions(), Conditions(bytes_per_s=CAP)
    async with mainnet_world(loop) as world:
        figures |= _of_small("small", await _create(world, blocks, SMALL))
        slower = Conditions(blocks_per_inner_call=1.0)
        figures |= _of_small("small_with_a_block_for_each_inner_call", await _create(world, slower, SMALL))
        large = {"60_mb": 40, **({"500_mb": 333} if os.environ.get("CANISTER_FACTORY_BENCH_LARGE") else {})}
        for name, files in large.items():
            sizes = (FILE_BYTES,) * files
            made = await _create(world, blocks, sizes)
            figures |= _of_large(name, made, blocks.ingress_bytes_per_s)
            figures |= _of_large(f"{name}_behind_a_gateway", await _create(world, capped, sizes), CAP)
        async with world.owner(*(FILE_BYTES,) * 40) as owner:
            resumed = await world.resume(owner, blocks, at=0.9)
        figures["resumed_at_90_percent_sent_again_percent"] = round(100 * resumed.sent_again, 2)
    return figures


def measure() -> dict[str, object]:
    """The figures of one simulated mainnet."""
    return virtual_time.run(_measure)
