"""What a certificate says about a call: the reply, the rejection, that it is under way, or nothing.

Source: interface specification, "Request status". Does not own fetching certificates or waiting for better ones.
"""

from __future__ import annotations

from canister_factory.ic.certificate import Certificate, read_leb128
from canister_factory.ic.errors import CertificateError, MalformedCertificateError, RejectedError

PENDING = ("received", "processing")


def certified_status(certificate: Certificate, request_id: bytes) -> str | None:
    """`received`, `processing`, `replied`, `rejected` or `done`; `None` if the subnet proves that it doesn't know it.

    Raises:
        CertificateError: the certificate doesn't tell; so also for one about another request.
    """
    value = certificate.value((b"request_status", request_id, b"status"))
    if value is None:
        return None
    status = value.decode(errors="replace")
    if status not in (*PENDING, "replied", "rejected", "done"):
        raise MalformedCertificateError(f"the certificate gives the request a status that isn't known: {status[:40]!r}")
    return status


def certified_reply(certificate: Certificate, request_id: bytes) -> bytes:
    """The reply of a request whose status is `replied`.

    Raises:
        CertificateError: it isn't in the certificate.
    """
    reply = certificate.value((b"request_status", request_id, b"reply"))
    if reply is None:
        raise MalformedCertificateError("the certificate says that the request was replied to, but has no reply")
    return reply


def certified_rejection(certificate: Certificate, request_id: bytes) -> RejectedError:
    """The rejection of a request whose status is `rejected`.

    Raises:
        CertificateError: it isn't in the certificate.
    """
    prefix = (b"request_status", request_id)
    code = certificate.value((*prefix, b"reject_code"))
    message = certificate.value((*prefix, b"reject_message"))
    if code is None or message is None:
        raise MalformedCertificateError("the certificate says that the request was rejected, but not why")
    try:
        error_code = certificate.value((*prefix, b"error_code"))
    except CertificateError:  # left out of the certificate: the code is optional detail
        error_code = None
    return RejectedError(
        read_leb128(code),
        message.decode(errors="replace"),
        error_code.decode(errors="replace") if error_code is not None else None,
        certified=True,
    )
