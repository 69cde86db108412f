"""The Candid codec: types, messages with full subtyping, textual values, `.did` files and models bound to types.

Owns nothing itself: the names are those of the modules, imported when they are first used; inside the package import
from the modules. Does not own anything about the network.
"""

# ruff: noqa: I001 - "A as A" tells type checkers that the name is offered; ruff would take each on a line of its own

from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.lazy import lazy_names

if TYPE_CHECKING:
    from canister_factory.candid import errors as errors, types as types
    from canister_factory.candid.binding import (
        candid_type as candid_type,
        from_candid as from_candid,
        to_candid as to_candid,
    )
    from canister_factory.candid.decoding import (
        DecodeLimits as DecodeLimits,
        decode as decode,
        decode_untyped as decode_untyped,
    )
    from canister_factory.candid.did import Interface as Interface, parse_did as parse_did
    from canister_factory.candid.encoding import encode as encode
    from canister_factory.candid.json_form import to_json as to_json
    from canister_factory.candid.principal import Principal as Principal
    from canister_factory.candid.subtyping import (
        explain_mismatch as explain_mismatch,
        is_subtype as is_subtype,
        types_equal as types_equal,
    )
    from canister_factory.candid.text import Args as Args, parse_args as parse_args
    from canister_factory.candid.text_form import format_args as format_args
    from canister_factory.candid.values import Case as Case, FuncRef as FuncRef, Some as Some

_HOMES = {
    "candid.binding": "candid_type from_candid to_candid",
    "candid.decoding": "DecodeLimits decode decode_untyped",
    "candid.did": "Interface parse_did",
    "candid.encoding": "encode",
    "candid.errors": "",
    "candid.json_form": "to_json",
    "candid.principal": "Principal",
    "candid.subtyping": "explain_mismatch is_subtype types_equal",
    "candid.text": "Args parse_args",
    "candid.text_form": "format_args",
    "candid.types": "",
    "candid.values": "Case FuncRef Some",
}
__all__: list[str]
if not TYPE_CHECKING:  # which would take any name for one that there is
    __getattr__, __dir__, __all__ = lazy_names(__name__, _HOMES)
