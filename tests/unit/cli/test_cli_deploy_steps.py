"""What `deploy` tells a new backend, and one that is there."""

from __future__ import annotations

import pytest

from canister_factory.cli.deploy_steps import Wanted
from canister_factory.contract.creation_models import Admission


def wanted(admission: str | None) -> Wanted:
    return Wanted((), (), admission, False, None, 0, None, None, None)


@pytest.mark.parametrize(("is_mainnet", "admission"), [(True, Admission.Approval), (False, Admission.Open)])
def test_a_new_backend_on_mainnet_asks_an_admin_and_one_on_a_test_network_does_not(
    is_mainnet: bool, admission: Admission
) -> None:
    assert wanted(None).first_init(is_mainnet).admission == admission
    assert wanted("Listed").first_init(is_mainnet).admission == Admission.Listed


def test_a_backend_that_is_there_keeps_its_admission_unless_another_is_given() -> None:
    assert wanted(None).init().admission is None
    assert wanted("Open").init().admission == Admission.Open
