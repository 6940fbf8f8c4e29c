"""Logs: a sentence plus fields. Message bodies and secrets never come here.

What remote sides and people have written does: so every line is made harmless for the terminal that shows it, and whole
phone numbers and e-mail addresses are masked in it, wherever they come from.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from connector import harmless, masking

# What a library says again while something is away is said once in so many seconds.
SAY_AGAIN = 10.0
# Fields that hold ids, whatever these look like.
IDS = ("ticket", "plan")
# Characters of an error's trace, from its end.
MAX_TRACE = 2_000


def configure() -> None:
    """Lines for people on a terminal, JSON everywhere else; times in UTC. To standard error."""
    people = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            safe,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The libraries' own loggers know URLs and payloads: warnings and errors only.
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Sparing())
    handler.setFormatter(Lines(people))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def safe(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The line as it may be kept: every text in it masked and harmless. A ticket's id is no number, and stays whole."""
    ids = {key: harmless.on_screen(str(line[key])) for key in IDS if key in line}
    return {key: _safe(value) for key, value in line.items()} | ids


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return harmless.on_screen(masking.masked(value))
    if isinstance(value, Mapping):
        return {_safe(key): _safe(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_safe(one) for one in value]
    return value


class Sparing(logging.Filter):
    """Lets each of the libraries' sentences through once in a while: who is away is met many times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key, now = (record.name, str(record.msg)), time.monotonic()
        if now < self._next.get(key, 0):
            return False
        self._next[key] = now + SAY_AGAIN
        return True


class Lines(logging.Formatter):
    """The libraries' sentences in the form of ours: one line each. Of an error, its kind and the end of its trace."""

    def __init__(self, people: bool) -> None:
        super().__init__()
        self._people = people

    def format(self, record: logging.LogRecord) -> str:
        line = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info and (error := record.exc_info[1]):
            line["why"] = type(error).__name__
            if not type(error).__module__.startswith("psycopg"):  # what a database that is away raises says no more
                line["trace"] = "".join(traceback.format_tb(error.__traceback__))[-MAX_TRACE:]
        if self._people:
            return f"{record.levelname} {' '.join(_safe(line).values())}"
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps(_safe(line) | {"level": record.levelname.lower(), "timestamp": at}, ensure_ascii=False)
