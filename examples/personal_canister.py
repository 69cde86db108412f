"""From a shared backend to a canister of one's own, end to end: the owner asks, the orchestrator creates it."""

import asyncio

import canister_factory as cf

OWNER, OPERATOR = cf.Identity.generate(), cf.Identity.generate()


async def main() -> None:
    async with (
        cf.Replica() as replica,
        cf.connect(replica, OWNER) as owner,
        cf.connect(replica, OPERATOR) as operator,
    ):
        # Once: whoever runs the service deploys the backend, approves the module of personal canisters, and pays.
        admin = await cf.deploy_backend(operator, [OPERATOR.sender()])
        await cf.register_release(admin)
        await cf.fund(operator, admin.canister_id, 20_000_000_000_000)

        # The owner has a memory there, and asks for a canister of their own.
        backend = cf.BackendClient(owner, admin.canister_id)
        await backend.register()
        await backend.register_capsule()
        data = cf.models.MemoryData(
            blob_ref=cf.models.BlobRef(kind=cf.models.BlobKind.ICPCapsule, locator=""), data=b"Dear Ada, ..."
        )
        letter = cf.models.NewMemory(
            memory_type=cf.models.MemoryType.Document, name="letter", content_type="text/plain"
        )
        memory_id = await backend.add_memory_to_capsule(data, letter)
        await backend.create_personal_canister()

        # The operator's side creates, fills, verifies and hands over. In a service `cf.Worker` does this for all.
        orchestrator = cf.Orchestrator(operator, admin.canister_id, cf.FactoryConfig(worker="example"))
        outcome: cf.Outcome = await orchestrator.run(OWNER.sender())
        print("creation:", outcome.creation.status)
        print("the owner alone controls it:", set(outcome.controllers_after) == {OWNER.sender()})

        # It is the owner's now.
        canister_id = await backend.get_my_personal_canister_id()
        assert canister_id is not None
        personal = cf.PersonalClient(owner, canister_id)
        print("the letter says:", (await personal.read_memory_chunk(memory_id, 0)).decode())


if __name__ == "__main__":
    asyncio.run(main())
