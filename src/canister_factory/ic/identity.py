"""Identities: the keys that requests are signed with, and delegations from one key to another.

Owns loading, making and using private keys; no key leaves an identity except through `to_pem` and `write_pem`.
Does not own: forms of keys (`private_key`, `public_key`), reading keys' files (`key_file`), envelopes.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from mnemonic import Mnemonic

from canister_factory.candid.errors import CandidError
from canister_factory.candid.hexadecimal import from_hex
from canister_factory.candid.principal import Principal
from canister_factory.ic.encrypted_key import AskPassword
from canister_factory.ic.envelope import DELEGATION_DOMAIN, follow_delegations
from canister_factory.ic.errors import EnvelopeError, IdentityError, NotOfferedError, SignatureError
from canister_factory.ic.kept_identities import read_kept_key
from canister_factory.ic.key_file import read_key_file, shown_name
from canister_factory.ic.new_file import write_new
from canister_factory.ic.private_key import KeyKind, PrivateKey, key_from_hex, kind_of, load_pem, new_key
from canister_factory.ic.public_key import canister_key, verify_signature, webauthn_key
from canister_factory.ic.request_id import hash_of_map
from canister_factory.ic.seed_phrase import key_from_phrase

# isort: split
# After `candid.principal`, which keeps the rest of ic-py out.
from ic.identity import DelegateIdentity as IcPyDelegateIdentity
from ic.identity import Identity as IcPyIdentity

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())


class Identity(IcPyIdentity):  # type: ignore[misc]
    """A key pair, or the anonymous identity; usable wherever ic-py takes an identity.

    ic-py's constructor works too: `Identity(privkey=hex, type="ed25519")`, a new key without `privkey`. Printing,
    inspecting or pickling an identity never shows the private key.

    Raises:
        IdentityError: no key of that kind can be made of it.
    """

    def __init__(self, privkey: str = "", type: str = "ed25519", anonymous: bool = False) -> None:
        if anonymous:
            self._adopt(None)
        elif privkey:
            self._adopt(key_from_hex(privkey, type))
        else:
            self._adopt(new_key(type))

    def _adopt(self, key: PrivateKey | None) -> None:
        self._key = key
        # ic-py has a flag of this name; here the class attribute is the constructor of the anonymous identity.
        self.__dict__["anonymous"] = key is None
        self.key_type = "anonymous" if key is None else str(kind_of(key))
        self._der_pubkey = (
            None
            if key is None
            else key.public_key().public_bytes(ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo)
        )
        self._sender = Principal.anonymous() if key is None else Principal.self_authenticating(self._der_pubkey or b"")

    @classmethod
    def _of(cls, key: PrivateKey | None) -> Identity:
        identity = cls.__new__(cls)
        identity._adopt(key)
        return identity

    @classmethod
    def generate(cls, kind: KeyKind = "ed25519") -> Identity:
        """A new random key: `ed25519`, `secp256k1` or `p256`."""
        return cls._of(new_key(kind))

    @classmethod
    def anonymous(cls) -> Identity:
        """The identity that signs nothing; its principal is `2vxsx-fae`."""
        return cls._of(None)

    @staticmethod
    def from_seed(mnemonic: str) -> Identity:
        """The Ed25519 key that ic-py derives from a BIP-39 phrase: the first 32 bytes of its seed.

        Other tools and wallets derive the key of `from_seed_phrase` from the same phrase.

        Raises:
            IdentityError: a mistyped phrase.
        """
        words = Mnemonic("english")
        if not words.check(mnemonic):
            raise IdentityError(
                "not a valid BIP-39 phrase: a word is not in the English list, or the checksum is wrong"
            )
        return Identity._of(ed25519.Ed25519PrivateKey.from_private_bytes(words.to_seed(mnemonic)[:32]))

    @staticmethod
    def from_seed_phrase(phrase: str, kind: KeyKind = "secp256k1") -> Identity:
        """The key that icp-cli, dfx and wallets derive from a BIP-39 phrase, at m/44'/223'/0'/0/0.

        `kind`: icp-cli's `--seed-curve`; for `ed25519` the last two steps are hardened (SLIP-0010).

        Raises:
            IdentityError: a wrong number of words, an unknown one, or a wrong checksum; quotes nothing of them.
        """
        return Identity._of(key_from_phrase(phrase, kind))

    @staticmethod
    def from_pem(
        pem: str | bytes, *, password: str | bytes | AskPassword | None = None, source: str = "the given text"
    ) -> Identity:
        """Reads a private key from the content of a PEM file: PKCS#8 or SEC1, Ed25519, secp256k1 or P-256.

        Takes the content only, never a path: that is `from_pem_file`'s. `password`: of an encrypted key, or what asks
        for it. `source` names the text in errors.

        Raises:
            IdentityError: it isn't such a key; says what the content looks like and quotes nothing of it.
        """
        if not isinstance(pem, str | bytes):
            raise IdentityError("from_pem takes the content of a PEM file; from_pem_file takes its path")
        content = pem.encode("utf-8", "replace") if isinstance(pem, str) else pem
        return Identity._of(load_pem(content, source, _answering(password)))

    @staticmethod
    def from_pem_file(
        path: str | os.PathLike[str],
        *,
        password: str | bytes | AskPassword | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> Identity:
        """Reads a private key from the PEM file (or pipe) at `path`; the kinds of keys are those of `from_pem`.

        `password`: of an encrypted key, or what asks for it. `warn` is told in one line if the file can be read by
        other users; without it that is a Python warning.

        Raises:
            IdentityError: it can't be used; names the file and what is wrong with it, and quotes nothing of its
                content.
        """
        where = Path(path)
        content = read_key_file(where, warn or _warning_at(5))
        return Identity._of(load_pem(content, f"the identity file {shown_name(where)}", _answering(password)))

    @staticmethod
    def from_name(
        name: str,
        *,
        password: str | bytes | AskPassword | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> Identity:
        """The identity that icp-cli or dfx keeps in a file under this name; `icp:NAME` and `dfx:NAME` say which.

        `password` and `warn`: as in `from_pem_file`.

        Raises:
            IdentityError: there is none, it is in both, or it is kept where no file is: in a keyring or an HSM.
        """
        return Identity._of(read_kept_key(name, _answering(password), warn or _warning_at(6)))

    def to_pem(self, password: bytes | None = None) -> bytes:
        """The private key as PKCS#8 PEM, encrypted if there is a password; keep it secret otherwise.

        Raises:
            IdentityError: it is anonymous.
        """
        if self._key is None:
            raise IdentityError("the anonymous identity has no key to write")
        encryption = ser.BestAvailableEncryption(password) if password else ser.NoEncryption()
        return self._key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, encryption)

    def write_pem(self, path: str | Path, password: bytes | None = None) -> None:
        """Writes `to_pem(password)` to a new file that only its owner can read. Never overwrites.

        Raises:
            IdentityError: there is a file already, or it can't be written.
        """
        pem = self.to_pem(password)
        try:
            write_new(path, pem, 0o600)
        except FileExistsError:
            raise IdentityError(
                f"{shown_name(path)} exists already; a key there might be the only copy, so it is kept"
            ) from None
        except (OSError, ValueError) as error:
            problem = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
            raise IdentityError(f"can't write the identity file {shown_name(path)}: {problem}") from None

    def sender(self) -> Principal:
        """The principal that this identity calls as."""
        return self._sender

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        """The DER public key and a 64-byte signature over `msg`; both `None` if anonymous."""
        key = self._key
        if key is None:
            return None, None
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return self._der_pubkey, key.sign(msg)
        r, s = decode_dss_signature(key.sign(msg, _ECDSA_SHA256))
        return self._der_pubkey, r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, msg: bytes | str, sig: bytes) -> bool:
        """Whether `sig` is this identity's signature over `msg` (text is taken as hexadecimal, as in ic-py)."""
        if self._der_pubkey is None:
            return False
        try:
            verify_signature(self._der_pubkey, from_hex(msg) if isinstance(msg, str) else msg, sig)
        except SignatureError:
            return False
        return True

    def sign_delegation(
        self,
        session_public_key: bytes,
        expiration_ns: int,
        targets: Iterable[Principal] | None = None,
        *,
        permissions: Literal["all", "queries"] | None = None,
    ) -> dict[str, Any]:
        """Lets another key (DER) sign for this one until `expiration_ns`, optionally only towards `targets`.

        `permissions="queries"`: it may query and read the state, but not call; networks before interface specification
        0.64 refuse the field.

        Returns one link of a chain for `DelegatedIdentity`.

        Raises:
            IdentityError: it is anonymous.
        """
        delegation: dict[str, Any] = {"pubkey": session_public_key, "expiration": expiration_ns}
        if targets is not None:
            delegation["targets"] = [target.bytes for target in targets]
        if permissions is not None:
            delegation["permissions"] = permissions
        _, signature = self.sign(DELEGATION_DOMAIN + hash_of_map(delegation))
        if signature is None:
            raise IdentityError("the anonymous identity can't delegate")
        return {"delegation": delegation, "signature": signature}

    @property
    def der_pubkey(self) -> bytes | None:
        """The public key in DER form; `None` if anonymous."""
        return self._der_pubkey

    @property
    def pubkey(self) -> str:
        """ic-py's form of the public key: hexadecimal, without the DER header; empty if anonymous."""
        prefix = {"ed25519": 12, "secp256k1": 24, "p256": 27}
        return self._der_pubkey[prefix[self.key_type] :].hex() if self._der_pubkey else ""

    @property
    def privkey(self) -> NoReturn:
        """Not offered, unlike in ic-py: `write_pem` stores a key without showing it.

        Raises:
            NotOfferedError: always.
        """
        raise NotOfferedError("Identity.privkey is not offered: use write_pem or to_pem to store the private key")

    @property
    def sk(self) -> NoReturn:
        """Not offered, unlike in ic-py: `sign` uses the key without showing it."""
        raise NotOfferedError("Identity.sk is not offered: use sign to sign, write_pem or to_pem to store the key")

    @property
    def vk(self) -> NoReturn:
        """Not offered, unlike in ic-py: `verify` and `der_pubkey` are."""
        raise NotOfferedError("Identity.vk is not offered: use verify to check signatures, der_pubkey for the key")

    def __repr__(self) -> str:
        return f"Identity({self.key_type}, {self._sender})"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise IdentityError("an identity can't be pickled, since that would write its private key; use write_pem")

    def __copy__(self) -> Identity:
        return self

    def __deepcopy__(self, memo: object) -> Identity:
        return self


