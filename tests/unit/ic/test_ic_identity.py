"""Identities: keys are read, used and kept to themselves."""

import copy
import json
import os
import pickle
import traceback
import warnings
from pathlib import Path
from typing import Any

import ic.identity
import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from canister_factory.candid.principal import Principal
from canister_factory.ic.errors import IdentityError
from canister_factory.ic.identity import DelegatedIdentity, Identity
from canister_factory.ic.key_file import MAX_KEY_FILE_BYTES
from canister_factory.ic.private_key import KeyKind
from canister_factory.ic.public_key import verify_signature
from support.canister_signing import CanisterSigned

KINDS: list[KeyKind] = ["ed25519", "secp256k1", "p256"]
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def pem_of(key: PrivateKey, form: ser.PrivateFormat, password: bytes | None = None) -> bytes:
    encryption = ser.BestAvailableEncryption(password) if password else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, form, encryption)


@pytest.mark.parametrize("kind", KINDS)
def test_a_generated_key_signs_what_its_public_key_verifies(kind: KeyKind) -> None:
    identity = Identity.generate(kind)
    der, signature = identity.sign(b"message")
    assert der is not None
    assert signature is not None
    verify_signature(der, b"message", signature)
    assert identity.verify(b"message", signature)
    assert identity.verify(b"message".hex(), signature)
    assert not identity.verify(b"massage", signature)
    assert identity.sender() == Principal.self_authenticating(der)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_survives_being_written_and_read(kind: KeyKind, tmp_path: Path) -> None:
    identity = Identity.generate(kind)
    identity.write_pem(tmp_path / "key.pem")
    for read in (
        Identity.from_pem_file(tmp_path / "key.pem"),
        Identity.from_pem_file(str(tmp_path / "key.pem")),
        Identity.from_pem(identity.to_pem()),
        Identity.from_pem(identity.to_pem().decode()),
    ):
        assert read.sender() == identity.sender()
        assert read.key_type == kind


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP256R1()], ids=lambda c: c.name)
def test_sec1_files_are_read_with_and_without_their_parameters(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    sec1 = pem_of(key, ser.PrivateFormat.TraditionalOpenSSL)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBgUrgQQACg==\n-----END EC PARAMETERS-----\n"
    expected = Identity.from_pem(pem_of(key, ser.PrivateFormat.PKCS8)).sender()
    assert Identity.from_pem(sec1).sender() == expected
    assert Identity.from_pem(parameters + sec1).sender() == expected


def test_ed25519_files_with_an_attached_public_key_are_read() -> None:
    # As dfx writes them (PKCS#8 version 2); this key pair is the first test vector of RFC 8032.
    pem = (
        "-----BEGIN PRIVATE KEY-----\n"
        "MFMCAQEwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        "oSMDIQDXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==\n"
        "-----END PRIVATE KEY-----\n"
    )
    assert Identity.from_pem(pem).pubkey == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
def test_ic_pys_own_keys_give_the_same_principals_here(kind: str) -> None:
    secret = "11" * 32
    theirs = ic.identity.Identity(privkey=secret, type=kind)
    ours = Identity(privkey=secret, type=kind)
    assert str(ours.sender()) == str(theirs.sender())
    assert ours.der_pubkey == theirs.der_pubkey
    assert ours.pubkey == theirs.pubkey
    assert theirs.verify(b"m", ours.sign(b"m")[1])
    assert isinstance(ours, ic.identity.Identity)


def test_a_seed_phrase_gives_the_key_that_ic_py_derives_and_a_mistyped_one_none() -> None:
    assert str(Identity.from_seed(PHRASE).sender()) == str(ic.identity.Identity.from_seed(PHRASE).sender())
    with pytest.raises(IdentityError, match="BIP-39"):
        Identity.from_seed(PHRASE.replace("yellow", "yelow"))


def test_the_anonymous_identity_signs_nothing() -> None:
    nobody = Identity.anonymous()
    assert nobody.sender() == Principal.anonymous()
    assert nobody.sign(b"message") == (None, None)
    assert nobody.der_pubkey is None
    assert not nobody.verify(b"message", bytes(64))
    seen_by_ic_py: list[Any] = [nobody, Identity.generate()]
    assert [identity.anonymous for identity in seen_by_ic_py] == [True, False]
    for forbidden in (nobody.to_pem, lambda: nobody.sign_delegation(b"", 1)):
        with pytest.raises(IdentityError, match="anonymous"):
            forbidden()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shows_a_private_key(kind: KeyKind) -> None:
    secret = "0f" * 32
    identity = Identity(privkey=secret, type=kind)
    shown = repr(identity) + str(identity) + repr(vars(identity)) + f"{identity}"
    assert repr(identity) == f"Identity({kind}, {identity.sender()})"
    assert secret not in shown
    assert repr(bytes.fromhex(secret)) not in shown
    assert str(int(secret, 16)) not in shown
    with pytest.raises(AttributeError, match="write_pem"):
        _ = identity.privkey
    with pytest.raises(IdentityError, match="pickled"):
        pickle.dumps(identity)
    assert copy.copy(identity) is copy.deepcopy(identity) is identity


def test_a_written_key_is_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    first = Identity.generate()
    first.write_pem(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(IdentityError, match="exists already"):
        Identity.generate().write_pem(path)
    assert Identity.from_pem_file(path).sender() == first.sender()
    with pytest.raises(IdentityError, match="can't write"):
        first.write_pem(tmp_path / "nowhere" / "key.pem")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_key_that_others_can_read_is_used_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    Identity.generate().write_pem(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Identity.from_pem_file(path)
    path.chmod(0o644)
    with pytest.warns(UserWarning, match="chmod 600") as caught:
        Identity.from_pem_file(path)
    assert caught[0].filename == __file__
    said: list[str] = []
    odd = tmp_path / "my key.pem"
    path.rename(odd)
    Identity.from_pem_file(odd, warn=said.append)
    assert said == [f"other users of this computer can read the key in {odd}: run chmod 600 '{odd}'"]


def test_files_that_are_no_usable_key_are_refused_by_name_and_told_apart(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    cases = {
        "encrypted.pem": (pem_of(key, ser.PrivateFormat.PKCS8, b"pass"), "is encrypted"),
        "encrypted_sec1.pem": (pem_of(key, ser.PrivateFormat.TraditionalOpenSSL, b"pass"), "is encrypted"),
        "rsa.pem": (pem_of(rsa.generate_private_key(65537, 2048), ser.PrivateFormat.PKCS8), "unsupported kind"),
        "p384.pem": (pem_of(ec.generate_private_key(ec.SECP384R1()), ser.PrivateFormat.PKCS8), "unsupported kind"),
        "public.pem": (
            ed25519.Ed25519PrivateKey.generate()
            .public_key()
            .public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo),
            "holds a public key",
        ),
        "broken.pem": (b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n", "not a private key"),
        "junk": (b"\x00\xff", "looks like binary data"),
        "openssh.pem": (
            pem_of(ed25519.Ed25519PrivateKey.generate(), ser.PrivateFormat.OpenSSH),
            "in the form of OpenSSH",
        ),
        "key.der": (
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption()
            ),
            "looks like a key in DER form: 'openssl pkey -inform DER'",
        ),
        "utf16.pem": (Identity.generate().to_pem().decode().encode("utf-16"), "looks like UTF-16 text"),
        "hex": (b"0x" + b"a1" * 32 + b"\n", "looks like hexadecimal digits: that may be a raw key"),
        "phrase": (PHRASE.encode(), "looks like words, perhaps a seed phrase"),
        "body": (b"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g", "looks like base64"),
        "agent.json": (b'["302a", "9d61"]', "looks like JSON"),
        "prose": (b"Dear all, see below.", "looks like text of another kind"),
        "empty": (b" \n", "is empty"),
    }
    for name, (data, problem) in cases.items():
        path = tmp_path / name
        path.touch(0o600)
        path.write_bytes(data)
        with pytest.raises(IdentityError, match=problem) as caught:
            Identity.from_pem_file(path)
        assert str(path) in str(caught.value)


def test_what_is_no_file_of_a_sensible_size_is_refused_in_one_line_that_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "huge.pem").write_bytes(b"x" * (MAX_KEY_FILE_BYTES + 1))
    os.mkfifo(tmp_path / "pipe.pem")
    cases = {
        tmp_path / "missing.pem": "No such file or directory",
        tmp_path: "it is a directory",
        tmp_path / "huge.pem": "it is larger than 65,536 bytes",
        tmp_path / "pipe.pem": "it is a pipe that nobody writes to",
        Path("/dev/zero"): "it is a device, not a file",
        Path("a\0b"): "not a usable path",
    }
    for path, problem in cases.items():
        with pytest.raises(IdentityError, match=problem) as caught:
            Identity.from_pem_file(path)
        said = str(caught.value)
        assert said.startswith(f"can't read the identity file {path}: ")
        assert "-----BEGIN PRIVATE KEY-----" in said
        assert "\n" not in said
        assert caught.value.__context__ is None


def test_a_file_that_may_not_be_read_is_refused_with_the_systems_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("canister_factory.ic.key_file.os.open", refuse)
    with pytest.raises(IdentityError, match=r"key\.pem: Permission denied; expected is"):
        Identity.from_pem_file(tmp_path / "key.pem")


def test_a_key_comes_out_of_a_pipe_too_but_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity.generate()
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as output:
        monkeypatch.setattr("canister_factory.ic.key_file._PIPE_WAIT_S", 0.0)
        with pytest.raises(IdentityError, match="nothing came out of this pipe"):
            Identity.from_pem_file(f"/dev/fd/{reader}")
        output.write(identity.to_pem())
        output.close()
        assert Identity.from_pem_file(f"/dev/fd/{reader}").sender() == identity.sender()


def test_content_and_path_are_never_taken_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    identity = Identity.generate()
    identity.write_pem("key.pem")
    with pytest.raises(IdentityError, match="the given text looks like"):
        Identity.from_pem("key.pem")
    with pytest.raises(IdentityError, match="from_pem_file takes its path"):
        Identity.from_pem(Path("key.pem"))  # type: ignore[arg-type]
    pem = identity.to_pem().decode()
    with pytest.raises(IdentityError, match="No such file") as caught:
        Identity.from_pem_file(pem)
    assert pem.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "kind"),
    [("11", "ed25519"), ("zz" * 32, "ed25519"), ("11" * 32, "rsa"), ("ff" * 32, "p256"), ("ed25519", "11" * 32)],
)
def test_a_private_key_in_the_wrong_form_is_refused_without_quoting_it(secret: str, kind: str) -> None:
    with pytest.raises(IdentityError) as caught:
        Identity(privkey=secret, type=kind)
    said = "".join(traceback.format_exception(caught.value))
    assert [digits for digits in ("11" * 4, "zz" * 4, "ff" * 4) if digits in said] == []
    assert caught.value.__context__ is None


