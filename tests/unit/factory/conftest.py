"""Makes the scripted network of the agent's tests importable: the factory's tests look through the same boundary."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ic"))
