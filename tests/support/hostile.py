"""A canister and a server whose every text is made to repaint a terminal, forge a line, or flood it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import click

from canister_factory.candid import leb128
from canister_factory.candid.did import Interface
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import (
    BOOL,
    NULL,
    PRINCIPAL,
    TEXT,
    Func,
    Opt,
    Record,
    Type,
    Variant,
    Vec,
    is_blob,
    resolve,
)
from canister_factory.candid.values import Case, Some
from canister_factory.cli import main
from canister_factory.cli.parameter_types import PrincipalType
from canister_factory.factory.errors import MAX_RECORDED_CHARACTERS

ATTACK = "gotcha\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\u202egnp.exe\u2066\x7f\u200b[bold red]markup[/]\nerror: forged\n"
RAW = set("\x1b\x07\r\x08\x9b\u202e\u2066\x7f\u200b")
LONG = ATTACK + "A" * 1_000_000
LONGEST_RUN = MAX_RECORDED_CHARACTERS
"""Of the flood, at most what a message about a failure on record may have; other quotations are shorter."""

_WAT = """
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
"""

SOMEBODY = Principal.self_authenticating(b"somebody")


def hostile_value(t: Type, case: str, owner: Principal, depth: int = 0) -> Any:
    """A value of a type: everything is there, each text is the attack and a flood, a result is `case`."""
    t = resolve(t)
    if t is TEXT:
        return ATTACK + "A" * 2_000
    if t is PRINCIPAL:
        return owner
    if t is NULL:
        return None
    if t is BOOL:
        return True
    if isinstance(t, Opt):
        inner = None if depth > 6 else hostile_value(t.inner, case, owner, depth + 1)
        return Some(None) if inner is None and resolve(t.inner) is NULL else inner
    if isinstance(t, Vec):
        return bytes(32) if is_blob(t) else [hostile_value(t.inner, case, owner, depth + 1)]
    if isinstance(t, Record):
        values = {field.label: hostile_value(field.type, case, owner, depth + 1) for field in t.fields}
        return tuple(values.values()) if t.is_tuple else values
    if isinstance(t, Variant):
        field = next((field for field in t.fields if field.label == case), t.fields[0])
        return Case(field.label, hostile_value(field.type, case, owner, depth + 1))
    return 1


def hostile_module(interface: Interface, text: bytes, mode: str, owner: Principal) -> bytes:
    """A module with all methods of `interface` (whose `.did` is `text`), which reply `Ok`, `Err`, or reject."""
    import wasmtime

    assert interface.service is not None
    functions, segments, at = [], [], 0
    for name, method in interface.service.methods:
        function = resolve(method)
        assert isinstance(function, Func)
        values = [hostile_value(t, mode, owner) for t in function.results]
        data = ATTACK.encode() + b"A" * 4_000 if mode == "reject" else encode(function.results, values)
        segments.append(f'(data (i32.const {at}) "{_wat_text(data)}")')
        answer = "(call $reject {0})" if mode == "reject" else "(call $append {0}) (call $reply)"
        kind = "query" if function.is_query else "update"
        body = answer.format(f"(i32.const {at}) (i32.const {len(data)})")
        functions.append(f'(func (export "canister_{kind} {name}") {body})')
        at += len(data)
    pages = at // 65_536 + 1
    wat = f"(module {_WAT} (memory {pages}) {' '.join(segments)} {' '.join(functions)})"
    title = b"icp:public candid:service"
    section = leb128.unsigned(len(title)) + title + text
    return bytes(wasmtime.wat2wasm(wat)) + b"\x00" + leb128.unsigned(len(section)) + section


def _wat_text(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


@contextmanager
def hostile_server(status: int, post_body: bytes, get_body: bytes, content_type: str = "text/plain") -> Iterator[str]:
    """A server that gives every POST the same answer; the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer(status, post_body)

        def do_GET(self) -> None:
            known = self.path == "/api/v2/status"
            self._answer(200 if known else 404, get_body if known else post_body)

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


NEEDED = {
    "admin requests decline": ["--reason", "because"],
    "owner delete": ["--burn-cycles", "--without-backup"],
    "owner share": ["--private"],
}
"""Options without which a command asks nobody."""


def commands_on_a_backend(without: frozenset[str]) -> list[list[str]]:
    """A command line for every command that has `--backend`, but for the names in `without`."""
    found = []
    for path, command in _walk(main, []):
        if path[-1] in without or not any(parameter.name == "backend" for parameter in command.params):
            continue
        line = list(path)
        for parameter in command.params:
            if isinstance(parameter, click.Argument) and parameter.required:
                line.append(_argument(parameter))
            elif parameter.name in ("yes", "once"):
                line.append(parameter.opts[0])
        found.append(line + NEEDED.get(" ".join(path), []))
    return found


def _argument(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, PrincipalType):
        return str(Principal.management_canister() if parameter.name == "backend" else SOMEBODY)
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[0])
    return {"module_hash": "00" * 32, "event": "AfterDeath", "files": __file__}.get(parameter.name or "", "1")


def _walk(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, [*path, name])
    else:
        yield path, command
