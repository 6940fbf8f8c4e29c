"""Charts from the roll-ups: texts by outcome, refusals by code, and latencies. Each is drawn as SVG, with its table."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from connector.store import postgres, roll_ups
from connector.store.roll_ups import Latency, LatencyKind, Outcomes

OUTCOMES = ("sent", "skipped", "failed", "unknown", "cancelled")
# The size of a drawing, in its own units. The page scales it.
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 180, 44, 20
# Shares of texts that a latency is shown for.
QUANTILES = {"median": 0.5, "95 %": 0.95}
LATENCIES = {
    LatencyKind.SENT: "From the event until it was sent",
    LatencyKind.WRITTEN: "From the event until the outcome was on the ticket",
    LatencyKind.CLICK: "From an agent’s click until the outcome",
}
# The period of the finest counts, in seconds.
FINEST = 300


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is charted, and its step in seconds."""

    name: str
    label: str
    length: timedelta
    step: int
    tick: str

    def start(self, now: datetime) -> datetime:
        """The start of its first step, when it ends with the step that holds `now`."""
        last = now.timestamp() // self.step * self.step
        return datetime.fromtimestamp(last, UTC) - self.length + timedelta(seconds=self.step)


SPANS = {
    span.name: span
    for span in (
        Span("hour", "Last hour", timedelta(hours=1), FINEST, "%H:%M"),
        Span("day", "Last day", timedelta(days=1), 3600, "%H:%M"),
        Span("week", "Last week", timedelta(days=7), 6 * 3600, "%a %d"),
    )
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar. `top` and `height` in the drawing's units."""

    kind: str
    texts: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What happened in one step."""

    start: datetime
    left: float
    width: float
    parts: Sequence[Part]
    tick: str

    @property
    def counts(self) -> dict[str, int]:
        return {part.kind: part.texts for part in self.parts}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a bar chart: what it counts, how many texts, and its length, 0 to 100."""

    label: str
    texts: int
    length: float


@dataclass(frozen=True, slots=True)
class LatencyChart:
    """How long texts took: a histogram, and its quantiles in words."""

    label: str
    texts: int
    quantiles: Mapping[str, str]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Charts:
    """All charts of a span. `codes`: refusals by code."""

    bars: Sequence[Bar]
    highest: int
    totals: Mapping[str, int]
    codes: Sequence[Row]
    latencies: Sequence[LatencyChart]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = BOTTOM


def drawn(connection: psycopg.Connection, span: Span) -> Charts:
    """Draw the charts of a span that ends now."""
    since = span.start(postgres.now(connection))
    until = since + span.length
    outcomes = roll_ups.series(connection, since, until, span.step)
    latencies = roll_ups.latencies(connection, since, until, span.step)
    totals, codes = Counter[str](), Counter[str]()
    for one in outcomes:
        totals[one.state] += one.texts
        if one.code:
            codes[one.code] += one.texts
    bars, highest = _bars(outcomes, span, since)
    return Charts(bars, highest, totals, _rows(codes.most_common()), list(_latencies(latencies)))


def sent_a_second(connection: psycopg.Connection) -> float:
    """How many texts a second were sent in the last five to ten minutes."""
    now = postgres.now(connection)
    since = datetime.fromtimestamp(now.timestamp() // FINEST * FINEST - FINEST, UTC)
    found = roll_ups.series(connection, since, now + timedelta(seconds=1), FINEST)
    return sum(one.texts for one in found if one.state == "sent") / (now - since).total_seconds()


def _bars(outcomes: Iterable[Outcomes], span: Span, since: datetime) -> tuple[list[Bar], int]:
    """Stack the outcomes of each step, and say how many texts the tallest bar stands for."""
    steps = defaultdict[datetime, Counter[str]](Counter)
    for one in outcomes:
        steps[one.start][one.state] += one.texts
    highest = max([1, *(max(step.total(), 0) for step in steps.values())])
    count = int(span.length.total_seconds()) // span.step
    width = (WIDTH - LEFT) / count
    every = max(count // 6, 1)
    starts = [since + timedelta(seconds=span.step * place) for place in range(count)]
    return [
        Bar(
            start,
            round(LEFT + place * width, 2),
            round(width * 0.8, 2),
            list(_stacked(steps[start], highest)),
            start.strftime(span.tick) if place % every == 0 else "",
        )
        for place, start in enumerate(starts)
    ], highest


def _stacked(counts: Counter[str], highest: int) -> Iterable[Part]:
    top = float(HEIGHT - BOTTOM)
    for kind in OUTCOMES:
        if (texts := counts[kind]) > 0:
            height = texts / highest * (HEIGHT - BOTTOM)
            top -= height
            yield Part(kind, texts, round(top, 2), round(height, 2))


def _rows(counted: Sequence[tuple[str, int]]) -> list[Row]:
    """Draw these counts, the largest at full length."""
    highest = max((texts for _, texts in counted), default=1)
    return [Row(label, texts, round(texts / highest * 100, 1)) for label, texts in counted]


def _latencies(found: Iterable[Latency]) -> Iterable[LatencyChart]:
    buckets = defaultdict[LatencyKind, Counter[float]](Counter)
    for one in found:
        buckets[one.kind][one.bucket] += one.texts
    for kind, label in LATENCIES.items():
        counts = +buckets[kind]
        rows = _rows([(_up_to(bound), counts[bound]) for bound in sorted(counts)])
        quantiles = {name: _quantile(counts, share) for name, share in QUANTILES.items()}
        yield LatencyChart(label, counts.total(), quantiles, rows)


def _quantile(counts: Counter[float], share: float) -> str:
    """The smallest bound that this share of the texts kept, in words."""
    left = counts.total() * share
    for bound in sorted(counts):
        left -= counts[bound]
        if left <= 0:
            return _up_to(bound)
    return "–"


def _up_to(bound: float) -> str:
    """A bound, in seconds, in words."""
    return f"≤ {bound:g} s" if math.isfinite(bound) else "longer"
