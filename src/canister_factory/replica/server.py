"""A running replica: the subnet, its certified view and its rounds behind an HTTP server on the loopback interface.

Owns putting the parts together, the listening socket, headers that browsers need, and an orderly end.
Does not own what requests mean (`http_api`), HTTP's form (`http1`), or the process around it (`cli.replica`).
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.http1 import HttpResponse

__all__ = ["DEFAULT_PORT", "ReplicaServer", "ServerError"]

DEFAULT_PORT: Final = 4944

# What a replica answers to browsers: any page may talk to it; authority comes from signatures, not from origins.
_CORS: Final = b"access-control-allow-origin: *\r\n"
_PREFLIGHT: Final = HttpResponse(
    204,
    "text/plain",
    b"",
    _CORS + b"access-control-allow-methods: GET, HEAD, POST, OPTIONS\r\n"
    b"access-control-allow-headers: accept, authorization, cache-control, content-type, cookie, dnt, if-modified-since, "
    b"keep-alive, range, user-agent, x-requested-with\r\n"
    b"access-control-max-age: 600\r\n",
)


class ServerError(Exception):
    """The replica can't be started; the message says why and what to do."""