def test_a_delegation_chain_must_lead_to_the_key_that_signs() -> None:
    owner, session, other = Identity.generate(), Identity.generate(), Identity.generate()
    assert owner.der_pubkey is not None
    assert session.der_pubkey is not None
    link = owner.sign_delegation(session.der_pubkey, 5, targets=[Principal(b"\x01")])
    delegated = DelegatedIdentity(session, owner.der_pubkey, [link])
    assert delegated.sender() == owner.sender()
    assert delegated.targets == frozenset({Principal(b"\x01")})
    assert delegated.expiration_ns == 5
    assert repr(delegated) == f"DelegatedIdentity({owner.sender()}, 1 delegations)"
    with pytest.raises(IdentityError, match="doesn't end at the key"):
        DelegatedIdentity(other, owner.der_pubkey, [link])
    with pytest.raises(IdentityError, match="Invalid delegation"):
        DelegatedIdentity(session, other.der_pubkey or b"", [link])


def test_a_canister_may_have_signed_the_first_delegation() -> None:
    root, session = CanisterSigned(), Identity.generate()
    link = {
        "delegation": {"pubkey": session.der_pubkey, "expiration": 5},
        "signature": root.sign(b"anything, since only the network can check it")[1],
    }
    delegated = DelegatedIdentity(session, root.public_key, [link])
    assert delegated.sender().bytes == root.principal


