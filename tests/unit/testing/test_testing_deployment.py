"""What a module says of itself, and what is refused before anything is created."""

from __future__ import annotations

import gzip

import pytest
import wasmtime

from canister_factory.ic.agent import Agent
from canister_factory.testing.deployment import DeploymentError, custom_sections, deploy

SERVICE = "service : { get : () -> (nat) query }"
MODULE = bytes(
    wasmtime.wat2wasm(
        f"""(module (memory 1) (@custom "icp:public candid:service" "{SERVICE}")
          (@custom "icp:private secret" "s") (@custom "name of another kind" "x"))"""
    )
)
NOBODY: Agent = None  # type: ignore[assignment]  # what is refused before anything is sent


@pytest.mark.parametrize("module", [MODULE, gzip.compress(MODULE)], ids=["plain", "gzip"])
def test_sections_of_canisters_are_found(module: bytes) -> None:
    assert custom_sections(module) == {"candid:service": SERVICE.encode(), "secret": b"s"}


@pytest.mark.parametrize("junk", [b"", b"\0as", b"#!/bin/sh", b"\x1f\x8bdamaged", MODULE[:20]])
async def test_what_is_no_module_is_refused(junk: bytes) -> None:
    with pytest.raises(DeploymentError, match=r"this is no Wasm module|has no metadata section"):
        await deploy(NOBODY, junk)


async def test_a_module_without_an_interface_is_refused_with_what_to_do() -> None:
    with pytest.raises(DeploymentError, match=r"no metadata section candid:service: give its interface with did="):
        await deploy(NOBODY, bytes(wasmtime.wat2wasm("(module)")))


async def test_arguments_that_the_interface_knows_no_types_for_are_refused() -> None:
    with pytest.raises(DeploymentError, match="2 arguments are given, but the interface doesn't say"):
        await deploy(NOBODY, MODULE, 1, 2)


async def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wasm"):
        await deploy(NOBODY, "nowhere.wasm")
