"""The table of stages in docs/protocol.md names messages that exist, at the canister that it says."""

from __future__ import annotations

import re
from pathlib import Path

from canister_factory.contract.clients import BackendClient, PersonalClient

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


def _methods(client: type[BackendClient | PersonalClient]) -> set[str]:
    service = client.interface().service
    assert service is not None
    return set(dict(service.methods))


def test_every_message_of_a_stage_is_a_method_of_its_canister() -> None:
    rows = re.findall(r"^\| \w+ \| `(\w+)` \| ([a-z ]+) \|", PAGE.read_text(), re.MULTILINE)
    offered = {
        "backend": _methods(BackendClient),
        "personal canister": _methods(PersonalClient),
        "management": {"install_code", "update_settings"},
    }
    assert len(rows) == 7
    assert [row for row in rows if row[0] not in offered[row[1]]] == []


def test_every_method_that_the_page_names_exists() -> None:
    methods = _methods(BackendClient) | _methods(PersonalClient)
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE.read_text()))
    others = {"install_code", "update_settings", "create_canister", "uninstall_code", "delete_canister"}
    settings = {"free_passes", "free_verifications"}
    assert named - methods - others - settings == set()
