"""The error tree of the Candid room.

Owns: what callers catch. Does not own: when each error is raised (the modules that raise them say so).
"""

from __future__ import annotations

from canister_factory.base_error import CanisterFactoryError

_LONGEST_PROBLEM = 600
_LONGEST_PATH = 16


class CandidError(CanisterFactoryError):
    """Base of everything this package raises about Candid data, types and texts."""


class InvalidTypeError(CandidError):
    """A type that Candid does not allow: colliding labels, a vacuous definition, an unknown function mode."""


class PathError(CandidError):
    """An error about one value inside a message. `path` leads to it, outermost first, e.g. `argument 0.owner[2]`."""

    def __init__(self, problem: str) -> None:
        # Names inside may come from the message itself, so they may be of any length.
        self.problem = problem if len(problem) <= _LONGEST_PROBLEM else problem[:_LONGEST_PROBLEM] + "..."
        super().__init__(self.problem)
        self._segments: list[str] = []

    def within(self, segment: str) -> None:
        """Prefix the path by one step, as the error travels outwards."""
        self._segments.append(segment)

    @property
    def path(self) -> str:
        """The way to the value, or "" where the error concerns the whole message."""
        steps = self._segments[::-1]
        if len(steps) > _LONGEST_PATH:
            half = _LONGEST_PATH // 2
            steps = [*steps[:half], f" ... {len(steps) - 2 * half} more ... ", *steps[-half:]]
        return "".join(steps)

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self._segments else self.problem


class EncodeError(PathError):
    """A Python value does not fit the Candid type that it should be encoded at."""


class DecodeError(PathError):
    """Bytes are not a Candid message, or not one of the expected types."""


class MismatchError(DecodeError):
    """The message is well formed, but a value in it cannot be coerced to the expected type."""


class LimitExceededError(DecodeError):
    """The message would cost more than the limits allow (nesting, space bombs, skipped data)."""


class PrincipalError(CandidError):
    """A text or a byte string is not a principal."""


class ParseError(CandidError):
    """A textual value or a `.did` file is wrong. `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int = 1, column: int = 1, source: str = "") -> None:
        place = f"{source}:{line}:{column}" if source else f"{line}:{column}"
        super().__init__(f"{place}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column
