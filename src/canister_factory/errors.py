"""All errors of this package by name; `CanisterFactoryError` is the base of them.

Owns nothing: each room defines its own. Left out are errors of the command line, which nothing raises but commands.
A name is imported when it is first used.
"""

# ruff: noqa: I001 - "A as A" tells type checkers that the name is offered; ruff would take each on a line of its own
from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.base_error import CanisterFactoryError as CanisterFactoryError
from canister_factory.lazy import lazy_names

if TYPE_CHECKING:
    from canister_factory.candid.errors import (
        CandidError as CandidError,
        DecodeError as DecodeError,
        EncodeError as EncodeError,
        InvalidTypeError as InvalidTypeError,
        LimitExceededError as LimitExceededError,
        MismatchError as MismatchError,
        ParseError as ParseError,
        PathError as PathError,
        PrincipalError as PrincipalError,
    )
    from canister_factory.contract.errors import (
        ArgumentTooLargeError as ArgumentTooLargeError,
        ArtifactError as ArtifactError,
        CapsuleRefused as CapsuleRefused,
        ContractError as ContractError,
        ContractMismatchError as ContractMismatchError,
        CreationRefused as CreationRefused,
        PagingError as PagingError,
    )
    from canister_factory.face.canister import (
        NoInterfaceError as NoInterfaceError,
        UnknownMethodError as UnknownMethodError,
    )
    from canister_factory.factory.errors import (
        AlertStateError as AlertStateError,
        BoundsError as BoundsError,
        CanisterStateError as CanisterStateError,
        CreateError as CreateError,
        CreationFailedError as CreationFailedError,
        ExportError as ExportError,
        FactoryError as FactoryError,
        HandoffError as HandoffError,
        HistoryError as HistoryError,
        InstallError as InstallError,
        LeaseLostError as LeaseLostError,
        PausedError as PausedError,
        PriceTableError as PriceTableError,
        SourceMovedError as SourceMovedError,
        UpgradeError as UpgradeError,
        VerifyError as VerifyError,
        WebhookError as WebhookError,
    )
    from canister_factory.ic.errors import (
        CanisterNotFoundError as CanisterNotFoundError,
        CertificateError as CertificateError,
        CertificateScopeError as CertificateScopeError,
        CertificateSignatureError as CertificateSignatureError,
        DelegationError as DelegationError,
        EnvelopeError as EnvelopeError,
        ExpiryError as ExpiryError,
        HashTreeError as HashTreeError,
        IcError as IcError,
        IdentityError as IdentityError,
        IngressTooLargeError as IngressTooLargeError,
        MalformedCborError as MalformedCborError,
        MalformedCertificateError as MalformedCertificateError,
        MalformedEnvelopeError as MalformedEnvelopeError,
        NetworkConfigError as NetworkConfigError,
        NetworkUnreachableError as NetworkUnreachableError,
        NotOfferedError as NotOfferedError,
        OutcomeUnknownError as OutcomeUnknownError,
        PaymentRefusedError as PaymentRefusedError,
        ProtocolError as ProtocolError,
        QuerySignatureError as QuerySignatureError,
        RejectedError as RejectedError,
        RequestExpiryError as RequestExpiryError,
        SenderError as SenderError,
        SignatureError as SignatureError,
        StaleAnswerError as StaleAnswerError,
        StaleCertificateError as StaleCertificateError,
        TransportError as TransportError,
    )
    from canister_factory.owner.errors import (
        AddError as AddError,
        BackupError as BackupError,
        ControlError as ControlError,
        ForgedBackupError as ForgedBackupError,
        MemoryNotFoundError as MemoryNotFoundError,
        MoveBackError as MoveBackError,
        PaymentError as PaymentError,
        ReceiptError as ReceiptError,
        RestoreError as RestoreError,
    )
    from canister_factory.ic.query_signature import UnverifiedAnswerError as UnverifiedAnswerError
    from canister_factory.replica.node.keys import KeyFileError as KeyFileError
    from canister_factory.replica.node.launch import ReplicaProcessError as ReplicaProcessError
    from canister_factory.replica.node.listening import ServerError as ServerError
    from canister_factory.replica.node.maintenance import MaintenanceError as MaintenanceError
    from canister_factory.replica.node.state_lock import StateDirectoryError as StateDirectoryError
    from canister_factory.replica.runtime.instrument import MalformedModuleError as MalformedModuleError
    from canister_factory.replica.runtime.visible_globals import UnkeptGlobalError as UnkeptGlobalError
    from canister_factory.replica.store.archive import ArchiveError as ArchiveError
    from canister_factory.replica.store.files import DamagedError as DamagedError
    from canister_factory.replica.store.manifest import OtherFormatError as OtherFormatError
    from canister_factory.replica.store.state_codec import StateFormatError as StateFormatError
    from canister_factory.replica.subnet.anchor import AnchorError as AnchorError
    from canister_factory.replica.subnet.cycles import PricesError as PricesError
    from canister_factory.replica.subnet.durability import CheckpointError as CheckpointError
    from canister_factory.replica.subnet.broken import SubnetBrokenError as SubnetBrokenError
    from canister_factory.testing.deployment import DeploymentError as DeploymentError

