"""The socket that a replica listens on, on a loopback address only.

Owns the address and its errors. Does not own what comes in there (`http_server`).
"""

from __future__ import annotations

import ipaddress
import os
import socket

from canister_factory.base_error import CanisterFactoryError

__all__ = ["BACKLOG", "ServerError", "listen"]

BACKLOG = 512
"""Connections that wait to be taken."""


class ServerError(CanisterFactoryError):
    """The replica can't be started; the message says why and what to do."""


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its URL; port 0 picks a free one.

    Raises:
        ServerError: the address isn't a loopback one, or the port is taken.
    """
    _require_loopback(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ServerError(
            f"port {port} on {host} can't be used ({os.strerror(error.errno or 0)}): stop what listens there, or "
            "choose another with --port (0: any free one)"
        ) from None
    listening.setblocking(False)
    bound = listening.getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return listening, f"http://{shown}:{bound[1]}"


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ServerError(
            f"the embedded replica is for development and tests and listens on loopback addresses only, not on {host}: "
            "use 127.0.0.1"
        )
