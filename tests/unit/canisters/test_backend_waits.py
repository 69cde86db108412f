"""How long the backend waits for canisters of others: while it waits, it can be neither stopped nor upgraded."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.subnet.management_interface import method_type
from support.backend_world import CONTROLLER, MANAGEMENT, OPERATOR, OWNER, World
from support.silent_canister import silent

PATIENCE_S = 60


class Silent(World):
    """A creation whose canister has a module that never answers, ready for its verification."""

    def __init__(self, *, approved: bool) -> None:
        super().__init__()
        self.request()
        claimed = self.ok(
            "claim_creation", {"owner": OWNER, "worker": "w", "duration_ns": 600 * 10**9}, sender=OPERATOR
        )
        self.lease = {"owner": OWNER, "lease": claimed["lease"]}
        self.ok("begin_export", self.lease, False, sender=OPERATOR)
        self.canister = self.ok("provision_canister", self.lease, sender=OPERATOR)["canister_id"]
        more = {"canister_id": self.canister, "amount": 400_000_000_000}  # to be silent takes cycles
        self.manage("provisional_top_up_canister", more, OPERATOR)
        self.approve(silent())
        self.install(self.canister, silent(), b"", OPERATOR)
        self.report(self.lease, "Importing")
        self.ok("begin_export", self.lease, True, sender=OPERATOR)
        if not approved:
            self.hand_over(self.canister, OWNER)
            self.install(self.canister, silent() + b"\x00\x02\x01x", b"", OWNER, Case("reinstall"))

    def turns(self, rounds: int = 30) -> None:
        for _ in range(rounds):
            self.subnet.execute_round()

    def answered(self, request_id: bytes) -> bool:
        status = self.subnet.request_status(request_id)
        return status is not None and status.response is not None

    def times_asked(self) -> int:
        request = QueryRequest(OWNER.bytes, self.now_ns, self.canister.bytes, "asked", b"")
        return int.from_bytes(self.subnet.query(request).data, "little")

    def ask_management(self, method: str, argument: dict[str, Any], sender: Principal) -> bytes:
        return self.submit(MANAGEMENT, method, encode(method_type(method).args, [argument]), sender)


def test_a_canister_that_never_answers_delays_a_stop_of_the_backend_by_the_time_out_at_most() -> None:
    world = Silent(approved=True)
    verifying = world.start("verify_creation", world.lease, sender=OPERATOR)
    world.turns()
    stopping = world.ask_management("stop_canister", {"canister_id": world.backend}, CONTROLLER)
    world.turns()
    assert world.times_asked() == 1
    world.advance(PATIENCE_S - 1)
    world.turns()
    assert not world.answered(verifying)
    assert not world.answered(stopping)
    world.advance(2)
    world.turns()
    refusal = world.finish("verify_creation", verifying).value
    assert (refusal["kind"], refusal["retry_helps"]) == (Case("VerifyFailed"), True)
    assert "gave no manifest" in refusal["message"]
    assert world.reply(stopping) == encode([], [])
    world.upgrade_backend()
    starting = world.ask_management("start_canister", {"canister_id": world.backend}, CONTROLLER)
    world.turns()
    assert world.reply(starting) == encode([], [])
    assert world.status()["canister_id"] == world.canister


def test_a_canister_whose_module_is_not_approved_is_not_even_asked() -> None:
    world = Silent(approved=False)
    verifying = world.start("verify_creation", world.lease, sender=OPERATOR)
    world.turns()
    refusal = world.finish("verify_creation", verifying).value
    assert "is of no approved release" in refusal["message"]
    assert world.times_asked() == 0
