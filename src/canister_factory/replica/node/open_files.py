"""How many files this process may have open: each canister with code has one for its memory, each connection is one.

Owns raising the limit. Does not own what happens at it (`runtime.copy_on_write`).
"""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger(__name__)


def raise_limit() -> int:
    """Raises the soft limit to the hard one, where there is such a thing; how many files can be open."""
    try:
        import resource
    except ImportError:  # not a Unix
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            logger.info("at most %d files can be open: %s", soft, error)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
