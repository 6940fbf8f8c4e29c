"""Logs: a sentence plus fields. Message bodies and secrets are never logged.

Logs do contain text from remote sides and people. Every line is therefore neutralized for the terminal that shows it,
and whole phone numbers and e-mail addresses in it are masked, whatever their source.
"""

import json
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from connector import harmless, masking, tracing

# Seconds between two logs of the same library message. Libraries repeat themselves while a service is unavailable.
SAY_AGAIN = 10.0
# Fields that hold ids. They are not masked, whatever they look like.
IDS = ("ticket", "plan", "trace_id", "span_id")
# The errors that are worth an alarm, by the beginning of their sentence: their names in metrics. Each has an alert of
# its own; docs/operations.md lists them.
ALARMS = {
    "an account is stopped: put it right; it goes on by itself, or with: connector resume": "account_stopped",
    "an account stays stopped": "account_stopped",
    "text failed": "account_stopped",  # an error only where the account refuses every text
    "the outcome is unknown": "outcome_unknown",
    "the outcome stays unknown": "outcome_unknown",
    "an answer contradicts what a text was settled as": "answer_contradicts",
    "sending is paused until somebody confirms": "waits_for_person",
    "a message cannot be read; it is kept": "message_unreadable",
    "a chat event cannot be read; it is kept": "chat_event_unreadable",
    "a chat event was set aside": "chat_event_set_aside",
    "the CRM refuses an outcome": "write_back_refused",
    "the CRM refuses a chat status": "field_write_refused",
    "the CRM refuses a field": "field_write_refused",
    "opt-out reviews are overdue": "opt_out_review_overdue",
    "the database does not answer": "database_away",
    "the database does not take what is known": "database_away",
    "a message could not be kept": "database_away",
    "a breaker could not be asked": "database_away",
    "the embedded database has ended": "embedded_database_ended",
    "the embedded database cannot be started yet": "embedded_database_ended",
    "a process has ended": "process_ended",
}
OTHER = "other"
# Errors that this process has logged, by name.
errors: Counter[str] = Counter(dict.fromkeys([*ALARMS.values(), OTHER], 0))
# Characters of a traceback, counted from its end.
MAX_TRACE = 2_000


def configure() -> None:
    """Log to standard error: readable lines on a terminal, JSON everywhere else. Times are in UTC."""
    people = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            count_errors,
            tracing.name_trace,
            safe,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Library loggers know URLs and payloads: only their warnings and errors are logged.
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Sparing())
    handler.setFormatter(Lines(people))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def count_errors(_: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Count an error by its sentence, for metrics."""
    if level == "error":
        errors[_alarm(str(line.get("event")))] += 1
    return line


def _alarm(sentence: str) -> str:
    return next((name for words, name in ALARMS.items() if sentence.startswith(words)), OTHER)


def safe(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask and neutralize every text of a log line. Ids stay whole: they are not phone numbers."""
    return {key: harmless.on_screen(str(value)) if key in IDS else _safe(value) for key, value in line.items()}


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return harmless.on_screen(masking.masked(value))
    if isinstance(value, Mapping):
        return {_safe(key): _safe(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_safe(one) for one in value]
    return value


class Sparing(logging.Filter):
    """Limit the repeats of each library message: an unavailable service is reported many times a second."""

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
    """Format library messages like the connector's own: one line. An error has its type and the end of its trace."""

    def __init__(self, people: bool) -> None:
        super().__init__()
        self._people = people

    def format(self, record: logging.LogRecord) -> str:
        line = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info and (error := record.exc_info[1]):
            line["why"] = type(error).__name__
            if not type(error).__module__.startswith("psycopg"):  # a trace says no more about a missing database
                line["trace"] = "".join(traceback.format_tb(error.__traceback__))[-MAX_TRACE:]
        if self._people:
            return f"{record.levelname} {' '.join(_safe(line).values())}"
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps(_safe(line) | {"level": record.levelname.lower(), "timestamp": at}, ensure_ascii=False)
