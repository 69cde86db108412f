"""What is below `/request_status`: the tree that `state_tree` makes of the same labels, whatever came before."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canister_factory.ic import hash_tree
from canister_factory.replica.node import requests_tree
from canister_factory.replica.node.requests_tree import RequestsTree
from canister_factory.replica.node.state_tree import EMPTY, Node, StateTree, build, insert, witness
from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.subnet.messages import FromIngress
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus

# Like hashes, or with long beginnings in common, as nobody can have many of.
request_ids = (
    st.integers(0, 200).map(lambda number: hashlib.sha256(b"%d" % number).digest())
    | st.integers(0, 40).map(lambda number: b"\x42" * 3 + bytes([number]) * 29)
    | st.integers(0, 255).map(lambda bit: (1 << bit).to_bytes(32))
)
others = request_ids | st.binary(max_size=5) | st.just(b"\xff" * 33)


def status(request_id: bytes, reply: bytes | None = b"ok") -> RequestStatus:
    origin = FromIngress(request_id, 10**18, b"sender", b"effective", b"canister")
    if reply is None:
        return RequestStatus(RequestState.REJECTED, origin, Response(b"", RejectCode.CANISTER_ERROR, "no", "IC0503"))
    return RequestStatus(RequestState.REPLIED, origin, Response(reply))


def numbered(count: int, first: int = 0) -> dict[bytes, RequestStatus]:
    ids = [hashlib.sha256(b"%d" % number).digest() for number in range(first, first + count)]
    return {request_id: status(request_id) for request_id in ids}


def plain(statuses: Iterable[RequestStatus]) -> Node:
    tree: Node = EMPTY
    for each in statuses:
        tree = insert(tree, each.request_id, build(each.shown))
    return tree


def tree_of(statuses: Iterable[RequestStatus]) -> RequestsTree:
    return RequestsTree({each.request_id: each.content for each in statuses})


changes = st.lists(
    st.tuples(request_ids, st.sampled_from(["replied", "rejected", "removed", "looked at"])), max_size=80
)


@given(changes, st.lists(others, max_size=4))
def test_any_history_ends_in_the_plain_tree_of_what_is_there(
    history: list[tuple[bytes, str]], asked: list[bytes]
) -> None:
    tree = RequestsTree({})
    model: dict[bytes, RequestStatus] = {}
    for number, (request_id, what) in enumerate(history):
        match what:
            case "removed":
                tree.remove(request_id)
                model.pop(request_id, None)
            case "looked at":
                assert tree.digest() == plain(model.values()).digest()
            case _:
                model[request_id] = status(request_id, b"%d" % number if what == "replied" else None)
                tree.put(model[request_id])
    expected, at_once = plain(model.values()), tree_of(model.values())
    assert tree.digest() == at_once.digest() == expected.digest()
    assert len(tree) == len(at_once) == len(model)
    for request_id in [*asked, *list(model)[:3]]:
        assert (request_id in tree) == (request_id in model)
        paths = [[request_id]]
        assert witness(tree, paths) == witness(at_once, paths) == witness(expected, paths)
    several = [[request_id, b"status"] for request_id in [*asked, *list(model)[:2]]]
    assert witness(tree, several) == witness(expected, several)
    assert witness(tree, [[]]) == witness(expected, [[]])
    assert witness(tree, []) == witness(expected, [])


def test_a_request_is_found_and_a_forgotten_one_is_proven_absent() -> None:
    statuses = numbered(3)
    tree = tree_of(statuses.values())
    gone, *left = statuses
    tree.remove(gone)
    tree.remove(gone)
    shown = hash_tree.decode_tree(witness(StateTree({}, tree).root(7), [[b"request_status"]]))
    assert hash_tree.labels(shown, [b"request_status"]) == sorted(left)
    assert hash_tree.lookup_subtree(shown, [b"request_status", gone]) is hash_tree.ABSENT
    path = [b"request_status", left[0], b"reply"]
    assert hash_tree.lookup_path(shown, path) == hash_tree.Found(b"ok")


forgetful = st.lists(
    st.tuples(request_ids, st.sampled_from(["open", "put", "put", "forgotten", "looked at"])), max_size=80
)


@given(forgetful, st.lists(others, max_size=4))
def test_what_is_not_forgotten_stays_whatever_else_goes(history: list[tuple[bytes, str]], asked: list[bytes]) -> None:
    tree = RequestsTree({})
    model: dict[bytes, RequestStatus] = {}
    ever: dict[bytes, RequestStatus] = {}
    for number, (request_id, what) in enumerate(history):
        match what:
            case "forgotten":
                tree.forget(request_id)
                model.pop(request_id, None)
            case "looked at":
                tree.digest()
            case _:
                model[request_id] = ever[request_id] = numbered_status(number, request_id, final=what == "put")
                tree.put(model[request_id])
        assert len(tree) <= 2 * len(model), "no more than half of it is forgotten"
    shown = {request_id: its for request_id, its in ever.items() if tree.get(request_id) is not None}
    assert model.items() <= shown.items()
    assert all(tree.get(request_id) == its for request_id, its in shown.items())
    assert len(tree) == len(shown)
    for request_id in [*asked, *list(ever)[:3]]:
        assert witness(tree, [[request_id]]) == witness(plain(shown.values()), [[request_id]])
    assert tree.digest() == plain(shown.values()).digest()
    tree.remove_forgotten()
    assert len(tree) == len(model)
    for request_id in [*asked, *list(ever)[:3]]:
        assert witness(tree, [[request_id]]) == witness(plain(model.values()), [[request_id]])


def numbered_status(number: int, request_id: bytes, *, final: bool = True) -> RequestStatus:
    """Expiries don't follow the order of arrival: some answers come when the time of their request is over."""
    origin = FromIngress(request_id, 1 + number * 37 % 11, b"sender", b"effective", b"canister")
    if final:
        return RequestStatus(RequestState.REPLIED, origin, Response(b"%d" % number))
    return RequestStatus(RequestState.PROCESSING, origin)


