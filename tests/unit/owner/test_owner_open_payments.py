"""The note of a payment whose outcome isn't known: there is one at most, and it is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.owner.errors import PaymentError
from canister_factory.owner.open_payments import OpenPayment, OpenPayments

PAYMENT = OpenPayment(payer="the cycles ledger", amount=2**70, created_at_ns=1, had=None, payer_had=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "payments" / "canister.json"


def test_a_payment_is_there_until_it_ends(file: Path) -> None:
    payments = OpenPayments(file)
    assert payments.read() is None
    payments.begin(PAYMENT)
    assert OpenPayments(file).read() == PAYMENT
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    payments.end()
    assert payments.read() is None
    assert list(file.parent.iterdir()) == []


def test_a_second_process_begins_none_beside_it(file: Path) -> None:
    OpenPayments(file).begin(PAYMENT)
    with pytest.raises(PaymentError, match="another top-up of this canister has just begun"):
        OpenPayments(file).begin(PAYMENT.model_copy(update={"amount": 1}))
    assert OpenPayments(file).read() == PAYMENT
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_note_pays_nothing(file: Path) -> None:
    OpenPayments(file).begin(PAYMENT)
    file.write_text(file.read_text()[:-5])
    with pytest.raises(PaymentError, match="can't be read"):
        OpenPayments(file).read()


def test_a_place_that_cannot_be_written_pays_nothing(file: Path) -> None:
    file.parent.write_text("a file in the way")
    with pytest.raises(PaymentError, match=r"can't be written: .*; nothing was paid"):
        OpenPayments(file).begin(PAYMENT)


def test_a_note_that_cannot_be_removed_is_told_with_what_became_of_the_payment(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(PaymentError, match=r"can't be removed: .*; 2 T cycles were paid\. Delete the file before"):
        OpenPayments(file).end("2 T cycles were paid")
    assert file.is_dir()


def test_where_none_was_ever_begun_none_ends(file: Path) -> None:
    OpenPayments(file).end()
    assert not file.parent.exists()
