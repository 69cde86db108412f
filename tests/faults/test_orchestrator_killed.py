"""kill -9 of `canister-factory run` at its requests: the same command, given again, ends the creation.

A seeded sample; with --sweep at each request, before it is delivered and after it was executed. The same without a real
process, and in more ways, is in `test_creation_cut.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from canister_factory.testing import EmbeddedReplica
from support.conformance_proxy import proxy_for
from support.creation_contents import pattern
from support.creation_world import Foundation, World, inline, note
from support.whole_creation import assert_whole

pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="what a killed process did is undone on an embedded replica"
)
SAMPLE = 3


@pytest.fixture(scope="module")
def foundation(replica: EmbeddedReplica) -> Iterator[Foundation]:
    with replica.anchored():
        yield asyncio.run(Foundation.lay(replica.network))


class Victim:
    """A process that is killed at its request of this number, from 1; 0: never."""

    def __init__(self, number: int, *, executed: bool) -> None:
        self.number = number
        self.executed = executed
        self.requests = 0
        self._answers = 0
        self._process: subprocess.Popen[str]

    def __repr__(self) -> str:
        return f"Victim(request {self.number}, {'after its execution' if self.executed else 'before its delivery'})"

    @property
    def was_reached(self) -> bool:
        """Whether there was such a request; a run may make one less than another."""
        return 0 < self.number <= (self._answers if self.executed else self.requests)

    def arrived(self) -> None:
        self.requests += 1
        if not self.executed and self.requests == self.number:
            self._process.kill()

    def answered(self, body: bytes) -> bytes:
        self._answers += 1
        if self.executed and self._answers == self.number:
            self._process.kill()
        return body

    def run(self, world: World, identity: Path) -> tuple[int, str]:
        """Runs the command through a proxy: its exit code, and what it wrote on stderr."""
        with proxy_for(world.network.url, self.answered, self.arrived) as proxy:
            network = ["--network", proxy.url, "--root-key", (world.network.root_key or b"").hex()]
            words = ["run", str(world.owner_id), "--backend", str(world.backend_id), *network, "--json"]
            command = [sys.executable, "-m", "canister_factory", *words, "--identity", str(identity)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            _, written = self._process.communicate()
        return self._process.returncode, written


async def assert_whole_after(world: World, victim: Victim, identity: Path) -> None:
    """The creation is whole, after the victim and, if it was killed, the same command once more."""
    data = pattern(5_000, "mine")
    contents = {await world.as_owner.add_memory_to_capsule(inline(data), note("mine")): data}
    await world.as_owner.create_personal_canister(None)
    code, written = await asyncio.to_thread(victim.run, world, identity)
    assert code == (-signal.SIGKILL if victim.was_reached else 0), written
    if victim.was_reached:
        code, written = await asyncio.to_thread(Victim(0, executed=False).run, world, identity)
        assert code == 0, written
    await assert_whole(world, await world.creation(), contents)


async def test_the_command_given_again_ends_what_a_killed_one_began(
    replica: EmbeddedReplica, foundation: Foundation, tmp_path: Path, sweep: bool
) -> None:
    identity = tmp_path / "operator.pem"
    foundation.operator.write_pem(identity)
    unharmed = Victim(0, executed=False)
    with replica.anchored():
        async with foundation.world(replica.network) as world:
            await assert_whole_after(world, unharmed, identity)
    places = [(number, executed) for number in range(1, unharmed.requests + 1) for executed in (False, True)]
    for number, executed in places if sweep else random.Random(9).sample(places, SAMPLE):
        victim = Victim(number, executed=executed)
        with replica.anchored():
            async with foundation.world(replica.network) as world:
                try:
                    await assert_whole_after(world, victim, identity)
                except Exception as error:
                    pytest.fail(f"{victim} of {unharmed.requests}: {error!r}")
