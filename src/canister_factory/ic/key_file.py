"""Files with private keys: read within limits, and told apart in words that quote nothing of what they hold.

Owns what may be said about a key's file, its content and its name. Does not own: keys themselves (`identity`).
"""

from __future__ import annotations

import os
import re
import select
import shlex
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from canister_factory.ic.errors import IdentityError

MAX_KEY_FILE_BYTES = 64 << 10
"""A PEM file of one key has a few hundred bytes; what is much larger was given by mistake."""

EXPECTED = (
    "expected is a private key in PEM form, which begins with -----BEGIN PRIVATE KEY----- or "
    "-----BEGIN EC PRIVATE KEY-----"
)

_PIPE_WAIT_S = 60.0
"""How long a pipe may take to deliver, such as the output of a password manager that asks its user first."""

_HEX = re.compile(r"(0[xX])?[0-9a-fA-F\s:]{16,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{20,}=*\s*")
_WORDS = re.compile(r"\s*([a-z]{3,10}\s+){8,}[a-z]{3,10}\s*", re.IGNORECASE)
_PEM_RUN = re.compile(r"-----BEGIN.*", re.DOTALL)
_HEX_RUN = re.compile(r"[0-9a-fA-F]{32,}")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{40,}")
_WORDS_RUN = re.compile(r"([a-z]{3,8}\s+){11,}[a-z]{3,8}")
_NOT_SHOWN = "[not shown: it looks like a key]"
_KINDS_OF_PEM = {
    b"PUBLIC KEY": "holds a public key; calls are signed with the private key that belongs to it",
    b"CERTIFICATE": "holds a certificate, not a private key",
    b"OPENSSH PRIVATE KEY": "holds a key in the form of OpenSSH, which is another one",
}


def read_key_file(path: Path, warn: Callable[[str], object]) -> bytes:
    """The content of a regular file or a pipe, at most `MAX_KEY_FILE_BYTES`.

    `warn` is told in one line when other users of this computer can read the file.

    Raises:
        IdentityError: it can't be read; names the file and what is expected.
    """
    name = shown_name(path)
    try:
        # Not to wait for somebody who writes to a pipe: without a writer it is empty.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        problem = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
    else:
        try:
            status = os.fstat(descriptor)
            content, problem = _content(descriptor, status.st_mode)
        finally:
            os.close(descriptor)
        if not problem:
            _check_mode(path, status, warn)
            return content
    raise IdentityError(f"can't read the identity file {name}: {problem}; {EXPECTED}")


def read_key_input(descriptor: int) -> bytes:
    """A key or a phrase on standard input, whose `descriptor` it is.

    Raises:
        IdentityError: nothing comes, or it is a terminal, which would show what is typed.
    """
    if os.isatty(descriptor):
        content, problem = b"", "it is a terminal, which would show it: send it through a pipe"
    else:
        content, problem = _content(descriptor, stat.S_IFREG)  # whatever it is: here an empty one has no other name
        problem = problem or ("" if content else "it is empty")
    if problem:
        raise IdentityError(f"can't read the identity from standard input: {problem}")
    return content


def read_secret_file(path: Path, what: str) -> bytes:
    """The content of a file with a password or a seed phrase, which nobody else may be able to read.

    Raises:
        IdentityError: it can't be read, or others can read it; names `what` and the file.
    """
    problem = ""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        problem = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
    else:
        try:
            status = os.fstat(descriptor)
            if os.name == "posix" and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                problem = f"other users of this computer can read it: run chmod 600 {shell_name(path)}"
            else:
                content, problem = _content(descriptor, status.st_mode)
        finally:
            os.close(descriptor)
    if problem:
        raise IdentityError(f"can't use the file {shown_name(path)} as {what}: {problem}")
    return content


