"""The bundled Wasm modules and `.did` files: found, checked against SHA256SUMS, read once.

Owns where they are and what they are. Does not own: installing them, and the approval of a release (the backend).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from canister_factory.candid.did import Interface, parse_did
from canister_factory.contract.errors import ArtifactError

API_VERSION = "1.0.0"
"""Semantic version of the canister API that the clients here speak."""

CHECKSUMS = "SHA256SUMS"
_HERE = Path(__file__).resolve().parent
_REMEDY = "install the package again, or in a clone run scripts/build-canisters"


@dataclass(frozen=True, slots=True)
class WasmModule:
    """A module as it is installed, gzip-compressed. The network's module hash is the SHA-256 of just these bytes."""

    name: str
    wasm: bytes
    module_hash: bytes

    def __repr__(self) -> str:
        return f"WasmModule({self.name}, {len(self.wasm):,} bytes, {self.module_hash.hex()})"


@cache
def directory() -> Path:
    """Where the artifacts are: inside the package when it is installed, `canisters/dist` in the project's checkout.

    Raises:
        ArtifactError: they are in neither place.
    """
    candidates = [_HERE / "artifacts", *(parent / "canisters" / "dist" for parent in _HERE.parents[2:3])]
    for candidate in candidates:
        if (candidate / CHECKSUMS).is_file():
            return candidate
    raise ArtifactError(
        f"the canisters' modules are missing: there is no {CHECKSUMS} in {' or '.join(map(str, candidates))}; {_REMEDY}"
    )


@cache
def _checksums() -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in (directory() / CHECKSUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        if name:
            sums[name.removeprefix("*").removeprefix("./")] = digest
    return sums


@cache
def _read(name: str) -> bytes:
    """A file of the artifacts.

    Raises:
        ArtifactError: it is missing or isn't what SHA256SUMS says.
    """
    path = directory() / name
    expected = _checksums().get(name)
    if expected is None:
        raise ArtifactError(f"{path.parent / CHECKSUMS} has no line for {name}; {_REMEDY}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} can't be read: {error.strerror}; {_REMEDY}") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise ArtifactError(f"{path} has SHA-256 {actual}, {CHECKSUMS} says {expected}; {_REMEDY}")
    return data


def _module(name: str) -> WasmModule:
    file = f"{name}.wasm.gz"
    return WasmModule(name, _read(file), bytes.fromhex(_checksums()[file]))  # what `_read` has compared


def personal_wasm() -> WasmModule:
    """The personal canister's module.

    Raises:
        ArtifactError: it is missing, or isn't what SHA256SUMS says.
    """
    return _module("personal")


def backend_wasm() -> WasmModule:
    """The backend's module.

    Raises:
        ArtifactError: it is missing, or isn't what SHA256SUMS says.
    """
    return _module("backend")


@cache
def personal_interface() -> Interface:
    """The personal canister's contract, parsed.

    Raises:
        ArtifactError: it is missing, or isn't what SHA256SUMS says.
    """
    return parse_did(_read("personal.did").decode())


@cache
def backend_interface() -> Interface:
    """The backend's contract, parsed.

    Raises:
        ArtifactError: it is missing, or isn't what SHA256SUMS says.
    """
    return parse_did(_read("backend.did").decode())


@cache
def personal_limits() -> Mapping[str, int]:
    """How many bytes of arguments each method of the personal canister takes at most.

    Raises:
        ArtifactError: the file is missing, or isn't what SHA256SUMS says.
    """
    return _limits("personal")


@cache
def backend_limits() -> Mapping[str, int]:
    """How many bytes of arguments each method of the backend takes at most.

    Raises:
        ArtifactError: the file is missing, or isn't what SHA256SUMS says.
    """
    return _limits("backend")


def _limits(name: str) -> Mapping[str, int]:
    lines = (line.split() for line in _read(f"{name}.limits").decode().splitlines())
    return {method: int(most) for method, most, *_ in lines}


def compatible(version: str, wanted: str = API_VERSION) -> bool:
    """Whether a canister of API `version` can be used by a client of `wanted` (semantic versioning 2.0.0).

    The same major version and at least the same minor version; before 1.0 the minor version must be equal.
    """
    try:
        major, minor, _ = (int(part) for part in version.split("+")[0].split("-")[0].split("."))
        wanted_major, wanted_minor, _ = (int(part) for part in wanted.split("+")[0].split("-")[0].split("."))
    except ValueError:
        return False
    if major != wanted_major:
        return False
    return minor == wanted_minor if major == 0 else minor >= wanted_minor
