"""A personal canister as the network shows it: real Candid answers, signed and certified by a real subnet key.

Everything above the HTTP boundary is the product's own: agent, typed client, target, verification. What the canister
holds, claims and has certified can be set apart from each other, as a broken or hostile one would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canister_factory.candid.binding import to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.import_models import Beside, CertifiedManifest
from canister_factory.contract.manifest_models import CapsuleManifest, ItemKind, ManifestEntry, ManifestPage
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.manifest import SCHEME, Entry, ItemKey, Kind, certified_data, manifest_hash, totals
from canister_factory.factory.retry import Retry
from canister_factory.factory.target import Target
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.requests import CallRequest, QueryRequest
from support.ic_test_support import CANISTER, ROOT, FakeClock, FakeNetwork

CAPSULE_ID = "capsule-1"
BACKEND = Principal(bytes(7) + b"\x06\x01\x01")

CAPSULE = Entry(ItemKey(Kind.CAPSULE, CAPSULE_ID), b"c" * 32, None, 0, 0, 0)
MEMORY = Entry(ItemKey(Kind.MEMORY, "m1"), b"r" * 32, b"b" * 32, 10, 4, 3)
ELSEWHERE = Entry(ItemKey(Kind.MEMORY, "m2"), b"e" * 32, None, 700, 0, 0)
GALLERY = Entry(ItemKey(Kind.GALLERY, "g1"), b"g" * 32, None, 0, 0, 0)
CONNECTION = Entry(ItemKey(Kind.CONNECTION, "opaque:Jan"), b"j" * 32, None, 0, 0, 0)
GROUP = Entry(ItemKey(Kind.CONNECTION_GROUP, "near"), b"n" * 32, None, 0, 0, 0)
ENTRIES = (CAPSULE, MEMORY, ELSEWHERE, GALLERY, CONNECTION, GROUP)


def by_key(*entries: Entry) -> dict[ItemKey, Entry]:
    return {entry.key: entry for entry in entries}


def manifest_of(*entries: Entry, **claims: Any) -> CapsuleManifest:
    """The manifest that these entries make; `claims` are what it says instead."""
    counted = totals(entries)
    fields: dict[str, Any] = {
        "scheme": SCHEME,
        "capsule_id": CAPSULE_ID,
        "origin": BACKEND,
        "api_version": "1.0.0",
        "revision": 8,
        "taken_at": 1,
        **counted._asdict(),
        "manifest_hash": manifest_hash(entries),
    }
    return CapsuleManifest(**(fields | claims))


class PersonalScript:
    """A subnet with one personal canister. `answers` has a function for each method that it answers, from the decoded
    arguments to a model, a plain value, or a `CapsuleError`; `calls` is what it was asked."""

    def __init__(self, *entries: Entry, **claims: Any) -> None:
        self.clock = FakeClock()
        self.net = FakeNetwork(self.clock, self._answer)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[str, Callable[..., Any]] = {
            "list_import_entries": self._list_import_entries,
            "get_manifest": self._get_manifest,
        }
        self.entries = entries
        self.manifest = manifest_of(*entries, **claims)
        self.imported: CapsuleManifest | None = self.manifest
        self.beside = dict.fromkeys(Beside.model_fields, 0)
        self.certified_data: bytes | None = certified_data(self.manifest.manifest_hash, self.manifest.manifest_hash)
        self.certified_canister = CANISTER
        self.alter_certificate: Callable[[bytes], bytes | None] = lambda certificate: certificate
        self.agent = Agent(Identity.generate(), self.net.network(), transport=self.net.transport())
        self.root_key = ROOT.der

    def target(self, **config: Any) -> Target:
        """The target as a creation has it."""
        settings = FactoryConfig(**config)
        client = PersonalClient(self.agent, CANISTER, repeat=Retry(settings, sleep=self.clock.sleep))
        return Target(client, settings)

    def asked(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of a method, in order."""
        return [arguments for name, arguments in self.calls if name == method]

    # --- The canister ---

    def _answer(self, request: CallRequest | QueryRequest) -> bytes:
        name = request.method_name
        service = PersonalClient.interface().service
        assert service is not None
        function = service.method(name)
        arguments = decode(request.arg, function.args)
        self.calls.append((name, tuple(arguments)))
        answer = self.answers[name](*arguments)
        method = PersonalClient.method(name)
        annotation = method.result_annotation
        if method.refusal is None:
            return encode(function.results, [to_candid(annotation, answer)])
        if isinstance(answer, CapsuleError):
            return encode(function.results, [Case("Err", to_candid(CapsuleError, answer))])
        return encode(function.results, [Case("Ok", to_candid(annotation, answer))])

    def _list_import_entries(self, after: Any, limit: int | None) -> ManifestPage:
        wire = [as_wire(entry) for entry in sorted(self.entries)]
        start = 0
        if after is not None:
            start = 1 + next(i for i, e in enumerate(wire) if (e.kind.value, e.id) == (after["kind"].tag, after["id"]))
        page = wire[start : start + (limit or len(wire))]
        more = start + len(page) < len(wire)
        following = sorted(self.entries)[start + len(page) - 1].key.ref() if more else None
        return ManifestPage(entries=page, next=following, revision=1)

    def _get_manifest(self) -> CertifiedManifest:
        data = {} if self.certified_data is None else {b"certified_data": self.certified_data}
        self.net.state = {b"canister": {self.certified_canister.bytes: data}}
        return CertifiedManifest(
            manifest=self.manifest,
            imported=self.imported,
            beside=Beside(**self.beside),
            certificate=self.alter_certificate(self.net.certificate()),
        )


def as_wire(entry: Entry) -> ManifestEntry:
    """An entry as the contract has it."""
    kind = entry.key.ref().kind
    return ManifestEntry(
        kind=ItemKind(kind), id=entry.key.id, **{k: v for k, v in entry._asdict().items() if k != "key"}
    )
