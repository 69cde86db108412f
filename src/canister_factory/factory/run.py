"""What one run works with: who calls, for whom, by which settings, and who is told.

Owns putting this together. Does not own: what is done with it, and how far the run has come (`stages`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import EventHook, ignore
from canister_factory.factory.retry import Retry, Sleep
from canister_factory.factory.window import Window
from canister_factory.ic.agent import Agent
from canister_factory.ic.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Run:
    """One run for one owner's creation. `backend` repeats what may be repeated, as `retry` does it; each failure that
    `retry` waits out presses on `window`. `sleep` and `clock` in seconds. `traffic`: what the run asked of the network.
    """

    agent: Agent
    backend: BackendClient
    owner: Principal
    module: WasmModule
    config: FactoryConfig
    retry: Retry
    window: Window
    emit: EventHook
    sleep: Sleep
    clock: Callable[[], float]
    traffic: Traffic

    @classmethod
    def start(
        cls,
        agent: Agent,
        backend_id: Principal,
        owner: Principal,
        module: WasmModule,
        config: FactoryConfig,
        *,
        emit: EventHook = ignore,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Run:
        """A run with a window and a retry of its own."""
        window = Window(config.start_window, config.max_window)
        retry = Retry(config, sleep=sleep, emit=emit, on_pressure=window.pressure)
        backend = BackendClient(agent, backend_id, repeat=retry)
        return cls(agent, backend, owner, module, config, retry, window, emit, sleep, clock, Traffic())
