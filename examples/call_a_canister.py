"""Calls a canister by its interface: from a `.did` file, as the network publishes it, or declared in Python.

Runs on an embedded replica of its own. With a canister on another network only the first lines differ:
`async with cf.connect("ic") as agent`, and the id of the canister.
"""

import asyncio
from pathlib import Path
from typing import Protocol

import wasmtime

import canister_factory as cf

HERE = Path(__file__).parent


class Counter(Protocol):
    """The methods that this program needs."""

    async def increment(self, by: cf.models.Nat32) -> cf.models.Nat32: ...

    @cf.query
    async def read(self) -> cf.models.Nat32: ...


async def install(agent: cf.Agent) -> cf.Principal:
    """Creates a canister and installs the counter."""
    management = cf.ManagementCanister(agent)
    canister_id = await management.provisional_create_canister_with_cycles()
    module = bytes(wasmtime.wat2wasm((HERE / "counter.wat").read_text()))
    await management.install(canister_id, module, b"")
    return canister_id


async def main() -> None:
    async with cf.Replica() as replica, cf.connect(replica, cf.Identity.generate()) as agent:
        canister_id = await install(agent)

        counter = cf.Canister(agent, canister_id, HERE / "counter.did")
        print("incremented to", await counter.increment(3))
        print("several results:", await counter.both())

        published = await cf.Canister.from_network(agent, str(canister_id))
        print("methods:", ", ".join(published.methods))

        declared = cf.Canister(agent, canister_id, Counter)
        print("read:", await declared.read())


if __name__ == "__main__":
    asyncio.run(main())
