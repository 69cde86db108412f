"""Identities of the real icp-cli: the same principals from the same phrases, and its files by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.ic.identity import Identity
from canister_factory.ic.private_key import KeyKind
from canister_factory.replica.node.process import ReplicaProcess
from support.icp_command import Icp
from support.kept_by_tools import PASSWORD

CURVES: dict[str, KeyKind] = {"secp256k1": "secp256k1", "prime256v1": "p256", "ed25519": "ed25519"}
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture(scope="module")
def icp(icp_binary: Path, replica: ReplicaProcess, tmp_path_factory: pytest.TempPathFactory) -> Icp:
    return Icp(icp_binary, tmp_path_factory.mktemp("icp-home"), replica)


@pytest.mark.parametrize("curve", CURVES)
def test_icp_cli_and_we_have_the_same_principal_of_a_phrase_and_of_its_files(
    icp: Icp, curve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICP_HOME", str(icp.home / "icp"))
    (icp.home / "phrase").write_text(PHRASE)
    (icp.home / "password").write_text(PASSWORD)
    how = ["--from-seed-file", "phrase", "--seed-curve", curve]
    icp.ok("identity", "import", f"plain-{curve}", *how, "--storage", "plaintext")
    icp.ok(
        "identity", "import", f"locked-{curve}", *how, "--storage", "password", "--storage-password-file", "password"
    )
    principal = icp.ok("identity", "principal", "--identity", f"plain-{curve}").strip()

    assert str(Identity.from_seed_phrase(PHRASE, CURVES[curve]).sender()) == principal
    for name in (f"plain-{curve}", f"locked-{curve}"):
        (icp.home / "icp" / "identity" / "keys" / f"{name}.pem").chmod(0o600)
        assert str(Identity.from_name(name, password=PASSWORD).sender()) == principal
    exported = icp.ok(
        "identity", "export", f"plain-{curve}", "--encrypt", "--encryption-password-file", str(icp.home / "password")
    )
    assert str(Identity.from_pem(exported, password=PASSWORD).sender()) == principal


def test_icp_cli_opens_what_we_encrypt(icp: Icp) -> None:
    ours = Identity.from_seed_phrase(PHRASE)
    (icp.home / "password").write_text(PASSWORD)
    ours.write_pem(icp.home / "ours.pem", PASSWORD.encode())
    icp.ok(
        "identity", "import", "ours", "--from-pem", "ours.pem", "--decryption-password-from-file", "password",
        "--storage", "plaintext",
    )  # fmt: skip
    assert icp.ok("identity", "principal", "--identity", "ours").strip() == str(ours.sender())
