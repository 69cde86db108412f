"""The IC's own JavaScript agents against the embedded replica: what they accept, and what they must refuse.

The agents verify certificates and query signatures by themselves. `clients/agent.mjs` only tells what happened.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract import artifacts
from canister_factory.factory.deployment import deploy_backend
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.process import ReplicaProcess
from support.conformance_proxy import proxy_for
from support.wire_canister import wire_wasm

ARGUMENT = b"genuine!"
NOBODY = Principal(bytes.fromhex("fffffffffffffff00101"))  # no canister, though the subnet could give this id
VERSIONS = {"@icp-sdk/core": ("v4", "v3"), "@dfinity/agent": ("v3", "v2")}  # of the endpoints: for calls, others


@dataclass
class JsAgent:
    """Scenarios of `agent.mjs` on canisters that are there for them."""

    library: str
    folder: Path
    replica: ReplicaProcess
    owner: Principal
    backend: Principal
    wire: Principal

    def run(self, scenario: str, **config: Any) -> Any:
        """What the scenario printed; `config` goes to it, besides host, root key and canisters."""
        given = {
            "library": self.library,
            "host": self.replica.url,
            "rootKey": self.replica.root_key.hex(),
            "canister": str(self.backend),
            "wire": str(self.wire),
            "nobody": str(NOBODY),
            "arg": ARGUMENT.hex(),
            **config,
        }
        command = ["node", str(self.folder / "agent.mjs"), scenario, json.dumps(given)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def canisters(clients: Path, replica: ReplicaProcess) -> JsAgent:
    import asyncio

    async def deployed() -> JsAgent:
        identity = Identity.generate()
        async with Agent(identity, Network.resolve(replica.url, root_key=replica.root_key)) as agent:
            backend = await deploy_backend(agent, [])
            management = ManagementCanister(agent)
            wire = await management.provisional_create_canister_with_cycles(10**13)
            await management.install(wire, wire_wasm(), b"")
            return JsAgent("", clients, replica, Principal(identity.sender().bytes), backend.canister_id, wire)

    return asyncio.run(deployed())


@pytest.fixture(scope="module", params=["@icp-sdk/core", "@dfinity/agent"])
def js(canisters: JsAgent, request: pytest.FixtureRequest) -> JsAgent:
    """Each of the agents. `@dfinity/agent` is the one before `@icp-sdk/core`, and in many frontends still."""
    return replace(canisters, library=request.param)


@pytest.fixture(scope="module")
def newest(canisters: JsAgent) -> JsAgent:
    """For what `@dfinity/agent` doesn't offer, or does by the same code."""
    return replace(canisters, library="@icp-sdk/core")


def replied(outcome: dict[str, Any]) -> Any:
    """The value of a call that succeeded."""
    assert "error" not in outcome, outcome["message"]
    return outcome["value"]


def failed(outcome: dict[str, Any]) -> tuple[Any, ...]:
    """Kind and code of the agent's error, and the reject code and error code in it."""
    assert "error" in outcome, f"it succeeded with {outcome.get('value')}"
    error = outcome["error"]
    return tuple(error.get(name) for name in ("kind", "code", "rejectCode", "rejectErrorCode"))


# --- calls and queries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", ["ed25519", "secp256k1", "p256"])
def test_updates_and_queries_of_every_kind_of_identity_are_verified_and_answered(js: JsAgent, identity: str) -> None:
    seen = js.run("calls", identity=identity)
    registered = replied(seen["registered"])["Ok"]
    assert registered["principal_id"] == replied(seen["whoami"]) == seen["principal"]
    assert replied(seen["user"]) == [registered]


def test_the_anonymous_identity_may_ask_the_backend_but_change_nothing(newest: JsAgent) -> None:
    seen = newest.run("calls", identity="anonymous")
    assert replied(seen["whoami"]) == seen["principal"] == "2vxsx-fae"
    assert failed(seen["registered"]) == ("Reject", "UncertifiedRejectUpdateErrorCode", 5, "IC0503")


def test_a_call_is_one_request_whose_answer_has_the_certificate(js: JsAgent) -> None:
    with proxy_for(js.replica.url) as proxy:
        seen = js.run("messages", host=proxy.url)
    assert (replied(seen["update"]), replied(seen["query"])) == (ARGUMENT.hex(), ARGUMENT.hex())
    asked = proxy.operations()
    for_calls, for_others = VERSIONS[js.library]
    assert asked[0] == (for_calls, "call", 200)
    # Query signatures are checked with the nodes' keys, which the agent reads once.
    assert sorted(asked[1:]) == [(for_others, "query", 200), (for_others, "read_state", 200)]


def test_a_call_without_waiting_is_polled(newest: JsAgent) -> None:
    with proxy_for(newest.replica.url) as proxy:
        seen = newest.run("polling", host=proxy.url)
    assert seen == {"reply": ARGUMENT.hex(), "verified": True}
    asked = proxy.operations()
    assert asked[0] == ("v2", "call", 202)
    assert set(asked[1:]) == {("v3", "read_state", 200)}


