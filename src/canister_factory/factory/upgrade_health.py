"""Whether a canister is sound after an upgrade: a personal canister by its certified root, a backend by what it counts.

Owns these judgements. Does not own: when they are made, and what follows (`upgrading`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Protocol, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import API_VERSION, compatible
from canister_factory.contract.capsule_client import CapsuleClient
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import CreationPage, OwnerPageRequest, RegistryPage
from canister_factory.contract.errors import CapsuleRefused, ContractError
from canister_factory.contract.import_models import PersonalInfo
from canister_factory.contract.pages import Kept, Page, pages
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError, VerifyError
from canister_factory.factory.manifest import Entry, ItemKey, certified_data
from canister_factory.factory.retry import Retry
from canister_factory.factory.target import Target
from canister_factory.factory.verify import check_certificate, check_side
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import OUT_OF_CYCLES, CertificateError, RejectedError

_SAMPLE = 10
"""Memories of which the first bytes are read."""
_INSTRUCTIONS = "IC0522"
"""The implementation's code of a message that would take more instructions than one may."""
_NO_METHOD = "IC0536"
"""The implementation's code of a method that a canister hasn't."""
_NO_UPLOAD = 2**64 - 1
P = TypeVar("P", bound=Page)
_AUDITED, _TOO_LARGE = "audited", "unaudited"


class Health(Protocol):
    """How the canister of an upgrade is judged."""

    canister_id: Principal

    async def before(self) -> str:
        """What the canister says while it runs and before it is stopped: at most 128 bytes, for `check`.

        Raises:
            UpgradeError: it isn't in a state to be upgraded.
            Exception: it doesn't work as it should.
        """

    async def check(self, before: str, certified: bytes | None) -> None:
        """Sees to it that the canister is sound, and has what it had. `certified`: what it certified when stopped.

        Raises:
            VerifyError: it isn't, or hasn't.
            Exception: a call failed.
        """

    async def takes_writes(self) -> bool:
        """Whether the canister takes writes, so that it isn't being upgraded; `False` also where it can't answer.

        Raises:
            Exception: a call failed, but not by the canister's fault.
        """


class PersonalHealth:
    """Of a personal canister, asked as its owner: the root that it certifies is that of before, and its contents
    amount to it.
    """

    def __init__(self, agent: Agent, canister_id: Principal, config: FactoryConfig, retry: Retry) -> None:
        self.canister_id = canister_id
        self._agent = agent
        self._config = config
        self._client = PersonalClient(agent, canister_id, repeat=retry)

    def __repr__(self) -> str:
        return f"PersonalHealth({self.canister_id})"

    async def info(self) -> PersonalInfo:
        """What the canister says of itself."""
        return await self._client.get_personal_info()

    async def before(self) -> str:
        """Refuses a canister that isn't open to the caller, its owner, or that is unsound already."""
        info, caller = await self.info(), Principal(self._agent.identity.sender().bytes)
        if info.owner != caller:
            raise UpgradeError(f"{self.canister_id} belongs to {info.owner}, and you are {caller}")
        if not info.is_open:
            raise UpgradeError(
                f"{self.canister_id} isn't in use yet: its creation isn't complete. It can be upgraded after that"
            )
        audit = await _audit(self._client)
        await self._check(audit, None)
        return f"{audit} {_facts(info)}"

    async def check(self, before: str, certified: bytes | None) -> None:
        """The same questions as before, whose canister it is, and the root."""
        audit, _, facts = before.partition(" ")
        info = await self.info()
        if facts != _facts(info):
            raise VerifyError(f"{self.canister_id} says something else of itself than before: {info}")
        await self._check(audit, certified)

    async def takes_writes(self) -> bool:
        """As the protocol has it."""
        return await _takes_writes(self._client)

    async def _check(self, audit: str, certified: bytes | None) -> None:
        await _check_version(self._client)
        held = await self._client.get_manifest()
        try:
            imported = check_certificate(held, self.canister_id, self._agent.certificates, self._agent.clock())
        except CertificateError as error:
            raise VerifyError(f"the certificate of {self.canister_id} can't be trusted: {error}") from error
        found = certified_data(held.manifest.manifest_hash, imported.manifest_hash)
        if certified is not None and found != certified:
            raise VerifyError(
                f"{self.canister_id} has another root than before: it has {held.manifest.memories:,} memories and "
                f"{held.manifest.content_size:,} bytes, and certifies {found.hex()[:16]}…, not {certified.hex()[:16]}…"
            )
        entries = await Target(self._client, self._config).entries()
        check_side("canister", held.manifest, entries)
        await self._read_some(entries)
        if audit == _AUDITED:
            await _audit(self._client)

    async def _read_some(self, entries: Mapping[ItemKey, Entry]) -> None:
        """The first bytes of some memories: the root covers their checksums, which somebody has to compare."""
        ids = [key.id for key, entry in entries.items() if entry.content_checksum is not None and entry.size][:_SAMPLE]
        if not ids:
            return
        for manifest in await self._client.get_memory_manifests(ids):
            data = await self._client.read_memory_chunk(manifest.memory_id, 0)
            if sha256(data).digest() != manifest.chunk_checksums[0]:
                raise VerifyError(f"the bytes of memory {manifest.memory_id} aren't those that were stored")


