"""Identities that icp-cli and dfx keep, found by their names: the layout of both tools' directories.

Owns where they are, and what to do about those that no file holds. Does not own: reading keys (`key_file`), their forms
(`private_key`), and decrypting them (`encrypted_key`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canister_factory.ic.encrypted_key import AskPassword, DfxEncryption
from canister_factory.ic.errors import IdentityError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.key_file import read_key_file, shown_name
from canister_factory.ic.private_key import PrivateKey, load_pem

ANONYMOUS = "anonymous"
_LARGEST_LIST = 4 << 20
_NAMES_SHOWN = 10
_HSM = (
    "is in a hardware module (HSM), from which no key can be read: canister-factory can't sign with it. Call with "
    "{tool}, or make a key by 'canister-factory identity new' and give it the role that this one has"
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key in a file of another tool. Without `file` it is somewhere else, as `elsewhere` says."""

    file: Path | None
    encryption: DfxEncryption | None = None
    elsewhere: str = ""


def read_kept_key(name: str, ask_password: AskPassword | None, warn: Callable[[str], object]) -> PrivateKey | None:
    """The key of an identity of icp-cli or dfx; `None` for the anonymous one.

    Args:
        name: as the tools have it, or with `icp:` or `dfx:` before it where both have it.
        ask_password: called once, if the key is encrypted.
        warn: told in one line when other users can read the key's file.

    Raises:
        IdentityError: there is no such identity, it is in both tools, no file holds it, or it can't be used.
    """
    if name == ANONYMOUS:
        return None
    tool, _, rest = name.partition(":")
    finders = {tool: _FINDERS[tool]} if rest and tool in _FINDERS else _FINDERS
    wanted = rest if len(finders) == 1 else name
    found = {tool: kept for tool, find in finders.items() if (kept := find(wanted)) is not None}
    shown = shown_name(wanted)
    if not found:
        raise IdentityError(f"there is no identity named {shown}: {'; '.join(_known(tool) for tool in finders)}")
    if len(found) > 1:
        raise IdentityError(f"both icp-cli and dfx have an identity named {shown}: write icp:{shown} or dfx:{shown}")
    ((tool, kept),) = found.items()
    source = f"the identity {shown} of {_TOOLS[tool]}"
    if kept.file is None:
        raise IdentityError(f"{source} {kept.elsewhere}")
    content = read_key_file(kept.file, warn)
    if kept.encryption is not None:
        content = _opened(kept.encryption, content, source, ask_password)
    return load_pem(content, source, ask_password)


def _opened(encryption: DfxEncryption, content: bytes, source: str, ask_password: AskPassword | None) -> bytes:
    if ask_password is None:
        raise IdentityError(f"{source} is encrypted, and no password was given")
    opened = encryption.decrypted(content, ask_password(source))
    if opened is None:
        raise IdentityError(f"{source} can't be decrypted: the password is wrong, or its file is damaged")
    return opened


# ---- icp-cli ----


def _icp_directory() -> Path:
    home = os.environ.get("ICP_HOME")
    if home:
        return Path(home) / "identity"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "org.dfinity.icp-cli" / "identity"
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else _home() / ".local" / "share") / "icp-cli" / "identity"


def _icp_identities() -> dict[str, Any]:
    file = _icp_directory() / "identity_list.json"
    content = _json(file)
    if content is None:
        return {}
    identities = content.get("identities")
    if content.get("v") != 1 or not isinstance(identities, dict):
        raise IdentityError(f"{file} isn't a list of identities as icp-cli 1 writes it")
    return identities


def _find_icp(name: str) -> _Kept | None:
    entry = _icp_identities().get(name)
    if not isinstance(entry, dict):
        return None
    shown = shown_name(name)
    match entry.get("kind"):
        case "pem":
            return _Kept(_icp_directory() / "keys" / f"{_as_file(name)}.pem")
        case "keyring":
            how = f"'icp identity export {shown} --encrypt > {shown}.pem' writes it to a file for --identity"
            return _Kept(None, elsewhere=f"is in this computer's keyring, which canister-factory doesn't open: {how}")
        case "hsm":
            return _Kept(None, elsewhere=_HSM.format(tool="icp"))
    return _Kept(None, elsewhere="signs by a session of another key, which ends: use an identity with a key of its own")


# ---- dfx ----


def _dfx_directory() -> Path:
    root = os.environ.get("DFX_CONFIG_ROOT")
    return (Path(root) if root else _home()) / ".config" / "dfx" / "identity"


def _find_dfx(name: str) -> _Kept | None:
    directory = _dfx_directory() / _as_file(name)
    if not directory.is_dir():
        return None
    shown, content = shown_name(name), _json(directory / "identity.json") or {}
    if content.get("hsm"):
        return _Kept(None, elsewhere=_HSM.format(tool="dfx"))
    if content.get("keyring_identity_suffix"):
        how = f"'dfx identity export {shown} > {shown}.pem' writes it to a file for --identity"
        return _Kept(None, elsewhere=f"is in this computer's keyring, which canister-factory doesn't open: {how}")
    encryption = content.get("encryption")
    if not encryption:
        return _Kept(directory / "identity.pem")
    try:
        known = DfxEncryption(str(encryption["pw_salt"]), bytes(encryption["file_nonce"]))
    except (TypeError, KeyError, ValueError):
        raise IdentityError(f"{directory / 'identity.json'} doesn't say how the key is encrypted") from None
    return _Kept(directory / "identity.pem.encrypted", known)


# ---- Both ----

_TOOLS = {"icp": "icp-cli", "dfx": "dfx"}
_FINDERS: dict[str, Callable[[str], _Kept | None]] = {"icp": _find_icp, "dfx": _find_dfx}


def _as_file(name: str) -> str:
    """A name that leads nowhere but into the directory.

    Raises:
        IdentityError: it would lead elsewhere.
    """
    if not name or name in (".", "..") or any(c in name for c in "/\\\0"):
        raise IdentityError(f"{shown_name(name)} is not the name of an identity: --identity takes the path of a file")
    return name


def _known(tool: str) -> str:
    """The identities that a tool has, for an error."""
    if tool == "icp":
        directory, names = _icp_directory(), sorted(set(_icp_identities()) - {ANONYMOUS})
    else:
        directory = _dfx_directory()
        names = sorted(one.name for one in directory.iterdir() if one.is_dir()) if directory.is_dir() else []
    shown = ", ".join(quoted(name, 60) for name in names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"{_TOOLS[tool]} has {shown or 'none'} in {directory}"


def _json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; `None` when there is no file.

    Raises:
        IdentityError: it can't be read, or is something else.
    """
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(_LARGEST_LIST))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityError(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise IdentityError(f"{file} isn't the JSON that its tool writes")
    return content


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise IdentityError("this user has no home directory: set HOME, ICP_HOME or DFX_CONFIG_ROOT") from None
