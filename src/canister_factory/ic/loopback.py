"""Which hosts are this computer, whatever a name server says."""

from __future__ import annotations

import ipaddress


def names_this_computer(host: str) -> bool:
    """Whether a host is `localhost`, a name below it, or a loopback address (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
