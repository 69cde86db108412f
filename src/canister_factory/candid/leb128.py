"""LEB128 numbers of any size, in linear time.

Owns: writing and reading them, for Candid, for the state tree and request ids, and for Wasm. Does not own: range checks
of what the numbers mean.
"""

from __future__ import annotations

from canister_factory.candid.errors import DecodeError

_SMALL = tuple(bytes((n,)) for n in range(128))
# Eight LEB128 bytes carry seven whole bytes, so long numbers are moved in such pieces instead of bit by bit.
_PIECE_BITS = 56


def unsigned(number: int) -> bytes:
    """The minimal unsigned LEB128 form of a natural number.

    Raises:
        ValueError: it is negative.
    """
    if 0 <= number < 128:
        return _SMALL[number]
    if number < 0:
        raise ValueError(f"only natural numbers have an unsigned LEB128 form, not {number}")
    if number.bit_length() > 2 * _PIECE_BITS:
        return _long(number, -(-number.bit_length() // 7))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed(number: int) -> bytes:
    """The minimal signed LEB128 form of any number."""
    if -64 <= number < 64:
        return _SMALL[number & 127]
    bits = (number if number >= 0 else ~number).bit_length() + 1
    length = -(-bits // 7)
    if bits > 2 * _PIECE_BITS:
        return _long(number & ((1 << 7 * length) - 1), length)
    out = bytearray()
    for _ in range(length - 1):
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number & 127)
    return bytes(out)


def _long(number: int, length: int) -> bytes:
    raw = number.to_bytes(-(-length // 8) * 7, "little")
    out = bytearray()
    for at in range(0, len(raw), 7):
        piece = int.from_bytes(raw[at : at + 7], "little")
        out += bytes((piece >> shift & 127) | 128 for shift in range(0, _PIECE_BITS, 7))
    del out[length:]
    out[-1] &= 127
    return bytes(out)


def read_unsigned(data: bytes, pos: int) -> tuple[int, int]:
    """The number at `pos` and the position behind it. Overlong forms are accepted, as the official suite demands.

    Raises:
        DecodeError: the data end within the number.
    """
    try:
        byte = data[pos]
        if byte < 128:
            return byte, pos + 1
        number = byte & 127
        shift = 7
        for at in range(pos + 1, pos + 10):
            byte = data[at]
            number |= (byte & 127) << shift
            if byte < 128:
                return number, at + 1
            shift += 7
    except IndexError:
        raise DecodeError(f"the message ends within a number, at byte {len(data)}") from None
    return _read_long(data, pos)


def read_signed(data: bytes, pos: int) -> tuple[int, int]:
    """Like `read_unsigned`, for signed LEB128.

    Raises:
        DecodeError: the data end within the number.
    """
    number, end = read_unsigned(data, pos)
    if data[end - 1] & 64:
        number -= 1 << 7 * (end - pos)
    return number, end


def _read_long(data: bytes, pos: int) -> tuple[int, int]:
    end = pos
    size = len(data)
    while end < size and data[end] >= 128:
        end += 1
    if end == size:
        raise DecodeError(f"the message ends within a number, at byte {size}")
    end += 1
    pieces = []
    for at in range(pos, end, 8):
        piece = 0
        for byte in reversed(data[at : min(at + 8, end)]):
            piece = piece << 7 | byte & 127
        pieces.append(piece.to_bytes(7, "little"))
    return int.from_bytes(b"".join(pieces), "little"), end
