"""What an error says: of which call, and whether a retry helps."""

import asyncio
from pathlib import Path

import wasmtime

import canister_factory as cf

HERE = Path(__file__).parent


async def main() -> None:
    async with cf.Replica() as replica, cf.connect(replica) as agent:
        management = cf.ManagementCanister(agent)
        canister_id = await management.provisional_create_canister_with_cycles()
        await management.install(canister_id, bytes(wasmtime.wat2wasm((HERE / "counter.wat").read_text())), b"")
        counter = cf.Canister(agent, canister_id, HERE / "counter.did")

        try:
            await counter.fail()
        except cf.errors.RejectedError as error:  # the canister said no
            print(f"{error.method} was rejected: code {error.code}, {error.error_code}")
            print("a retry helps" if error.retry_helps else "a retry doesn't help")

        try:
            await counter.incremnt(1)
        except cf.errors.UnknownMethodError as error:
            print("unknown:", error.method)

        await management.stop_canister(canister_id)
        try:
            await counter.increment(1)
        except cf.errors.CanisterFactoryError as error:  # any error of this package
            print("stopped: a retry helps" if error.retry_helps else "stopped: a retry doesn't help")


if __name__ == "__main__":
    asyncio.run(main())
