"""Testing canisters: an embedded replica that goes back after each test. `plugin` has the fixtures for pytest.

Owns the names that people's tests import; each is imported when it is first used, since pytest loads the plugin with
every run. Does not own the replica (`canister_factory.replica`) or what anchors do (`replica.subnet.anchor`).
"""

# ruff: noqa: I001 - "A as A" tells type checkers that the name is offered
from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.lazy import lazy_names

if TYPE_CHECKING:
    from canister_factory.testing.deployment import DeploymentError as DeploymentError, deploy as deploy
    from canister_factory.testing.outcalls import (
        HttpOutcalls as HttpOutcalls,
        HttpRequest as HttpRequest,
        HttpResponse as HttpResponse,
    )
    from canister_factory.testing.replica import EmbeddedReplica as EmbeddedReplica, ReplicaAnchor as ReplicaAnchor

_HOMES = {
    "testing.deployment": "DeploymentError deploy",
    "testing.outcalls": "HttpOutcalls HttpRequest HttpResponse",
    "testing.replica": "EmbeddedReplica ReplicaAnchor",
}
__getattr__, __dir__, __all__ = lazy_names(__name__, _HOMES)
