"""An HTTP proxy in front of a replica that notes what passes through, may change answers, and tells of each request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

Tamper = Callable[[bytes], bytes]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        url: where it listens.
        passed: the path and HTTP status of every request, in order.
        tamper: what is done to the body of every answer.
    """

    url: str
    tamper: Tamper
    passed: list[tuple[str, int]] = field(default_factory=list)

    def operations(self) -> list[tuple[str, str, int]]:
        """What was asked, as (API version, operation, HTTP status), without the ids."""
        return [(path.split("/")[2], path.split("/")[-1], status) for path, status in self.passed]


@contextmanager
def proxy_for(
    target: str, tamper: Tamper = lambda body: body, arrived: Callable[[], None] = lambda: None
) -> Iterator[Proxy]:
    """A proxy for the replica at `target`, on a free port of the loopback interface.

    `arrived` is called before a request is passed on, and may break its connection by a `ConnectionError`; `tamper` is
    called after it was answered; who asked may be gone by then.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._forward(self.rfile.read(int(self.headers["content-length"])))

        def do_GET(self) -> None:
            self._forward(b"")

        def _forward(self, body: bytes) -> None:
            try:
                arrived()
            except ConnectionError:
                self.close_connection = True
                return
            headers = {"content-type": self.headers.get("content-type", "")}
            answer = client.request(self.command, self.path, content=body, headers=headers)
            proxy.passed.append((self.path, answer.status_code))
            changed = proxy.tamper(answer.content)
            with suppress(ConnectionError):
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(changed)))
                self.end_headers()
                self.wfile.write(changed)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: `passed` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}", tamper)
    with httpx.Client(base_url=target) as client:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
