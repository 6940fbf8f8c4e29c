"""What is measured of each stack. Each scenario starts its stack, measures, ends it, and returns its figures."""

import statistics
import time
from collections.abc import Iterable
from typing import Any

import httpx
import psycopg

from connector.store import api_keys
from connector.store.api_keys import Right
from tests.bench import stack
from tests.bench.figures import Click, Drained, Idle, Pacer, most_within
from tests.bench.load import case_id, event
from tests.bench.place import Place
from tests.bench.running import Failed, wait_for
from tests.bench.stack import Stack, Upstream

# Seconds between two looks, and seconds without any progress before a stack is given up.
LOOK, PATIENCE = 0.2, 60.0
# Events before those that are measured, as a share of them: connections and caches are there then.
WARM_UP = 0.1
# The most notifications that Salesforce puts into one outbound message.
BATCH = 100
DELAY = 0.1
# Seconds between two events of an idle day.
APART = 0.3
WORKERS, PER_SECOND = 3, 10.0


def accept(place: Place, name: str) -> Drained:
    """Single events over 16 connections, as fast as they are taken."""
    with place.running(name) as (one, there):
        return drain(one, there, place.sizes.accept)


def outbound(place: Place, name: str) -> Drained:
    """The same in outbound messages."""
    with place.running(name) as (one, there):
        return drain(one, there, place.sizes.outbound, batch=BATCH)


def delay(place: Place, name: str) -> Drained:
    """Both remote sides take a while for each answer."""
    with place.running(name, DELAY) as (one, there):
        return drain(one, there, place.sizes.delayed)


def idle(place: Place, name: str) -> Idle:
    """One event now and then."""
    with place.running(name) as (one, there):
        return one_by_one(one, there, place.sizes.idle)


def click(place: Place, _: str = "connector") -> Click:
    """An agent looks at a case, clicks, and waits for the outcome."""
    with place.connector() as (one, there, url):
        with psycopg.connect(url, autocommit=True) as connection:
            key = api_keys.add(connection, "bench", [Right.PREVIEW, Right.SEND], 1_000_000)
        times = _click_apart(one.hook.removesuffix("/webhooks/salesforce/events"), f"Bearer {key}", place.sizes.idle)
        once_each(there.stats())
    looked, clicked = (sorted(moments) for moments in zip(*times[1:], strict=True))  # the first one connects
    return Click(
        preview_p50_ms=statistics.median(looked),
        preview_p95_ms=looked[int(len(looked) * 0.95)],
        outcome_p50_ms=statistics.median(clicked),
        outcome_p95_ms=clicked[int(len(clicked) * 0.95)],
    )


def _click_apart(web: str, authorization: str, clicks: int) -> list[tuple[float, float]]:
    """For each click, how long the preview and the outcome took, in milliseconds."""
    times = []
    with httpx.Client(base_url=web, trust_env=False, headers={"Authorization": authorization}, timeout=60) as client:
        for number in range(clicks + 1):
            body = {"ticket_id": case_id(number)}
            start = time.perf_counter()
            seen = client.post("/v1/texts/preview", json=body)
            looked = time.perf_counter()
            text = client.post("/v1/texts?wait=20", json=body, headers={"Idempotency-Key": str(number)})
            done = time.perf_counter()
            if seen.status_code != 200 or text.status_code != 200 or text.json()["state"] != "sent":
                raise Failed(f"not sent: {seen.text} {text.text}")
            times.append(((looked - start) * 1000, (done - looked) * 1000))
            time.sleep(APART)
    return times


