"""Installing and removing code.

Owns the steps of install, reinstall and upgrade, and that a failure in any of them leaves the canister as it was.
Does not own who may install (`management`) or running Wasm (`instance`).

Source: interface specification, "IC method install_code" and "IC method uninstall_code".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from canister_factory.replica.runtime.engine import Engine, Module
from canister_factory.replica.runtime.execution import CanisterError, Entry, Outcome, RejectCode, Steps
from canister_factory.replica.runtime.execution_errors import memory_error
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory_copy import copy_in
from canister_factory.replica.runtime.reader import reader_of
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.subnet.affordable import installation_unaffordable
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import EOP_SECTION, CanisterState, text_of
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.messages import Begun, Request
from canister_factory.replica.subnet.state import SubnetState

INSTALL_INSTRUCTIONS = 300_000_000_000


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be installed. `mode`: install, reinstall, upgrade; `memory_persistence`: keep, replace or None."""

    mode: str
    wasm: bytes
    arg: bytes
    caller: bytes
    skip_pre_upgrade: bool = False
    memory_persistence: str | None = None


def install(
    installation: Installation,
    request: Request,
    canister: CanisterState,
    engine: Engine,
    calls: Calls,
    state: SubnetState,
    prices: Prices,
) -> Module:
    """Installs code on a canister and charges it, also where it fails.

    Raises:
        CanisterError: refused, or the canister's code trapped; the canister is as it was, less the charge.
    """
    _check_mode(installation, canister)
    prepaid = prices.of_execution(INSTALL_INSTRUCTIONS)
    if not calls.work.has_begun:
        canister.require_cycles(prices, prepaid)
    canister.balance -= prepaid
    begun = calls.begin(canister, request, prepaid)
    logged_before = canister.log_count
    steps = _Steps(installation, begun, canister, engine, calls)
    wasm64 = False
    try:
        module = calls.work.do(lambda: engine.compiling(installation.wasm))
        _check_persistence(installation, canister, module)
        wasm64 = module.memory64
        prepaid += _reserve_for_64_bits(canister, prices, wasm64=wasm64)
        steps = calls.work.do(lambda: steps.run(module))
    finally:
        cost = min(prices.of_execution(steps.instructions, wasm64=wasm64), prepaid)
        state.instructions += steps.instructions
        state.note_consumed(canister, cost, "instructions")
        state.credit(canister, prepaid - cost)
        for lines, dropped in steps.logs:
            canister.append_logs(lines, state.time_ns, dropped=dropped)
    if steps.error is not None:
        raise steps.error
    error = installation_unaffordable(canister, module, steps.new_instance, steps.stable, prices, steps.outcomes)
    if error is not None:
        steps.new_instance.close()
        raise error
    _replace_code(canister, module, steps, state)
    if installation.mode != "upgrade":
        canister.certified_data = b""
        canister.logs = [record for record in canister.logs if record.index >= logged_before]
    for outcome in steps.outcomes:
        state.consume(canister, outcome.cycles_burned, "burned_cycles")
        calls.apply(canister, outcome)
    return module


def _replace_code(canister: CanisterState, module: Module, steps: _Steps, state: SubnetState) -> None:
    state.transaction.otherwise(steps.new_instance.close)
    if canister.instance is not None:
        state.transaction.afterwards(canister.instance.close)
    canister.module, canister.instance, canister.stable = module, steps.new_instance, steps.stable
    canister.version += 1
    canister.installed_ns = state.time_ns
    canister.global_timer_ns = 0  # timers don't survive a change of code; those that the new code set follow


def _reserve_for_64_bits(canister: CanisterState, prices: Prices, *, wasm64: bool) -> int:
    """Takes what the longest installation costs more on a canister of 64 bits, which shows when it is compiled.

    Raises:
        CanisterError: IC0207, the balance is too low.
    """
    dearer = prices.of_execution(INSTALL_INSTRUCTIONS, wasm64=wasm64) - prices.of_execution(INSTALL_INSTRUCTIONS)
    if dearer:
        canister.require_cycles(prices, dearer)
        canister.balance -= dearer
    return dearer


def uninstall(canister: CanisterState, calls: Calls, state: SubnetState) -> None:
    """Removes code, memories, chunks and logs, and rejects open calls. Keeps settings, balance and history."""
    if canister.instance is not None:
        state.transaction.afterwards(canister.instance.close)
    canister.module = canister.instance = None
    canister.installed_ns = None
    canister.stable = StableMemory()
    canister.certified_data = b""
    canister.global_timer_ns = 0
    canister.chunks = {}
    canister.logs = []
    canister.version += 1
    calls.abandon_contexts(canister)


