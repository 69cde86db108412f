"""How many files this process may have open: each canister with code has one for its memory.

Owns raising the limit. Does not own what happens at it (`runtime.copy_on_write`).
"""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def raise_limit() -> None:
    """Raises the soft limit to the hard one, where there is such a thing."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        logger.info("at most %d files can be open: %s", soft, error)
