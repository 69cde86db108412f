"""What is below `/request_status`: the same tree however it is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import hash_tree
from canister_factory.replica.node.request_trees import RequestTree, tree_of_requests
from canister_factory.replica.node.state_tree import EMPTY, insert, witness
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.messages import FromIngress, RequestState, RequestStatus

ANSWERS = [
    (RequestState.RECEIVED, None, {}),
    (RequestState.PROCESSING, None, {}),
    (RequestState.DONE, None, {}),
    (RequestState.REPLIED, Response(b""), {b"reply": b""}),
    (RequestState.REPLIED, Response(bytes(3_000_000)), {b"reply": bytes(3_000_000)}),
    (
        RequestState.REJECTED,
        Response(b"", RejectCode.CANISTER_ERROR, "it trapped", "IC0502"),
        {b"reject_code": b"\5", b"reject_message": b"it trapped", b"error_code": b"IC0502"},
    ),
    (
        RequestState.REJECTED,
        Response(b"", RejectCode.SYS_TRANSIENT, "no code"),
        {b"reject_code": b"\2", b"reject_message": b"no code"},
    ),
]
labels = st.binary(max_size=3) | st.lists(st.sampled_from([0, 1, 127, 128, 255]), max_size=5).map(bytes)


def status(state: RequestState = RequestState.REPLIED, response: Response | None = None) -> RequestStatus:
    return RequestStatus(state, FromIngress(b"", 0, b"", b"", b""), response)


@pytest.mark.parametrize(("state", "response", "fields"), ANSWERS)
def test_a_status_is_shown_as_specified_and_its_digest_is_that_of_its_tree(
    state: RequestState, response: Response | None, fields: dict[bytes, bytes]
) -> None:
    tree = RequestTree(status(state, response))
    digest = tree.digest()
    assert digest == tree.make().digest()
    shown = hash_tree.decode_tree(witness(tree, [[]]))
    assert shown.digest == digest
    found = {label: hash_tree.lookup_path(shown, [label]) for label in hash_tree.labels(shown)}
    expected = {**fields, b"status": state.value.encode()}
    assert found == {label: hash_tree.Found(value) for label, value in expected.items()}


def test_a_replys_digest_needs_no_tree() -> None:
    tree = RequestTree(status(response=Response(b"42")))
    tree.digest()
    assert tree._made is None


@given(st.lists(labels, max_size=30))
def test_all_at_once_is_the_tree_of_one_after_the_other(request_ids: list[bytes]) -> None:
    statuses = {request_id: status(response=Response(request_id)) for request_id in request_ids}
    tree = EMPTY
    for request_id, each in statuses.items():
        tree = insert(tree, request_id, RequestTree(each))
    at_once = tree_of_requests(statuses)
    assert at_once.digest() == tree.digest()
    for request_id in request_ids[:3]:
        assert witness(at_once, [[request_id]]) == witness(tree, [[request_id]])
    later = insert(at_once, b"\x7f\x7f", RequestTree(status()))
    assert later.digest() == insert(tree, b"\x7f\x7f", RequestTree(status())).digest()
