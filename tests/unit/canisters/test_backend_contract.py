"""The compiled backend keeps the contract that everyone else is written against."""

from __future__ import annotations

from canister_factory.candid.did import parse_did
from canister_factory.candid.subtyping import explain_mismatch
from support.backend_world import CANISTERS, World, interface


def test_what_was_compiled_is_a_subtype_of_the_contract() -> None:
    contract = interface("backend")
    compiled = parse_did((CANISTERS / "dist" / "backend.compiled.did").read_text())
    assert compiled.service is not None
    assert contract.service is not None
    assert explain_mismatch(compiled.service, contract.service) is None
    assert explain_mismatch(contract.init_args[0], compiled.init_args[0]) is None


def test_the_module_shows_its_contract_to_everyone() -> None:
    world = World()
    module = world.backend_state.module
    assert module is not None
    visibility, content = module.custom_sections["candid:service"]
    assert visibility == "public"
    assert content == (CANISTERS / "backend" / "backend.did").read_bytes()