def run_out(canister: CanisterState, calls: Calls, state: SubnetState) -> None:
    """Uninstalls a canister that can't pay any more: its snapshots, history and allocations go too.

    Source: interface specification, "Canister out of cycles".
    """
    uninstall(canister, calls, state)
    canister.snapshots = {}
    canister.history = []
    canister.settings = replace(canister.settings, compute_allocation=0, memory_allocation=0)


def _check_mode(installation: Installation, canister: CanisterState) -> None:
    name = text_of(canister.id)
    if installation.mode == "install" and canister.module is not None:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Canister {name} cannot be installed because the canister is not empty. Try installing with "
            "mode='reinstall' instead.",
            "IC0514",
        )
    if installation.mode == "upgrade" and canister.module is None:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Canister {name} cannot be upgraded because the canister contains no Wasm module. Use mode='install'.",
            "IC0537",
        )


def _check_persistence(installation: Installation, canister: CanisterState, module: Module) -> None:
    if installation.mode != "upgrade" or canister.module is None:
        return
    if installation.memory_persistence is None and canister.module.enhanced_orthogonal_persistence:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade "
            "option.",
            "IC0504",
        )
    if installation.memory_persistence == "keep" and not module.enhanced_orthogonal_persistence:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            "Invalid upgrade option: `wasm_memory_persistence = opt keep` requires that the new module supports "
            f"enhanced orthogonal persistence (has the custom section {EOP_SECTION}).",
            "IC0504",
        )


class _Steps:
    """Runs the entry points of one installation; instructions and outcomes are there afterwards, however it ended."""

    def __init__(
        self, installation: Installation, begun: Begun, canister: CanisterState, engine: Engine, calls: Calls
    ) -> None:
        self._installation = installation
        self._begun = begun
        self._canister = canister
        self._engine = engine
        self._calls = calls
        self.stable = StableMemory()  # the new one
        self.instance: Instance | None = None
        self.outcomes: list[Outcome] = []
        self.error: CanisterError | None = None  # what a step failed of
        self.instructions = 0
        self.logs: list[tuple[list[str], int]] = []  # of each step: lines, and how many older ones it dropped

    @property
    def new_instance(self) -> Instance:
        """The new instance, after steps of which none failed."""
        assert self.instance is not None, "a step failed"
        return self.instance

    def run(self, module: Module) -> Steps[_Steps]:
        """Runs them all. The canister's own instance and memory are left alone: pre_upgrade runs on a copy."""
        opened: list[Instance] = []
        try:
            self.instance = yield from self._run(module, opened)
            opened.remove(self.instance)
        except CanisterError as error:
            self.error = error
        except OSError as error:  # there is no room for one more memory
            message = f"Canister {text_of(self._canister.id)} can't get code: {error.strerror}. See `ulimit -n`."
            self.error = CanisterError(RejectCode.SYS_TRANSIENT, message, "IC0204")
        finally:
            for unneeded in opened:
                unneeded.close()
        return self

    def _run(self, module: Module, opened: list[Instance]) -> Steps[Instance]:
        canister, installation, outcomes = self._canister, self._installation, self.outcomes
        old = canister.instance if installation.mode == "upgrade" else None
        if old is not None:
            self.stable = canister.stable.fork()
            if old.module.has(Entry.PRE_UPGRADE) and not installation.skip_pre_upgrade:
                old = reader_of(old, self.stable)
                opened.append(old)
                outcomes.append((yield from self._step(old, Entry.PRE_UPGRADE, b"")))
        instance = Instance(self._engine, module, self.stable)
        opened.append(instance)
        if old is not None and installation.memory_persistence == "keep":
            yield from copy_in(instance, old.memory)
        outcomes.append((yield from self._step(instance, Entry.START, b"")))
        last = Entry.POST_UPGRADE if old is not None else Entry.INIT
        outcomes.append((yield from self._step(instance, last, installation.arg)))
        too_large = memory_error(canister.id, canister.settings.wasm_memory_limit, instance.memory_bytes)
        if too_large is not None:
            raise too_large
        return instance

    def _step(self, instance: Instance, entry: Entry, arg: bytes) -> Steps[Outcome]:
        env = self._calls.environments.of(
            self._canister,
            time_ns=self._begun.time_ns,
            balance=self._begun.balance,
            caller=self._installation.caller,
            arg=arg,
            may_reply=False,
        )
        if entry is not Entry.PRE_UPGRADE:  # the new code sees the version that its installation makes, and no timer
            env.canister_version += 1
            env.global_timer_ns = 0
        limit = INSTALL_INSTRUCTIONS - self.instructions
        outcome = yield from instance.execution(entry, env, instruction_limit=limit)
        self.instructions += outcome.instructions
        self.logs.append((outcome.log, outcome.log_dropped))
        if outcome.error is not None:
            raise outcome.error
        if entry is Entry.PRE_UPGRADE:
            outcome.global_timer_ns = None
        return outcome
