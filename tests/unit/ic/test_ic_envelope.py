"""Envelopes: what one half signs, the other half believes, and nothing else."""

import itertools
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import cbor
from canister_factory.ic.envelope import sign_envelope, verify_envelope
from canister_factory.ic.errors import (
    DelegationError,
    EnvelopeError,
    ExpiryError,
    MalformedEnvelopeError,
    SenderError,
    SignatureError,
)
from canister_factory.ic.identity import DelegatedIdentity, Identity
from canister_factory.ic.request_id import request_id
from canister_factory.ic.requests import CallRequest, QueryRequest, ReadStateRequest, Request
from support.ic_test_support import CANISTER, NOW_NS, OTHER_CANISTER

SECOND = 10**9
ALICE = Identity.generate("ed25519")
BOB = Identity.generate("p256")
CAROL = Identity.generate("secp256k1")


def call(signer: Any = ALICE, **changes: Any) -> dict[str, Any]:
    return {
        "request_type": "call",
        "sender": signer.sender().bytes,
        "nonce": b"n" * 16,
        "ingress_expiry": NOW_NS + 240 * SECOND,
        "canister_id": CANISTER.bytes,
        "method_name": "put",
        "arg": b"DIDL\0\0",
        **changes,
    }


def read_state(signer: Any = ALICE, **changes: Any) -> dict[str, Any]:
    content = call(signer, **{"request_type": "read_state", "paths": [[b"time"]], **changes})
    return {name: value for name, value in content.items() if name not in ("canister_id", "method_name", "arg")}


def reopened(body: bytes) -> dict[str, Any]:
    envelope: dict[str, Any] = cbor.loads(body)
    return envelope


def chain(*links: tuple[Identity, Identity], expiration: int = NOW_NS + SECOND, targets: Any = None) -> Any:
    """Delegations, each from the first to the second identity; the last one signs."""
    signed = [giver.sign_delegation(taker.der_pubkey or b"", expiration, targets) for giver, taker in links]
    return DelegatedIdentity(links[-1][1], links[0][0].der_pubkey or b"", signed)


@pytest.mark.parametrize("identity", [ALICE, BOB, CAROL, Identity.anonymous()], ids=lambda i: i.key_type)
def test_a_signed_envelope_is_believed(identity: Identity) -> None:
    content = call(identity)
    verified = verify_envelope(sign_envelope(content, identity), NOW_NS)
    assert verified.request == CallRequest(
        identity.sender().bytes, NOW_NS + 240 * SECOND, CANISTER.bytes, "put", b"DIDL\0\0"
    )
    assert verified.request_id == request_id(content)
    assert verified.targets is None


@pytest.mark.parametrize(
    ("content", "request_type"), [("call", CallRequest), ("query", QueryRequest), ("read_state", ReadStateRequest)]
)
def test_a_request_is_of_the_type_that_its_content_says(content: str, request_type: type[Request]) -> None:
    fields = read_state() if content == "read_state" else call(request_type=content)
    assert type(verify_envelope(sign_envelope(fields, ALICE), NOW_NS).request) is request_type


def test_the_paths_of_a_read_are_kept_in_order() -> None:
    paths = [[b"time"], [b"canister", b"\1\2", b"controllers"], []]
    request = verify_envelope(sign_envelope(read_state(paths=paths), ALICE), NOW_NS).request
    expected = ((b"time",), (b"canister", b"\1\2", b"controllers"), ())
    assert request == ReadStateRequest(ALICE.sender().bytes, NOW_NS + 240 * SECOND, expected)


@given(st.binary(max_size=2000), st.text(max_size=50), st.binary(max_size=32) | st.none())
def test_any_argument_method_and_nonce_survive_the_way(arg: bytes, method: str, nonce: bytes | None) -> None:
    content = call(arg=arg, method_name=method, nonce=nonce)
    verified = verify_envelope(sign_envelope(content, ALICE), NOW_NS)
    assert isinstance(verified.request, CallRequest)
    assert (verified.request.method_name, verified.request.arg) == (method, arg)
    assert verified.request_id == request_id(content)


@given(st.data())
def test_a_changed_byte_is_never_believed_to_be_the_same_request(data: st.DataObject) -> None:
    body = sign_envelope(call(), ALICE)
    position = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        verified = verify_envelope(bytes(changed), NOW_NS)
    except EnvelopeError:
        return
    assert verified.request_id == request_id(call())


