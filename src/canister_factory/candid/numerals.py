"""Numbers of any size in messages for people.

Owns the form. Python refuses to write integers of more than 4,300 digits, and writing long ones takes quadratic time;
a request may hold either.
"""

from __future__ import annotations

_LONGEST = 10**60  # products of 128-bit numbers and a duration are still shown as they are


def shown(number: int) -> str:
    """The number in decimal digits, or its size where it has more than 60 of them."""
    return str(number) if -_LONGEST < number < _LONGEST else f"a number of {number.bit_length()} bits"
