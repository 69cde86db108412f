"""Principals: the identities of users and canisters.

Owns: the value type and its two forms (bytes, checked text). Does not own: how a principal is derived from a key.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from functools import total_ordering
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic_core import core_schema

from canister_factory.candid.errors import PrincipalError
from canister_factory.candid.hexadecimal import from_hex
from canister_factory.candid.ic_py import IcPyPrincipal
from canister_factory.candid.types import PRINCIPAL

MAX_PRINCIPAL_BYTES = 29
_CHECKSUM_BYTES = 4
# Inside the class `bytes` is a property; this names the builtin there.
_Bytes = bytes
_GROUP = 5


def _to_text(raw: bytes) -> str:
    checked = zlib.crc32(raw).to_bytes(_CHECKSUM_BYTES, "big") + raw
    plain = base64.b32encode(checked).decode("ascii").rstrip("=").lower()
    return "-".join(plain[i : i + _GROUP] for i in range(0, len(plain), _GROUP))


@total_ordering
class Principal(IcPyPrincipal):  # type: ignore[misc]
    """An immutable principal of at most 29 bytes; compares, hashes and orders by its bytes.

    It is ic-py's class, so ic-py's agents take it; and it equals ic-py's own instances with the same bytes.
    Text form: interface specification, "Textual representation of principals".

    Raises:
        PrincipalError: more than 29 bytes.
    """

    __slots__ = ("_raw", "_text")
    _raw: bytes
    _text: str | None

    def __init__(self, bytes: bytes | bytearray | memoryview = b"") -> None:
        raw = bytes if type(bytes) is _Bytes else _Bytes(bytes)
        if len(raw) > MAX_PRINCIPAL_BYTES:
            raise PrincipalError(f"a principal has at most {MAX_PRINCIPAL_BYTES} bytes, got {len(raw)}")
        object.__setattr__(self, "_raw", raw)
        object.__setattr__(self, "_text", None)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Principal is immutable, cannot set {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Principal is immutable, cannot delete {name}")

    @property
    def bytes(self) -> _Bytes:
        """The raw bytes, 0 to 29 of them."""
        return self._raw

    # ic-py reads these names; they were set per instance there.
    @property
    def _bytes(self) -> _Bytes:
        return self._raw

    @property
    def _len(self) -> int:
        return len(self._raw)

    @property
    def len(self) -> int:
        """The number of raw bytes."""
        return len(self._raw)

    @property
    def _isPrincipal(self) -> bool:  # noqa: N802 - ic-py's name
        return True

    @property
    def hex(self) -> str:
        """The raw bytes in upper-case hexadecimal digits."""
        return self._raw.hex().upper()

    def to_str(self) -> str:
        """The checked text form such as `ryjl3-tyaaa-aaaaa-aaaba-cai`; computed once."""
        if self._text is None:
            object.__setattr__(self, "_text", _to_text(self._raw))
        assert self._text is not None
        return self._text

    @staticmethod
    def from_str(s: str) -> Principal:
        """Read the text form: grouping and checksum must be right, upper case is the same as lower case.

        Raises:
            PrincipalError: anything else.
        """
        if not isinstance(s, str):
            raise PrincipalError(f"a principal's text form is a str, got {type(s).__name__}")
        shown = s if len(s) <= 80 else s[:77] + "..."
        plain = s.replace("-", "").upper()
        try:
            checked = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except (binascii.Error, ValueError):
            raise PrincipalError(f"{shown!r} is not a principal: expected groups of base32 characters") from None
        if len(checked) < _CHECKSUM_BYTES:
            raise PrincipalError(f"{shown!r} is not a principal: too short to hold a checksum")
        principal = Principal(checked[_CHECKSUM_BYTES:])
        if zlib.crc32(principal._raw).to_bytes(_CHECKSUM_BYTES, "big") != checked[:_CHECKSUM_BYTES]:
            raise PrincipalError(f"{shown!r} is not a principal: its checksum is wrong, a character was mistyped")
        if principal.to_str() != s.lower():
            raise PrincipalError(f"{shown!r} is not the canonical form of this principal, which is {principal}")
        return principal

    @staticmethod
    def from_hex(s: str) -> Principal:
        """Read hexadecimal digits.

        Raises:
            PrincipalError: not hexadecimal, or more than 29 bytes.
        """
        try:
            return Principal(from_hex(s))
        except ValueError:
            raise PrincipalError(f"{s[:80]!r} is not a string of hexadecimal digits") from None

    @staticmethod
    def management_canister() -> Principal:
        """The management canister, `aaaaa-aa`: no bytes at all."""
        return Principal()

    @staticmethod
    def anonymous() -> Principal:
        """The anonymous caller, `2vxsx-fae`."""
        return Principal(b"\x04")

    @staticmethod
    def self_authenticating(pubkey: str | _Bytes) -> Principal:
        """The principal of a DER-encoded public key (bytes, or hexadecimal digits)."""
        return Principal(IcPyPrincipal.self_authenticating(pubkey).bytes)

    @property
    def is_anonymous(self) -> bool:
        """Whether this is the anonymous caller."""
        return self._raw == b"\x04"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Principal):
            return self._raw == other._raw
        if isinstance(other, IcPyPrincipal):
            return bool(self._raw == other.bytes)
        return NotImplemented

    def __lt__(self, other: object) -> bool:
        if isinstance(other, IcPyPrincipal):
            return bool(self._raw < other.bytes)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._raw)

    def __reduce__(self) -> tuple[type[Principal], tuple[_Bytes]]:
        return Principal, (self._raw,)

    def __copy__(self) -> Principal:
        return self

    def __deepcopy__(self, memo: object) -> Principal:
        return self

    def __repr__(self) -> str:
        return f"Principal({self.to_str()})"

    def __str__(self) -> str:
        return self.to_str()

    @classmethod
    def _validate(cls, value: Any) -> Principal:
        """What pydantic fields of this type accept: a principal (ours or ic-py's) or its text form."""
        try:
            return as_principal(value)
        except PrincipalError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        return {"type": "string", "format": "principal"}


PrincipalLike: TypeAlias = Annotated[Principal | str, PRINCIPAL]
"""A principal or its text form: what is taken wherever an id is wanted. Principals of ic-py are taken too."""


def as_principal(value: PrincipalLike) -> Principal:
    """The principal of an id that was given in any of these forms.

    Raises:
        PrincipalError: text that is no principal, or something else.
    """
    if isinstance(value, Principal):
        return value
    if isinstance(value, str):
        return Principal.from_str(value)
    if isinstance(value, IcPyPrincipal):
        return Principal(value.bytes)
    raise PrincipalError(f"expected a principal or its text form, got {type(value).__name__}")