@pytest.mark.parametrize("field", ["request_type", "sender", "ingress_expiry", "canister_id", "method_name", "arg"])
def test_a_missing_field_is_named(field: str) -> None:
    content = call()
    del content[field]
    with pytest.raises(MalformedEnvelopeError, match=field):
        verify_envelope(sign_envelope(content, ALICE), NOW_NS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sender", "text"),
        ("sender", b"x" * 30),
        ("nonce", b"x" * 33),
        ("ingress_expiry", b"soon"),
        ("canister_id", 5),
        ("method_name", b"bytes"),
        ("method_name", "x" * 20_001),
        ("arg", "text"),
        ("request_type", "wish"),
        ("later_field", [[b"nested"]]),
        ("paths", [[b"time"]]),
    ],
)
def test_a_field_of_the_wrong_type_or_size_is_refused(field: str, value: Any) -> None:
    with pytest.raises(MalformedEnvelopeError, match=field):
        verify_envelope(sign_envelope(call(**{field: value}), ALICE), NOW_NS)


SENDER_INFO = {"info": b"attributes", "signer": CANISTER.bytes, "sig": b"signature"}


@pytest.mark.parametrize("request_type", ["call", "query"])
@pytest.mark.parametrize("signer", [ALICE, Identity.anonymous()], ids=["key", "anonymous"])
def test_sender_info_is_for_senders_with_canister_signatures_only(request_type: str, signer: Identity) -> None:
    content = call(signer, request_type=request_type, sender_info=SENDER_INFO)
    with pytest.raises(SenderError, match="sender_info"):
        verify_envelope(sign_envelope(content, signer), NOW_NS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (call(sender_info={**SENDER_INFO, "info": "text"}), "info"),
        (call(sender_info={**SENDER_INFO, "signer": bytes(30)}), "signer"),
        (call(sender_info={"info": b"", "signer": b""}), "sig"),
        (call(sender_info={**SENDER_INFO, "more": {"deeper": b""}}), "sender_info"),
        (call(sender_info=b"flat"), "sender_info"),
        (read_state(sender_info=SENDER_INFO), "sender_info"),
    ],
)
def test_sender_info_of_another_form_is_malformed(content: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedEnvelopeError, match=says):
        verify_envelope(sign_envelope(content, ALICE), NOW_NS)


def test_a_plain_field_of_a_later_specification_takes_part_in_the_request_id() -> None:
    content = call(later_field=b"x")
    assert verify_envelope(sign_envelope(content, ALICE), NOW_NS).request_id == request_id(content)


@pytest.mark.parametrize(
    "paths", [None, b"time", [b"time"], [["time"]], [[b"time"]] * 1001, [[b"x"] * 128]], ids=lambda p: str(p)[:12]
)
def test_paths_of_the_wrong_form_are_refused(paths: Any) -> None:
    with pytest.raises(MalformedEnvelopeError):
        verify_envelope(sign_envelope(read_state(paths=paths), ALICE), NOW_NS)


@pytest.mark.parametrize("body", [b"", b"hello", b"\xa0", cbor.dumps([1]), cbor.dumps({"content": 1}), b"\x9f" * 900])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEnvelopeError):
        verify_envelope(body, NOW_NS)


def test_shared_structure_in_the_content_is_refused_without_walking_it() -> None:
    # [a, a] where a = [b, b] and so on, 60 levels: 2**60 leaves in 400 bytes of CBOR (tags 28 and 29).
    doubled = b"\xd8\x1c\x82\x00\x00"
    for level in range(60, 0, -1):
        doubled = b"\xd8\x1c\x82" + doubled + b"\xd8\x1d" + cbor.head(0, level)
    body = sign_envelope(call(), ALICE)
    bomb = body.replace(b"\x65nonce\x50" + b"n" * 16, b"\x65nonce" + doubled)
    assert len(bomb) > len(body)
    with pytest.raises(MalformedEnvelopeError, match="nonce"):
        verify_envelope(bomb, NOW_NS)


@pytest.mark.parametrize("identity", [ALICE, BOB, CAROL], ids=lambda i: i.key_type)
def test_a_tampered_argument_is_refused(identity: Identity) -> None:
    envelope = reopened(sign_envelope(call(identity), identity))
    envelope["content"]["arg"] = b"DIDL\0\1"
    with pytest.raises(SignatureError):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_the_signature_of_another_identity_is_refused() -> None:
    envelope = reopened(sign_envelope(call(), ALICE))
    envelope["sender_sig"] = reopened(sign_envelope(call(), BOB))["sender_sig"]
    with pytest.raises(SignatureError):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_a_sender_that_is_not_the_keys_principal_is_refused() -> None:
    with pytest.raises(SenderError, match="does not match the public key"):
        verify_envelope(sign_envelope(call(BOB), ALICE), NOW_NS)