def _content(descriptor: int, mode: int) -> tuple[bytes, str]:
    """What can be read, and what is wrong if anything."""
    if stat.S_ISDIR(mode):
        return b"", "it is a directory"
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        return b"", "it is a device, not a file"
    content = b""
    while len(content) <= MAX_KEY_FILE_BYTES:
        try:
            part = os.read(descriptor, MAX_KEY_FILE_BYTES + 1 - len(content))
        except BlockingIOError:
            if not select.select([descriptor], [], [], _PIPE_WAIT_S)[0]:
                return b"", f"nothing came out of this pipe for {_PIPE_WAIT_S:.0f} s"
            continue
        except OSError as error:
            return b"", error.strerror or "it can't be read"
        if not part:
            return content, "" if content else "it is a pipe that nobody writes to" * stat.S_ISFIFO(mode)
        content += part
    return b"", f"it is larger than {MAX_KEY_FILE_BYTES:,} bytes"


def _check_mode(path: Path, status: os.stat_result, warn: Callable[[str], object]) -> None:
    if os.name != "posix" or not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o077:
        return
    who = "" if status.st_uid == os.getuid() else "as its owner, "
    warn(f"other users of this computer can read the key in {shown_name(path)}: {who}run chmod 600 {shell_name(path)}")


def shell_name(path: Path | str) -> str:
    """A path as a shell takes it, for a command that a person pastes."""
    return shlex.quote(shown_name(path))


def shown_name(path: Path | str) -> str:
    """A path for a message, but not what looks like a key: people give the key where its file's name is wanted."""
    name = os.fspath(path)
    if "\n" in name or name.lstrip().startswith(("{", "[")) or _HEX.fullmatch(name) or _WORDS.fullmatch(name):
        return _NOT_SHOWN
    return redacted(name)


def redacted(text: str) -> str:
    """`text` that quotes what a person typed, without what looks like a PEM file, a raw key or a seed phrase."""
    for run in (_PEM_RUN, _HEX_RUN, _WORDS_RUN):
        text = run.sub(_NOT_SHOWN, text)
    return _BASE64_RUN.sub(lambda run: _NOT_SHOWN if _is_mixed(run[0]) else run[0], text)


def _is_mixed(run: str) -> bool:
    """Whether capitals, small letters and digits follow each other as in random base64 (in 6 of 10 places), which
    they don't in the names of folders."""
    kinds = [character.isdigit() + 2 * character.isupper() for character in run]
    return sum(a != b for a, b in pairwise(kinds)) >= 0.3 * len(run)


def described(content: bytes) -> str:
    """What `content`, which is no usable key, looks like and what to do: words for "the file …", quoting nothing."""
    if not content.strip():
        return f"is empty; {EXPECTED}"
    label = re.search(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----", content)
    if label is not None:
        kind = _KINDS_OF_PEM.get(label[1])
        if kind is not None:
            return f"{kind}; {EXPECTED}"
        return (
            "has the lines of a PEM file, but what is between them is not a private key in PKCS#8 or SEC1 form: "
            "it is damaged, or of a kind that isn't supported (Ed25519, secp256k1 and P-256 are)"
        )
    return f"looks like {_looks_like(content)}; {EXPECTED}"


def _looks_like(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[1::2].count(0) > len(content) // 4:
        return "UTF-16 text: save it as UTF-8 or ASCII"
    if content[0] == 0x30 and len(content) > 16 and content[1] in (len(content) - 2, 0x81, 0x82):
        return "a key in DER form: 'openssl pkey -inform DER' turns it into PEM"
    try:
        text: str | None = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = None
    # Looked at outside of the handler: the error that was handled there carries the whole content.
    if text is None or "\0" in text:
        return "binary data"
    if text.startswith(("{", "[", '"')):
        return "JSON, perhaps the identity of a JavaScript agent: export the key as PEM where it comes from"
    if _HEX.fullmatch(text):
        return "hexadecimal digits: that may be a raw key, which has to be exported as PEM where it comes from"
    if _WORDS.fullmatch(text):
        return "words, perhaps a seed phrase: import it with the tool that made it, and export the key as PEM"
    if _BASE64.fullmatch(text):
        return "base64, perhaps a PEM file without its first and last line"
    return "text of another kind"
