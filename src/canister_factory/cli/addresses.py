"""Addresses that a server of a command listens at, as people type them.

Owns their meaning. Does not own: the servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from canister_factory.ic.loopback import names_this_computer


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether nobody but this computer reaches it."""
        return names_this_computer(self.host)


class AddressType(click.ParamType[Address]):
    """`PORT`, or `HOST:PORT`; a host of IPv6 in brackets. Without a host it is this computer alone."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address.

        Raises:
            click.BadParameter: the text is no address.
        """
        host, _, port = str(value).strip().rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 65_536):
            self.fail(f"{value!r} is not an address; write it as 9464 or 127.0.0.1:9464", param, ctx)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            self.fail(f"{value!r} is not an address; write one of IPv6 as [::1]:9464", param, ctx)
        return Address(host or "127.0.0.1", int(port))


ADDRESS = AddressType()
