"""icp-py-core, with its own agent and client, against the embedded replica over HTTP.

What icp-py-core does wrong is no matter of the replica's, and these tests go around it or name it:

- It verifies certificates with a package that no registry has, and by mainnet's root key whatever key it is given. So
  it is told not to (`UNVERIFIED`); what it makes of a certificate is verified here.
- `Management` sends all calls to `aaaaa-aa`, which isn't in the ranges of any subnet (interface specification,
  "Effective canister id"): `Agent.update` takes the id to use, and `Management` only the types of the methods.
- It looks for a rejected query's reason where no replica puts it, so that it finds no signature of one right.
- `icp_core.DelegateIdentity` is None once `icp_core.Identity` was used; `icp_identity` has the class.
- Its asynchronous methods need a package (h2) that it doesn't ask for.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import cbor2
import icp_core as icp
import pytest
from icp_candid.candid import Types
from icp_identity import DelegateIdentity

from canister_factory.candid.principal import Principal
from canister_factory.ic.bls import verify_bls
from canister_factory.ic.identity import Identity
from canister_factory.replica.node.process import ReplicaProcess
from support.wire_canister import ANY_CANISTER, REFUSAL, TRILLION, live, wire_wasm

UNVERIFIED = {"verify_certificate": False}
TEXT = [{"type": Types.Text, "value": "héllo"}]
TEXT_REPLY = [{"type": "text", "value": "héllo"}]


@dataclass
class IcpPyCore:
    """icp-py-core's agent as the controller of a canister that it made."""

    agent: Any
    canister: str

    @property
    def number(self) -> bytes:
        return Principal.from_str(self.canister).bytes

    def manage(self, method: str, **argument: Any) -> Any:
        """The reply to a management call, None for none."""
        return managed(self.agent, self.canister, method, {"canister_id": self.canister, **argument})

    def install(self, mode: str = "install") -> None:
        assert self.manage("install_code", mode={mode: None}, wasm_module=wire_wasm(), arg=b"") is None

    def state(self, *names: bytes) -> list[bytes | None]:
        """What the state tree has of the canister, by these names."""
        paths = [[b"canister", self.number, name] for name in names]
        certificate = self.agent.read_state_raw(self.canister, paths, **UNVERIFIED)
        return [certificate.lookup(path) for path in paths]


def managed(agent: Any, effective_id: str, method: str, argument: dict[str, Any]) -> Any:
    signature = icp.Management(agent).methods[method]
    reply = agent.update(
        "aaaaa-aa",
        method,
        [{"type": signature.argTypes[0], "value": argument}],
        return_type=signature.retTypes or None,
        effective_canister_id=effective_id,
        **UNVERIFIED,
    )
    return reply[0]["value"] if reply else None


def agent_for(replica: ReplicaProcess, identity: Any) -> Any:
    return icp.Agent(identity, icp.Client(replica.url), root_key=replica.root_key, verify_query_signatures=True)


def created(agent: Any) -> IcpPyCore:
    """A new canister with ten trillion cycles, and no code."""
    argument = {"amount": [10 * TRILLION], "settings": []}
    made = managed(agent, ANY_CANISTER, "provisional_create_canister_with_cycles", argument)
    return IcpPyCore(agent, str(made["canister_id"]))


@pytest.fixture(scope="module")
def core(replica: ReplicaProcess) -> IcpPyCore:
    made = created(agent_for(replica, icp.Identity()))
    made.install()
    return made


def test_the_status_has_the_root_key(core: IcpPyCore, replica: ReplicaProcess) -> None:
    status = cbor2.loads(core.agent.client.status())
    assert (status["root_key"], status["replica_health_status"]) == (replica.root_key, "healthy")


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1", "p256"])
def test_updates_of_every_kind_of_identity_are_answered(core: IcpPyCore, replica: ReplicaProcess, kind: str) -> None:
    agent = agent_for(replica, icp.Identity(type=kind))
    assert agent.update(core.canister, "set", TEXT, return_type=Types.Text, **UNVERIFIED) == TEXT_REPLY


def test_the_anonymous_identity_may_ask_and_its_answer_is_signed(core: IcpPyCore, replica: ReplicaProcess) -> None:
    agent = agent_for(replica, icp.Identity(anonymous=True))
    assert agent.query(core.canister, "echo", TEXT, return_type=Types.Text) == TEXT_REPLY


