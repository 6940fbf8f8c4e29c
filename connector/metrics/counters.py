"""What each process counts for itself. Counting takes a few microseconds and no database call.

No label holds an id, a number, a name or words from outside: values that are not listed become "other".
"""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client does not annotate it
REGISTRY = CollectorRegistry()

# Upper bounds in seconds. A text that waits for its hours takes half a day.
SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 43_200, 86_400)
# Names of the policy's checks and of the other sources of a decision.
CHECKS = frozenset(
    {
        *("plan", "opt_out", "reason", "window", "hours", "budget", "content", "placeholder"),
        *("ticket", "phone", "rule", "changed", "mapping", "language"),
    }
)
OTHER, NONE = "other", "none"

EVENTS = Counter(
    "connector_events",
    "Events saved, and events that were saved before (result: new, duplicate).",
    ["crm", "channel", "result"],
    registry=REGISTRY,
)
CHAT_EVENTS_REFUSED = Counter(
    "connector_chat_events_refused",
    "Chat webhooks that were refused (reason: signature, stale, off).",
    ["reason"],
    registry=REGISTRY,
)
for reason in ("signature", "stale", "off"):
    CHAT_EVENTS_REFUSED.labels(reason)  # 0 from the start, so that the first one is an increase
DECISIONS = Counter(
    "connector_decisions",
    "Decisions about texts (result: allowed, skipped, held), by the check that decided. A held text is decided again.",
    ["channel", "check", "result"],
    registry=REGISTRY,
)
CALLS = Counter(
    "connector_platform_calls",
    "SMS requests to CCAI Platform, by result (accepted, refused, unavailable, unknown, not_sent) and refusal code.",
    ["result", "code"],
    registry=REGISTRY,
)
SENT_SECONDS = Histogram(
    "connector_event_to_sent_seconds",
    "Seconds from receiving an event to the platform's acceptance of its text.",
    ["channel"],
    buckets=SECONDS_BUCKETS,
    registry=REGISTRY,
)
CLICK_SECONDS = Histogram(
    "connector_click_to_outcome_seconds",
    "Seconds from an agent's request to the outcome of its text, which was not scheduled.",
    buckets=SECONDS_BUCKETS,
    registry=REGISTRY,
)
WRITTEN_SECONDS = Histogram(
    "connector_event_to_written_seconds",
    "Seconds from receiving an event until its ticket first has an outcome.",
    ["crm"],
    buckets=SECONDS_BUCKETS,
    registry=REGISTRY,
)
RATE_LIMIT = Gauge(
    "connector_rate_limit_per_second",
    "Texts a second that all workers together may send. 0: no limit. Reported by workers.",
    registry=REGISTRY,
)
CRM_CALLS_LEFT = Gauge(
    "connector_crm_calls_left_ratio",
    "Share of the CRM's daily API calls that is left, 0 to 1, as last reported to this worker.",
    ["crm"],
    registry=REGISTRY,
)


def known(value: str | None, values: Collection[str]) -> str:
    """Return a label's value: one of these, "none" if there is none, else "other"."""
    if not value:
        return NONE
    return value if value in values else OTHER
