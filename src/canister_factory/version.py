"""The version of this package. Owns nothing else: what only wants to say it needs no other module."""

from __future__ import annotations

__version__ = "0.1.0"
