"""The models of the canisters' interfaces by name, and what models of your own are made of.

Owns nothing: `contract` has those of our canisters, `ic` those of the management canister, `candid` the bases and
annotations. A name is imported when it is first used.
"""

# ruff: noqa: I001 - "A as A" tells type checkers that the name is offered; ruff would take each on a line of its own

from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.lazy import lazy_names

if TYPE_CHECKING:
    from canister_factory.candid.binding import (
        Blob as Blob,
        CandidEnum as CandidEnum,
        CandidModel as CandidModel,
        CandidVariant as CandidVariant,
        Float32 as Float32,
        Float64 as Float64,
        Int as Int,
        Int16 as Int16,
        Int32 as Int32,
        Int64 as Int64,
        Int8 as Int8,
        Nat as Nat,
        Nat16 as Nat16,
        Nat32 as Nat32,
        Nat64 as Nat64,
        Nat8 as Nat8,
        PrincipalT as PrincipalT,
        Reserved as Reserved,
        TimeNs as TimeNs,
        Unit as Unit,
    )
    from canister_factory.contract.admin_models import (
        AlertLevel as AlertLevel,
        AuditEntry as AuditEntry,
        AuditPage as AuditPage,
        BackendInit as BackendInit,
        ConsumptionEntry as ConsumptionEntry,
        ConsumptionPage as ConsumptionPage,
        ConsumptionReport as ConsumptionReport,
        ErrorLogEntry as ErrorLogEntry,
        ErrorLogPage as ErrorLogPage,
        ErrorRate as ErrorRate,
        Notification as Notification,
        NotificationKind as NotificationKind,
        NotificationPage as NotificationPage,
        NumberedPageRequest as NumberedPageRequest,
        PriceTable as PriceTable,
        ReserveSettings as ReserveSettings,
        ReserveStatus as ReserveStatus,
    )
    from canister_factory.contract.capsule_models import (
        Capsule as Capsule,
        CapsuleError as CapsuleError,
        CapsuleHeader as CapsuleHeader,
        CapsuleInfo as CapsuleInfo,
        ConflictingChunk as ConflictingChunk,
        ExceededLimit as ExceededLimit,
        ExpiredSession as ExpiredSession,
        Gallery as Gallery,
        GalleryData as GalleryData,
        GalleryEntry as GalleryEntry,
        GalleryMemoryEntry as GalleryMemoryEntry,
        GalleryUpdate as GalleryUpdate,
        MemoryEntry as MemoryEntry,
        MissingMemoryChunks as MissingMemoryChunks,
        NamedThing as NamedThing,
        NewHome as NewHome,
        RegisteredCapsule as RegisteredCapsule,
        StorageStatus as StorageStatus,
        WriteLock as WriteLock,
        WrongArgument as WrongArgument,
        WrongChecksum as WrongChecksum,
    )
    from canister_factory.contract.creation_models import (
        Admission as Admission,
        AdmittedPage as AdmittedPage,
        CanisterSeen as CanisterSeen,
        ClaimRequest as ClaimRequest,
        CreatePersonalCanisterConfig as CreatePersonalCanisterConfig,
        CreationError as CreationError,
        CreationErrorKind as CreationErrorKind,
        CreationLease as CreationLease,
        CreationLimits as CreationLimits,
        CreationPage as CreationPage,
        CreationProgress as CreationProgress,
        CreationStatus as CreationStatus,
        CreationStatusResponse as CreationStatusResponse,
        DetailedCreationStatus as DetailedCreationStatus,
        LeaseRef as LeaseRef,
        NewRelease as NewRelease,
        OpenRequest as OpenRequest,
        OpenRequestPage as OpenRequestPage,
        OwnerPageRequest as OwnerPageRequest,
        PersonalCanisterCreationResponse as PersonalCanisterCreationResponse,
        PersonalCanisterCreationStats as PersonalCanisterCreationStats,
        PersonalCanisterRecord as PersonalCanisterRecord,
        PersonalCanisterSettings as PersonalCanisterSettings,
        ProvisionResult as ProvisionResult,
        RegistryPage as RegistryPage,
        Release as Release,
        VerificationReport as VerificationReport,
    )
    from canister_factory.contract.event_models import (
        EventKind as EventKind,
        EventOpening as EventOpening,
        EventRules as EventRules,
        EventWait as EventWait,
        Executor as Executor,
        RecordedEvent as RecordedEvent,
    )
    from canister_factory.contract.import_models import (
        Beside as Beside,
    )
    from canister_factory.contract.import_models import (
        CertifiedManifest as CertifiedManifest,
        FinalizedImport as FinalizedImport,
        ImportBatch as ImportBatch,
        ImportLimits as ImportLimits,
        ImportOutcome as ImportOutcome,
        ImportSession as ImportSession,
        ImportState as ImportState,
        ImportStatus as ImportStatus,
        MemoryChunk as MemoryChunk,
        PendingChunk as PendingChunk,
        PendingMemory as PendingMemory,
        PersonalInfo as PersonalInfo,
        PersonalInit as PersonalInit,
    )
    from canister_factory.contract.manifest_models import (
        CapsuleManifest as CapsuleManifest,
        CapsuleRecord as CapsuleRecord,
        ExportItem as ExportItem,
        ItemKind as ItemKind,
        ItemRef as ItemRef,
        ManifestEntry as ManifestEntry,
        ManifestPage as ManifestPage,
        MemoryManifest as MemoryManifest,
    )
    from canister_factory.contract.memory_models import (
        AccessEvent as AccessEvent,
        AudioMetadata as AudioMetadata,
        BlobKind as BlobKind,
        BlobRef as BlobRef,
        ContentsAudit as ContentsAudit,
        CustomAccess as CustomAccess,
        DocumentMetadata as DocumentMetadata,
        EventTriggeredAccess as EventTriggeredAccess,
        ImageMetadata as ImageMetadata,
        Memory as Memory,
        MemoryAccess as MemoryAccess,
        MemoryData as MemoryData,
        MemoryInfo as MemoryInfo,
        MemoryInfoUpdate as MemoryInfoUpdate,
        MemoryMetadata as MemoryMetadata,
        MemoryMetadataBase as MemoryMetadataBase,
        MemoryPage as MemoryPage,
        MemoryRecord as MemoryRecord,
        MemorySummary as MemorySummary,
        MemoryType as MemoryType,
        MemoryUpdate as MemoryUpdate,
        NewMemory as NewMemory,
        NoteMetadata as NoteMetadata,
        PageRequest as PageRequest,
        ScheduledAccess as ScheduledAccess,
        UploadRequest as UploadRequest,
        UploadSession as UploadSession,
        VideoMetadata as VideoMetadata,
    )
    from canister_factory.contract.person_models import (
        Connection as Connection,
        ConnectionEntry as ConnectionEntry,
        ConnectionGroup as ConnectionGroup,
        ConnectionGroupEntry as ConnectionGroupEntry,
        ConnectionGroupUpdate as ConnectionGroupUpdate,
        ConnectionStatus as ConnectionStatus,
        ControllerEntry as ControllerEntry,
        ControllerState as ControllerState,
        NewConnectionGroup as NewConnectionGroup,
        OwnerEntry as OwnerEntry,
        OwnerState as OwnerState,
        PersonRef as PersonRef,
        User as User,
    )
    from canister_factory.contract.quota_models import (
        CapsuleSwitches as CapsuleSwitches,
        QuotaReport as QuotaReport,
        Quotas as Quotas,
        QuotaStatus as QuotaStatus,
        Usage as Usage,
    )
    from canister_factory.ic.management_types import (
        Audience as Audience,
        CanisterLogs as CanisterLogs,
        CanisterSettings as CanisterSettings,
        CanisterStatus as CanisterStatus,
        ChunkHash as ChunkHash,
        EffectiveSettings as EffectiveSettings,
        EnvironmentVariable as EnvironmentVariable,
        InstallChunkedCode as InstallChunkedCode,
        InstallCode as InstallCode,
        InstallMode as InstallMode,
        LogRecord as LogRecord,
        MemoryPersistence as MemoryPersistence,
        ProvisionalCreate as ProvisionalCreate,
        ProvisionalTopUp as ProvisionalTopUp,
        QueryStats as QueryStats,
        RunState as RunState,
        Target as Target,
        UpdateSettings as UpdateSettings,
        UpgradeOptions as UpgradeOptions,
        UploadChunk as UploadChunk,
    )

