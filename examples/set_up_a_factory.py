"""What runs a factory: a backend with its roles, an approved module, cycles. Each step can be repeated."""

import asyncio

import canister_factory as cf

ADMIN, OPERATOR = cf.Identity.generate(), cf.Identity.generate()
TRILLION = 10**12


async def main() -> None:
    async with cf.Replica() as replica, cf.connect(replica, ADMIN) as agent:
        # As on mainnet: an empty canister of one's own, which the backend goes into.
        canister_id = await cf.ManagementCanister(agent).provisional_create_canister_with_cycles(3 * TRILLION)
        init = cf.models.BackendInit(operators=[OPERATOR.sender()], creation_enabled=False)
        print("installed:", await cf.install_backend(agent, canister_id, init))
        print("installed again:", await cf.install_backend(agent, canister_id, init))

        # Only modules that an admin approved are installed for owners.
        backend = cf.BackendClient(agent, canister_id)
        module = await cf.register_release(backend)
        print("approved:", [release.module_hash for release in await backend.list_releases()] == [module.module_hash])

        # Test networks make cycles. On mainnet, send your own to the canister.
        added = await cf.fill_reserve(agent, canister_id, 20 * TRILLION)
        available = (await backend.get_reserve_status()).available
        print("added:", added > 0, "available:", round(available / TRILLION), "T")

        # Later: a second operator, and owners may ask from now on.
        second = cf.Identity.generate().sender()
        await cf.apply_init(backend, cf.models.BackendInit(operators=[second], creation_enabled=True))
        print("operators:", set(await backend.list_operators()) == {OPERATOR.sender(), second})
        print("enabled:", await backend.is_personal_canister_creation_enabled())

        # With a new version of this package: its backend, with all data of the old one.
        print("upgraded:", (await cf.upgrade_backend(agent, canister_id)).changed)


if __name__ == "__main__":
    asyncio.run(main())
