"""Limits on slow requests, in total and per caller. A request beyond the limit does not wait."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

# Requests that wait for a text's outcome (`?wait=`).
MAX_WAITS, MAX_WAITS_EACH = 64, 16
# Requests that call a CRM, each for at most the CRM's timeout.
MAX_CRM_CALLS, MAX_CRM_CALLS_EACH = 32, 16


class ConcurrencyLimit:
    """At most `total` requests at once, and `each` per caller. Does not queue."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, caller: str) -> Iterator[bool]:
        """Hold a place during the block. Yields False when none is free."""
        with self._lock:
            free = self._taken.total() < self._total and self._taken[caller] < self._each
            if free:
                self._taken[caller] += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._taken[caller] -= 1
                    if not self._taken[caller]:
                        del self._taken[caller]
