"""What each scenario finds out, as figures with a name for people."""

import bisect
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, NamedTuple


class Row(NamedTuple):
    """One figure. `better` says which one is the better of two; empty: neither."""

    label: str
    better: Literal["more", "less", ""]
    value: float
    digits: int


class Spread(NamedTuple):
    """The median of many values, and between which values half of them are."""

    low: float
    middle: float
    high: float


def _named(label: str, better: Literal["more", "less", ""] = "", digits: int = 0) -> dict[str, Any]:
    return {"label": label, "better": better, "digits": digits}


@dataclass(frozen=True, kw_only=True)
class Drained:
    """A load that was taken in and worked off. `cpu_ms`: milliseconds of CPU per text, by part."""

    accepted_per_s: float = field(metadata=_named("accepted/s", "more"))
    p50_ms: float = field(metadata=_named("answer, p50 ms", "less", 1))
    p99_ms: float = field(metadata=_named("answer, p99 ms", "less", 1))
    texts_per_s: float = field(metadata=_named("texts/s", "more"))
    calls_per_1000: float = field(metadata=_named("CRM calls per 1,000 texts", "less", 1))
    doubled: int = field(metadata=_named("doubled texts", "less"))
    cpu_ms: dict[str, float] = field(metadata=_named("CPU ms per text", "less", 2))


@dataclass(frozen=True, kw_only=True)
class Idle:
    """Texts one by one. What answers only after its text has left has a time below zero after the answer."""

    answer_p50_ms: float = field(metadata=_named("answer to SMS, p50 ms", "less", 1))
    answer_max_ms: float = field(metadata=_named("answer to SMS, max ms", "less", 1))
    event_p50_ms: float = field(metadata=_named("event to SMS, p50 ms", "less", 1))
    event_max_ms: float = field(metadata=_named("event to SMS, max ms", "less", 1))


@dataclass(frozen=True, kw_only=True)
class Click:
    """What an agent waits for: to see what would be sent, and after the click what became of it."""

    preview_p50_ms: float = field(metadata=_named("preview, p50 ms", "less", 1))
    preview_p95_ms: float = field(metadata=_named("preview, p95 ms", "less", 1))
    outcome_p50_ms: float = field(metadata=_named("click to outcome, p50 ms", "less", 1))
    outcome_p95_ms: float = field(metadata=_named("click to outcome, p95 ms", "less", 1))


@dataclass(frozen=True, kw_only=True)
class Pacer:
    """The promise of so many a second, kept by several workers with a backlog."""

    promised: float = field(metadata=_named("promised texts/s"))
    seconds: float = field(metadata=_named("looked at for s"))
    texts: int = field(metadata=_named("texts in this time", "more"))
    per_s: float = field(metadata=_named("texts/s", "more", 2))
    most_in_a_second: int = field(metadata=_named("most in any second", "less"))


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Growth is from the first quarter to the end. `samples`: texts so far, MB of the web process, MB of the worker."""

    texts: int = field(metadata=_named("texts"))
    web_max_mb: float = field(metadata=_named("web, max MB", "less", 1))
    web_growth_mb: float = field(metadata=_named("web, growth MB", "less", 1))
    worker_max_mb: float = field(metadata=_named("worker, max MB", "less", 1))
    worker_growth_mb: float = field(metadata=_named("worker, growth MB", "less", 1))
    samples: list[tuple[int, float, float]]


@dataclass(frozen=True, kw_only=True)
class Aged:
    """The same measured with so many old texts in the ledger."""

    old: int
    accept: Drained
    outbound: Drained
    idle: Idle


@dataclass(frozen=True, kw_only=True)
class Old:
    """From an empty ledger to a full one, the medians of all turns; `ratios`: the full one through the empty one."""

    steps: list[Aged]
    ratios: dict[str, dict[str, Spread]]


def rows(figures: Any) -> Iterator[Row]:
    """The figures that are for people. A figure of parts has a row for the whole and one for each part."""
    for one in fields(figures):
        if not one.metadata:
            continue
        label, better, digits = (one.metadata[key] for key in ("label", "better", "digits"))
        value = getattr(figures, one.name)
        if not isinstance(value, dict):
            yield Row(label, better, value, digits)
            continue
        yield Row(label, better, sum(value.values()), digits)
        if len(value) > 1:
            yield from (Row(f"{label}, {part}", better, share, digits) for part, share in value.items())


def middle(rounds: Sequence[Any]) -> Any:
    """The median of each figure over several rounds of the same; of one round, that round."""
    if len(rounds) == 1:
        return rounds[0]
    return type(rounds[0])(
        **{one.name: _middle([getattr(figures, one.name) for figures in rounds]) for one in fields(rounds[0])}
    )


def _middle(values: Sequence[Any]) -> Any:
    if is_dataclass(values[0]):
        return middle(values)
    if isinstance(values[0], dict):
        seen = dict.fromkeys(part for value in values for part in value)
        return {part: _middle([value[part] for value in values if part in value]) for part in seen}
    return statistics.median(values)


def ratios(figures: Any, base: Any) -> dict[str, float]:
    """Each figure through the same one of `base`, where that is more than zero."""
    below = {row.label: row.value for row in rows(base)}
    return {row.label: row.value / below[row.label] for row in rows(figures) if below.get(row.label, 0) > 0}


def compared(figures: Sequence[Any], bases: Sequence[Any]) -> dict[str, Spread]:
    """What was measured in turns, each turn through its own base: by label, over all of them."""
    found: dict[str, list[float]] = {}
    for pair in zip(figures, bases, strict=True):
        for label, ratio in ratios(*pair).items():
            found.setdefault(label, []).append(ratio)
    return {label: _spread(values) for label, values in found.items()}


def _spread(values: Sequence[float]) -> Spread:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else list(values) * 3
    return Spread(low, middle, high)


def most_within(times: Sequence[float], seconds: float = 1.0) -> int:
    """The largest number of these times in any window of so many seconds, its end not included."""
    ordered = sorted(times)
    # A window that holds the most can be moved so that it starts at one of them.
    return max((bisect.bisect_left(ordered, start + seconds) - at for at, start in enumerate(ordered)), default=0)
