"""Certificates: believed only when signed, in scope, fresh; delegations verified once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.candid import leb128
from canister_factory.ic import bls, cbor
from canister_factory.ic.certificate import (
    STATE_ROOT_DOMAIN,
    Certificate,
    CertificateVerifier,
    encode_certificate,
    read_leb128,
)
from canister_factory.ic.errors import (
    CertificateError,
    CertificateScopeError,
    CertificateSignatureError,
    IcError,
    MalformedCertificateError,
    StaleCertificateError,
)
from canister_factory.ic.hash_tree import ABSENT, UNKNOWN, Labeled, Leaf, Pruned, fork_all
from support.ic_test_support import (
    CANISTER,
    NOW_NS,
    OTHER_CANISTER,
    RANGE,
    ROOT,
    STRANGER,
    SUBNET,
    BlsKey,
    delegation,
)

STATE: dict[bytes, Any] = {b"time": leb128.unsigned(NOW_NS), b"canister": {b"x": b"value"}}
SECOND = 10**9


def verify(data: bytes, root_key: bytes = ROOT.der, now_ns: int = NOW_NS, **subject: Any) -> Certificate:
    subject = subject or {"canister_id": CANISTER.bytes}
    return CertificateVerifier(root_key).verify(data, now_ns=now_ns, **subject)


def certificate(**options: Any) -> bytes:
    return SUBNET.certify(STATE, delegation(**options))


def test_a_certificate_of_the_root_subnet_is_believed() -> None:
    found = verify(ROOT.certify(STATE))
    assert found.value([b"canister", b"x"]) == b"value"
    assert found.value([b"canister", b"y"]) is None
    assert found.time_ns == NOW_NS
    assert found.subnet_id == ROOT.subnet_id


@pytest.mark.parametrize("layout", ["flat", "sharded"])
def test_a_certificate_of_a_subnet_is_believed_about_its_canisters(layout: str) -> None:
    found = verify(certificate(layout=layout))
    assert found.subnet_id == SUBNET.subnet_id
    assert found.ranges == (RANGE,)


@pytest.mark.parametrize("canister_id", [*RANGE, CANISTER.bytes])
def test_the_ends_of_a_canister_range_belong_to_it(canister_id: bytes) -> None:
    assert verify(certificate(), canister_id=canister_id).subnet_id == SUBNET.subnet_id


@pytest.mark.parametrize("layout", ["flat", "sharded"])
def test_all_shards_of_the_canister_ranges_count(layout: str) -> None:
    low = (bytes(7) + b"\x91\x01\x01", bytes(7) + b"\x99\x01\x01")
    found = verify(certificate(layout=layout, ranges=[RANGE, low]), canister_id=OTHER_CANISTER.bytes)
    assert found.ranges == (RANGE, low)


@pytest.mark.parametrize(
    "options",
    [{"layout": "none"}, {"ranges": []}, {"layout": "sharded", "ranges": []}, {"ranges": [RANGE]}],
    ids=["no ranges", "empty", "no shards", "other range"],
)
def test_a_subnet_is_not_believed_about_a_canister_outside_of_its_ranges(options: Any) -> None:
    with pytest.raises(CertificateScopeError, match="canister ranges do not include"):
        verify(certificate(**options), canister_id=OTHER_CANISTER.bytes)


@pytest.mark.parametrize("layout", ["flat", "sharded"])
@pytest.mark.parametrize("item", [(RANGE[0],), (RANGE[0], "text"), (*RANGE, b"")], ids=["one id", "text", "three ids"])
def test_canister_ranges_that_are_no_pairs_of_ids_are_refused(layout: str, item: Any) -> None:
    with pytest.raises(MalformedCertificateError, match="pairs of principals"):
        verify(certificate(layout=layout, ranges=[item]))


def test_a_subnet_is_not_believed_about_the_management_canister_but_the_root_key_is() -> None:
    with pytest.raises(CertificateScopeError):
        verify(certificate(), canister_id=b"")
    verify(ROOT.certify(STATE), canister_id=b"")


def test_a_certificate_can_be_verified_for_a_subnet() -> None:
    verify(certificate(), subnet_id=SUBNET.subnet_id)
    with pytest.raises(CertificateScopeError, match="instead of"):
        verify(certificate(), subnet_id=STRANGER.subnet_id)


def test_the_root_key_speaks_for_every_subnet() -> None:
    assert verify(ROOT.certify(STATE), subnet_id=SUBNET.subnet_id).subnet_id == ROOT.subnet_id


def test_what_a_certificate_leaves_out_is_named_without_its_binary_labels() -> None:
    found = verify(ROOT.certify({b"time": leb128.unsigned(NOW_NS), b"canister": Pruned(bytes(32))}))
    with pytest.raises(CertificateError, match=r"doesn't tell whether /canister/certified_data exists"):
        found.value([b"canister", b"\xfe\x01", b"certified_data"])


def test_bytes_that_are_no_cbor_are_said_to_be_the_certificate() -> None:
    with pytest.raises(MalformedCertificateError, match=r"^certificate: "):
        verify(b"<html>")


def test_a_certificate_is_verified_for_one_thing() -> None:
    verifier = CertificateVerifier(ROOT.der)
    with pytest.raises(ValueError, match="either"):
        verifier.verify(ROOT.certify(STATE), now_ns=NOW_NS)


def test_the_wrong_root_key_is_refused() -> None:
    for data in (ROOT.certify(STATE), certificate()):
        with pytest.raises(CertificateSignatureError):
            verify(data, root_key=STRANGER.der)


def test_a_tampered_leaf_is_refused() -> None:
    with pytest.raises(CertificateSignatureError):
        verify(certificate().replace(b"value", b"vAlue"))


@given(st.data())
def test_no_changed_bit_of_a_certificate_is_believed_to_say_something_else(data: st.DataObject) -> None:
    genuine = ROOT.certify(STATE)
    changed = bytearray(genuine)
    position = data.draw(st.integers(3, len(changed) - 1))
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = verify(bytes(changed))
    except IcError:
        return
    assert found.value([b"canister", b"x"]) == b"value"
    assert found.time_ns == NOW_NS


def test_a_delegation_signed_by_a_stranger_is_refused() -> None:
    with pytest.raises(CertificateSignatureError):
        verify(certificate(signer=STRANGER))


def test_a_certificate_signed_with_another_key_than_the_delegated_is_refused() -> None:
    with pytest.raises(CertificateSignatureError):
        verify(STRANGER.certify(STATE, delegation()))


def test_a_delegation_for_one_subnet_does_not_serve_another() -> None:
    _, link = delegation()
    with pytest.raises(MalformedCertificateError, match="no public key of subnet"):
        verify(SUBNET.certify(STATE, (STRANGER.subnet_id, link)))


def test_a_delegation_within_a_delegation_is_refused() -> None:
    with pytest.raises(MalformedCertificateError, match="has itself a delegation"):
        verify(certificate(nested=delegation()))


@pytest.mark.parametrize("age_s", [301, 10**6])
def test_a_stale_certificate_is_refused(age_s: int) -> None:
    with pytest.raises(StaleCertificateError, match="old"):
        verify(certificate(), now_ns=NOW_NS + age_s * SECOND)


def test_a_certificate_from_the_future_is_refused() -> None:
    with pytest.raises(StaleCertificateError, match="in the future"):
        verify(certificate(), now_ns=NOW_NS - 301 * SECOND)


@pytest.mark.parametrize("age_s", [300, 0, -300])
def test_a_certificate_within_the_limits_of_age_is_believed(age_s: int) -> None:
    assert verify(certificate(), now_ns=NOW_NS + age_s * SECOND).time_ns == NOW_NS


def test_a_certificate_without_a_time_is_refused() -> None:
    with pytest.raises(MalformedCertificateError, match="no /time"):
        verify(ROOT.certify({b"canister": {b"x": b"value"}}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        cbor.dumps([]),
        cbor.dumps({}),
        cbor.dumps({"tree": [0]}),
        cbor.dumps({"tree": [0], "signature": "text"}),
        cbor.dumps({"tree": [9], "signature": b""}),
        cbor.dumps({"tree": [0], "signature": bytes(48), "delegation": 5}),
        cbor.dumps({"tree": [0], "signature": bytes(48), "delegation": {"subnet_id": b"x" * 30, "certificate": b""}}),
        cbor.dumps({"tree": [0], "signature": bytes(48), "delegation": {"subnet_id": b"x", "certificate": b""}}),
    ],
)
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCertificateError):
        verify(data)


@pytest.mark.parametrize("signature", [b"", bytes(48), b"\xc0" + bytes(47), b"\xff" * 48, b"\x80" + bytes(95)])
def test_a_signature_that_is_no_point_of_the_curve_is_refused(signature: bytes) -> None:
    fields = cbor.loads(ROOT.certify(STATE))
    with pytest.raises(CertificateSignatureError):
        verify(cbor.dumps({**fields, "signature": signature}))


@pytest.mark.parametrize(
    "key",
    [b"", ROOT.der[:-1], b"\x31" + ROOT.der[1:], ROOT.der[:37] + bytes(96), ROOT.der[:37] + b"\xc0" + bytes(95)],
    ids=["empty", "short", "other algorithm", "no point", "infinity"],
)
def test_a_root_key_that_is_no_bls_key_is_refused(key: bytes) -> None:
    with pytest.raises(MalformedCertificateError, match="BLS"):
        CertificateVerifier(key)


def test_unknown_is_not_taken_for_absent() -> None:
    tree = fork_all([Labeled(b"a", Leaf(b"1")), Pruned(bytes(32)), Labeled(b"time", Leaf(leb128.unsigned(NOW_NS)))])
    found = verify(encode_certificate(tree, ROOT.sign(b"\x0dic-state-root" + tree.digest)))
    assert found.lookup([b"b"]) == UNKNOWN
    assert found.lookup([b"zz"]) == ABSENT
    with pytest.raises(CertificateError, match="doesn't tell whether /b exists"):
        found.value([b"b"])


def test_a_delegation_is_verified_once_and_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[bytes] = []

    def counted(key: bytes, message: bytes, signature: bytes) -> None:
        checks.append(key)
        bls.verify_bls(key, message, signature)

    monkeypatch.setattr("canister_factory.ic.certificate.verify_bls", counted)
    verifier = CertificateVerifier(ROOT.der, max_delegations=1)

    def verify(**shape: Any) -> None:
        verifier.verify(certificate(**shape), now_ns=NOW_NS, canister_id=CANISTER.bytes)

    for _ in range(3):
        verify()
    assert checks.count(ROOT.der) == 1
    verify(layout="sharded")
    verify()
    assert checks.count(ROOT.der) == 3
    assert repr(verifier).endswith("delegations=1)")


def test_the_signature_of_a_state_is_checked_once_whatever_certificates_show_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks: list[bytes] = []

    def counted(key: bytes, message: bytes, signature: bytes) -> None:
        checks.append(message)
        bls.verify_bls(key, message, signature)

    monkeypatch.setattr("canister_factory.ic.certificate.verify_bls", counted)
    verifier = CertificateVerifier(ROOT.der, max_states=2)
    time = Labeled(b"time", Leaf(leb128.unsigned(NOW_NS)))
    leaf = Labeled(b"x", Leaf(b"value"))
    signature = ROOT.sign(STATE_ROOT_DOMAIN + fork_all([time, leaf]).digest)
    for shown in (leaf, Pruned(leaf.digest), leaf):
        data = encode_certificate(fork_all([time, shown]), signature)
        verifier.verify(data, now_ns=NOW_NS, canister_id=CANISTER.bytes)
    assert len(checks) == 1

    forged = encode_certificate(fork_all([time, Labeled(b"x", Leaf(b"other"))]), signature)
    for _ in range(2):  # what failed isn't remembered
        with pytest.raises(CertificateSignatureError):
            verifier.verify(forged, now_ns=NOW_NS, canister_id=CANISTER.bytes)
    assert len(checks) == 3

    for number in range(2):  # the first state is forgotten
        state = {b"time": leb128.unsigned(NOW_NS), b"x": bytes([number])}
        verifier.verify(ROOT.certify(state), now_ns=NOW_NS, canister_id=CANISTER.bytes)
    verifier.verify(encode_certificate(fork_all([time, leaf]), signature), now_ns=NOW_NS, canister_id=CANISTER.bytes)
    assert len(checks) == 6


def test_a_state_is_no_fresher_for_being_remembered() -> None:
    verifier = CertificateVerifier(ROOT.der)
    data = ROOT.certify(STATE)
    verifier.verify(data, now_ns=NOW_NS, canister_id=CANISTER.bytes)
    with pytest.raises(StaleCertificateError):
        verifier.verify(data, now_ns=NOW_NS + 3600 * 10**9, canister_id=CANISTER.bytes)


def test_a_remembered_delegation_does_not_vouch_for_a_certificate_of_someone_else() -> None:
    verifier = CertificateVerifier(ROOT.der)
    verifier.verify(certificate(), now_ns=NOW_NS, canister_id=CANISTER.bytes)
    with pytest.raises(CertificateSignatureError):
        verifier.verify(STRANGER.certify(STATE, delegation()), now_ns=NOW_NS, canister_id=CANISTER.bytes)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 20])
def test_numbers_not_in_shortest_leb128_form_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedCertificateError):
        read_leb128(data)


@pytest.mark.parametrize("number", [2**64, 2**70 - 1])
def test_numbers_of_up_to_ten_bytes_are_read(number: int) -> None:
    assert read_leb128(leb128.unsigned(number)) == number


def test_numbers_of_eleven_bytes_are_refused() -> None:
    with pytest.raises(MalformedCertificateError, match=r"not a LEB128 number below 2\*\*70"):
        read_leb128(leb128.unsigned(2**70))


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_read_as_they_are_written(number: int) -> None:
    assert read_leb128(leb128.unsigned(number)) == number


def test_keys_of_two_networks_differ() -> None:
    assert BlsKey(b"a").der != BlsKey(b"b").der
