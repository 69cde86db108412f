"""What type checkers make of the face: programs that use it are checked strictly, without any setting for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONSUMER = """
from pathlib import Path
from typing import Any, assert_type

import canister_factory as cf


async def calls(network: cf.Network, key: Path) -> None:
    async with cf.connect(network, key) as agent, cf.connect("ic", cf.Identity.generate()) as other:
        assert_type(agent, cf.Agent)
        assert_type(await agent.query("aaaaa-aa", "read", b""), bytes)
        counter = cf.Canister(agent, cf.Principal.from_str("aaaaa-aa"), "service : {}")
        assert_type(counter.methods["read"], cf.candid.types.Func)
        await counter.increment(1)
        assert_type(await cf.Canister.from_network(other, "aaaaa-aa"), cf.Canister)
        management = cf.ManagementCanister(agent)
        assert_type(await management.provisional_create_canister_with_cycles(), cf.Principal)
        backend = cf.BackendClient(agent, "aaaaa-aa")
        assert_type(await backend.get_personal_canister_id("aaaaa-aa"), cf.Principal | None)
        personal = cf.PersonalClient(agent, "aaaaa-aa")
        about = cf.models.NewMemory(memory_type=cf.models.MemoryType.Note, name="n", content_type="text/plain")
        assert_type(await cf.upload_memory(personal, key, about), str)
        assert_type(await cf.deploy_backend(agent, ["aaaaa-aa"]), cf.BackendClient)
        assert_type(await cf.install_backend(agent, "aaaaa-aa", cf.models.BackendInit()), bool)
        assert_type((await cf.upgrade_backend(agent, "aaaaa-aa")).changed, bool)
        assert_type((await cf.register_release(backend)).module_hash, bytes)
        assert_type(await cf.apply_init(backend, cf.models.BackendInit()), None)
        assert_type(await cf.fund(agent, "aaaaa-aa", 1), None)
        assert_type(await cf.fill_reserve(agent, "aaaaa-aa", 1), int)
        orchestrator = cf.Orchestrator(agent, "aaaaa-aa", cf.FactoryConfig(worker="w"))
        assert_type(await orchestrator.run("aaaaa-aa"), cf.Outcome)
        await cf.Worker(orchestrator).run()


def scripts(replica: cf.Replica) -> None:
    with replica, cf.connect(replica) as agent:
        assert_type(agent, Any)
        assert_type(cf.blocking(agent), Any)
        assert_type(replica.network, cf.Network)
    assert_type(cf.blocking(calls(replica.network, Path("k"))), None)
    assert_type(cf.candid.encode([cf.candid.types.NAT], [5]), bytes)
    try:
        pass
    except cf.errors.RejectedError as error:
        assert_type(error.retry_helps, bool)
        assert_type(error.request_id, bytes | None)
        assert_type(error.method, str | None)
    except cf.errors.CanisterFactoryError as error:
        assert_type(error.retry_helps, bool)


class Pair(cf.models.CandidModel):
    first: cf.models.Nat
    second: cf.models.Blob


cf.nothing_of_the_kind  # type: ignore[attr-defined]
cf.errors.nothing_of_the_kind  # type: ignore[attr-defined]
cf.models.nothing_of_the_kind  # type: ignore[attr-defined]
cf.candid.nothing_of_the_kind  # type: ignore[attr-defined]
cf.connect(5)  # type: ignore[arg-type]
cf.FactoryConfig(worker=5)  # type: ignore[arg-type]
cf.Network("name")  # type: ignore[call-arg]
Pair(first="x")  # type: ignore[call-arg, arg-type]
"""


def test_a_program_that_uses_the_face_and_the_examples_pass_mypy_strict(tmp_path: Path, repository: Path) -> None:
    consumer = tmp_path / "consumer.py"
    consumer.write_text(CONSUMER)
    programs = (repository / "examples").glob("*.py")
    examples = sorted(str(path) for path in programs if not path.name.startswith("test_"))
    assert len(examples) >= 5
    # No configuration, from elsewhere: as for a stranger who installed the package. What mypy found out about libraries
    # it keeps.
    known = ["--cache-dir", str(repository / ".pytest_cache" / "mypy")]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", *known, "consumer.py", *examples],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout == f"Success: no issues found in {1 + len(examples)} source files\n"
