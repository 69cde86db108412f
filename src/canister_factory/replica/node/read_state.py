"""Who may read which paths of the state tree, and which paths a permitted request reveals.

Owns the rules for `paths` of a `read_state` request. Does not own the tree (`state_tree`) or the envelope's checks.

Source: interface specification, "Request: Read state".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from canister_factory.ic.requests import Path
from canister_factory.replica.node.http_error import HttpError

__all__ = ["ReadAccess", "RequestOwner", "StateTreeReader"]

_REQUEST_FIELDS: Final = frozenset((b"status", b"reply", b"reject_code", b"reject_message", b"error_code"))
_CANISTER_FIELDS: Final = frozenset(
    (b"module_hash", b"controllers", b"canister_creation_timestamp", b"last_install_timestamp")
)
_SUBNET_FIELDS: Final = frozenset((b"public_key", b"type"))
_BOUNDARY_NODE_FIELDS: Final = frozenset((b"domain", b"ipv4_address", b"ipv6_address"))


@dataclass(frozen=True, slots=True)
class RequestOwner:
    """Who made a call to which canister: only they may read its status, only where they sent it, and with delegations
    only that allow that canister (the management canister, if it was called)."""

    sender: bytes
    canister_id: bytes
    effective_id: bytes


@dataclass(frozen=True, slots=True)
class ReadAccess:
    """Who asks, and at which endpoint.

    `effective_id` is the canister, or the subnet where `about_subnet`; `version` that of the endpoint (2 or 3);
    `targets` the canisters that the sender's delegations are limited to, if they are.
    """

    sender: bytes
    effective_id: bytes
    about_subnet: bool
    version: int
    targets: frozenset[bytes] | None = None


@dataclass(frozen=True, slots=True)
class StateTreeReader:
    """The rules, given the facts they depend on.

    Args:
        subnet_id: our subnet; the tree has no other, and it is not the root subnet.
        request_owner: who made the call with this request id; None where no such call is known.
        private_sections: controllers of a canister and the names of its private custom sections.
    """

    subnet_id: bytes
    request_owner: Callable[[bytes], RequestOwner | None]
    private_sections: Callable[[bytes], tuple[frozenset[bytes], frozenset[bytes]]]

    def permitted(self, access: ReadAccess, paths: Sequence[Path]) -> list[Path]:
        """The paths to reveal for what was requested.

        Raises:
            HttpError: 400 or 403, one of them may not be requested by this sender at this endpoint.
        """
        reveal: list[Path] = []
        one_of_each: dict[bytes, bytes] = {}
        for path in paths:
            reveal += self._checked(access, path)
            if len(path) > 1 and path[0] in (b"request_status", b"canister_ranges"):
                first = one_of_each.setdefault(path[0], path[1])
                if first != path[1]:
                    name = path[0].decode()
                    raise HttpError(400, f"All paths below /{name} of one request must name the same id")
        return reveal

    def _checked(self, access: ReadAccess, path: Path) -> list[Path]:
        match list(path):
            case [b"time"] | [b"api_boundary_nodes"] | [b"api_boundary_nodes", _]:
                return [path]
            case [b"api_boundary_nodes", _, name] if name in _BOUNDARY_NODE_FIELDS:
                return [path]
            case [b"canister_ranges", _]:
                if not access.about_subnet:
                    raise _refused(path, "it can be read at /api/v3/subnet/<subnet id>/read_state only")
                return [path]
            case [b"subnet", *below]:
                return self._subnet(access, path, below)
            case [b"request_status", request_id, *field] if len(field) < 2 and set(field) <= _REQUEST_FIELDS:
                return self._request_status(access, path, request_id)
            case [b"canister", canister_id, *below]:
                return self._canister(access, path, canister_id, below)
        raise _refused(path, "there is no such path that could be requested")

    def _subnet(self, access: ReadAccess, path: Path, below: Sequence[bytes]) -> list[Path]:
        match below:
            case []:
                return self._subnet(access, (b"subnet", self.subnet_id), [self.subnet_id])
            case [subnet_id]:
                if subnet_id != self.subnet_id:
                    return [path]
                names = [b"public_key", b"type", b"node"]
                if access.version == 2:
                    names.append(b"canister_ranges")
                if access.about_subnet:
                    names.append(b"metrics")
                return [(b"subnet", subnet_id, name) for name in names]
            case [_, name] if name in _SUBNET_FIELDS:
                return [path]
            case [_, b"node"] | [_, b"node", _] | [_, b"node", _, b"public_key"]:
                return [path]
            case [_, b"canister_ranges"]:
                if access.version != 2:
                    raise _refused(path, "read /canister_ranges/<subnet id> at the subnet's endpoint instead")
                return [path]
            case [subnet_id, b"metrics"]:
                if not (access.about_subnet and access.effective_id == subnet_id):
                    raise _refused(path, "it can be read at /api/v3/subnet/<subnet id>/read_state only")
                return [path]
        raise _refused(path, "there is no such path that could be requested")

    def _request_status(self, access: ReadAccess, path: Path, request_id: bytes) -> list[Path]:
        owner = self.request_owner(request_id)
        if owner is not None:
            if owner.sender != access.sender:
                raise HttpError(403, "A request's status can be read by the sender of the request only")
            if owner.effective_id != access.effective_id:
                raise HttpError(
                    403, "A request's status can be read at the effective canister id that it was sent to only"
                )
            if access.targets is not None and owner.canister_id not in access.targets:
                raise HttpError(403, "The delegation's targets do not include the canister that the request was for")
        return [path]

    def _canister(self, access: ReadAccess, path: Path, canister_id: bytes, below: Sequence[bytes]) -> list[Path]:
        if access.about_subnet or canister_id != access.effective_id:
            raise _refused(path, "the canister id in it is not the effective canister id of the request's URL")
        match below:
            case [name] if name in _CANISTER_FIELDS:
                return [path]
            case [b"metadata", name]:
                self._require_metadata_access(access, canister_id, name)
                return [path]
        raise _refused(path, "there is no such path that could be requested")

    def _require_metadata_access(self, access: ReadAccess, canister_id: bytes, name: bytes) -> None:
        try:
            shown = name.decode()
        except UnicodeDecodeError:
            raise HttpError(400, f"The metadata name {name.hex()} is not UTF-8") from None
        controllers, private = self.private_sections(canister_id)
        if name in private and access.sender not in controllers:
            raise HttpError(
                403, f"The custom section {shown!r} is private: only controllers of the canister can read it"
            )


def _refused(path: Path, why: str) -> HttpError:
    return HttpError(400, f"The path {_shown(path)} cannot be requested: {why}")


def _shown(path: Path) -> str:
    """A path for an error message: labels that are plain text as text, others in hexadecimal digits."""
    readable = [label.isascii() and label.decode().isprintable() for label in path]
    text = "".join(
        "/" + (label.decode() if plain else label.hex()) for label, plain in zip(path, readable, strict=True)
    )
    return text if len(text) <= 200 else text[:200] + "…"
