"""The receipt for what was erased on the backend: verified by what the network certifies, and kept as a file.

Owns the way from a receipt to the backend's certified data (`canisters/backend/backend.did`, `CertifiedReceipt`), and
the file's form. Does not own: certificates (`ic.certificate`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from canister_factory.candid.binding import from_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import backend_interface
from canister_factory.contract.creation_models import CertifiedReceipt, ErasureReceipt
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.new_file import write_new
from canister_factory.owner.errors import ReceiptError

SCHEME = "canister-factory-erasure-1"
FORMAT = "canister-factory-erasure-receipt-1"


def root_of(told: CertifiedReceipt) -> bytes:
    """What the backend's certified data has to be, if it certifies the receipt."""
    node = hashlib.sha256(SCHEME.encode() + told.encoded).digest()
    for step in told.witness:
        pair = step.hash + node if step.left else node + step.hash
        node = hashlib.sha256(b"\xff" + pair).digest()
    return node


def verified(
    told: CertifiedReceipt, backend: Principal, owner: Principal, certificates: CertificateVerifier, now_ns: int
) -> ErasureReceipt:
    """The receipt, as the network certifies it for this backend.

    Raises:
        ReceiptError: it isn't certified, or is somebody else's.
        CertificateError: the certificate can't be trusted.
    """
    if told.certificate is None:
        raise ReceiptError(f"{backend} gave no certificate with the receipt")
    certificate = certificates.verify(told.certificate, now_ns=now_ns, canister_id=backend.bytes)
    certified = certificate.value((b"canister", backend.bytes, b"certified_data"))
    if certified != root_of(told):
        raise ReceiptError(f"the network doesn't certify this receipt for {backend}; nothing was written")
    (value,) = decode(told.encoded, [backend_interface().types["ErasureReceipt"]])
    receipt: ErasureReceipt = from_candid(ErasureReceipt, value)
    if (receipt.owner, receipt.backend) != (owner, backend):
        raise ReceiptError(f"the receipt is for {receipt.owner} of the backend {receipt.backend}; nothing was written")
    return receipt


def keep(told: CertifiedReceipt, receipt: ErasureReceipt, path: Path) -> None:
    """Writes the receipt and what certifies it to a new file.

    Raises:
        ReceiptError: there is a file already, or it can't be written.
    """
    content = {
        "format": FORMAT,
        "receipt": receipt.model_dump(mode="json"),
        "encoded": told.encoded.hex(),
        "witness": [step.model_dump(mode="json") for step in told.witness],
        "certificate": (told.certificate or b"").hex(),
    }
    try:
        write_new(path, f"{json.dumps(content, indent=1)}\n".encode())
    except FileExistsError:
        raise ReceiptError(f"{path} is there already; give another file") from None
    except OSError as error:
        raise ReceiptError(f"{path} can't be written: {error.strerror or error}") from error
