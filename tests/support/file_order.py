"""In which order two processes take the test files: none that takes long is left for the end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

MARKER = "begins_first"


def long_files_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests of files with the marker, then all others; otherwise their order stays."""
    return sorted(items, key=lambda item: item.get_closest_marker(MARKER) is None)
