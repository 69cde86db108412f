"""Identities of icp-cli and dfx: found by name, decrypted, and what is said of those that no file holds."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest

from canister_factory.ic.errors import IdentityError
from canister_factory.ic.identity import Identity
from support.kept_by_tools import DFX_ENCRYPTED, DFX_ENCRYPTION, PASSWORD, PRINCIPALS, Homes


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    return Homes(tmp_path, monkeypatch)


def refusal(name: str, password: str | None = None) -> str:
    with pytest.raises(IdentityError) as raised:
        Identity.from_name(name, password=password)
    assert raised.value.__cause__ is None
    return str(raised.value)


def test_plain_identities_of_both_tools_are_found_by_their_names(homes: Homes) -> None:
    plain = homes.fill()
    for name in ("work", "icp:work", "old", "dfx:old"):
        assert Identity.from_name(name).sender() == plain.sender()
    assert Identity.from_name("anonymous").sender().is_anonymous


def test_encrypted_identities_of_both_tools_are_opened_by_their_passwords(homes: Homes) -> None:
    homes.fill()
    assert str(Identity.from_name("locked", password=PASSWORD).sender()) == PRINCIPALS["ed25519"]
    assert str(Identity.from_name("sealed", password=PASSWORD).sender()) == PRINCIPALS["secp256k1"]
    asked: list[str] = []
    Identity.from_name("sealed", password=lambda what: asked.append(what) or PASSWORD.encode())  # type: ignore[func-returns-value]
    assert asked == ["the identity sealed of dfx"]
    for name, tool in (("locked", "icp-cli"), ("sealed", "dfx")):
        assert refusal(name, "wrong horse").startswith(
            f"the identity {name} of {tool} can't be decrypted: the password"
        )
        assert "is encrypted, and no password was given" in refusal(name)


def test_a_name_that_both_tools_have_is_refused_until_one_is_named(homes: Homes) -> None:
    homes.fill()
    other = Identity.generate()
    homes.in_dfx("work", other.to_pem())
    assert refusal("work") == "both icp-cli and dfx have an identity named work: write icp:work or dfx:work"
    assert Identity.from_name("dfx:work").sender() == other.sender()


def test_an_unknown_name_is_answered_with_those_that_are_known_and_where(homes: Homes) -> None:
    assert "icp-cli has none in" in refusal("nobody")
    homes.fill()
    told = refusal("nobody")
    assert f"icp-cli has locked, work in {homes.icp}" in told
    assert f"dfx has old, sealed in {homes.dfx}" in told
    assert "dfx" not in refusal("icp:old").replace(str(homes.icp), "")


def test_what_no_file_holds_is_told_with_what_to_do(homes: Homes) -> None:
    homes.in_icp("ring", None, kind="keyring")
    homes.in_icp("token", None, kind="hsm", module="/lib/p11.so", slot=0)
    homes.in_icp("session", None, kind="web-auth", host="https://id.ai")
    homes.in_dfx("dring", None, keyring_identity_suffix="dring")
    homes.in_dfx("dtoken", None, hsm={"pkcs11_lib_path": "/lib/p11.so", "key_id": "abcd"})
    assert "'icp identity export ring --encrypt > ring.pem' writes it to a file for --identity" in refusal("ring")
    assert "'dfx identity export dring > dring.pem' writes it to a file for --identity" in refusal("dring")
    assert "Call with icp, or make a key by 'canister-factory identity new'" in refusal("token")
    assert "Call with dfx, or make a key" in refusal("dtoken")
    assert "signs by a session of another key" in refusal("session")


@pytest.mark.parametrize("name", ["../icp/keys/x", "..", ".", "a/b", "a\\b", "a\0b"])
def test_a_name_leads_nowhere_but_into_the_tools_directories(homes: Homes, name: str) -> None:
    homes.fill()
    assert "is not the name of an identity" in refusal(name)


def test_a_key_typed_in_place_of_a_name_is_not_repeated(homes: Homes) -> None:
    secret = "5ec4e75e" * 8
    assert secret not in refusal(secret)
    assert secret not in refusal("icp:" + secret)


def test_damaged_lists_are_told_by_their_file(homes: Homes) -> None:
    homes.fill()
    listed = homes.icp / "identity_list.json"
    for content in ("{", "[]", '{"v": 2, "identities": {}}', '{"v": 1}', "[" * 100_000):
        listed.write_text(content)
        assert str(listed) in refusal("work")
    listed.unlink()
    homes.in_dfx("odd", DFX_ENCRYPTED, "identity.pem.encrypted", encryption={"pw_salt": "00"})
    assert "doesn't say how the key is encrypted" in refusal("odd", PASSWORD)
    for changed in ({"pw_salt": "é"}, {"file_nonce": [1]}):
        name = f"odd-{next(iter(changed))}"
        homes.in_dfx(name, DFX_ENCRYPTED, "identity.pem.encrypted", encryption=DFX_ENCRYPTION | changed)
        assert "use the file that 'dfx identity export' writes" in refusal(name, PASSWORD)
    homes.in_dfx("gone", None)
    assert "No such file" in refusal("gone")


def test_a_plain_key_that_others_can_read_is_warned_of(homes: Homes) -> None:
    homes.fill()
    (homes.icp / "keys" / "work.pem").chmod(0o644)
    with pytest.warns(UserWarning, match="chmod 600"):
        Identity.from_name("work")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Identity.from_name("old")


@pytest.mark.parametrize(
    ("platform", "variables", "icp", "dfx"),
    [
        ("linux", {}, ".local/share/icp-cli/identity", ".config/dfx/identity"),
        ("linux", {"XDG_DATA_HOME": "relative"}, ".local/share/icp-cli/identity", ".config/dfx/identity"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/icp-cli/identity", ".config/dfx/identity"),
        ("darwin", {}, "Library/Application Support/org.dfinity.icp-cli/identity", ".config/dfx/identity"),
        ("linux", {"ICP_HOME": "/i", "DFX_CONFIG_ROOT": "/d"}, "/i/identity", "/d/.config/dfx/identity"),
    ],
)
def test_the_directories_are_those_of_the_tools(
    platform: str,
    variables: dict[str, str],
    icp: str,
    dfx: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ICP_HOME", "DFX_CONFIG_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = refusal("nobody")
    assert f"icp-cli has none in {os.path.join(tmp_path, icp)}; dfx has none in {os.path.join(tmp_path, dfx)}" in told
