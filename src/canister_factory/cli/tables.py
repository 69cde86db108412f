"""Tables as a person reads them: as wide as the screen, without an id being torn.

Owns the layout. Does not own: what is in the cells, and the stream (`output`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from canister_factory.cli.consoles import columns

_GAP = "  "
_NARROWEST = 20
"""A column of running text isn't made narrower than this: its rows are laid out in another way then."""

Row = Sequence[Text]


def show(console: Console, title: str, rows: Sequence[Row], headers: Sequence[str] = ()) -> None:
    """Prints a table: with `headers` one line a row, or where that doesn't fit a list for each row; else rows of a name
    and its value."""
    width = columns(console)
    if not headers:
        _print(console, title, _named([(row[0], _joined(row[1:])) for row in rows], width))
        return
    bold = [Text(header, "bold") for header in headers]
    lines = _aligned([bold, *rows], width)
    if lines is None:
        lists = [_named(list(zip(bold, row, strict=True)), width) for row in rows]
        lines = [line for index, one in enumerate(lists) for line in ([Text()] if index else []) + one]
    _print(console, title, lines)


def show_running(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Prints rows whose last cell is running text: beside the others, or where that doesn't fit below them."""
    width = columns(console)
    lines = _aligned(rows, width)
    if lines is None:
        lines = [line for *names, last in rows for line in [_joined(names), *_below(last, width)]]
    _print(console, title, lines)


def wrapped(line: Text, width: int) -> list[Text]:
    """`line` in pieces of at most `width` characters, cut between words; a longer word stands alone, whole."""
    pieces = textwrap.wrap(line.plain, width, break_long_words=False, break_on_hyphens=False) or [""]
    lines, position = [], 0
    for piece in pieces:
        begin = line.plain.find(piece, position)
        if begin < 0:
            return [line]
        position = begin + len(piece)
        lines.append(line[begin:position])
    return lines


def _print(console: Console, title: str, lines: Sequence[Text]) -> None:
    for line in [*([Text(title, "italic")] if title else []), *lines]:
        line.rstrip()  # padding is of no use to a pipe
        console.print(line, soft_wrap=True)


def _named(pairs: Sequence[tuple[Text, Text]], width: int) -> list[Text]:
    """Names on the left, values on the right; a value with a word too long for that begins below its name."""
    names = max((cell_len(name.plain) for name, _ in pairs), default=0)
    left = width - names - len(_GAP)
    lines: list[Text] = []
    for name, value in pairs:
        bold = Text(name.plain, "bold")
        if _longest_word(value) > left:
            lines += [bold, *_below(value, width)]
            continue
        for index, piece in enumerate(wrapped(value, left)):
            lines.append(_joined([_padded(bold if index == 0 else Text(), names), piece]))
    return lines


def _aligned(rows: Sequence[Row], width: int) -> list[Text] | None:
    """One line a row, of which the last cell may be wrapped; `None` when that doesn't fit."""
    *fixed, last = (max(cell_len(cell.plain) for cell in column) for column in zip(*rows, strict=True))
    left = width - sum(fixed) - len(_GAP) * len(fixed)
    if last > left and left < max(_NARROWEST, *(_longest_word(row[-1]) for row in rows)):
        return None
    lines: list[Text] = []
    for row in rows:
        for index, piece in enumerate(wrapped(row[-1], left)):
            cells = row[:-1] if index == 0 else [Text()] * len(fixed)
            lines.append(_joined([*(_padded(cell, size) for cell, size in zip(cells, fixed, strict=True)), piece]))
    return lines


def _below(value: Text, width: int) -> list[Text]:
    return [Text(_GAP) + piece for piece in wrapped(value, width - len(_GAP))]


def _joined(cells: Sequence[Text]) -> Text:
    return Text(_GAP).join(cells)


def _padded(cell: Text, width: int) -> Text:
    padded = cell.copy()
    padded.append(" " * (width - cell_len(cell.plain)))
    return padded


def _longest_word(value: Text) -> int:
    return max(map(cell_len, value.plain.split()), default=0)