@pytest.mark.parametrize("field", ["sender_pubkey", "sender_sig"])
def test_a_named_sender_without_key_or_signature_is_refused(field: str) -> None:
    envelope = reopened(sign_envelope(call(), ALICE))
    del envelope[field]
    with pytest.raises(SenderError, match=field):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_the_anonymous_sender_must_not_sign() -> None:
    with pytest.raises(SenderError, match="anonymous"):
        verify_envelope(sign_envelope(call(Identity.anonymous()), ALICE), NOW_NS)


@pytest.mark.parametrize(
    ("key", "error"),
    [(b"", SenderError), (b"\x30" * 44, SenderError), ((BOB.der_pubkey or b"")[:-1] + b"\0", SenderError)],
    ids=["empty", "no DER", "another key"],
)
def test_keys_that_are_not_supported_or_not_valid_are_refused(key: bytes, error: type[EnvelopeError]) -> None:
    envelope = reopened(sign_envelope(call(), ALICE))
    envelope["sender_pubkey"] = key
    with pytest.raises(error):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


@pytest.mark.parametrize("seconds", [-1, 361, 10**10])
def test_an_expiry_in_the_past_or_too_far_ahead_is_refused(seconds: int) -> None:
    content = call(ingress_expiry=NOW_NS + seconds * SECOND)
    with pytest.raises(ExpiryError, match="ingress_expiry not within expected range"):
        verify_envelope(sign_envelope(content, ALICE), NOW_NS)


@pytest.mark.parametrize("seconds", [0, 300, 360])
def test_an_expiry_within_five_minutes_and_the_permitted_drift_is_taken(seconds: int) -> None:
    content = call(ingress_expiry=NOW_NS + seconds * SECOND)
    request = verify_envelope(sign_envelope(content, ALICE), NOW_NS).request
    assert request.ingress_expiry_ns == NOW_NS + seconds * SECOND


def test_anonymous_reads_may_carry_any_expiry_but_anonymous_calls_may_not() -> None:
    nobody = Identity.anonymous()
    verify_envelope(sign_envelope(read_state(nobody, ingress_expiry=0), nobody), NOW_NS)
    with pytest.raises(ExpiryError):
        verify_envelope(sign_envelope(call(nobody, ingress_expiry=0), nobody), NOW_NS)


def test_a_chain_of_delegations_speaks_for_its_first_key() -> None:
    session = chain((ALICE, BOB), (BOB, CAROL))
    verified = verify_envelope(sign_envelope(call(ALICE), session), NOW_NS)
    assert verified.request.sender == ALICE.sender().bytes


def test_delegation_targets_limit_calls_and_are_handed_on_for_reads() -> None:
    session = chain((ALICE, BOB), targets=[CANISTER])
    assert verify_envelope(sign_envelope(call(ALICE), session), NOW_NS).targets == frozenset({CANISTER.bytes})
    assert verify_envelope(sign_envelope(read_state(ALICE), session), NOW_NS).targets == frozenset({CANISTER.bytes})
    with pytest.raises(DelegationError, match="targets"):
        verify_envelope(sign_envelope(call(ALICE, canister_id=OTHER_CANISTER.bytes), session), NOW_NS)


def test_the_targets_of_a_chain_are_those_that_all_links_have() -> None:
    first = ALICE.sign_delegation(BOB.der_pubkey or b"", NOW_NS + 1, [CANISTER, OTHER_CANISTER])
    second = BOB.sign_delegation(CAROL.der_pubkey or b"", NOW_NS + 1, [OTHER_CANISTER])
    session = DelegatedIdentity(CAROL, ALICE.der_pubkey or b"", [first, second])
    with pytest.raises(DelegationError, match="targets"):
        verify_envelope(sign_envelope(call(ALICE), session), NOW_NS)


def permitted(*permissions: Any) -> DelegatedIdentity:
    """Carol speaks for Alice by two delegations with these permissions; None leaves the field out."""
    steps = zip(itertools.pairwise([ALICE, BOB, CAROL]), permissions, strict=True)
    links = [
        giver.sign_delegation(taker.der_pubkey or b"", NOW_NS + 1, permissions=permission)
        for (giver, taker), permission in steps
    ]
    return DelegatedIdentity(CAROL, ALICE.der_pubkey or b"", links)


@pytest.mark.parametrize("permissions", [("queries", None), (None, "queries"), ("all", "queries"), ("queries", "all")])
def test_a_delegation_for_queries_allows_no_calls_whatever_the_others_say(permissions: tuple[Any, Any]) -> None:
    session = permitted(*permissions)
    assert session.queries_only
    for content in (call(request_type="query"), read_state()):
        verify_envelope(sign_envelope(content, session), NOW_NS)
    with pytest.raises(DelegationError, match="queries"):
        verify_envelope(sign_envelope(call(), session), NOW_NS)


