"""Log who was refused, with the caller's address, and never so often that a flood of wrong keys fills the disk."""

import threading
import time

import structlog
from flask import request

# Lines a minute, for each web process. What is beyond is counted, and the count is logged.
MAX_LINES_A_MINUTE = 60

_log = structlog.get_logger()


class _Minute:
    """How many lines were asked for in the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute, self._asked = 0, 0

    def count(self) -> tuple[bool, int]:
        """Whether one more line may be written; and how many were left out in the minute that has just ended."""
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
    """A warning with these fields and the address that the request at hand came from."""
    may, left_out = _minute.count()
    if left_out:
        _log.warning("more requests were refused, without a line for each", count=left_out)
    if may:
        _log.warning(sentence, address=request.remote_addr, **fields)
