"""Canister Factory: personal canisters on the Internet Computer, created, filled, verified and handed over.

    import canister_factory as cf

Owns the names that programs use (docs/python.md); each is imported when it is first used. Does not own what they are.
"""

# ruff: noqa: I001 - "A as A" tells type checkers that the name is offered; ruff would take each on a line of its own

from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.lazy import lazy_names
from canister_factory.version import __version__ as __version__

if TYPE_CHECKING:
    from canister_factory import candid as candid, errors as errors, models as models, testing as testing
    from canister_factory.candid.principal import Principal as Principal
    from canister_factory.contract.backend_client import BackendClient as BackendClient
    from canister_factory.contract.personal_client import PersonalClient as PersonalClient
    from canister_factory.contract.upload import upload_memory as upload_memory
    from canister_factory.face.blocking import blocking as blocking
    from canister_factory.face.canister import Canister as Canister, query as query
    from canister_factory.face.connecting import connect as connect
    from canister_factory.face.replica import Replica as Replica
    from canister_factory.factory.config import FactoryConfig as FactoryConfig
    from canister_factory.factory.deployment import (
        apply_init as apply_init,
        deploy_backend as deploy_backend,
        fill_reserve as fill_reserve,
        fund as fund,
        install_backend as install_backend,
        register_release as register_release,
        set_backend as set_backend,
        upgrade_backend as upgrade_backend,
    )
    from canister_factory.factory.orchestrator import Orchestrator as Orchestrator
    from canister_factory.factory.outcome import Outcome as Outcome
    from canister_factory.factory.worker import Worker as Worker
    from canister_factory.ic.agent import Agent as Agent
    from canister_factory.ic.identity import Identity as Identity
    from canister_factory.ic.management import ManagementCanister as ManagementCanister
    from canister_factory.ic.network import Network as Network

_HOMES = {
    "candid": "",
    "candid.principal": "Principal",
    "contract.backend_client": "BackendClient",
    "contract.personal_client": "PersonalClient",
    "contract.upload": "upload_memory",
    "errors": "",
    "face.blocking": "blocking",
    "face.canister": "Canister query",
    "face.connecting": "connect",
    "face.replica": "Replica",
    "factory.config": "FactoryConfig",
    "factory.deployment": "apply_init deploy_backend fill_reserve fund install_backend register_release "
    "set_backend upgrade_backend",
    "factory.orchestrator": "Orchestrator",
    "factory.outcome": "Outcome",
    "factory.worker": "Worker",
    "ic.agent": "Agent",
    "ic.identity": "Identity",
    "ic.management": "ManagementCanister",
    "ic.network": "Network",
    "models": "",
    "testing": "",
}
__all__: list[str]
if not TYPE_CHECKING:  # which would take any name for one that there is
    __getattr__, __dir__, __all__ = lazy_names(__name__, _HOMES)