class BackendHealth:
    """Of a backend, asked as one of its controllers: nothing that it counts has become less, and its trees are those of
    its capsules' items. What people delete in the moment between counting and stopping looks like a loss: then the
    upgrade is taken back, and another one succeeds.
    """

    def __init__(self, agent: Agent, canister_id: Principal, retry: Retry) -> None:
        self.canister_id = canister_id
        self._client = BackendClient(agent, canister_id, repeat=retry)

    def __repr__(self) -> str:
        return f"BackendHealth({self.canister_id})"

    async def before(self) -> str:
        """The audit, and the counts."""
        audit = await _audit(self._client)
        return " ".join([audit, *map(str, (await self._counts()).values())])

    async def check(self, before: str, certified: bytes | None) -> None:
        """Compares the counts."""
        await _check_version(self._client)
        audit, *had = before.split(" ")
        if not had or not all(count.isdecimal() for count in had):
            raise VerifyError(f"what {self.canister_id} counted before is not on record")
        # One without the creation of canisters counts less.
        for (name, count), least in zip((await self._counts()).items(), map(int, had), strict=False):
            if count < least:
                raise VerifyError(f"{self.canister_id} had {least:,} {name}, and has {count:,}")
        if audit == _AUDITED:
            await _audit(self._client)

    async def takes_writes(self) -> bool:
        """As the protocol has it."""
        return await _takes_writes(self._client)

    async def _counts(self) -> dict[str, int]:
        held = await self._client.get_quotas()
        counts = {
            "people": held.people,
            "capsules": held.used.capsules,
            "memories": held.used.memories,
            "galleries": held.used.galleries,
            "bytes of contents": held.used.content_bytes,
        }
        try:
            stats = await self._client.get_personal_canister_creation_stats()
        except RejectedError as rejection:
            if rejection.error_code != _NO_METHOD:
                raise
            return counts

        async def states(after: Principal | None) -> CreationPage:
            return await self._client.list_all_creation_states(OwnerPageRequest(after=after))

        async def registry(after: Principal | None) -> RegistryPage:
            return await self._client.list_registry(OwnerPageRequest(after=after))

        return counts | {
            "attempts at creations": stats.total_attempts,
            "creations": await _count(states, "creations"),
            "personal canisters": await _count(registry, "personal canisters"),
        }


def _facts(info: PersonalInfo) -> str:
    """What of it no upgrade changes, as a checksum."""
    return sha256(f"{info.owner} {info.backend} {info.name!r} {info.capsule_id}".encode()).hexdigest()


async def _count(fetch: Callable[[Principal | None], Awaitable[P]], what: str) -> int:
    kept: Kept[P] = Kept(f"the list of {what}")
    return sum([len(list(kept.items(page))) async for page in pages(fetch, kept)])


async def _takes_writes(client: CapsuleClient) -> bool:
    """Asked by a write that changes nothing: the end of an upload that there isn't."""
    try:
        await client.abort_memory_upload(_NO_UPLOAD)
    except CapsuleRefused as refusal:
        return refusal.kind != "Locked"
    except RejectedError as rejection:
        if rejection.retry_helps or rejection.error_code == OUT_OF_CYCLES:
            raise
        return False
    except ContractError:
        return False
    return True


async def _check_version(client: CapsuleClient) -> None:
    """Sees to it that the new module speaks the interface of this version.

    Raises:
        VerifyError: it doesn't.
    """
    version = await client.get_api_version()
    if not compatible(version):
        raise VerifyError(f"{client.canister_id} has the API version {version[:40]!r}, not {API_VERSION}")


async def _audit(client: CapsuleClient) -> str:
    """Whether the canister could look at all that it has.

    Raises:
        VerifyError: something isn't where it must be.
    """
    try:
        found = await client.audit_contents()
    except RejectedError as rejection:
        if rejection.error_code != _INSTRUCTIONS:
            raise
        return _TOO_LARGE
    if not (found.consistent and found.manifests_consistent):
        raise VerifyError(f"the contents of {client.canister_id} aren't as its books have them: {found}")
    return _AUDITED
