"""The pytest plugin: fixtures for tests of canisters on an embedded replica.

Owns the fixtures. pytest imports this module in every run, whether or not it is used: it imports nothing but pytest,
and the fixtures import what they need. Does not own what they give (`replica`, `deployment`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from canister_factory.ic.identity import Identity
    from canister_factory.testing.outcalls import HttpOutcalls
    from canister_factory.testing.replica import EmbeddedReplica


@pytest.fixture(scope="session")
def replica_prices() -> str | None:
    """The prices of `replica`: override it to return "documented" for those of the developer documentation."""
    return None


@pytest.fixture(scope="session")
def replica(replica_prices: str | None) -> Iterator[EmbeddedReplica]:
    """An embedded replica for the whole session; what is done on it stays, unless it is within `replica.anchored()`."""
    from canister_factory.replica import missing_libraries

    if missing := missing_libraries():
        pytest.fail(
            f"the embedded replica needs {' and '.join(missing)}: pip install 'canister-factory[replica]'",
            pytrace=False,
        )
    from canister_factory.testing.replica import EmbeddedReplica

    with EmbeddedReplica(prices=replica_prices) as started:
        yield started


@pytest.fixture
def ic(replica: EmbeddedReplica) -> Iterator[EmbeddedReplica]:
    """The replica, anchored: everything that the test does is undone at its end."""
    with replica.anchored():
        yield replica


@pytest.fixture
def new_identity() -> Callable[[], Identity]:
    """Makes a fresh identity each time that it is called."""
    from canister_factory.ic.identity import Identity

    return Identity.generate


@pytest.fixture
def identity(new_identity: Callable[[], Identity]) -> Identity:
    """A fresh identity; the one that `deploy` deploys and calls as."""
    return new_identity()


@pytest.fixture
def deploy(ic: EmbeddedReplica, identity: Identity, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`deploy(wasm, *init, did=..., cycles=...)`: a new canister with its interface, called as `identity`.

    Files are looked for beside the test's file, then from pytest's root. In `async` tests, await it and the canister's
    methods; elsewhere both wait.
    """
    import asyncio

    from canister_factory.face.blocking import blocking
    from canister_factory.testing.deployment import deploy as deploy_by

    agent = ic.agent(identity)

    def found(file: str | Path) -> Path:
        beside = request.path.parent / file
        return beside if beside.exists() else request.config.rootpath / file

    def deploy_here(wasm: bytes | str | Path, *init: Any, did: str | Path | None = None, **options: Any) -> Any:
        module = wasm if isinstance(wasm, bytes) else found(wasm)
        work = deploy_by(agent, module, *init, did=None if did is None else found(did), **options)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return blocking(work)
        return work

    with blocking(agent):  # blocking forms are of use as long as this is open
        yield deploy_here


@pytest.fixture
def advance(ic: EmbeddedReplica) -> Callable[[float], None]:
    """`advance(seconds)`: time passes on the network, and what is due happens. Undone with the test."""
    return ic.advance


@pytest.fixture
def tick(ic: EmbeddedReplica) -> Callable[[], None]:
    """`tick()`: one round happens now."""
    return ic.tick


@pytest.fixture
def http_outcalls(ic: EmbeddedReplica) -> Iterator[HttpOutcalls]:
    """Answers the HTTP outcalls of canisters in this test: `http_outcalls.answer(url, body)`."""
    with ic.http_outcalls() as answers:
        yield answers
