"""The base of every error that this package raises on purpose.

Owns that class, and which call an error is about. Does not own any error: each room has its own tree below this class
(`canister_factory.errors` has them all by name). The lowest layer: it imports nothing of the package.
"""

from __future__ import annotations

from typing import Any


class CanisterFactoryError(Exception):
    """Base of all errors of this package.

    Attributes:
        retry_helps: a later attempt at the same thing may succeed.
        method: the canister method that was called, if there was a call.
        canister_id: the canister that it is about (a `Principal`), if there is one.
        request_id: the id (32 bytes) of the request that failed, if one was signed.
    """

    retry_helps: bool = False
    method: str | None = None
    canister_id: Any = None
    request_id: bytes | None = None

    def note_call(self, method: str | None, canister_id: Any, request_id: bytes | None = None) -> None:
        """Notes the call that failed with this error; what is known of it already stays."""
        if self.method is None:
            self.method = method
        if self.canister_id is None:
            self.canister_id = canister_id
        if self.request_id is None:
            self.request_id = request_id
