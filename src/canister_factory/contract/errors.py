"""What our canisters refuse, as exceptions with a message that a person can act on.

Owns these exceptions and their words, in which a canister's texts are escaped and cut; `error` and `context` have them
whole, for programs. Does not own: the error values they carry (the models), failures of the network.
"""

from __future__ import annotations

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.binding import rfc3339
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationError
from canister_factory.ic.foreign_text import quoted


class ContractError(CanisterFactoryError):
    """Base of this layer's errors."""

    @property
    def context(self) -> dict[str, object]:
        """What the error carries besides its message; plain values for JSON."""
        return {}


class ArtifactError(ContractError):
    """A bundled module or `.did` file is missing, or isn't what its checksum says."""


class ContractMismatchError(ContractError):
    """A canister doesn't answer as the contract says: another canister, or an incompatible version."""


class PagingError(ContractError):
    """A list doesn't advance, or doesn't end: who answers is another canister than it should be, or has a defect."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}; nothing more of it was read")


class ArgumentTooLargeError(ContractError):
    """An argument is larger than its method takes; nothing was sent."""

    def __init__(self, method: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{method}: the argument is {size_bytes:,} bytes, above the {limit_bytes:,} bytes that the method takes; "
            "nothing was sent: say it shorter, or in several calls"
        )
        self.method = method
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes

    @property
    def context(self) -> dict[str, object]:
        """The method, the argument's size and the limit."""
        return {"method": self.method, "size_bytes": self.size_bytes, "limit_bytes": self.limit_bytes}


class CapsuleRefused(ContractError):  # noqa: N818 - the canister answered; that is not an error of the call
    """The capsule API answered `Err`. `kind` is the case of `error`; `method` the endpoint."""

    def __init__(self, method: str, error: CapsuleError) -> None:
        super().__init__(f"{method}: {quoted(_words(error))}")
        self.method = method
        self.error = error
        self.kind = error.tag
        self.retry_helps = self.kind in ("Locked", "SessionExpired", "MissingChunks")

    @property
    def context(self) -> dict[str, object]:
        """The case and what it carries."""
        return {"method": self.method, "refused": self.error.model_dump(mode="json")}


class CreationRefused(ContractError):  # noqa: N818
    """The creation API answered `Err`. `kind` is that of `error`; `method` the endpoint."""

    def __init__(self, method: str, error: CreationError) -> None:
        super().__init__(f"{method}: {error.kind}: {quoted(error.message)}{_amounts(error)}{_time(error)}")
        self.method = method
        self.error = error
        self.kind = str(error.kind)
        self.retry_helps = error.retry_helps

    @property
    def context(self) -> dict[str, object]:
        """The error's fields that are set."""
        return {"method": self.method, "refused": self.error.model_dump(mode="json", exclude_none=True)}


def _amounts(error: CreationError) -> str:
    if error.needed is None or f"{error.needed}" in error.message:
        return ""
    available = "" if error.available is None else f", available {error.available:,}"
    return f" (needed {error.needed:,}{available})"


def _time(error: CreationError) -> str:
    return "" if error.retry_at is None else f" (retry at {rfc3339(error.retry_at)})"


_OR_HIDDEN = dict.fromkeys(("capsule", "memory", "gallery"), ", or it is not shared with you") | {
    "upload": ", or somebody else began it"
}
"""What a canister tells nobody: which of the two it is."""


def _words(error: CapsuleError) -> str:
    match error.tag, error.value:
        case "Unauthorized", reason:
            return f"not authorized: {reason}"
        case "NotFound", thing:
            return f"there is no {thing.kind} {thing.id}{_OR_HIDDEN.get(thing.kind, '')}"
        case "AlreadyExists", thing:
            return f"{thing.kind} {thing.id} already exists"
        case "InvalidArgument", wrong:
            return f"{wrong.field} can't be used: {wrong.reason}"
        case "LimitExceeded", limit:
            return f"{limit.what} is {limit.actual:,}, above the limit of {limit.limit:,}"
        case "ChecksumMismatch", sums:
            actual, expected = sums.actual.hex(), sums.expected.hex()
            return f"the SHA-256 of {sums.what} is {actual}, not {expected} as stated: send it again"
        case "ChunkConflict", chunk:
            return f"chunk {chunk.index} of memory {chunk.memory_id} is already stored with other bytes"
        case "MissingChunks", missing:
            some = ", ".join(map(str, missing.missing[:10])) + (", ..." if len(missing.missing) > 10 else "")
            return f"memory {missing.memory_id} lacks {len(missing.missing)} of its chunks: {some}"
        case "SessionExpired", session:
            return f"session {session.session} expired at {rfc3339(session.expired_at)}: begin again"
        case "Locked", lock:
            until = f" (until {rfc3339(lock.until)})" if lock.until else ""
            return f"no writes at present: {lock.reason}{until}"
        case "Moved", home:
            return f"this capsule moved to its owner's personal canister {home.personal_canister}: write there"
    return f"{error.tag}: {error.value}"
