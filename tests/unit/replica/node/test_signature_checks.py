"""Where signatures are checked: what is decided is the same with a second process, without one, and when it fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.envelope import DELEGATION_DOMAIN, VerifiedEnvelope, verify_envelope
from canister_factory.ic.errors import DelegationError, EnvelopeError, SignatureError
from canister_factory.ic.public_key import Verify
from canister_factory.ic.request_id import hash_of_map
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.node.signature_checks import FEW, MANY, MAX_OPEN, SignatureChecks
from support.replica_http_support import KEYS, MINUTE, NOW, Caller, Network, Nobody, decoded, envelope, url

CALLER = Caller()


class Requests:
    """Requests that are being decided, and what has become of them."""

    def __init__(self, checks: SignatureChecks) -> None:
        self.checks = checks
        self.outcomes: list[VerifiedEnvelope | Exception] = []
        self.begun = 0

    def begin(self, body: bytes) -> None:
        self.begun += 1

        def then(result: Callable[[], VerifiedEnvelope]) -> None:
            try:
                self.outcomes.append(result())
            except EnvelopeError as error:
                self.outcomes.append(error)

        def check(verify: Verify) -> VerifiedEnvelope:
            return verify_envelope(body, NOW, verify=verify)

        self.checks.decide(check, then)

    def begin_many(self, count: int, body: bytes) -> None:
        for _ in range(count):
            self.begin(body)

    async def all(self) -> list[VerifiedEnvelope | Exception]:
        async with asyncio.timeout(10):
            while len(self.outcomes) < self.begun:  # noqa: ASYNC110 - they come without an event
                await asyncio.sleep(0)
        outcomes, self.outcomes, self.begun = self.outcomes, [], 0
        return outcomes


@pytest.fixture
async def requests() -> AsyncIterator[Requests]:
    """Checks with a process that isn't started yet; all of them come at the same time."""
    checks = SignatureChecks(CertificateVerifier(KEYS.root.public_key), beside=True, clock_s=lambda: 0.0)
    yield Requests(checks)
    checks.stop()


@pytest.fixture
async def busy(requests: Requests) -> Requests:
    """The same with the process."""
    requests.begin_many(2 * MANY, good())
    await requests.all()
    assert requests.checks.pid is not None
    return requests


def good(name: str = "read", caller: object = CALLER) -> bytes:
    return envelope(caller, request_type="query", method_name=name)


def forged(name: str = "read") -> bytes:
    """Signed by somebody else than its key's holder."""
    thief = Caller()
    return envelope(_Forger(thief), request_type="query", method_name=name)


class _Forger:
    def __init__(self, thief: Caller) -> None:
        self.principal = CALLER.principal
        self._thief = thief

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        return CALLER.public_key, self._thief.sign(msg)[1]


def delegated(*, valid: bool) -> bytes:
    """A request by a session key."""
    session = Caller()
    delegation = {"pubkey": session.public_key, "expiration": NOW + MINUTE}
    _, signature = (CALLER if valid else Caller()).sign(DELEGATION_DOMAIN + hash_of_map(delegation))
    session.delegations = [{"delegation": delegation, "signature": signature}]
    session.der_pubkey = CALLER.public_key
    return good(caller=session)


def names(outcomes: list[VerifiedEnvelope | Exception]) -> list[str]:
    """The methods of good requests, and what is wrong with the others."""

    def name(outcome: VerifiedEnvelope | Exception) -> str:
        if isinstance(outcome, Exception):
            return type(outcome).__name__
        assert isinstance(outcome.request, QueryRequest)
        return outcome.request.method_name

    return [name(outcome) for outcome in outcomes]


async def test_few_checks_are_done_here_at_once(requests: Requests) -> None:
    requests.begin_many(MANY, good())
    requests.begin(forged())
    assert names(requests.outcomes) == ["read"] * MANY + ["SignatureError"]
    assert requests.checks.pid is None


async def test_many_checks_that_take_their_time_are_done_here() -> None:
    seconds = iter(range(100))
    checks = SignatureChecks(CertificateVerifier(KEYS.root.public_key), beside=True, clock_s=lambda: next(seconds))
    requests = Requests(checks)
    requests.begin_many(3 * MANY, good())
    assert checks.pid is None


async def test_without_leave_no_process_is_started() -> None:
    checks = SignatureChecks(CertificateVerifier(KEYS.root.public_key))
    requests = Requests(checks)
    requests.begin_many(3 * MANY, good())
    assert checks.pid is None
    assert len(requests.outcomes) == 3 * MANY


