"""What each scenario finds out, as figures with a name for people."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple


class Row(NamedTuple):
    """One figure. `better` says which one is the better of two; empty: neither."""

    label: str
    better: Literal["more", "less", ""]
    value: float
    digits: int


def _figure(label: str, better: Literal["more", "less", ""] = "", digits: int = 0) -> Any:
    return field(metadata={"label": label, "better": better, "digits": digits})


@dataclass(frozen=True, kw_only=True)
class Drained:
    """A load that was taken in and worked off. `cpu_ms`: milliseconds of CPU per text, by part."""

    accepted_per_s: float = _figure("accepted/s", "more")
    p50_ms: float = _figure("answer, p50 ms", "less", 1)
    p99_ms: float = _figure("answer, p99 ms", "less", 1)
    texts_per_s: float = _figure("texts/s", "more")
    calls_per_1000: float = _figure("CRM calls per 1,000 texts", "less", 1)
    doubled: int = _figure("doubled texts", "less")
    cpu_ms: dict[str, float] = _figure("CPU ms per text", "less", 2)


@dataclass(frozen=True, kw_only=True)
class Idle:
    """Texts one by one. What answers only after its text has left has a time below zero after the answer."""

    answer_p50_ms: float = _figure("answer to SMS request, p50 ms", "less", 1)
    answer_max_ms: float = _figure("answer to SMS request, max ms", "less", 1)
    request_p50_ms: float = _figure("event to SMS request, p50 ms", "less", 1)
    request_max_ms: float = _figure("event to SMS request, max ms", "less", 1)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The promise of so many a second, kept by several workers with a backlog."""

    promised: float = _figure("promised texts/s")
    seconds: float = _figure("looked at for s")
    texts: int = _figure("texts in this time", "more")
    per_s: float = _figure("texts/s", "more", 2)
    most_in_a_second: int = _figure("most in any second", "less")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """`samples`: texts so far, megabytes of the web side, of the worker. Growth is from the first quarter to the end."""

    texts: int = _figure("texts")
    web_max_mb: float = _figure("web, max MB", "less", 1)
    web_growth_mb: float = _figure("web, growth MB", "less", 1)
    worker_max_mb: float = _figure("worker, max MB", "less", 1)
    worker_growth_mb: float = _figure("worker, growth MB", "less", 1)
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
    """From an empty ledger to a full one; `ratios` are the full one's figures through the empty one's."""

    steps: list[Aged]
    ratios: dict[str, dict[str, float]]


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


def ratios(figures: Any, base: Any) -> dict[str, float]:
    """Each figure through the same one of `base`, where that is more than zero."""
    below = {row.label: row.value for row in rows(base)}
    return {row.label: row.value / below[row.label] for row in rows(figures) if below.get(row.label, 0) > 0}


def most_within(times: Sequence[float], seconds: float = 1.0) -> int:
    """The largest number of these times in any window of so many seconds, its end not included."""
    ordered = sorted(times)
    # A window that holds the most can be moved so that it starts at one of them.
    return max((bisect.bisect_left(ordered, start + seconds) - at for at, start in enumerate(ordered)), default=0)
