"""A worker and those who watch it, on a clock: signs of life, an outage, a look that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.worker_report import Report
from canister_factory.cli.worker_watch import Watched
from canister_factory.contract.admin_models import ConsumptionReport
from canister_factory.contract.artifacts import API_VERSION
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationPage,
    CreationStatus,
    OpenRequestPage,
    OwnerPageRequest,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.ic.errors import TransportError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network
from support import virtual_time
from support.backend_looks import consumption
from support.backend_script import BACKEND, BackendScript, refusal
from support.cli_settings import printing
from support.virtual_time import VirtualTimeLoop


@pytest.fixture(autouse=True)
def as_json() -> Iterator[None]:
    """Events as objects."""
    with printing(json=True):
        yield


class Scripted(BackendScript):
    """A backend without requests, behind a network that is away for a while; it ends the worker in the end."""

    identity = Identity.anonymous()
    network = Network("none", "http://127.0.0.1:9", MAINNET_ROOT_KEY)

    def __init__(self, away: tuple[float, float] = (-1, -1), end: float = 200) -> None:
        self.now: Callable[[], float] = lambda: 0
        self.away = away
        self.end = end
        self.forbidden = False

    def clock(self) -> int:
        return 0

    async def metadata(self, *args: Any) -> bytes:
        self._reach()
        return b"service : { add_operator : (principal) -> () }"

    async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        self._reach()
        reply: bytes = await super().update(canister_id, method, arg)
        return reply

    query = update

    def _reach(self) -> None:
        if self.away[0] <= self.now() < self.away[1]:
            raise TransportError("cut")

    async def list_open_requests(self, page: OwnerPageRequest) -> OpenRequestPage:
        if self.now() >= self.end:
            raise refusal(CreationErrorKind.Unauthorized, "not an operator any more")
        return OpenRequestPage(items=[])

    async def get_api_version(self) -> str:
        return API_VERSION

    async def get_consumption_report(self, window_ns: int | None) -> ConsumptionReport:
        if self.forbidden:
            raise refusal(CreationErrorKind.Unauthorized, "not an admin or an operator")
        return consumption()

    async def list_operators(self) -> list[Principal]:
        return [Identity.anonymous().sender()]

    async def get_creation_states_by_status(self, status: CreationStatus, page: OwnerPageRequest) -> CreationPage:
        return CreationPage(items=[], total=0)


def run(scripted: Scripted) -> Watched:
    """The worker, after it was ended by the backend."""

    async def main(loop: VirtualTimeLoop) -> Watched:
        agent: Any = scripted
        scripted.now = loop.time
        config = FactoryConfig(worker="w")
        watched = Watched(
            agent, BACKEND, config, Report(), parallel=1, idle_seconds=10, heartbeat_seconds=60, clock=loop.time
        )
        with pytest.raises(CreationRefused, match="not an operator any more"):
            await watched.run(once=False)
        return watched

    return virtual_time.run(main)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("away", [(-1, 35), (35, 75)])
def test_an_outage_before_or_amid_the_work_is_told_with_its_length(
    away: tuple[float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    watched = run(Scripted(away))
    told = [line for line in lines(capsys) if line["event"] == "BackAgain"]
    assert told == [{"event": "BackAgain", "seconds": 40.0}]
    assert watched.standing.readiness.is_ready


def test_a_worker_without_work_says_so_every_minute(capsys: pytest.CaptureFixture[str]) -> None:
    run(Scripted(end=185))
    told = lines(capsys)
    assert [(line["event"], line["waits_for"], line["reserve_level"]) for line in told] == [
        ("Idle", "requests", "Normal")
    ] * 3


def test_what_the_backend_does_not_tell_hinders_nothing_and_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(end=65)
    scripted.forbidden = True
    watched = run(scripted)
    (idle,) = lines(capsys)
    assert (idle["waits_for"], idle["reserve_level"]) == ("requests", None)
    assert watched.standing.readiness.role == "not an admin or an operator"
    assert watched.standing.readiness.network == "ok"