class DelegatedIdentity(IcPyDelegateIdentity):  # type: ignore[misc]
    """Signs with a session key on behalf of another key, by a chain of at most 20 delegations.

    `public_key`: DER of the key that the chain starts from, whose principal is the sender. `delegations`: its links, as
    `Identity.sign_delegation` makes them.

    Raises:
        IdentityError: the signatures of the chain don't lead to `identity`.
    """

    def __init__(self, identity: Identity, public_key: bytes, delegations: Sequence[dict[str, Any]]) -> None:
        try:
            last_key, targets, queries_only = follow_delegations(
                public_key, list(delegations), now_ns=0, verify=_verify_what_can_be
            )
            canisters = None if targets is None else frozenset(map(Principal, targets))
        except (EnvelopeError, CandidError, ValueError) as error:
            raise IdentityError(f"broken delegation chain: {error}") from None
        if last_key != identity.der_pubkey:
            raise IdentityError("broken delegation chain: it doesn't end at the key that is to sign")
        self.identity = identity
        self._delegations = list(delegations)
        self._der_pubkey = public_key
        self._sender = Principal.self_authenticating(public_key)
        self.targets = canisters
        """The only canisters that the chain lets this identity call, if it restricts them."""
        self.queries_only = queries_only
        """Whether the chain lets this identity only query and read the state, not call."""

    @staticmethod
    def from_json(ic_identity: str, ic_delegation: str) -> DelegatedIdentity:
        """Reads the JSON forms of the JavaScript agent: `[public, private]` in hexadecimal, and a delegation chain.

        Both are contents, never paths.

        Raises:
            IdentityError: they aren't that; quotes nothing of them.
        """
        try:
            digits, chain = json.loads(ic_identity)[1][:64], json.loads(ic_delegation)
            public_key, links = from_hex(chain["publicKey"]), [_link(link) for link in chain["delegations"]]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            # Told of below: what was caught here may carry the whole text.
            links = None
        if links is None:
            raise IdentityError("not the JSON form of a session key and its delegation chain")
        return DelegatedIdentity(Identity(digits), public_key, links)

    @property
    def expiration_ns(self) -> int:
        """When the first of the delegations expires (nanoseconds since 1970)."""
        return int(min(link["delegation"]["expiration"] for link in self._delegations))

    def sender(self) -> Principal:
        """The principal that the chain starts from."""
        return self._sender

    def __repr__(self) -> str:
        return f"DelegatedIdentity({self._sender}, {len(self._delegations)} delegations)"

    __str__ = __repr__


def _warning_at(depth: int) -> Callable[[str], None]:
    """Warns in the name of whoever asked for the identity, `depth` calls above."""
    return lambda said: warnings.warn(said, stacklevel=depth)


def _answering(password: str | bytes | AskPassword | None) -> AskPassword | None:
    """What answers with this password, or asks for it."""
    if password is None or callable(password):
        return password
    known = password.encode() if isinstance(password, str) else password
    return lambda what: known


def _verify_what_can_be(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Checks a plain signature; those of canisters and passkeys are checked by the network, some with its root key."""
    if canister_key(public_key) is None and webauthn_key(public_key) is None:
        verify_signature(public_key, message, signature)


def _link(link: dict[str, Any]) -> dict[str, Any]:
    fields = link["delegation"]
    delegation = {"pubkey": from_hex(fields["pubkey"]), "expiration": int(fields["expiration"], 16)}
    if fields.get("targets") is not None:
        delegation["targets"] = [from_hex(target) for target in fields["targets"]]
    if fields.get("permissions") is not None:
        delegation["permissions"] = str(fields["permissions"])
    return {"delegation": delegation, "signature": from_hex(link["signature"])}
