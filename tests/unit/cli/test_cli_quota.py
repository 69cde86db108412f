"""Quotas as admins change them by options, and as people read them."""

from __future__ import annotations

from canister_factory.cli.admin_quotas import changed_quotas, report_rows
from canister_factory.cli.quota import COUNTED, status_rows
from canister_factory.contract.quota_models import QuotaReport, Quotas, QuotaStatus, Usage

USED = Usage(content_bytes=512, record_bytes=1_500, memories=1, galleries=2, capsules=3, uploads=4, nonces=5)
PERSON = Usage(**{name: 10 * amount for name, amount in USED})
TOTAL = Usage(**{name: 1_000_000 * amount for name, amount in USED})
QUOTAS = Quotas(person=PERSON, total=TOTAL, heap_bytes=3 * 2**30)


def test_only_the_limits_that_were_given_change() -> None:
    given: dict[str, int | None] = {"person_memories": 7, "total_content_bytes": 0, "total_nonces": None}
    assert changed_quotas(QUOTAS, None, given) == Quotas(
        person=PERSON.model_copy(update={"memories": 7}),
        total=TOTAL.model_copy(update={"content_bytes": 0}),
        heap_bytes=3 * 2**30,
    )
    assert changed_quotas(QUOTAS, 5, {}) == QUOTAS.model_copy(update={"heap_bytes": 5})
    assert changed_quotas(QUOTAS, None, {}) == QUOTAS


def test_everything_that_is_counted_has_a_name() -> None:
    assert list(COUNTED) == list(Usage.model_fields)


def test_people_read_use_and_limit_side_by_side() -> None:
    rows = dict(status_rows(QuotaStatus(limits=PERSON, used=USED)))
    assert rows["contents"] == "512 bytes of 5.1 kB"
    assert rows["memories"] == "1 of 10"
    report = QuotaReport(quotas=QUOTAS, used=USED, heap_bytes_used=2**20, people=1_234)
    rows = dict(report_rows(report))
    assert rows["records"] == "1.5 kB of 1.5 GB; one principal 15.0 kB"
    assert rows["memories"] == "1 of 1,000,000; one principal 10"
    assert (rows["heap"], rows["principals"]) == ("1.0 MB of 3.2 GB", "1,234")
