"""How far an upgrade is, on record where no module can lose it: in environment variables of the canister.

Only its controllers set these, they survive upgrades and snapshots, and while the first one is there a module of ours
that starts writes nothing (`canisters/capsule/Maintenance.mo`). Owns their form. Does not own: what follows from them
(`upgrading`).

Source: interface specification, "IC method update_settings" (`environment_variables`: 128 bytes each).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from canister_factory.factory.errors import UpgradeError
from canister_factory.ic.management_types import EffectiveSettings, EnvironmentVariable

OURS = "canister_factory_"
"""How the names of these variables begin."""
VARIABLE = "canister_factory_upgrade"
FACTS = "canister_factory_before"
SNAPSHOT = "canister_factory_snapshot"
UNTIL = "canister_factory_until"
_BEFORE_DIGITS = 32
_NO_TIME_NS = 2**64
"""Times of the network are less."""


@dataclass(frozen=True, slots=True)
class Record:
    """An upgrade that was begun, and isn't over.

    `before`: the module hash, or its beginning. `earlier_ns`: when the newest snapshot was taken that was there before.
    `goes_back`: the new module was found unsound.
    """

    before: bytes
    target: bytes
    earlier_ns: int
    goes_back: bool = False

    @property
    def text(self) -> str:
        """At most 128 bytes."""
        way = "back" if self.goes_back else "on"
        return f"{way} {self.before.hex()[:_BEFORE_DIGITS]} {self.target.hex()} {self.earlier_ns}"

    def was(self, module_hash: bytes | None) -> bool:
        """Whether this is the module of before."""
        return module_hash is not None and module_hash.hex()[:_BEFORE_DIGITS] == self.before.hex()[:_BEFORE_DIGITS]


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that stays for a while; `until_ns` since 1970."""

    snapshot_id: bytes
    until_ns: int

    @property
    def text(self) -> str:
        """As it is on record."""
        return f"{self.snapshot_id.hex()} {self.until_ns}"


def record_in(settings: EffectiveSettings) -> Record | None:
    """The upgrade that is under way.

    Raises:
        UpgradeError: the variable has something else.
    """
    text = _value(settings, VARIABLE)
    if text is None:
        return None
    try:
        way, before, target, earlier = text.split(" ")
        return Record(bytes.fromhex(before), bytes.fromhex(target), int(earlier), {"on": False, "back": True}[way])
    except (ValueError, KeyError):
        raise UpgradeError(
            f"the canister's environment variable {VARIABLE} isn't one that an upgrade wrote: {text[:40]!r}. A module "
            "of ours that starts writes nothing while it is there; remove it with `icp canister settings update`"
        ) from None


def facts_in(settings: EffectiveSettings) -> str:
    """What was noted before the upgrade."""
    return _value(settings, FACTS) or ""


def kept_in(settings: EffectiveSettings) -> Kept | None:
    """The snapshot that an earlier upgrade left; `None` also where the variable has something else."""
    text = _value(settings, SNAPSHOT)
    try:
        snapshot_id, until = (text or "").split(" ")
        return Kept(bytes.fromhex(snapshot_id), int(until))
    except ValueError:
        return None


def until_in(settings: EffectiveSettings) -> int:
    """Until when what a run has sent may be executed (`upgrade_turn`), nanoseconds since 1970; 0 where no run is on
    record, and where the variable has something else.
    """
    text = _value(settings, UNTIL) or ""
    until_ns = int(text) if text.isascii() and text.isdigit() else 0
    return until_ns if until_ns < _NO_TIME_NS else 0


def changed(settings: EffectiveSettings, changes: Mapping[str, str | None]) -> list[EnvironmentVariable]:
    """All variables of a canister with some set, or with `None` taken away."""
    others = [each for each in settings.environment_variables or () if each.name not in changes]
    return others + [
        EnvironmentVariable(name=name, value=value) for name, value in changes.items() if value is not None
    ]


def _value(settings: EffectiveSettings, name: str) -> str | None:
    return next((each.value for each in settings.environment_variables or () if each.name == name), None)