_HOMES = {
    "base_error": "CanisterFactoryError",
    "candid.errors": "CandidError DecodeError EncodeError InvalidTypeError LimitExceededError MismatchError ParseError "
    "PathError PrincipalError",
    "contract.errors": "ArgumentTooLargeError ArtifactError CapsuleRefused ContractError ContractMismatchError "
    "CreationRefused PagingError",
    "face.canister": "NoInterfaceError UnknownMethodError",
    "factory.errors": "AlertStateError BoundsError CanisterStateError CreateError CreationFailedError ExportError "
    "FactoryError HandoffError HistoryError InstallError LeaseLostError PausedError PriceTableError SourceMovedError "
    "UpgradeError VerifyError WebhookError",
    "ic.errors": "CanisterNotFoundError CertificateError CertificateScopeError CertificateSignatureError "
    "DelegationError EnvelopeError ExpiryError HashTreeError IcError IdentityError IngressTooLargeError "
    "MalformedCborError MalformedCertificateError MalformedEnvelopeError NetworkConfigError NetworkUnreachableError "
    "NotOfferedError OutcomeUnknownError PaymentRefusedError ProtocolError QuerySignatureError RejectedError "
    "RequestExpiryError SenderError SignatureError StaleAnswerError StaleCertificateError TransportError",
    "ic.query_signature": "UnverifiedAnswerError",
    "owner.errors": "AddError BackupError ControlError ForgedBackupError MemoryNotFoundError MoveBackError "
    "PaymentError ReceiptError RestoreError",
    "replica.node.keys": "KeyFileError",
    "replica.node.launch": "ReplicaProcessError",
    "replica.node.listening": "ServerError",
    "replica.node.maintenance": "MaintenanceError",
    "replica.node.state_lock": "StateDirectoryError",
    "replica.runtime.instrument": "MalformedModuleError",
    "replica.runtime.visible_globals": "UnkeptGlobalError",
    "replica.store.archive": "ArchiveError",
    "replica.store.files": "DamagedError",
    "replica.store.manifest": "OtherFormatError",
    "replica.store.state_codec": "StateFormatError",
    "replica.subnet.anchor": "AnchorError",
    "replica.subnet.cycles": "PricesError",
    "replica.subnet.durability": "CheckpointError",
    "replica.subnet.broken": "SubnetBrokenError",
    "testing.deployment": "DeploymentError",
}
__all__: list[str]
if not TYPE_CHECKING:  # which would take any name for one that there is
    __getattr__, __dir__, __all__ = lazy_names(__name__, _HOMES)
