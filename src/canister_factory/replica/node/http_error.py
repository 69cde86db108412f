"""The error that is answered with an HTTP status of its own."""

from __future__ import annotations

__all__ = ["HttpError"]


class HttpError(Exception):
    """An answer that isn't a success: HTTP status and a text that says what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
