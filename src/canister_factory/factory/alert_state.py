"""How far a backend's notifications were sent: a small file, so that nothing is sent again after a restart.

Owns the file. Does not own: what is sent (`alerts`). One file serves several backends; one sender at a time writes it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canister_factory.candid.principal import Principal
from canister_factory.factory.errors import AlertStateError
from canister_factory.ic.foreign_text import quoted

_MOST_BYTES = 1 << 20


class Sent(BaseModel):
    """The last notification of a backend that was sent: its id and its time, which tell whether ids began anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=0)
    at: int


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    backends: dict[str, Sent] = {}


class AlertState:
    """The file at `path`, which is made with the first notification; its folder has to be there.

    Raises:
        AlertStateError: there is a file, and it can't be read, or is none of these.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = self._read()

    def __repr__(self) -> str:
        return f"AlertState({self._path}, {len(self._kept.backends)} backends)"

    def last(self, backend: Principal) -> Sent | None:
        """The last notification that was sent."""
        return self._kept.backends.get(str(backend))

    def remember(self, backend: Principal, sent: Sent) -> None:
        """Puts it on disk before it returns.

        Raises:
            AlertStateError: the file can't be written; what it said before still stands.
        """
        backends = {**self._kept.backends, str(backend): sent}
        kept = _Kept(backends=backends)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            with open(draft, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:  # not for others
                file.write(kept.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise self._error("written", error.strerror or str(error)) from error
        self._kept = kept

    def _read(self) -> _Kept:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return _Kept()
        except OSError as error:
            raise self._error("read", error.strerror or str(error)) from error
        try:
            return _Kept.model_validate(json.loads(content))
        except (ValueError, ValidationError) as error:
            raise self._error(
                "read", "it holds something else. Remove it to have all notifications sent that nobody has acknowledged"
            ) from error

    def _error(self, done: str, why: str) -> AlertStateError:
        return AlertStateError(
            f"the file {quoted(str(self._path))}, which says what notifications were sent, can't be {done}: {why}"
        )
