"""ic-py, with its own agent, client and management canister, against the embedded replica over HTTP.

What ic-py does wrong is no matter of the replica's, and these tests go around it or name it:

- It verifies no certificate and no query signature, ignores root keys, and knows the endpoints of version 2 only.
- It drops the answer to a call: what is refused there and then, uncertified, it polls for.
- The text of a rejected query is the query's value.
- `Management` creates canisters at `aaaaa-aa`, which isn't in the ranges of any subnet (interface specification,
  "Effective canister id"): `update_raw` takes the id to use. It drops `targets` of delegations.
- It rounds expiry to seconds and sends no nonce: two equal calls of one second are one request, with one answer.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import cbor2
import ic
import pytest
from ic import system_state
from ic.candid import Types
from ic.certificate import lookup
from ic.common.management import Management
from ic.identity import DelegateIdentity

from canister_factory.candid.principal import Principal
from canister_factory.ic.identity import Identity
from canister_factory.replica.node.process import ReplicaProcess
from support.wire_canister import ANY_CANISTER, REFUSAL, TRILLION, live, wire_wasm

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # as ic-py calls httpx

POLL = {"delay": 0.02}  # seconds, and not ic-py's second
TEXT = [{"type": Types.Text, "value": "héllo"}]
TEXT_REPLY = [{"type": "text", "value": "héllo"}]


@dataclass
class IcPy:
    """ic-py's agent as the controller of a canister that it made."""

    agent: Any
    management: Any
    canister: str

    def manage(self, method: str, **argument: Any) -> Any:
        """The reply to a management call, None for none."""
        self.agent.ingress_expiry -= 1  # seconds: another request than an equal one before
        reply = getattr(self.management, method)({"canister_id": self.canister, **argument})
        return reply[0] if reply else None

    def install(self, mode: str = "install") -> None:
        assert self.manage("install_code", mode={mode: None}, wasm_module=wire_wasm(), arg=b"") is None


def agent_for(replica: ReplicaProcess, identity: Any) -> Any:
    return ic.Agent(identity, ic.Client(replica.url), root_key=replica.root_key)


def created(agent: Any) -> IcPy:
    """A new canister with ten trillion cycles, and no code."""
    management = Management(agent)
    name = "provisional_create_canister_with_cycles"
    method = management.actor["methods"][name]
    argument = ic.encode([{"type": method.argTypes[0], "value": {"amount": [10 * TRILLION], "settings": []}}])
    reply = agent.update_raw("aaaaa-aa", name, argument, method.retTypes, ANY_CANISTER, **POLL)
    return IcPy(agent, management, str(reply[0]["value"]["canister_id"]))


@pytest.fixture(scope="module")
def ic_py(replica: ReplicaProcess) -> IcPy:
    made = created(agent_for(replica, ic.Identity()))
    made.install()
    return made


def test_the_status_has_the_root_key(ic_py: IcPy, replica: ReplicaProcess) -> None:
    status = cbor2.loads(ic_py.agent.client.status())
    assert (status["root_key"], status["replica_health_status"]) == (replica.root_key, "healthy")


@pytest.mark.parametrize("identity", ["ed25519", "secp256k1"])
def test_updates_and_queries_of_every_kind_of_identity_are_answered(
    ic_py: IcPy, replica: ReplicaProcess, identity: str
) -> None:
    agent = agent_for(replica, ic.Identity(type=identity))
    argument = ic.encode(TEXT)
    assert agent.update_raw(ic_py.canister, "set", argument, Types.Text, **POLL)[0]["value"] == "héllo"
    assert agent.query_raw(ic_py.canister, "echo", argument, Types.Text)[0]["value"] == "héllo"


async def test_the_asynchronous_methods_are_answered_as_well(ic_py: IcPy) -> None:
    argument = ic.encode(TEXT)
    assert (await ic_py.agent.update_raw_async(ic_py.canister, "set", argument, Types.Text, **POLL)) == TEXT_REPLY
    assert (await ic_py.agent.query_raw_async(ic_py.canister, "echo", argument, Types.Text)) == TEXT_REPLY


def test_a_canister_is_called_by_the_methods_of_its_interface(ic_py: IcPy) -> None:
    interface = "service : { set : (text) -> (text); echo : (text) -> (text) query; }"
    canister = ic.Canister(ic_py.agent, ic_py.canister, interface)
    assert (canister.set("one"), canister.echo("two")) == (["one"], ["two"])