@pytest.mark.parametrize(("permissions", "queries_only"), [(None, False), ("all", False), ("queries", True)])
def test_the_javascript_agents_delegation_keeps_its_permissions(permissions: Any, queries_only: bool) -> None:
    owner, session = Identity.generate(), Identity(privkey="22" * 32)
    link = owner.sign_delegation(session.der_pubkey or b"", 2**60, permissions=permissions)
    fields = {"pubkey": link["delegation"]["pubkey"].hex(), "expiration": f"{2**60:x}"}
    if permissions is not None:
        fields["permissions"] = permissions
    chain = {
        "publicKey": (owner.der_pubkey or b"").hex(),
        "delegations": [{"delegation": fields, "signature": link["signature"].hex()}],
    }
    delegated = DelegatedIdentity.from_json(json.dumps([session.pubkey, "22" * 32]), json.dumps(chain))
    assert delegated.queries_only is queries_only


def test_the_javascript_agents_delegation_keeps_its_targets() -> None:
    owner, session = Identity.generate(), Identity(privkey="22" * 32)
    target = Principal(b"\x07\x01\x01")
    link = owner.sign_delegation(session.der_pubkey or b"", 2**60, targets=[target])
    fields = link["delegation"]
    chain = {
        "publicKey": (owner.der_pubkey or b"").hex(),
        "delegations": [
            {
                "delegation": {
                    "pubkey": fields["pubkey"].hex(),
                    "expiration": f"{fields['expiration']:x}",
                    "targets": [target.bytes.hex()],
                },
                "signature": link["signature"].hex(),
            }
        ],
    }
    read = DelegatedIdentity.from_json(json.dumps([session.pubkey, "22" * 32 + session.pubkey]), json.dumps(chain))
    assert read.delegations == [link]
    assert read.targets == frozenset({target})
    assert read.sender() == owner.sender()