def test_rejects_arrive_with_their_codes(js: JsAgent) -> None:
    seen = js.run("rejects")
    assert failed(seen["trap"]) == ("Reject", "CertifiedRejectErrorCode", 5, "IC0502")
    assert failed(seen["refuse"]) == ("Reject", "CertifiedRejectErrorCode", 4, "IC0406")
    assert failed(seen["refusedQuery"]) == ("Reject", "UncertifiedRejectErrorCode", 4, "IC0406")
    assert failed(seen["update"]) == ("Reject", "UncertifiedRejectUpdateErrorCode", 5, "IC0536")
    assert failed(seen["query"]) == ("Reject", "UncertifiedRejectErrorCode", 5, "IC0536")
    assert failed(seen["nobody"]) == ("Reject", "UncertifiedRejectErrorCode", 3, "IC0301")
    assert seen["refuse"]["error"]["rejectMessage"] == "not today"


@pytest.mark.parametrize("minutes", [20, -20])
def test_an_agent_whose_clock_is_wrong_finds_the_replicas_time(newest: JsAgent, minutes: int) -> None:
    seen = newest.run("clockAhead", minutes=minutes)
    assert "Ok" in replied(seen["update"])
    assert seen["synced"]


# --- what must not be believed ------------------------------------------------------------------------------------


def test_with_another_root_key_nothing_is_believed(js: JsAgent) -> None:
    seen = js.run("messages", rootKey=ReplicaKeys.generate().root.public_key.hex())
    assert failed(seen["update"])[:2] == ("Trust", "CertificateVerificationErrorCode")
    assert failed(seen["query"])[:2] == ("Trust", "CertificateVerificationErrorCode")


def reply_changed(body: bytes) -> bytes:
    return body.replace(ARGUMENT, b"tampered")


def signature_changed(body: bytes) -> bytes:
    """One bit of a query's signature, or of the certificate's in the answer of a call."""
    head = b"\x69signature\x58\x40" if b"signatures" in body else b"\x69signature\x58\x30"
    at = body.find(head) + len(head) + 20
    return body if b"request_status" not in body and b"signatures" not in body else flipped(body, at)


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize("tamper", [reply_changed, signature_changed])
def test_answers_that_were_changed_on_the_way_are_refused(js: JsAgent, tamper: Callable[[bytes], bytes]) -> None:
    with proxy_for(js.replica.url, tamper) as proxy:
        seen = js.run("messages", host=proxy.url)
    assert failed(seen["update"])[:2] == ("Trust", "CertificateVerificationErrorCode")
    assert failed(seen["query"])[:2] == ("Trust", "QuerySignatureVerificationFailedErrorCode")


# --- the state tree -----------------------------------------------------------------------------------------------


def test_a_canisters_controllers_and_module_hash_are_read(js: JsAgent) -> None:
    hash_ = artifacts.backend_wasm().module_hash.hex()
    assert js.run("canister") == {"controllers": [str(js.owner)], "module_hash": hash_}


def test_the_state_tree_tells_what_a_canister_and_its_subnet_are(newest: JsAgent) -> None:
    seen = newest.run("status")
    assert seen["controllers"] == [str(newest.owner)]
    assert seen["moduleHash"] == artifacts.backend_wasm().module_hash.hex()
    assert seen["candid"] == (artifacts.directory() / "backend.did").read_text("utf-8")
    assert seen["subnetId"] == seen["subnet"]["id"]
    assert seen["nodes"] == seen["subnet"]["nodes"]
    assert len(seen["nodes"]) == 1
    assert Principal.from_str(seen["subnetId"]).bytes == self_authenticating(bytes.fromhex(seen["subnet"]["publicKey"]))
    assert seen["subnet"]["ranges"] == "Found"
    times = [datetime.fromisoformat(time) for time in (seen["time"], seen["subnet"]["time"])]
    assert max(times) - min(times) < timedelta(minutes=1)


def self_authenticating(public_key: bytes) -> bytes:
    """The principal that belongs to a key."""
    from hashlib import sha224

    return sha224(public_key).digest() + b"\x02"


def test_what_is_not_there_is_proven_absent(newest: JsAgent) -> None:
    assert newest.run("absent") == {"module_hash": None, "candid": None, "controllers": None}


def test_certified_data_is_verified_from_a_querys_certificate(newest: JsAgent) -> None:
    assert newest.run("certifiedData", arg=b"a root".hex()) == {"data": b"a root".hex()}


def test_the_root_key_may_be_fetched(newest: JsAgent) -> None:
    seen = newest.run("fetchedRootKey")
    assert seen["rootKey"] == newest.replica.root_key.hex()
    assert {"ic_api_version", "replica_health_status", "root_key"} <= set(seen["status"])


# --- delegations --------------------------------------------------------------------------------------------------


def test_a_delegation_acts_for_its_principal_at_its_targets_and_until_it_expires(js: JsAgent) -> None:
    seen = js.run("delegation")
    assert replied(seen["update"])["Ok"]["principal_id"] == replied(seen["query"]) == seen["principal"]
    for case, words in (("elsewhere", "targets"), ("updateElsewhere", "targets"), ("expired", "expired")):
        assert failed(seen[case])[:2] == ("Protocol", "HttpErrorCode")
        assert "400" in seen[case]["message"]
        assert words in seen[case]["message"]