async def test_the_process_decides_in_order_and_refusals_say_what_they_say_without_it(busy: Requests) -> None:
    bodies = [good("1"), forged(), good("2"), delegated(valid=True), delegated(valid=False), b"no CBOR", good("3")]
    for body in bodies:
        busy.begin(body)
    assert names(busy.outcomes) == ["MalformedEnvelopeError"], "what needs no signature waits for none"
    outcomes = await busy.all()
    del outcomes[0]
    assert names(outcomes) == ["1", "SignatureError", "2", "read", "DelegationError", "3"]
    with pytest.raises(SignatureError) as of_request:
        verify_envelope(forged(), NOW)
    with pytest.raises(DelegationError) as of_delegation:
        verify_envelope(delegated(valid=False), NOW)
    assert [str(outcomes[1]), str(outcomes[4])] == [str(of_request.value), str(of_delegation.value)]


async def test_few_at_a_time_are_not_made_to_wait_for_the_process(busy: Requests) -> None:
    pid = busy.checks.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for _ in range(FEW):
        busy.begin(good())
    busy.begin(good(caller=Nobody()))
    await asyncio.sleep(0)
    assert len(busy.outcomes) == FEW + 1
    busy.begin(forged())
    await asyncio.sleep(0)
    assert names(busy.outcomes[FEW + 1 :]) == ["SignatureError"]
    assert busy.checks.pid == pid


async def test_keys_of_other_kinds_are_checked_here(busy: Requests) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    outcome: list[str] = []

    def check(verify: Verify) -> str:
        verify(der, b"message", b"\0" * 64)
        return "believed"

    def then(result: Callable[[], str]) -> None:
        with pytest.raises(SignatureError):
            result()
        outcome.append("refused")

    busy.checks.decide(check, then)
    assert outcome == ["refused"]


async def test_what_does_not_fit_into_the_socket_is_checked_here(busy: Requests) -> None:
    pid = busy.checks.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    busy.begin_many(3 * MAX_OPEN, good())
    assert len(busy.outcomes) == 2 * MAX_OPEN
    os.kill(pid, signal.SIGCONT)
    assert names(await busy.all()) == ["read"] * 3 * MAX_OPEN


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_process_that_fails_is_done_without(
    busy: Requests, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    pid = busy.checks.pid
    assert pid is not None
    os.kill(pid, number)
    for _ in range(10):
        busy.begin(good())
    busy.begin(forged())
    assert names(await busy.all()) == ["read"] * 10 + ["SignatureError"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "signatures are checked without a second process for now"
    ]
    busy.begin_many(3 * MANY, good())
    assert busy.checks.pid is None, "one that fails at once isn't started again and again"
    assert len(await busy.all()) == 3 * MANY


async def test_a_process_that_failed_has_a_successor_after_a_while() -> None:
    now_s = 0.0
    checks = SignatureChecks(CertificateVerifier(KEYS.root.public_key), beside=True, clock_s=lambda: now_s)
    requests = Requests(checks)
    requests.begin_many(2 * MANY, good())
    first = checks.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    requests.begin_many(10, good())
    await requests.all()
    now_s = 11.0
    requests.begin_many(2 * MANY, good())
    await requests.all()
    assert checks.pid not in (None, first)
    checks.stop()


async def test_what_is_settled_is_what_was_there(busy: Requests) -> None:
    await busy.checks.settled()  # nothing is
    busy.begin_many(10, good())
    settled = asyncio.ensure_future(busy.checks.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    async with asyncio.timeout(10):
        await settled
    assert len(busy.outcomes) == 10


async def test_a_stop_decides_what_is_open_and_leaves_no_process(busy: Requests) -> None:
    pid = busy.checks.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    busy.begin_many(10, good())
    settled = asyncio.ensure_future(busy.checks.settled())
    await asyncio.sleep(0)
    busy.checks.stop()
    assert names(busy.outcomes) == ["read"] * 10
    async with asyncio.timeout(10):
        await settled
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    busy.begin_many(3 * MANY, good())
    assert busy.checks.pid is None


async def test_calls_that_are_checked_elsewhere_share_a_round() -> None:
    async with Network(beside=True) as network:
        for _ in range(2 * MANY):
            await network.api.handle("POST", url(3, "query"), good())
        assert network.signatures.pid is not None
        for _ in range(5):
            await asyncio.sleep(0)  # the first round, which finds nothing
        network.subnet.rounds.clear()
        calls = []
        for number in range(14):
            argument = bytes((number,))
            post = network.post(url(4, "call"), CALLER, request_type="call", method_name="append", arg=argument)
            calls.append(asyncio.create_task(post))
        answers = [decoded(await call) for call in calls]
        assert [answer["status"] for answer in answers] == ["replied"] * 14
        assert network.subnet.rounds == [14]
