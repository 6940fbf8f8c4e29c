"""How many requests may hold a thread for long, in all and for each caller. Beyond that they are answered at once."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

# Requests that wait for a text's outcome (`?wait=`).
MAX_WAITS, MAX_WAITS_EACH = 64, 16
# Requests that ask a CRM, which may take as long as its timeout.
MAX_CRM_CALLS, MAX_CRM_CALLS_EACH = 32, 16


class ConcurrencyLimit:
    """At most `total` at once, and `each` for one caller. Nobody waits for a place."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, caller: str) -> Iterator[bool]:
        """Hold a place during the block. Gives False where none is free."""
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