@pytest.mark.parametrize(
    ("identity", "delegation"),
    [
        ("[]", "{}"),
        ("key.json", "chain.json"),
        ('["", "5ec4e75ec4e75ec4"', "{}"),
        ('["", "5ec4e75ec4e75ec4"]', '{"publicKey": "5ec4e75ec4e75ec4", "delegations": []}'),
        ('["", "5ec4e75ec4e75ec4"]', '{"publicKey": "5ec4e75ec4e75ec4", "delegations": [{"delegation": "5ec4e75e"}]}'),
        ("[" * 100_000, "{}"),
        (json.dumps(["", "22" * 32]), '{"publicKey": "00", "delegations": []}'),
        (
            json.dumps(["", "22" * 32]),
            json.dumps(
                {
                    "publicKey": "00",
                    "delegations": [
                        {"delegation": {"pubkey": "00", "expiration": "5ec4e75e" * 2_000}, "signature": "00"}
                    ],
                }
            ),
        ),
    ],
    ids=["empty", "paths", "cut", "short", "no-link", "deep", "other-key", "long-expiration"],
)
def test_a_delegation_in_the_wrong_form_is_refused_without_quoting_it(identity: str, delegation: str) -> None:
    with pytest.raises(IdentityError) as caught:
        DelegatedIdentity.from_json(identity, delegation)
    assert "5ec4e75e" not in "".join(traceback.format_exception(caught.value)).replace(identity, "")
    with pytest.raises(IdentityError, match="pickled"):
        pickle.dumps(DelegatedIdentity(*_delegated()))


def _delegated() -> tuple[Identity, bytes, list[dict[str, Any]]]:
    owner, session = Identity.generate(), Identity.generate()
    assert owner.der_pubkey is not None
    return session, owner.der_pubkey, [owner.sign_delegation(session.der_pubkey or b"", 5)]