def test_what_is_forgotten_goes_with_the_next_change_of_its_set() -> None:
    statuses = list(numbered(4000).values())
    tree = RequestsTree({})
    waiting = status(hashlib.sha256(b"waiting").digest())
    for each in [waiting, *statuses[:1000]]:
        tree.put(each)
    for gone, new in zip(statuses[:3000], statuses[1000:], strict=True):
        tree.forget(gone.request_id)
        tree.put(new)
        assert len(tree) <= 2 * 1001
    assert len(tree) > 1100, "some are left"
    assert all(tree.get(one.request_id) == one for one in [waiting, *statuses[3000:]])
    shown = [it for each in statuses if (it := tree.get(each.request_id))]
    assert len(shown) == len(tree) - 1
    assert tree.digest() == plain([waiting, *shown]).digest()


def test_when_nothing_arrives_any_more_all_that_is_forgotten_goes() -> None:
    """A peak of a million isn't kept until there is another one."""
    statuses = numbered(3_000)
    tree = tree_of(statuses.values())
    tree.digest()
    first, *more = statuses
    for request_id in more:
        tree.forget(request_id)
    assert len(tree) <= 2
    tree.forget(first)
    assert len(tree) == 0
    assert tree.digest() == EMPTY.digest()
    assert not any(tree._sets)
    assert not any(tree._digests[2:])


def test_what_is_forgotten_costs_no_hash(hashed: list[bytes]) -> None:
    statuses = numbered(4_000)
    tree = tree_of(statuses.values())
    tree.digest()
    hashed.clear()
    for request_id in list(statuses)[:1_000]:
        tree.forget(request_id)
    tree.digest()
    assert hashed == []


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What this module hashes from here on: the digests of forks."""
    noted: list[bytes] = []

    def sha256(content: bytes) -> object:
        noted.append(content)
        return hashlib.sha256(content)

    monkeypatch.setattr(requests_tree, "sha256", sha256)
    return noted


def hashes_of_a_round(tree: RequestsTree, hashed: list[bytes], more: dict[bytes, RequestStatus]) -> float:
    """For each request of a round."""
    tree.digest()
    hashed.clear()
    for each in more.values():
        tree.put(each)
    tree.digest()
    return len(hashed) / len(more)


@pytest.mark.parametrize("requests", [1, 16])
def test_a_request_costs_a_hash_for_each_doubling_of_their_number(hashed: list[bytes], requests: int) -> None:
    few, many = (
        sum(hashes_of_a_round(tree, hashed, numbered(requests, first=10**6 + requests * turn)) for turn in range(50))
        / 50
        for tree in (tree_of(numbered(500).values()), tree_of(numbered(16_000).values()))
    )
    assert many - few < 6, "there are 32 times as many: five levels"
    assert many < 20, "and log2(16,000) is 14"


def test_a_witness_hashes_nothing_above_its_set(hashed: list[bytes]) -> None:
    statuses = numbered(5_000)
    tree = tree_of(statuses.values())
    tree.digest()
    hashed.clear()
    for request_id in list(statuses)[:500]:
        tree.witness_of(request_id)
    assert len(hashed) <= 500 * 3


def test_sets_stay_small_and_go_again() -> None:
    statuses = numbered(20_000)
    tree = RequestsTree({})
    for each in statuses.values():
        tree.put(each)
    sizes = [len(its) for its in tree._sets if its]
    assert sum(sizes) == 20_000
    assert sum(size > 4 for size in sizes) < len(sizes) / 10
    assert max(sizes) < 20
    for request_id in list(statuses)[10:]:
        tree.remove(request_id)
    assert tree.digest() == plain(list(statuses.values())[:10]).digest()
    assert sum(map(bool, tree._sets)) <= 10


def test_what_is_kept_is_a_few_objects_however_many_there_are() -> None:
    statuses = numbered(10_000)
    tree = tree_of(statuses.values())
    tree.digest()
    gc.collect()
    assert sum(gc.is_tracked(its) for its in tree._sets) == 0
    per_request = (
        sum(its.__sizeof__() + 16 for its in tree._sets if its)
        + sum(digest.__sizeof__() for digest in tree._digests if digest is not None)
        + tree._sets.__sizeof__()
        + tree._digests.__sizeof__()
        + tree._parted.__sizeof__()
    ) / 10_000
    assert per_request < 130, "bytes, beside the status itself"
