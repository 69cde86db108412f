"""A canister's history as the contract has it, what is newer than the contract included."""

from __future__ import annotations

from canister_factory.candid.binding import candid_type, from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.contract.history_models import CanisterChange, CanisterHistory, ChangeDetails, CodeDeployed
from support.histories import GOOD, HANDOFF, history, loaded, renamed, settings, uninstalled, unknown


def test_each_kind_of_change_comes_back_as_it_was_sent() -> None:
    sent = history(*GOOD, HANDOFF, uninstalled(), loaded(), renamed(), settings(change=False), unknown())
    kind = candid_type(CanisterHistory)
    (value,) = decode(encode((kind,), [to_candid(CanisterHistory, sent)]), (kind,))
    assert from_candid(CanisterHistory, value) == sent
    assert CanisterHistory.model_validate_json(sent.model_dump_json()) == sent


def test_a_change_is_told_by_its_kind() -> None:
    details = ChangeDetails(code_deployment=CodeDeployed(mode="upgrade", module_hash=b"h" * 32))  # type: ignore[arg-type]
    change = CanisterChange(timestamp_nanos=1, canister_version=2, details=details)
    assert change.details is not None
    assert (change.details.tag, change.origin) == ("code_deployment", None)
    assert '"timestamp_nanos":"1970-01-01T00:00:00.000000001Z"' in change.model_dump_json()
