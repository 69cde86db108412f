#!/usr/bin/env python3
"""Generates Sha256.mo next to this file: SHA-256 (FIPS 180-4) with its 64 rounds unrolled, for speed under moc.

The template holds everything but the compression function, which is written here; why it has this form is explained in
the template's header. Usage: generate.py writes Sha256.mo, generate.py --check compares (exit status 1 if they differ).
"""

import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "Sha256.mo.template"
OUTPUT = HERE / "Sha256.mo"

WORKING = "abcdefgh"
WORDS_PER_LOAD = 4  # words read by one call of `load4`: a smaller body for the compiler, which recurses over it


def first_primes(count: int) -> list[int]:
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return primes


def fractional_bits_of_root(number: int, degree: int) -> int:
    """The first 32 bits of the fractional part of the root of a prime (FIPS 180-4, 4.2.2 and 5.3.3), exactly."""
    scaled = number << (32 * degree)
    low, high = 0, 1 << 64
    while high - low > 1:
        middle = (low + high) // 2
        if middle**degree <= scaled:
            low = middle
        else:
            high = middle
    return low & 0xFFFFFFFF


ROUND_CONSTANTS = [fractional_bits_of_root(prime, 3) for prime in first_primes(64)]
INITIAL_STATE = [fractional_bits_of_root(prime, 2) for prime in first_primes(8)]


def doubled(expression: str) -> str:
    """The low 32 bits of an expression, held twice in a Nat64."""
    return f"(({expression}) & 0xffffffff) *% 0x100000001"


def big_sigma(word: str, first: int, second: int, third: int) -> str:
    return f"((({word} <>> {first}) ^ ({word} <>> {second})) ^ ({word} <>> {third}))"


def small_sigma(word: str, first: int, second: int, shift: int) -> str:
    return f"((({word} <>> {first}) ^ ({word} <>> {second})) ^ ({word} >> {shift + 32}))"


def byte_of_data(position: int) -> str:
    offset = f"o +% {position}" if position else "o"
    return f"data[Prim.nat64ToNat({offset})]"


def byte_of_state(position: int) -> str:
    return f"state[{position}]"


def big_endian_word(byte: Callable[[int], str], position: int) -> str:
    """The Nat32 of four bytes; `byte` gives the expression of each."""
    first, second, third, fourth = (f"Prim.nat8ToNat16({byte(position + index)})" for index in range(4))
    high, low = f"(({first} *% 256) | {second})", f"(({third} *% 256) | {fourth})"
    return f"(Prim.nat16ToNat32({high}) *% 65536) | Prim.nat16ToNat32({low})"


def load_function() -> list[str]:
    words = [f"      {big_endian_word(byte_of_data, 4 * index)}" for index in range(WORDS_PER_LOAD)]
    return [
        f"  /// {WORDS_PER_LOAD} big-endian words of `data` from offset `p`.",
        f"  func load{WORDS_PER_LOAD}(data : Blob, p : Nat32) : ({', '.join(['Nat32'] * WORDS_PER_LOAD)}) {{",
        "    let o = Prim.nat32ToNat64(p);",
        "    (",
        ",\n".join(words),
        "    );",
        "  };",
        "",
    ]


def message_words() -> list[str]:
    lines = []
    for start in range(0, 16, WORDS_PER_LOAD):
        group = range(start, start + WORDS_PER_LOAD)
        names = ", ".join(f"y{index}" for index in group)
        lines.append(f"let ({names}) = load{WORDS_PER_LOAD}(data, o +% {4 * start});")
        lines += [f"let w{index} = Prim.nat32ToNat64(y{index}) *% 0x100000001;" for index in group]
    return lines


def rounds() -> list[str]:
    """The 64 rounds; every value is a new `let`, so that moc keeps it in an unboxed local."""
    lines = ["let x = b_ ^ c_;"]
    a, b, c, d, e, f, g, h = (f"{letter}_" for letter in WORKING)
    b_xor_c = "x"
    for index, constant in enumerate(ROUND_CONSTANTS):
        if index >= 16:
            word = (
                f"((w{index - 16} +% {small_sigma(f'w{index - 15}', 7, 18, 3)})"
                f" +% (w{index - 7} +% {small_sigma(f'w{index - 2}', 17, 19, 10)}))"
            )
            # The last two words are only summed: their upper halves are never looked at.
            lines.append(f"let w{index} = {doubled(word) if index < 62 else word};")
        choice = f"((({f} ^ {g}) & {e}) ^ {g})"
        lines.append(
            f"let t{index} = ((({h} +% w{index}) +% 0x{constant:08x}) +% {choice}) +% {big_sigma(e, 6, 11, 25)};"
        )
        lines.append(f"let e{index} = {doubled(f't{index} +% {d}')};")
        # maj(a, b, c) = ((a ^ b) & (b ^ c)) ^ b, and this round's a ^ b is the next one's b ^ c.
        lines.append(f"let x{index} = {a} ^ {b};")
        majority = f"((x{index} & {b_xor_c}) ^ {b})"
        b_xor_c = f"x{index}"
        lines.append(f"let a{index} = {doubled(f'(t{index} +% {majority}) +% {big_sigma(a, 2, 13, 22)}')};")
        a, b, c, d, e, f, g, h = f"a{index}", a, b, c, f"e{index}", e, f, g
    final = (a, b, c, d, e, f, g, h)
    lines += [f"{letter}_ := {doubled(f'{letter}_ +% {value}')};" for letter, value in zip(WORKING, final, strict=True)]
    return lines


def state_word(index: int) -> str:
    return f"Prim.nat32ToNat64({big_endian_word(byte_of_state, 4 * index)}) *% 0x100000001"


def stored_word(index: int, letter: str) -> list[str]:
    names = [f"{letter}{byte}_" for byte in range(4)]
    return [
        f"let ({', '.join(names)}) = Prim.explodeNat32(Prim.nat64ToNat32({letter}_ & 0xffffffff));",
        *(f"state[{4 * index + byte}] := {name};" for byte, name in enumerate(names)),
    ]


def absorb_function() -> list[str]:
    return [
        "  /// Absorbs `blocks` blocks of 64 bytes of `data`, from `start` on, into the 32 bytes of the state.",
        "  func absorb(state : [var Nat8], data : Blob, start : Nat, blocks : Nat) {",
        "    var o = Prim.natToNat32(start);",
        "    let end = o +% Prim.natToNat32(blocks) *% 64;",
        *(f"    var {letter}_ : Nat64 = {state_word(index)};" for index, letter in enumerate(WORKING)),
        "    while (o < end) {",
        *(f"      {line}" for line in message_words() + rounds()),
        "      o +%= 64;",
        "    };",
        *(f"    {line}" for index, letter in enumerate(WORKING) for line in stored_word(index, letter)),
        "  };",
        "",
    ]


def generate() -> str:
    compression = "\n".join(load_function() + absorb_function())
    state = ", ".join(f"0x{byte:02x}" for word in INITIAL_STATE for byte in word.to_bytes(4, "big"))
    return TEMPLATE.read_text().replace("//@ABSORB@", compression).replace("@INITIAL_STATE@", state)


def main() -> int:
    text = generate()
    if "--check" in sys.argv[1:]:
        if OUTPUT.read_text() != text:
            print(f"{OUTPUT.name} differs from what generate.py makes of {TEMPLATE.name}", file=sys.stderr)
            return 1
        return 0
    OUTPUT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
