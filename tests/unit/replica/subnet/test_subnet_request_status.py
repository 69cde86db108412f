"""One request's status as bytes: all that it was made of comes back, and its digest is that of what is shown."""

from __future__ import annotations

import gc
from dataclasses import fields

import pytest

from canister_factory.ic import hash_tree
from canister_factory.replica.node.state_tree import build, witness
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.messages import FromIngress
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus

ID = bytes(range(32))
ORIGIN = FromIngress(ID, 2**64 - 1, b"s" * 29, b"effective\1", b"")
ANSWERS = [
    (RequestState.RECEIVED, None, {}),
    (RequestState.PROCESSING, None, {}),
    (RequestState.DONE, None, {}),
    (RequestState.REPLIED, Response(b""), {b"reply": b""}),
    (RequestState.REPLIED, Response(bytes(3_000_000)), {b"reply": bytes(3_000_000)}),
    (
        RequestState.REJECTED,
        Response(b"", RejectCode.CANISTER_ERROR, "it tr\u00e4pped", "IC0502"),
        {b"reject_code": b"\5", b"reject_message": "it tr\u00e4pped".encode(), b"error_code": b"IC0502"},
    ),
    (
        RequestState.REJECTED,
        Response(b"data", RejectCode.SYS_TRANSIENT, "no code"),
        {b"reject_code": b"\2", b"reject_message": b"no code"},
    ),
]


@pytest.mark.parametrize(("state", "response", "shown"), ANSWERS)
def test_a_status_has_what_it_was_made_of(
    state: RequestState, response: Response | None, shown: dict[bytes, bytes]
) -> None:
    made = RequestStatus(state, ORIGIN, response)
    for status in (made, RequestStatus.restored(made.content)):
        assert (status.state, status.origin, status.response) == (state, ORIGIN, response)
        assert status.expiry_ns == ORIGIN.expiry_ns
        assert status.request_id == ID
        assert status.is_final == (state not in (RequestState.RECEIVED, RequestState.PROCESSING))
        assert (status.answer_bytes > 0) == any(shown.values())
        assert status == made


def test_all_fields_are_kept() -> None:
    """A new field of these classes has to be kept, too."""
    names = [field.name for record in (FromIngress, Response) for field in fields(record)]
    assert names == [
        *("request_id", "expiry_ns", "sender", "effective_canister_id", "canister_id"),
        *("data", "code", "message", "error_code"),
    ]


@pytest.mark.parametrize(("state", "response", "shown"), ANSWERS)
def test_a_status_is_shown_as_specified_and_its_digest_is_that_of_its_tree(
    state: RequestState, response: Response | None, shown: dict[bytes, bytes]
) -> None:
    status = RequestStatus(state, ORIGIN, response)
    assert status.shown == {**shown, b"status": state.value.encode()}
    tree = build({ID: build(status.shown)})
    assert status.digest == tree.digest()
    assert hash_tree.decode_tree(witness(tree, [[]])).digest == status.digest


def test_what_is_kept_of_a_status_is_one_object_that_searches_for_cycles_never_look_at() -> None:
    status = RequestStatus(RequestState.REPLIED, ORIGIN, Response(b"42"))
    assert not gc.is_tracked(status.content)
    assert len(status.content) == 76 + 29 + 10 + 2
