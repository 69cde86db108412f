"""Encrypted keys: what openssl, icp-cli and dfx write is opened by its password, and nothing else is."""

from __future__ import annotations

import base64
import traceback

import pytest
from cryptography.hazmat.primitives import serialization as ser
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic.encrypted_key import decrypted_pbes2
from canister_factory.ic.errors import IdentityError
from canister_factory.ic.identity import Identity
from canister_factory.ic.private_key import KeyKind
from support.kept_by_tools import ICP_ENCRYPTED_ED25519, PASSWORD, PRINCIPALS, encrypted, sealed_like_icp_cli

FORMS = [ser.PrivateFormat.PKCS8, ser.PrivateFormat.TraditionalOpenSSL]
KINDS: list[KeyKind] = ["ed25519", "secp256k1", "p256"]
DER = base64.b64decode(b"".join(ICP_ENCRYPTED_ED25519.splitlines()[1:-1]))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_openssl_encrypts_is_opened_by_its_password_alone(form: ser.PrivateFormat) -> None:
    pem = encrypted(form)
    assert Identity.from_pem(pem, password=PASSWORD).sender() == Identity.from_pem(pem, password=PASSWORD).sender()
    for wrong in ("wrong horse", "", "correct horse "):
        with pytest.raises(
            IdentityError, match="can't be decrypted: the password is wrong, or the file is damaged"
        ) as e:
            Identity.from_pem(pem, password=wrong)
        assert e.value.__cause__ is None
        assert "horse" not in "".join(traceback.format_exception_only(e.value))
    with pytest.raises(IdentityError, match="is encrypted, and no password was given"):
        Identity.from_pem(pem)


def test_an_ed25519_key_that_icp_cli_encrypted_is_opened() -> None:
    assert str(Identity.from_pem(ICP_ENCRYPTED_ED25519, password=PASSWORD).sender()) == PRINCIPALS["ed25519"]
    with pytest.raises(IdentityError, match="the password is wrong"):
        Identity.from_pem(ICP_ENCRYPTED_ED25519, password="wrong horse")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_written_encrypted_and_read_again(kind: KeyKind) -> None:
    identity = Identity.generate(kind)
    pem = identity.to_pem(PASSWORD.encode())
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert Identity.from_pem(pem, password=PASSWORD).sender() == identity.sender()


def test_nobody_is_asked_for_the_password_of_a_plain_key() -> None:
    def ask(what: str) -> bytes:
        raise AssertionError(what)

    identity = Identity.generate()
    assert Identity.from_pem(identity.to_pem(), password=ask).sender() == identity.sender()


def test_what_is_encrypted_and_no_key_is_refused_in_words_that_carry_nothing_of_it() -> None:
    """PKCS#8 of version 2, of an algorithm that nobody has: the tenth byte is within its identifier."""
    with pytest.raises(IdentityError, match="the password is wrong, or the file is damaged") as e:
        Identity.from_pem(sealed_like_icp_cli(lambda key: key[:9] + b"\x07" + key[10:]), password=PASSWORD)
    assert (e.value.__cause__, e.value.__context__) == (None, None)
    whole = Identity.from_pem(sealed_like_icp_cli(lambda key: key), password=PASSWORD)
    assert str(whole.sender()) == PRINCIPALS["ed25519"]


def test_costs_beyond_any_key_are_not_paid() -> None:
    """Of scrypt's parameters N is the first INTEGER, here 2^17 in 3 bytes."""
    assert DER.count(b"\x02\x03\x02\x00\x00") == 1
    dear = DER.replace(b"\x02\x03\x02\x00\x00", b"\x02\x03\x80\x00\x00")
    assert decrypted_pbes2(dear, PASSWORD.encode()) is None
    assert decrypted_pbes2(DER, PASSWORD.encode()) is not None


@given(st.data())
def test_whatever_else_it_is_isnt_opened(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 60))  # of the structure: what follows costs a derivation each
    garbled = DER[:at] + data.draw(st.binary(max_size=9))
    assert decrypted_pbes2(garbled, b"x") is None
