"""Log refused requests with the caller's address. A limit keeps a flood of wrong keys from filling the disk."""

import threading
import time

import structlog
from flask import request

# Lines per minute and web process. Further refusals are counted, and the count is logged.
MAX_LINES_A_MINUTE = 60

_log = structlog.get_logger()


class _Minute:
    """Counts the lines of the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute, self._asked = 0, 0

    def count(self) -> tuple[bool, int]:
        """Whether another line may be logged, and how many lines were dropped in the minute that has just ended."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            left_out = 0
            if minute != self._minute:
                left_out = max(self._asked - MAX_LINES_A_MINUTE, 0)
                self._minute, self._asked = minute, 0
            self._asked += 1
            return self._asked <= MAX_LINES_A_MINUTE, left_out


_minute = _Minute()


def log(sentence: str, **fields: object) -> None:
    """Log a warning with these fields and the address of the current request."""
    may, left_out = _minute.count()
    if left_out:
        _log.warning("more requests were refused, without a line for each", count=left_out)
    if may:
        _log.warning(sentence, address=request.remote_addr, **fields)
