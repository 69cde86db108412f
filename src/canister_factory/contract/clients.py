"""The typed clients in one place. Owns nothing itself."""

from canister_factory.contract.backend_client import BackendClient
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.personal_client import PersonalClient

__all__ = ["BackendClient", "CapsuleClient", "PersonalClient"]