_HOMES = {
    "candid.binding": "Blob CandidEnum CandidModel CandidVariant Float32 Float64 Int Int16 Int32 Int64 Int8 "
    "Nat Nat16 Nat32 Nat64 Nat8 PrincipalT Reserved TimeNs Unit",
    "contract.admin_models": "AlertLevel AuditEntry AuditPage BackendInit ConsumptionEntry ConsumptionPage "
    "ConsumptionReport ErrorLogEntry ErrorLogPage ErrorRate Notification NotificationKind NotificationPage "
    "NumberedPageRequest PriceTable ReserveSettings ReserveStatus",
    "contract.capsule_models": "Capsule CapsuleError CapsuleHeader CapsuleInfo ConflictingChunk ExceededLimit "
    "ExpiredSession Gallery GalleryData GalleryEntry GalleryMemoryEntry GalleryUpdate "
    "MemoryEntry MissingMemoryChunks NamedThing NewHome RegisteredCapsule StorageStatus "
    "WriteLock WrongArgument WrongChecksum",
    "contract.creation_models": "Admission AdmittedPage CanisterSeen ClaimRequest CreatePersonalCanisterConfig "
    "CreationError CreationErrorKind CreationLease CreationLimits CreationPage CreationProgress CreationStatus "
    "CreationStatusResponse DetailedCreationStatus LeaseRef NewRelease OpenRequest "
    "OpenRequestPage OwnerPageRequest PersonalCanisterCreationResponse "
    "PersonalCanisterCreationStats PersonalCanisterRecord PersonalCanisterSettings ProvisionResult RegistryPage "
    "Release VerificationReport",
    "contract.event_models": "EventKind EventOpening EventRules EventWait Executor RecordedEvent",
    "contract.import_models": "Beside CertifiedManifest FinalizedImport ImportBatch ImportLimits ImportOutcome "
    "ImportSession ImportState ImportStatus MemoryChunk PendingChunk PendingMemory PersonalInfo PersonalInit",
    "contract.manifest_models": "CapsuleManifest CapsuleRecord ExportItem ItemKind ItemRef ManifestEntry ManifestPage "
    "MemoryManifest",
    "contract.memory_models": "AccessEvent AudioMetadata BlobKind BlobRef ContentsAudit CustomAccess DocumentMetadata "
    "EventTriggeredAccess ImageMetadata Memory MemoryAccess MemoryData MemoryInfo "
    "MemoryInfoUpdate MemoryMetadata MemoryMetadataBase MemoryPage MemoryRecord "
    "MemorySummary MemoryType MemoryUpdate NewMemory NoteMetadata PageRequest "
    "ScheduledAccess UploadRequest UploadSession VideoMetadata",
    "contract.person_models": "Connection ConnectionEntry ConnectionGroup ConnectionGroupEntry "
    "ConnectionGroupUpdate ConnectionStatus ControllerEntry ControllerState "
    "NewConnectionGroup OwnerEntry OwnerState PersonRef User",
    "contract.quota_models": "CapsuleSwitches QuotaReport Quotas QuotaStatus Usage",
    "ic.management_types": "Audience CanisterLogs CanisterSettings CanisterStatus ChunkHash EffectiveSettings "
    "EnvironmentVariable InstallChunkedCode InstallCode InstallMode LogRecord "
    "MemoryPersistence ProvisionalCreate ProvisionalTopUp QueryStats RunState Target "
    "UpdateSettings UpgradeOptions UploadChunk",
}
__all__: list[str]
if not TYPE_CHECKING:  # which would take any name for one that there is
    __getattr__, __dir__, __all__ = lazy_names(__name__, _HOMES)