def test_certified_rejects_arrive_with_their_text(ic_py: IcPy) -> None:
    for method, words in (("refuse", REFUSAL), ("trap", f"Canister {ic_py.canister} trapped: unreachable")):
        with pytest.raises(Exception, match=r"^Rejected: ") as rejected:
            ic_py.agent.update_raw(ic_py.canister, method, b"", **POLL)
        assert str(rejected.value) == f"Rejected: {words}"


def test_the_text_of_a_rejected_query_is_what_ic_py_takes_for_its_value(ic_py: IcPy) -> None:
    assert ic_py.agent.query_raw(ic_py.canister, "refuse_query", b"") == REFUSAL


def test_a_call_that_was_not_taken_has_no_status_though_ic_py_asks_for_one(ic_py: IcPy) -> None:
    """The replica's answer says why; ic-py drops it."""
    with pytest.raises(Exception, match="Timeout to poll result, current status: None"):
        ic_py.agent.update_raw(ic_py.canister, "no_such_update", b"", timeout=0, **POLL)


def test_the_state_tree_tells_what_a_canister_and_its_subnet_are(ic_py: IcPy) -> None:
    agent, canister = ic_py.agent, ic_py.canister
    assert [str(one) for one in system_state.canister_controllers(agent, canister)] == [str(agent.get_principal())]
    assert system_state.canister_module_hash(agent, canister) == hashlib.sha256(wire_wasm()).hexdigest()
    assert abs(system_state.time(agent, canister) - time.time_ns()) < 60 * 10**9
    subnet = Principal(agent.read_state_raw(canister, [[b"time"]])["delegation"]["subnet_id"])
    key = bytes.fromhex(system_state.subnet_public_key(agent, canister, str(subnet)))
    assert Principal.self_authenticating(key) == subnet
    ranges = system_state.subnet_canister_ranges(agent, canister, str(subnet))
    number = Principal.from_str(canister).bytes
    assert any(low.bytes <= number <= high.bytes for low, high in ranges)


def test_a_canister_is_managed_from_its_creation_to_its_end(replica: ReplicaProcess) -> None:
    canister = created(agent_for(replica, ic.Identity()))
    live(canister)
    path = [b"canister", Principal.from_str(canister.canister).bytes, b"controllers"]
    assert lookup(path, canister.agent.read_state_raw(canister.canister, [path])) is None


def test_only_a_controller_manages_a_canister(ic_py: IcPy, replica: ReplicaProcess) -> None:
    """The refusal isn't certified, so that ic-py polls for it: its own answer to `stop_canister` would never come."""
    stranger = agent_for(replica, ic.Identity())
    method = ic_py.management.actor["methods"]["stop_canister"]
    argument = ic.encode([{"type": method.argTypes[0], "value": {"canister_id": ic_py.canister}}])
    with pytest.raises(Exception, match="Timeout to poll result, current status: None"):
        stranger.update_raw("aaaaa-aa", "stop_canister", argument, [], ic_py.canister, timeout=0, **POLL)
    assert ic_py.manage("canister_status")["status"] == {"running": None}


def test_a_delegation_acts_for_its_principal(ic_py: IcPy, replica: ReplicaProcess) -> None:
    owner, session = Identity.generate(), ic.Identity()
    link = owner.sign_delegation(session.der_pubkey, time.time_ns() + 600 * 10**9)
    delegation = {key: value.hex() for key, value in link["delegation"].items() if key == "pubkey"}
    delegation["expiration"] = f"{link['delegation']['expiration']:x}"
    chain = {"delegations": [{"delegation": delegation, "signature": link["signature"].hex()}]}
    assert owner.der_pubkey is not None
    chain_text = json.dumps({**chain, "publicKey": owner.der_pubkey.hex()})
    agent = agent_for(replica, DelegateIdentity.from_json(json.dumps(["", session.privkey]), chain_text))
    assert agent.query_raw(ic_py.canister, "echo", ic.encode(TEXT), Types.Text) == TEXT_REPLY
    canister = created(agent)
    controllers = system_state.canister_controllers(agent, canister.canister)
    assert [str(one) for one in controllers] == [str(owner.sender())]
    assert canister.manage("canister_status")["status"] == {"running": None}
