"""What a webhook gets, when it is sent again, and what is said of one that doesn't take it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from canister_factory.factory.errors import WebhookError
from canister_factory.factory.webhook import Webhook, read_secret, signature
from support.backend_script import Clock
from support.webhook_server import SECRET, Receiver, webhook_server

BODY = {"type": "test", "text": "ä\n"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_server() as running:
        yield running


def sender(receiver: Receiver, clock: Clock) -> Webhook:
    return Webhook(receiver.url, SECRET, sleep=clock.sleep, now_s=lambda: 1_614_265_330.9)


def test_the_signature_is_that_of_the_specifications_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_message_is_json_signed_with_its_id_and_time(receiver: Receiver) -> None:
    await sender(receiver, Clock()).send("one", BODY)
    (got,) = receiver.received
    assert got.json == BODY
    assert got.is_signed
    assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == ("one", "1614265330")
    assert (got.headers["content-type"], got.path) == ("application/json", "/hook/token-in-path")


async def test_what_may_pass_is_tried_again_with_longer_pauses_under_the_same_id(receiver: Receiver) -> None:
    receiver.answers = [503, 429, 500]
    clock = Clock()
    await sender(receiver, clock).send("one", BODY)
    assert clock.slept == [1, 2, 4]
    assert {got.headers["webhook-id"] for got in receiver.received} == {"one"}
    assert len(receiver.received) == 4


async def test_after_four_attempts_it_is_given_up_until_later(receiver: Receiver) -> None:
    receiver.answers = [503] * 9
    with pytest.raises(WebhookError, match=r"^127\.0\.0\.1:\d+ answered HTTP 503$") as failed:
        await sender(receiver, Clock()).send("one", BODY)
    assert failed.value.retry_helps
    assert len(receiver.received) == 4


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_what_is_refused_is_not_tried_again_at_once(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    with pytest.raises(WebhookError, match=f"answered HTTP {status}") as failed:
        await sender(receiver, Clock()).send("one", BODY)
    assert not failed.value.retry_helps
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with webhook_server() as elsewhere:
        receiver.answers, receiver.location = [status], elsewhere.url
        with pytest.raises(WebhookError, match="a redirect, which isn't followed"):
            await sender(receiver, Clock()).send("one", BODY)
        assert elsewhere.received == []


async def test_a_receiver_that_hangs_is_left_after_a_while(receiver: Receiver) -> None:
    receiver.answers = [None] * 9
    webhook = Webhook(receiver.url, SECRET, sleep=Clock().sleep, patience_s=0.05)
    with pytest.raises(WebhookError, match="did not answer within") as failed:
        await webhook.send("one", BODY)
    assert failed.value.retry_helps


async def test_nothing_of_the_url_but_its_host_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret_url = "https://hooks.example.org/services/T0KEN?key=T0KEN"

    statuses = [503]

    def unreachable(request: httpx.Request) -> httpx.Response:
        if statuses:
            return httpx.Response(statuses.pop())
        raise httpx.ConnectError(f"can't connect to {request.url}", request=request)

    webhook = Webhook(secret_url, SECRET, http=httpx.MockTransport(unreachable), sleep=Clock().sleep)
    with pytest.raises(WebhookError) as failed:
        await webhook.send("one", BODY)
    assert str(failed.value) == "hooks.example.org can't be reached (ConnectError)"
    assert "T0KEN" not in caplog.text + repr(webhook) + repr(failed.value.__context__)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/hook", "could be read on their way"),
        ("http://10.0.0.1/hook", "could be read on their way"),
        ("https://user:pass@example.org/", "has a user name in it"),
        ("ftp://example.org/", "write it as https"),
        ("example.org/hook", "write it as https"),
        ("https:///hook", "write it as https"),
        ("https://[::1/hook", "write it as https"),
        ("https://example.org/\0", "write it as https"),
        ("https://xn--/hook", "write it as https"),
        (f"https://example.org/{'a' * 70_000}", "write it as https"),
    ],
)
def test_a_url_that_would_give_something_away_is_refused(url: str, why: str) -> None:
    with pytest.raises(WebhookError, match=why):
        Webhook(url, SECRET)


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "http://localhost:1/", "http://[::1]:8080/", "http://127.0.0.2/"]
)
def test_https_is_taken_and_http_on_this_computer(url: str) -> None:
    assert Webhook(url, SECRET).host in url


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(WebhookError, match=f"has {length} bytes; it must have 24 to 64"):
        Webhook("https://example.org", bytes(length))


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_a_secret_is_read_from_a_file_of_ones_own(tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "secret"
    file.write_text(prefix + base64.b64encode(SECRET).decode() + "\n")
    file.chmod(0o600)
    warned: list[str] = []
    assert read_secret(file, warned.append) == SECRET
    assert warned == []
    file.chmod(0o640)
    read_secret(file, warned.append)
    assert warned == [f"other users of this computer can read {file}: run chmod 600 {file}"]


@pytest.mark.parametrize("content", ["", "no base64!", "Zm9v\nZm9v", "\xff\xfe", "x" * 5_000])
def test_a_file_without_a_secret_is_refused_and_not_quoted(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    with pytest.raises(WebhookError) as failed:
        Webhook("https://example.org", read_secret(file, lambda said: None))
    assert "'openssl rand -base64 32' makes" in str(failed.value)
    assert (content or "nothing") not in str(failed.value) + repr(failed.value.__context__)


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(WebhookError, match="it is no file, or isn't there"):
        read_secret(tmp_path, lambda said: None)
