"""The network's time: this computer's clock, corrected where the network proves that it is wrong.

Owns the correction and its bounds. Does not own: fetching the proof (`requester`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_CORRECTION_NS = 24 * 3600 * 10**9
"""A clock that is further off is the person's to set: nobody's data are taken as fresh when they are a day old."""

_NOTICED_NS = 10 * 10**9
# How far a certificate of this moment may be from the node's own time; subnets certify every second or so.
_MAX_LAG_NS = 60 * 10**9
_CHECKED_AGAIN_NS = 60 * 10**9


class NetworkClock:
    """Nanoseconds since 1970 as the network counts them. Requests are signed, and answers judged, by this time.

    Freshness is what keeps an old answer from being replayed, so the correction must not be something that whoever
    stands between us and the network can choose. A certificate alone doesn't do: a slow network clock and a replayed
    certificate look the same. `correct` therefore takes two times that belong together:

    - `certified_ns`, the time of a certificate whose signature was checked (its freshness can't be);
    - `answered_ns`, the time in the node's signature on a query that was signed after that, with a new nonce. The
      signature covers the request id, and so the nonce: it can't have been made before the question was asked.

    Only when both agree within a minute is the certificate of this moment, and its time the network's. To deceive us
    somebody needs a node's key and an old certificate at once, and then gains at most `MAX_CORRECTION_NS`, in either
    direction. Time also never goes back behind an answer that was fresh before.
    """

    def __init__(self, local_ns: Callable[[], int]) -> None:
        self.local_ns = local_ns
        self.offset_ns = 0
        self.corrections = 0
        """How often the offset has changed: whoever failed before a change has reason to try again."""
        self._latest_ns = 0
        self._right_at_ns: int | None = None

    def __repr__(self) -> str:
        return f"NetworkClock(this computer's {self.offset_ns / 1e9:+.1f} s, {self.corrections} corrections)"

    def __call__(self) -> int:
        return self.local_ns() + self.offset_ns

    def saw(self, fresh_ns: int) -> None:
        """Notes the time of a fresh, verified answer."""
        self._latest_ns = max(self._latest_ns, fresh_ns)

    @property
    def has_seen(self) -> bool:
        """Whether anything fresh was ever verified: then the root key is the network's."""
        return self._latest_ns > 0

    @property
    def checked_lately(self) -> bool:
        """Whether the network agreed with this clock within the last minute, so that asking again tells nothing."""
        return self._right_at_ns is not None and 0 <= self.local_ns() - self._right_at_ns < _CHECKED_AGAIN_NS

    def correct(self, certified_ns: int, answered_ns: int) -> bool:
        """Takes the network's time from a proof obtained just now; returns whether it is known.

        It may turn out that this clock was right. `False`: the two times don't belong together, the result would lie
        before something that was fresh already, or the clock is off by more than `MAX_CORRECTION_NS`.
        """
        local_ns = self.local_ns()
        offset_ns = certified_ns - local_ns
        if abs(answered_ns - certified_ns) > _MAX_LAG_NS or answered_ns < self._latest_ns - _MAX_LAG_NS:
            logger.warning("the network's time can't be learnt: its certificate and its nodes differ about it")
            return False
        if abs(offset_ns) > MAX_CORRECTION_NS:
            logger.warning("this computer's clock is %s: set it", _difference(offset_ns))
            return False
        if abs(offset_ns - self.offset_ns) < _NOTICED_NS:
            self._right_at_ns = local_ns
            return True
        self.offset_ns = offset_ns
        self.corrections += 1
        if abs(offset_ns) >= _NOTICED_NS:
            logger.warning("this computer's clock is %s: the network's time is used", _difference(offset_ns))
        return True


def _difference(offset_ns: int) -> str:
    """How this clock differs, such as `20 minutes behind the network's`."""
    seconds = abs(offset_ns) / 1e9
    size, unit = next(
        (s, u) for s, u in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")) if seconds >= s
    )
    count = f"{seconds / size:.1f}".removesuffix(".0")
    plural = "" if count == "1" else "s"
    return f"{count} {unit}{plural} {'behind' if offset_ns > 0 else 'ahead of'} the network's"
