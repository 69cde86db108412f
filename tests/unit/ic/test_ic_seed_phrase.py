"""Seed phrases: the keys of BIP-32 and SLIP-0010, the principals of icp-cli, and what is said of a wrong phrase."""

from __future__ import annotations

import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from canister_factory.ic.errors import IdentityError
from canister_factory.ic.identity import Identity
from canister_factory.ic.private_key import KeyKind
from canister_factory.ic.seed_phrase import HARDENED, derived_key
from support.kept_by_tools import PHRASE, PRINCIPALS

SEED = bytes(range(16))
RETRIED = bytes.fromhex("a7305bc8df8d0951f0cb224c0e95d7707cbdf2c6ce7e8d481fec69c7ff5e9446")
KINDS: list[KeyKind] = ["secp256k1", "p256", "ed25519"]


def hardened(*steps: int) -> list[int]:
    return [step | HARDENED for step in steps]


@pytest.mark.parametrize(
    ("kind", "seed", "path", "key"),
    [
        (
            "secp256k1",
            SEED,
            [HARDENED, 1, 2 | HARDENED, 2, 10**9],
            "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8",
        ),
        (
            "p256",
            SEED,
            [HARDENED, 1, 2 | HARDENED, 2, 10**9],
            "21c4f269ef0a5fd1badf47eeacebeeaa3de22eb8e5b0adcd0f27dd99d34d0119",
        ),
        (
            "ed25519",
            SEED,
            hardened(0, 1, 2, 2, 10**9),
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
        ),
        # The first hash is no key of the curve: derived once more.
        ("p256", SEED, [28578 | HARDENED, 33941], "092154eed4af83e078ff9b84322015aefe5769e31270f62c3f66c33888335f3a"),
        ("p256", RETRIED, [], "3b8c18469a4634517d6d0b65448f8e6c62091b45540a1743c5846be55d47d88f"),
    ],
)
def test_keys_are_derived_as_in_the_vectors_of_slip_10(kind: KeyKind, seed: bytes, path: list[int], key: str) -> None:
    derived = derived_key(seed, path, kind)
    if isinstance(derived, ed25519.Ed25519PrivateKey):
        assert derived.private_bytes_raw().hex() == key
    else:
        assert isinstance(derived, ec.EllipticCurvePrivateKey)
        assert f"{derived.private_numbers().private_value:064x}" == key


@pytest.mark.parametrize("kind", KINDS)
def test_a_phrase_gives_the_principal_that_icp_cli_derives(kind: KeyKind) -> None:
    derived = Identity.from_seed_phrase(PHRASE, kind)
    assert str(derived.sender()) == PRINCIPALS[kind]
    assert derived.key_type == kind


def test_spaces_line_ends_and_capitals_make_no_difference() -> None:
    typed = "\n" + PHRASE.replace(" ", "  \t", 3).upper() + "\r\n"
    assert str(Identity.from_seed_phrase(typed).sender()) == PRINCIPALS["secp256k1"]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("", "this one has 0"),
        ("abandon " * 11, "has 12, 15, 18, 21 or 24 words; this one has 11"),
        (PHRASE + " about", "this one has 13"),
        (PHRASE.replace("abandon", "zzzunlisted", 2), "words 1, 2 of the seed phrase can't be"),
        (PHRASE.replace("about", "abuot"), "word 12 of the seed phrase can't be"),
        ("abandon " * 12, "the checksum of the seed phrase is wrong"),
        (PHRASE[:-5] + "ábout", "word 12"),
    ],
)
def test_a_wrong_phrase_is_told_by_numbers_and_quotes_no_word(phrase: str, said: str) -> None:
    with pytest.raises(IdentityError) as raised:
        Identity.from_seed_phrase(phrase)
    assert said in str(raised.value)
    told = "".join(traceback.format_exception_only(raised.value)) + repr(raised.value)
    assert raised.value.__cause__ is None
    assert not {word for word in phrase.split() if len(word) > 4} & set(told.replace(":", " ").split())
