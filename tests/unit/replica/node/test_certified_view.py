"""The newest certified state: what is made ahead isn't shown before it is durable."""

from __future__ import annotations

import pytest

from canister_factory.ic import hash_tree
from canister_factory.replica.node.certification import CertifiedState, RangesLayout
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.keys import BlsKey
from canister_factory.replica.node.state_tree import witness
from support.replica_http_support import FIRST, Network

PATH = (b"canister", FIRST, b"certified_data")


def shown(state: CertifiedState) -> bytes:
    found = hash_tree.lookup_path(hash_tree.decode_tree(witness(state.root, [PATH])), PATH)
    assert isinstance(found, hash_tree.Found)
    return found.value


def changed(network: Network, data: bytes) -> CertifiedView:
    """The view, with a change that isn't durable yet."""
    network.subnet.canisters[FIRST].certified_data = data
    network.subnet.listeners.canister_changed(FIRST)
    network.view.held = True
    return network.view


def test_what_is_prepared_is_shown_once_it_is_durable_and_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[bytes] = []
    sign = BlsKey.sign_state_root

    def noting(key: BlsKey, root: bytes) -> bytes:
        signed.append(root)
        return sign(key, root)

    monkeypatch.setattr(BlsKey, "sign_state_root", noting)
    view = changed(Network(), b"new")
    signed.clear()
    former = view.current()
    view.prepare()
    assert len(signed) == 1
    assert view.current() is former
    with pytest.raises(RuntimeError, match="superseded"):
        view.current().certificate([PATH], RangesLayout.NONE)
    view.held = False
    state = view.current()
    assert shown(state) == b"new"
    state.certificate([PATH], RangesLayout.NONE)
    assert view.current() is state
    assert signed.count(state.root.digest()) == 1


def test_what_changes_after_that_is_shown_too() -> None:
    network = Network()
    view = changed(network, b"new")
    view.prepare()
    changed(network, b"newer")
    view.held = False
    assert shown(view.current()) == b"newer"
    view.prepare()
    assert shown(view.certify()) == b"newer"
    assert shown(view.current()) == b"newer"


def test_a_defect_while_it_is_made_is_raised_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    view = changed(Network(), b"new")
    with monkeypatch.context() as patched:
        patched.setattr(view, "_put_canister", lambda canister_id: 1 / 0)
        view.prepare()
        view.held = False
        with pytest.raises(ZeroDivisionError):
            view.current()
    assert shown(view.current()) == b"new"
