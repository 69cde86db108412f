"""Certificates that mainnet gave: believed with its root key at their time, and refused when anything is changed.

The data are recorded by the official agents (`mainnet_certificates/README.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.certificate import Certificate, CertificateVerifier
from canister_factory.ic.errors import (
    CertificateError,
    CertificateScopeError,
    CertificateSignatureError,
    IcError,
    MalformedCertificateError,
    StaleCertificateError,
)
from canister_factory.ic.hash_tree import labels
from canister_factory.ic.network import MAINNET_ROOT_KEY
from canister_factory.ic.public_key import ED25519_DER_PREFIX
from canister_factory.ic.query_signature import SubnetKeys

FOLDER = Path(__file__).parent / "mainnet_certificates"
FLIPS = 24
SECOND = 10**9

ROOT_SUBNET = "tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe"
O3OW2 = "o3ow2-2ipam-6fcjo-3j5vt-fzbge-2g7my-5fz2m-p4o2t-dwlc4-gt2q7-5ae"
QXESV = "qxesv-zoxpm-vc64m-zxguk-5sj74-35vrb-tbgwg-pcird-5gr26-62oxl-cae"
UZR34 = "uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe"
PAE4O = "pae4o-o6dxf-xki7q-ezclx-znyd6-fnk6w-vkv5z-5lfwh-xym2i-otrrw-fqe"
LEDGER = Principal.from_str("ryjl3-tyaaa-aaaaa-aaaba-cai")


@dataclass(frozen=True)
class Recorded:
    """One answer: which subnet signed it, for which canister it was asked (`None`: for the subnet), and when."""

    name: str
    subnet: str
    canister: str | None
    time_ns: int

    @property
    def certificate(self) -> bytes:
        data = (FOLDER / f"{self.name}.bin").read_bytes()
        inner = cbor.loads_map(data).get("certificate")
        return inner if isinstance(inner, bytes) else data

    def verify(
        self, data: bytes | None = None, *, now_ns: int | None = None, root: bytes = MAINNET_ROOT_KEY
    ) -> Certificate:
        now_ns = self.time_ns if now_ns is None else now_ns
        verifier, data = CertificateVerifier(root), self.certificate if data is None else data
        if self.canister is None:
            return verifier.verify(data, now_ns=now_ns, subnet_id=Principal.from_str(self.subnet).bytes)
        return verifier.verify(data, now_ns=now_ns, canister_id=Principal.from_str(self.canister).bytes)


def believed(recorded: Recorded, data: bytes) -> bool:
    """Whether the data pass for what was recorded; which check refuses them is chance."""
    try:
        recorded.verify(data)
    except IcError:
        return False
    return True


BY_ROOT = Recorded("mainnet_system", ROOT_SUBNET, None, 1695844699412007908)
GENUINE = [
    BY_ROOT,
    Recorded("pae4o_legacy", PAE4O, None, 1695843538129082710),  # ranges in one list, as in 2023
    Recorded("with_subnet_key", UZR34, "rdmx6-jaaaa-aaaaa-aaadq-cai", 1702377590371109404),
    Recorded("ivg37_delegated_v2", QXESV, "ivg37-qiaaa-aaaab-aaaga-cai", 1645601880652705378),  # of 2022
    Recorded("ivg37_time", QXESV, "ivg37-qiaaa-aaaab-aaaga-cai", 1763796896688941908),  # ranges in shards, as in 2025
    Recorded("224od_subnet", O3OW2, "224od-giaaa-aaaao-ae5vq-cai", 1765214062097800265),
    Recorded("o3ow2_subnet_key", O3OW2, None, 1763597289536590252),
    Recorded("uzr34_node_keys", UZR34, None, 1763597425871913552),
]
PRUNED = [
    Recorded("ivg37_time_pruned_ranges", QXESV, "ivg37-qiaaa-aaaab-aaaga-cai", 1763796896688941908),
    Recorded("ivg37_delegated_v2_pruned_subnet", QXESV, "ivg37-qiaaa-aaaab-aaaga-cai", 1645601880652705378),
]
each = pytest.mark.parametrize("recorded", GENUINE, ids=lambda recorded: recorded.name)


def test_each_file_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.bin")} == {recorded.name for recorded in [*GENUINE, *PRUNED]}


@each
def test_it_is_believed_with_mainnets_root_key_at_its_time(recorded: Recorded) -> None:
    found = recorded.verify()
    assert (Principal(found.subnet_id), found.time_ns) == (Principal.from_str(recorded.subnet), recorded.time_ns)
    for now_ns in (recorded.time_ns - 300 * SECOND, recorded.time_ns + 300 * SECOND):
        assert recorded.verify(now_ns=now_ns).time_ns == recorded.time_ns


@each
@pytest.mark.parametrize("seconds", [-301, 301, 10**8])
def test_it_is_refused_at_another_time(recorded: Recorded, seconds: int) -> None:
    with pytest.raises(StaleCertificateError):
        recorded.verify(now_ns=recorded.time_ns + seconds * SECOND)


@each
@pytest.mark.parametrize("flip", range(FLIPS))
def test_it_is_refused_with_one_bit_flipped(recorded: Recorded, flip: int) -> None:
    changed = bytearray(recorded.certificate)
    # One in each part of the certificate; which one within it is chance, but always the same.
    chance = int.from_bytes(sha256(f"{recorded.name} {flip}".encode()).digest(), "big")
    start, end = (len(changed) * part // FLIPS for part in (flip, flip + 1))
    changed[start + chance % (end - start)] ^= 1 << (chance >> 64) % 8
    assert not believed(recorded, bytes(changed))


@each
def test_it_is_refused_with_another_root_key(recorded: Recorded) -> None:
    subnets = BY_ROOT.verify()
    other = subnets.value((b"subnet", Principal.from_str(PAE4O).bytes, b"public_key"))
    assert other is not None
    with pytest.raises(CertificateSignatureError):
        recorded.verify(root=other)


@pytest.mark.parametrize("recorded", [each for each in GENUINE if each is not BY_ROOT], ids=lambda each: each.name)
def test_it_is_refused_for_a_canister_of_another_subnet_and_for_another_subnet(recorded: Recorded) -> None:
    verifier = CertificateVerifier(MAINNET_ROOT_KEY)
    for canister in (LEDGER, Principal.management_canister()):
        with pytest.raises(CertificateScopeError, match="canister ranges do not include"):
            verifier.verify(recorded.certificate, now_ns=recorded.time_ns, canister_id=canister.bytes)
    other = Principal.from_str(ROOT_SUBNET)
    with pytest.raises(CertificateScopeError, match="instead of"):
        verifier.verify(recorded.certificate, now_ns=recorded.time_ns, subnet_id=other.bytes)


@pytest.mark.parametrize("recorded", PRUNED, ids=lambda recorded: recorded.name)
def test_a_delegation_without_its_ranges_speaks_for_no_canister(recorded: Recorded) -> None:
    with pytest.raises(CertificateError, match="canister ranges do not include"):
        recorded.verify()


def test_a_certificate_is_no_delegation_of_itself() -> None:
    """It has the key of its subnet in it, so only the rule against nested delegations stands in the way."""
    recorded = next(each for each in GENUINE if each.name == "with_subnet_key")
    fields = cbor.loads_map(recorded.certificate)
    subnet = Principal.from_str(recorded.subnet).bytes
    nested = cbor.dumps({**fields, "delegation": {"subnet_id": subnet, "certificate": recorded.certificate}})
    with pytest.raises(MalformedCertificateError, match="has itself a delegation"):
        recorded.verify(nested)


@pytest.mark.parametrize(
    ("name", "canister"),
    [("224od_subnet", "224od-giaaa-aaaao-ae5vq-cai"), ("with_subnet_key", "rdmx6-jaaaa-aaaaa-aaadq-cai")],
)
def test_node_keys_are_read_from_it(name: str, canister: str) -> None:
    recorded = next(each for each in GENUINE if each.name == name)
    found = recorded.verify()
    canister_id = Principal.from_str(canister).bytes
    keys = SubnetKeys.from_certificate(found, canister_id)
    nodes = set(labels(found.tree, (b"subnet", found.subnet_id, b"node")))
    assert set(keys.node_keys) == nodes
    assert len(nodes) >= 13
    assert all(key.startswith(ED25519_DER_PREFIX) and len(key) == 44 for key in keys.node_keys.values())
    assert keys.covers(canister_id)
    assert not keys.covers(LEDGER.bytes)
