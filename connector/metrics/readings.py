"""What a scrape reads: gauges from the database, and the errors that this process has logged.

A scrape never fails or waits long because of the database: it reports `connector_database_up 0` instead.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillReading
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# Seconds for which readings are used again, and seconds that a scrape waits for new ones.
CACHE_SECONDS, WAIT_SECONDS = 5.0, 3.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one gauge: each a tuple of label values, and the number."""

    name: str
    help: str
    labels: Sequence[str]
    values: Sequence[tuple[Sequence[str], float]]


# Reads all gauges. Any error means that the database cannot be read now.
Read = Callable[[], Sequence[Reading]]


class Readings:
    """The collector of what is read at a scrape. One per process. Registered with prometheus_client."""

    def __init__(self, read: Read, errors: Callable[[], Mapping[str, int]]) -> None:
        """`errors`: how often this process has logged each known error."""
        self._read, self._errors = read, errors
        self._threads = ThreadPoolExecutor(1, "metrics")
        self._lock = threading.Lock()
        self._pending: Future[Sequence[Reading]] | None = None
        self._last: tuple[float, Sequence[Reading] | None] | None = None

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering this reads nothing."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics. Called by prometheus_client at each scrape."""
        errors = CounterMetricFamily(
            "connector_errors", "Errors that this process has logged, by kind.", labels=["error"]
        )
        for error, count in self._errors().items():
            errors.add_metric([error], count)
        yield errors
        readings = self._current()
        up = GaugeMetricFamily(
            "connector_database_up", "1: the database answered this scrape, or one a few seconds ago; 0: it did not."
        )
        up.add_metric([], 0 if readings is None else 1)
        yield up
        for reading in readings or ():
            gauge = GaugeMetricFamily(reading.name, reading.help, labels=list(reading.labels))
            for labels, value in reading.values:
                gauge.add_metric(list(labels), value)
            yield gauge

    def _current(self) -> Sequence[Reading] | None:
        """Return readings that are at most CACHE_SECONDS old; None: the database cannot be read."""
        with self._lock:
            if self._last and time.monotonic() - self._last[0] < CACHE_SECONDS:
                return self._last[1]
            if self._pending is None:
                self._pending = self._threads.submit(self._read)
            readings = None
            with contextlib.suppress(StillReading):  # it goes on, and a later scrape takes its result
                readings = self._result(self._pending)
                self._pending = None
            self._last = time.monotonic(), readings
            return readings

    @staticmethod
    def _result(pending: Future[Sequence[Reading]]) -> Sequence[Reading] | None:
        try:
            return pending.result(WAIT_SECONDS)
        except StillReading:
            if not pending.done():
                raise
        except Exception:  # noqa: BLE001 - whatever the database's error is, the other metrics are still wanted
            return None
        return None
