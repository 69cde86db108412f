"""Whether a canister can get another module, decided before anything is changed: its interface, memory and cycles.

Owns these checks. Does not own: which modules are approved (the backend), and the upgrade (`upgrading`).
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.did import parse_did
from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import explain_mismatch
from canister_factory.contract.artifacts import WasmModule
from canister_factory.contract.wasm_sections import metadata_of
from canister_factory.ic.agent import Agent
from canister_factory.ic.management_types import CanisterStatus, InstallMode, MemoryPersistence, UpgradeOptions

INTERFACE = "candid:service"
KEEPS_HEAP = "enhanced-orthogonal-persistence"
"""The section of Motoko's modules whose heap stays as it is (Motoko's manual, "Enhanced orthogonal persistence")."""

_DAY_S = 86_400
_INSTALLATION = 300_000_000_000
"""Cycles that an installation of a 32-bit module sets aside, by the dearest prices known; of 64 bits twice as many."""
_SNAPSHOT_BASE = 2_000_000_000
"""Instructions of a snapshot, besides one a byte (interface specification, "IC method take_canister_snapshot")."""
_MESSAGES = 20_000_000_000
"""Cycles for the messages of an upgrade, its judgement included."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """What an upgrade needs of a canister's cycles; `snapshot_bytes` are kept meanwhile. `frozen`: the freezing
    threshold with them.
    """

    balance: int
    frozen: int
    work: int
    snapshot_bytes: int

    @property
    def missing(self) -> int:
        """How many must be added first."""
        return max(0, self.frozen + self.work - self.balance)


def cycles_of(status: CanisterStatus, has_64_bits: bool) -> Cycles:
    """Reckons with a snapshot as large as the canister is now: what it idles for grows as its memory does."""
    memory = status.memory_size
    metrics = status.memory_metrics
    snapshot = memory - (metrics.snapshots_size if metrics else 0)
    burned = status.idle_cycles_burned_per_day * (memory + snapshot) // max(memory, 1)
    work = _INSTALLATION * (2 if has_64_bits else 1) + 2 * (_SNAPSHOT_BASE + snapshot) + _MESSAGES
    return Cycles(status.cycles, burned * status.settings.freezing_threshold // _DAY_S, work, snapshot)


def keeps_heap(module: WasmModule) -> bool:
    """Whether the module's heap stays as it is over an upgrade; it has 64 bits then.

    Raises:
        ArtifactError: it is no Wasm module.
    """
    return KEEPS_HEAP in metadata_of(module.wasm)


def upgrade_mode(module: WasmModule) -> InstallMode:
    """How this module takes over memory."""
    persistence = MemoryPersistence.of("keep") if keeps_heap(module) else None
    return InstallMode(upgrade=UpgradeOptions(wasm_memory_persistence=persistence))


async def incompatibility(agent: Agent, canister_id: Principal, module: WasmModule) -> str | None:
    """Why a canister can't get the module, or `None`: whoever calls it today must be able to tomorrow, and the module
    must find its data. The stable types themselves are compared by the module, when it is installed.

    Raises:
        ArtifactError: it is no Wasm module.
        IcError: the canister's metadata can't be read.
    """
    sections = metadata_of(module.wasm)
    has_kept = await agent.metadata(canister_id, KEEPS_HEAP) is not None
    if has_kept != (KEEPS_HEAP in sections):
        has, wants = ("keeps its heap", "writes it") if has_kept else ("writes its heap", "keeps it")
        return f"the canister {has} over an upgrade, the module {wants} (wasm_memory_persistence)"
    present, wanted = await agent.metadata(canister_id, INTERFACE), sections.get(INTERFACE)
    if present is None or wanted is None:
        return f"{'the canister' if present is None else 'the module'} doesn't say its interface ({INTERFACE})"
    try:
        before, after = parse_did(present.decode()).service, parse_did(wanted.decode()).service
    except (CandidError, UnicodeDecodeError) as error:
        return f"an interface can't be read: {error}"
    if before is None or after is None:
        return "an interface has no service"
    mismatch = explain_mismatch(after, before)
    return None if mismatch is None else f"its interface is no subtype of the present one: {mismatch}"
