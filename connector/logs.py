"""Logs: a sentence plus fields. Numbers come here masked; message bodies and secrets never do."""

import logging
import sys
from typing import Any

import structlog


def configure() -> None:
    """Lines for people on a terminal, JSON everywhere else; times in UTC. To standard error."""
    people = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The libraries' own loggers know URLs and payloads: warnings and errors only.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
