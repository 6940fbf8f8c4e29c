"""The overview: whether texts are sent, what needs a person, and charts of the last hour, day and week."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector.metrics.readings import Reading
from connector.settings import Settings
from connector.store import chat_events, circuit_breaker, crm_usage, gauges, leases, opt_outs, pauses, record_fields
from webhooks.console import charts
from webhooks.console.page import Console
from webhooks.console.roles import Role, needs


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the overview. `q`: the search for what it counts, or `part`: the part of another page that shows it.

    `level`: "bad" or "warn": it needs a person.
    """

    label: str
    value: str
    level: str = ""
    q: str = ""
    endpoint: str = "console.search"
    part: str | None = None


class Gauges:
    """The gauges by name and label values."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._values = {(one.name, tuple(labels)): value for one in readings for labels, value in one.values}

    def sum(self, name: str) -> float:
        """The sum of a gauge over all its label values."""
        return sum(value for (key, _), value in self._values.items() if key == name)

    def value(self, name: str, *labels: str) -> float:
        return self._values.get((name, labels), 0)

    def optional(self, name: str, *labels: str) -> float | None:
        """The value of a gauge; None: there is none."""
        return self._values.get((name, labels))

    def largest(self, name: str) -> float:
        return max((value for (key, _), value in self._values.items() if key == name), default=0)


def add(pages: Blueprint, console: Console) -> None:
    """Add the route."""

    @pages.get("/")
    @needs(Role.VIEW)
    def overview() -> ResponseReturnValue:
        span = charts.SPANS.get(request.args.get("span", ""), charts.SPANS["day"])
        with console.read() as connection:
            shown = _shown(connection, console.settings)
            drawn = charts.drawn(connection, span)
        return console.page("console/overview.html", **shown, span=span, spans=charts.SPANS.values(), charts=drawn)


def _shown(connection: psycopg.Connection, settings: Settings) -> dict[str, Any]:
    """What the overview shows besides its charts."""
    values = Gauges(gauges.readings(connection))
    heard = leases.heard(connection)
    accounts, operator = circuit_breaker.status(connection), pauses.current(connection)
    return {
        "heard": heard,
        "workers": int(values.value("connector_workers")),
        "accounts": accounts,
        "platform": circuit_breaker.PLATFORM,
        "operator": operator,
        "stopped": pauses.stopped(accounts, operator),
        "figures": list(_figures(connection, values)),
        "states": [
            (state, [(channel, int(values.value("connector_texts_waiting", state, channel))) for channel in CHANNELS])
            for state in WAITING
        ],
        "channels": CHANNELS,
        "rate": charts.sent_a_second(connection),
        "limit": settings.ccaip_requests_per_second,
        "usage": crm_usage.latest(connection),
        "chat_events": chat_events.summary(connection),
        "listed_age": values.optional("connector_chat_source_age_seconds", "list"),
        "webhooks_on": bool(settings.ccaip_webhook_secrets),
    }


NOT_BEGUN, CHANNELS = ("received", "queued", "held"), ("agent", "trigger", "batch")
WAITING = (*NOT_BEGUN, "sending")


def _figures(connection: psycopg.Connection, values: Gauges) -> Sequence[Figure]:
    waiting = sum(values.value("connector_texts_waiting", state, one) for state in NOT_BEGUN for one in CHANNELS)
    unknown, refused = values.value("connector_texts_unknown"), values.sum("connector_write_backs_refused")
    reviews, fields = opt_outs.open_reviews(connection), sum(record_fields.refused(connection).values())
    oldest = values.largest("connector_texts_waiting_age_seconds")
    return [
        Figure("texts are waiting", f"{waiting:,.0f}", q="is:waiting"),
        Figure("seconds the oldest has been due", f"{oldest:,.0f}", "warn" if oldest > 300 else "", "is:waiting"),
        Figure("unknown texts to settle", f"{unknown:,.0f}", "bad" if unknown else "", "state:unknown"),
        Figure(
            "messages that may be opt-outs",
            f"{reviews.open:,}",
            _level(reviews),
            endpoint="console.opt_outs",
            part="reviews",
        ),
        Figure("write-backs the CRM refuses", f"{refused:,.0f}", "bad" if refused else "", "is:refused"),
        Figure(
            "opt-outs and marks the CRM refuses",
            f"{fields:,}",
            "bad" if fields else "",
            endpoint="console.opt_outs",
            part="refused",
        ),
    ]


def _level(reviews: opt_outs.OpenReviews) -> str:
    return "bad" if reviews.overdue else "warn" if reviews.open else ""
