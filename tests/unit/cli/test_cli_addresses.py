"""Addresses of servers as people type them."""

from __future__ import annotations

import click
import pytest

from canister_factory.cli.addresses import ADDRESS, Address


@pytest.mark.parametrize(
    ("typed", "host", "port", "shown"),
    [
        ("9464", "127.0.0.1", 9464, "127.0.0.1:9464"),
        (":9464", "127.0.0.1", 9464, "127.0.0.1:9464"),
        ("0.0.0.0:80", "0.0.0.0", 80, "0.0.0.0:80"),
        ("[::1]:0", "::1", 0, "[::1]:0"),
        ("metrics.internal:65535", "metrics.internal", 65_535, "metrics.internal:65535"),
    ],
)
def test_an_address_without_a_host_is_of_this_computer_alone(typed: str, host: str, port: int, shown: str) -> None:
    address = ADDRESS.convert(typed, None, None)
    assert (address, str(address)) == (Address(host, port), shown)


@pytest.mark.parametrize("typed", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:9464", "a:b", "1:-2", "1:٣"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an address; write "):
        ADDRESS.convert(typed, None, None)


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_addresses_of_loopback_are_private(host: str, private: bool) -> None:
    assert Address(host, 1).is_private is private
