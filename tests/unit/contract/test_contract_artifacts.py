"""The bundled modules and interfaces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from canister_factory.contract import artifacts
from canister_factory.contract.errors import ArtifactError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of artifacts with one valid file."""
    (tmp_path / "personal.wasm.gz").write_bytes(b"module")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'module').hexdigest()}  personal.wasm.gz\n")
    clear()
    monkeypatch.setattr(artifacts, "directory", lambda: tmp_path)
    yield tmp_path
    clear()


def clear() -> None:
    artifacts._read.cache_clear()
    artifacts._checksums.cache_clear()


def test_the_modules_of_this_checkout_are_what_their_checksums_say() -> None:
    for module in (artifacts.personal_wasm(), artifacts.backend_wasm()):
        assert module.module_hash == hashlib.sha256(module.wasm).digest()
        assert module.wasm[:2] == b"\x1f\x8b"


def test_the_interfaces_are_those_of_the_contracts(repository: Path) -> None:
    for name in ("backend", "personal"):
        bundled = artifacts.directory() / f"{name}.did"
        assert bundled.read_text() == (repository / "canisters" / name / f"{name}.did").read_text()


def test_the_hash_is_of_the_bytes_as_they_are_installed(elsewhere: Path) -> None:
    module = artifacts.personal_wasm()
    assert module.wasm == b"module"
    assert module.module_hash == hashlib.sha256(b"module").digest()
    assert "module'" not in repr(module)


def test_a_changed_file_is_refused(elsewhere: Path) -> None:
    (elsewhere / "personal.wasm.gz").write_bytes(b"tampered")
    with pytest.raises(ArtifactError, match="SHA256SUMS says"):
        artifacts.personal_wasm()


def test_a_missing_file_is_named(elsewhere: Path) -> None:
    (elsewhere / "personal.wasm.gz").unlink()
    with pytest.raises(ArtifactError, match=r"personal\.wasm\.gz can't be read"):
        artifacts.personal_wasm()


def test_a_file_without_a_checksum_is_refused(elsewhere: Path) -> None:
    (elsewhere / "backend.wasm.gz").write_bytes(b"unknown")
    with pytest.raises(ArtifactError, match=r"no line for backend\.wasm\.gz"):
        artifacts.backend_wasm()


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.0.0", "1.0.0", True),
        ("1.3.0", "1.0.0", True),
        ("1.0.9", "1.0.0", True),
        ("1.0.0", "1.1.0", False),
        ("2.0.0", "1.0.0", False),
        ("0.2.1", "0.2.0", True),
        ("0.3.0", "0.2.0", False),
        ("1.0.0-rc.1", "1.0.0", True),
        ("one", "1.0.0", False),
        ("1.0", "1.0.0", False),
    ],
)
def test_versions_are_compatible_as_semantic_versioning_has_it(version: str, wanted: str, fits: bool) -> None:
    assert artifacts.compatible(version, wanted) is fits