def pace(place: Place, _: str = "connector") -> Pacer:
    """A backlog, and several workers that share the limit of requests a second."""
    sizes = place.sizes
    # What leaves in this time, and as much again as ten seconds take: the backlog lasts.
    events = round(PER_SECOND * (sizes.pace_settle + sizes.pace_look + 10))
    with place.connector(workers=WORKERS, per_second=PER_SECOND) as (one, there, _):
        stack.post(one.load(events, 0, batch=BATCH))
        wait_for(lambda: there.count()["sms"], "the first text leaves")
        start = there.stats()["sms"][0] + sizes.pace_settle
        end = start + sizes.pace_look
        time.sleep(max(end + 0.5 - time.time(), 0))
        stats = there.stats()
    once_each(stats)
    texts = sum(start <= at < end for at in stats["sms"])
    return Pacer(
        promised=PER_SECOND,
        seconds=sizes.pace_look,
        texts=texts,
        per_s=texts / sizes.pace_look,
        most_in_a_second=most_within(stats["sms"]),
    )


def drain(one: Stack, there: Upstream, events: int, first: int = 0, batch: int = 0) -> Drained:
    """Post so many events, and wait until each has its text and its case is written."""
    warm_up = max(round(events * WARM_UP), 1)
    stack.post(one.load(warm_up, first, batch=batch))
    _through(there, warm_up)
    there.reset()
    before = one.cpu()
    posted = stack.post(one.load(events, first + warm_up, batch=batch))
    _through(there, events)
    after, stats = one.cpu(), there.stats()
    once_each(stats)
    seconds = max(*stats["sms"], stats["last_write"]) - posted["started"]
    return Drained(
        accepted_per_s=posted["events_per_s"],
        p50_ms=posted["p50_ms"],
        p99_ms=posted["p99_ms"],
        texts_per_s=events / seconds,
        calls_per_1000=(stats["reads"] + stats["writes"]) * 1000 / events,
        doubled=stats["doubled"],
        cpu_ms={part: (after[part] - used) * 1000 / events for part, used in before.items() if part in after},
    )


def _through(there: Upstream, events: int) -> None:
    """Wait for so many texts and written cases, as long as there are more and more of them."""
    seen, since = there.count(), time.monotonic()
    while min(seen.values()) < events:
        time.sleep(LOOK)
        if (count := there.count()) != seen:
            seen, since = count, time.monotonic()
        elif time.monotonic() > since + PATIENCE:
            raise Failed(f"of {events} texts and written cases there are {seen['sms']} and {seen['written']}")


def once_each(stats: dict[str, Any]) -> None:
    """Raises Failed if a text left twice."""
    if stats["doubled"]:
        raise Failed(f"{stats['doubled']} texts left more than once")


def one_by_one(one: Stack, there: Upstream, events: int, first: int = 0) -> Idle:
    """Post an event every now and then, and see when its text leaves."""
    there.reset()
    warm_up = max(round(events * WARM_UP), 1)
    numbers = range(first, first + warm_up + events)
    times = _post_apart(one, numbers)
    _through(there, len(numbers))
    stats = there.stats()
    once_each(stats)
    # The ledger has ids of 18 characters, of which the first 15 are the id.
    left = {ticket[:15]: at for ticket, at in stats["arrived"].items()}
    if strange := [number for number in numbers if case_id(number) not in left]:
        raise Failed(f"{len(strange)} texts are not about the cases that were posted")
    after = [
        [(left[case_id(number)] - since) * 1000 for number, since in zip(numbers, moments, strict=True)][warm_up:]
        for moments in zip(*times, strict=True)
    ]
    from_event, from_answer = after
    return Idle(
        answer_p50_ms=statistics.median(from_answer),
        answer_max_ms=max(from_answer),
        event_p50_ms=statistics.median(from_event),
        event_max_ms=max(from_event),
    )


def _post_apart(one: Stack, numbers: Iterable[int]) -> list[tuple[float, float]]:
    """Post these events; for each when it left and when it was answered, by the machine's clock."""
    times = []
    headers = {"Content-Type": "application/json", "Authorization": one.authorization or "none"}
    with httpx.Client(trust_env=False, headers=headers, timeout=60) as client:
        for number in numbers:
            asked = time.time()
            answer = client.post(one.hook, content=event(number))
            times.append((asked, time.time()))
            if answer.status_code not in (200, 202):
                raise Failed(f"not accepted: {answer.status_code}")
            time.sleep(max(asked + APART - time.time(), 0))
    return times