@pytest.mark.parametrize("permissions", [(None, None), ("all", None), ("all", "all")])
def test_a_delegation_for_all_allows_what_one_without_permissions_does(permissions: tuple[Any, Any]) -> None:
    session = permitted(*permissions)
    assert not session.queries_only
    verify_envelope(sign_envelope(call(), session), NOW_NS)


@pytest.mark.parametrize("permissions", ["calls", "", "Queries", b"all", 5, ["all"]])
@pytest.mark.parametrize("request_type", ["call", "query", "read_state"])
def test_other_permissions_are_invalid_for_all_kinds_of_requests(permissions: Any, request_type: str) -> None:
    content = read_state() if request_type == "read_state" else call(request_type=request_type)
    link = ALICE.sign_delegation(BOB.der_pubkey or b"", NOW_NS + 1, permissions=permissions)
    envelope = {
        "content": content,
        "sender_pubkey": ALICE.der_pubkey,
        "sender_delegation": [link],
        "sender_sig": BOB.sign(b"\x0aic-request" + request_id(content))[1],
    }
    with pytest.raises(DelegationError, match="permissions"):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_an_expired_delegation_is_refused() -> None:
    session = chain((ALICE, BOB), expiration=NOW_NS - 1)
    with pytest.raises(DelegationError, match="expired"):
        verify_envelope(sign_envelope(call(ALICE), session), NOW_NS)


def test_a_delegation_signed_by_someone_else_is_refused() -> None:
    envelope = reopened(sign_envelope(call(ALICE), chain((ALICE, BOB))))
    envelope["sender_delegation"][0]["delegation"]["expiration"] += 1
    with pytest.raises(DelegationError, match="Invalid delegation"):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_a_cycle_of_delegations_is_refused() -> None:
    links = [
        ALICE.sign_delegation(BOB.der_pubkey or b"", NOW_NS + 1),
        BOB.sign_delegation(ALICE.der_pubkey or b"", NOW_NS + 1),
    ]
    envelope = reopened(sign_envelope(call(ALICE), ALICE))
    envelope["sender_delegation"] = links
    with pytest.raises(DelegationError, match="twice"):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


def test_a_chain_of_twenty_delegations_is_taken_and_one_of_21_refused() -> None:
    keys = [ALICE, *(Identity.generate() for _ in range(21))]
    links = [a.sign_delegation(b.der_pubkey or b"", NOW_NS + 1) for a, b in itertools.pairwise(keys)]
    content = call(ALICE)
    envelope = {
        "content": content,
        "sender_pubkey": ALICE.der_pubkey,
        "sender_delegation": links[:20],
        "sender_sig": keys[20].sign(b"\x0aic-request" + request_id(content))[1],
    }
    verify_envelope(cbor.dumps(envelope), NOW_NS)
    with pytest.raises(DelegationError, match="21 delegations"):
        verify_envelope(cbor.dumps({**envelope, "sender_delegation": links}), NOW_NS)


@pytest.mark.parametrize("links", [5, [5], [{}], [{"delegation": {}, "signature": b""}]])
def test_delegations_of_the_wrong_form_are_refused(links: Any) -> None:
    envelope = reopened(sign_envelope(call(), ALICE))
    envelope["sender_delegation"] = links
    with pytest.raises(MalformedEnvelopeError):
        verify_envelope(cbor.dumps(envelope), NOW_NS)


# Numbers as a client may write them in CBOR: beyond 64 bits as bignums, which Python would refuse to write down.
NUMBERS = st.sampled_from([0, -1, -(2**64), 2**64 - 1, 2**64, 2**128, 10**5000, -(10**5000), 1.5, 1e300, True])


@given(name=st.sampled_from(sorted(call())), number=NUMBERS, nested=st.booleans())
def test_a_number_of_any_size_is_believed_or_refused(name: str, number: Any, nested: bool) -> None:
    content = call() | {name: [number] if nested else number}
    body = cbor2.dumps({"content": content, "sender_pubkey": ALICE.der_pubkey, "sender_sig": b"s" * 64})
    with pytest.raises(EnvelopeError):
        verify_envelope(body, NOW_NS)


@given(name=st.sampled_from(["pubkey", "expiration", "targets"]), number=NUMBERS)
def test_a_number_of_any_size_in_a_delegation_is_refused(name: str, number: Any) -> None:
    delegation = {"pubkey": BOB.der_pubkey, "expiration": NOW_NS + SECOND, name: number}
    body = cbor2.dumps(
        {
            "content": call(),
            "sender_pubkey": ALICE.der_pubkey,
            "sender_sig": b"s" * 64,
            "sender_delegation": [{"delegation": delegation, "signature": b"s" * 64}],
        }
    )
    with pytest.raises(EnvelopeError):
        verify_envelope(body, NOW_NS)
