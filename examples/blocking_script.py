"""The same calls without `await`, as a script or a notebook makes them."""

from pathlib import Path

import wasmtime

import canister_factory as cf

HERE = Path(__file__).parent

with cf.Replica() as replica, cf.connect(replica) as agent:
    management = cf.blocking(cf.ManagementCanister(agent))
    canister_id = management.provisional_create_canister_with_cycles()
    management.install(canister_id, bytes(wasmtime.wat2wasm((HERE / "counter.wat").read_text())), b"")

    counter = cf.blocking(cf.Canister(agent, canister_id, HERE / "counter.did"))
    for step in (1, 2, 3):
        print("incremented to", counter.increment(step))
    counter.reset()
    print("after the reset:", counter.read())
