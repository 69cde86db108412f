"""ic-py's class of principals, which ours extends. Owns that nothing else of ic-py is imported for its sake."""

from __future__ import annotations

from canister_factory.lazy import without_its_imports

without_its_imports("ic")

from ic.principal import Principal as IcPyPrincipal  # noqa: E402 - only after the line above

__all__ = ["IcPyPrincipal"]
