"""Python values for the Candid values that have no natural Python type.

Owns: `Some`, `Case`, `FuncRef`. Does not own: the mapping of the other types (docs/architecture.md), or principals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal


@dataclass(frozen=True, slots=True)
class Some:
    """A present option whose content may itself be null: `opt opt nat` is `None`, `Some(None)` or `Some(5)`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a variant: its label (or its number, where the label's name is unknown) and what it carries."""

    tag: str | int
    value: Any = None


@dataclass(frozen=True, slots=True)
class FuncRef:
    """A reference to a method of a canister."""

    service: Principal
    method: str