def test_a_canister_is_called_by_the_methods_of_its_interface(core: IcpPyCore) -> None:
    interface = "service : { set : (text) -> (text); echo : (text) -> (text) query; }"
    canister = icp.Canister(core.agent, core.canister, interface)
    assert canister.set("héllo", **UNVERIFIED) == canister.echo("héllo") == TEXT_REPLY


@pytest.mark.parametrize(
    ("method", "code", "error_code", "words"),
    [
        ("refuse", 4, "IC0406", REFUSAL),
        ("trap", 5, "IC0502", "trapped: unreachable"),
        ("no_such_update", 5, "IC0536", "has no update method 'no_such_update'"),  # this one isn't certified
    ],
)
def test_rejects_arrive_with_their_codes(core: IcpPyCore, method: str, code: int, error_code: str, words: str) -> None:
    with pytest.raises(icp.ReplicaReject) as rejected:
        core.agent.update(core.canister, method, **UNVERIFIED)
    assert (rejected.value.reject_code, rejected.value.error_code) == (code, error_code)
    assert words in rejected.value.reject_message


def test_a_rejected_query_arrives_with_its_codes(core: IcpPyCore) -> None:
    with pytest.raises(icp.ReplicaReject) as rejected:
        core.agent.query(core.canister, "refuse_query", verify_query_signatures=False)
    error = rejected.value
    assert (error.reject_code, error.error_code, error.reject_message) == (4, "IC0406", REFUSAL)


def test_what_a_certificate_hashes_to_is_what_the_subnet_signed_for_the_root_key(
    core: IcpPyCore, replica: ReplicaProcess
) -> None:
    """By icp-py-core's own tree hashing and delegation checks, but for the signatures, which it can't check."""
    certificate = core.agent.read_state_raw(core.canister, [[b"time"]], **UNVERIFIED)
    shown = certificate.verify_cert(core.number, backend="return_materials")
    verify_bls(shown["der_public_key"], shown["message"], shown["signature"])
    parent = icp.Certificate(cbor2.loads(certificate.delegation["certificate"]))
    verify_bls(replica.root_key, parent.signed_message(), parent.signature)
    assert Principal.self_authenticating(shown["der_public_key"]).bytes == certificate.delegation["subnet_id"]
    certificate.verify_cert_timestamp(60 * 10**9)


def test_the_state_tree_tells_what_a_canister_is(core: IcpPyCore) -> None:
    controllers, module_hash = core.state(b"controllers", b"module_hash")
    assert cbor2.loads(controllers or b"") == [core.agent.get_principal().bytes]
    assert module_hash == hashlib.sha256(wire_wasm()).digest()


def test_a_canister_is_managed_from_its_creation_to_its_end(replica: ReplicaProcess) -> None:
    canister = created(agent_for(replica, icp.Identity()))
    live(canister)
    assert canister.state(b"controllers") == [None]


def test_only_a_controller_manages_a_canister(core: IcpPyCore, replica: ReplicaProcess) -> None:
    stranger = IcpPyCore(agent_for(replica, icp.Identity()), core.canister)
    with pytest.raises(icp.ReplicaReject) as rejected:
        stranger.manage("stop_canister")
    assert (rejected.value.reject_code, rejected.value.error_code) == (5, "IC0512")
    assert core.manage("canister_status")["status"] == {"running": None}


def delegated(replica: ReplicaProcess, owner: Identity, minutes: int) -> Any:
    """An agent that acts for the owner for so many minutes from now."""
    session = icp.Identity()
    link = owner.sign_delegation(session.der_pubkey, time.time_ns() + minutes * 60 * 10**9)
    chain = {"delegations": [link], "publicKey": owner.der_pubkey}
    return agent_for(replica, DelegateIdentity(session, chain))


def test_a_delegation_acts_for_its_principal(replica: ReplicaProcess) -> None:
    owner = Identity.generate()
    canister = created(delegated(replica, owner, minutes=10))
    assert cbor2.loads(canister.state(b"controllers")[0] or b"") == [owner.sender().bytes]
    canister.install()
    assert canister.agent.query(canister.canister, "echo", TEXT, return_type=Types.Text) == TEXT_REPLY


def test_an_expired_delegation_is_refused(replica: ReplicaProcess) -> None:
    with pytest.raises(icp.TransportError) as refused:
        created(delegated(replica, Identity.generate(), minutes=-10))
    response = refused.value.original_error.response
    assert response.status_code == 400
    assert "expired" in response.text
