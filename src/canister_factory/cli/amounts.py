"""Amounts, sizes and durations as people type them: `5T`, `500B`, `1_000_000` cycles, `1.36USD` for a trillion of them;
`2GB`, `3GiB`; `90s`, `7d`.

Owns their meaning. Does not own: how amounts are shown (`output`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import click

# 1_000_000, or with commas between groups of three; then perhaps a fraction, which begins with a point
_NUMBER = r"(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)(?:\.\d+)?)\s*"
_CYCLES = re.compile(rf"{_NUMBER}(?:(?P<unit>[KMBT])C?)?", re.IGNORECASE | re.ASCII)
_SIZE = re.compile(rf"{_NUMBER}(?P<unit>(?:[KMGT]i?)?B)?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
MAX_CYCLES = 2**128 - 1
"""Networks count cycles in 128 bits (interface specification, "System API")."""
_BYTES = {"": 1, "B": 1} | {
    f"{prefix}{binary}B".upper(): (1024 if binary else 1000) ** power
    for power, prefix in enumerate("kMGT", 1)
    for binary in ("", "i")
}
_PRICE = re.compile(
    rf"(?P<before>[A-Z]{{2,5}})?\s*{_NUMBER}(?(before)|(?P<after>[A-Z]{{2,5}})?)", re.IGNORECASE | re.ASCII
)
_DEAREST = 10**9
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _amount(match: re.Match[str], units: dict[str, int]) -> Fraction:
    """The number of a match, in its unit."""
    return Fraction(re.sub("[_,]", "", match["number"])) * units[(match["unit"] or "").upper()]


class CyclesType(click.ParamType[int]):
    """A number of cycles. Units count as cycles do: K, M, B (10^9) and T (10^12); TC is the same as T.

    A comma is taken only where it can't be meant as a decimal comma: between groups of three digits.
    """

    name = "cycles"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _CYCLES.fullmatch(str(value).strip())
        if match is None:
            point = "; the decimal sign is a point" if "," in str(value) else ""
            self.fail(f"{value!r} is not a number of cycles; write it as 5T, 500B or 1_000_000{point}", param, ctx)
        amount = _amount(match, _UNITS)
        if amount.denominator != 1:
            self.fail(f"{value!r} is not a whole number of cycles; write it as 5T, 500B or 1_000_000", param, ctx)
        if amount > MAX_CYCLES:
            self.fail(f"{value!r} is more cycles than a canister can hold (2^128 - 1)", param, ctx)
        return int(amount)


class SizeType(click.ParamType[int]):
    """A number of bytes: plain, or in kB, MB, GB, TB (powers of 1,000) or KiB, MiB, GiB, TiB (of 1,024).

    Commas are taken as in numbers of cycles.
    """

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a number of bytes; write it as 2GB, 500MB, 3GiB or 1_000_000", param, ctx)
        size = _amount(match, _BYTES)
        if size.denominator != 1:
            self.fail(f"{value!r} is not a whole number of bytes", param, ctx)
        return int(size)


class DurationType(click.ParamType[int]):
    """A duration, in nanoseconds as canisters count them."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", str(value).strip(), re.ASCII)
        if match is None:
            self.fail(f"{value!r} is not a duration; write it as 90s, 30m, 24h or 7d", param, ctx)
        return int(Fraction(match[1]) * _SECONDS[match[2]] * 10**9)


class SecondsType(DurationType):
    """A duration of whole seconds, in seconds as the settings of canisters have them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        seconds, rest = divmod(super().convert(value, param, ctx), 10**9)
        if rest:
            self.fail(f"{value!r} is not a number of whole seconds", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class CyclesPrice:
    """What a trillion cycles cost, in `unit`s of some currency; without a unit it is empty."""

    per_trillion: Fraction
    unit: str

    def of(self, cycles: int) -> Fraction:
        """What an amount of cycles costs."""
        return self.per_trillion * cycles / 10**12


class CyclesPriceType(click.ParamType[CyclesPrice]):
    """The price of a trillion cycles, perhaps with a currency: `1.36`, `1.36USD`, `1 XDR`, `USD 1.36`."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> CyclesPrice:
        if isinstance(value, CyclesPrice):
            return value
        match = _PRICE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not the price of a trillion cycles; write it as 1.36USD or 1XDR", param, ctx)
        amount = Fraction(re.sub("[_,]", "", match["number"]))
        if not 0 < amount <= _DEAREST:
            self.fail(f"{value!r} is not the price of a trillion cycles: about 1 XDR, by definition", param, ctx)
        return CyclesPrice(amount, (match["before"] or match["after"] or "").upper())


CYCLES = CyclesType()
CYCLES_PRICE = CyclesPriceType()
SIZE = SizeType()
DURATION = DurationType()
SECONDS = SecondsType()
