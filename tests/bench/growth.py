"""What grows: memory with the texts, and times with what is old in the ledger."""

import contextlib
import time
from collections.abc import Sequence

import psycopg

from tests.bench import stack
from tests.bench.figures import Aged, Memory, Old, middle, ratios
from tests.bench.place import Place
from tests.bench.running import Failed, wait_for
from tests.bench.scenarios import BATCH, LOOK, PATIENCE, drain, once_each, one_by_one
from tests.bench.stack import Stack, Upstream

# Events that are posted at once while memory is measured; the next come when half of them are through.
PIECE = 2000
SAMPLE_SECONDS = 1.0
# Old texts are numbered from here on, new ones below.
FIRST_OLD = 1_000_000_000

Sample = tuple[int, float, float]

# Texts that were sent and told in the last year, their words and numbers erased.
FILL = (
    """insert into event (crm, event_id, door, ticket_id, received_at)
       select 'salesforce', 'old-' || n, 'trigger', '5006x' || lpad(n::text, 10, '0') || 'AAA',
              now() - interval '40 days' - random() * interval '325 days'
       from generate_series(%(first)s::bigint, %(last)s::bigint) n""",
    """insert into text (event, crm, ticket_id, door, state, rule, chat, outcome, written, changed_at)
       select id, crm, ticket_id, door, 'sent', 'requested',
              jsonb_build_object('id', 1000000000 + id, 'status', 'selecting'), 1, 1, received_at + interval '1 second'
       from event where id > %(event)s""",
    """insert into reason (crm, rule, reason, text)
       select crm, rule, encode(sha256(ticket_id::bytea), 'hex'), id from text where event > %(event)s""",
    """insert into recipient (number, text, at)
       select left(encode(sha256(id::text::bytea), 'hex'), 32), id, changed_at from text where event > %(event)s""",
    """insert into history (text, at, from_state, to_state, why)
       select text.id, text.changed_at, step.from_state, step.to_state, ''
       from text cross join (values ('received', 'queued'), ('queued', 'sending'), ('sending', 'sent'))
            as step (from_state, to_state)
       where text.event > %(event)s""",
)


def memory(place: Place, _: str = "connector") -> Memory:
    """Many texts, and how much the web side and the worker keep of them."""
    texts = place.sizes.memory
    with place.connector() as (one, there, _):
        samples = _sampled(one, there, texts)
        once_each(there.stats())
    early = next(sample for sample in samples if sample[0] >= texts / 4)
    last = samples[-1]
    return Memory(
        texts=texts, samples=samples,
        web_max_mb=max(web for _, web, _ in samples), web_growth_mb=last[1] - early[1],
        worker_max_mb=max(worker for _, _, worker in samples), worker_growth_mb=last[2] - early[2],
    )  # fmt: skip


def _sampled(one: Stack, there: Upstream, texts: int) -> list[Sample]:
    """Post so many events in pieces. About each second: texts so far, megabytes of the web side and of the worker."""
    samples: list[Sample] = []
    due = 0.0

    def left(count: int) -> bool:
        nonlocal due
        sms = there.count()["sms"]
        if time.monotonic() >= due or sms >= texts:
            due = time.monotonic() + SAMPLE_SECONDS
            used = one.memory()
            if not used.keys() >= {"web", "worker"}:
                raise Failed("a process of the connector has ended")
            samples.append((sms, used["web"], used["worker"]))
        return sms >= count

    piece = min(PIECE, max(texts // 10, 1))
    for first in range(0, texts, piece):
        stack.post(one.load(min(piece, texts - first), first, batch=BATCH))
        wait_for(lambda first=first: left(first + piece // 2), f"{first} texts", PATIENCE, LOOK)
    wait_for(lambda: left(texts), f"{texts} texts", PATIENCE, LOOK)
    return samples


def old(place: Place, _: str = "connector") -> Old:
    """The same connector with an empty ledger, and with more and more texts that are over in it."""
    steps: list[Aged] = []
    with place.connector() as (one, there, url):
        for count in (0, *place.sizes.old):
            if count:
                place.say(f"  filling the ledger up to {count:,} old texts")
                fill(url, steps[-1].old, count)
            place.say(f"  with {count:,} old texts")
            steps.append(_aged(place, one, there, count, len(steps)))
    return Old(steps=steps, ratios=_compared(steps))


def _aged(place: Place, one: Stack, there: Upstream, count: int, step: int) -> Aged:
    sizes = place.sizes
    # Each round has numbers of its own, twice as many as it posts. The idle day comes first: the database tidies up
    # after a busy one.
    single, many = 2 * sizes.accept, 2 * sizes.outbound
    first = step * (2 * sizes.idle + sizes.rounds * (single + many))
    singles = first + 2 * sizes.idle
    batches = singles + sizes.rounds * single
    idle = one_by_one(one, there, sizes.idle, first)
    turns = range(sizes.rounds)
    return Aged(
        old=count,
        accept=middle([drain(one, there, sizes.accept, singles + turn * single) for turn in turns]),
        outbound=middle([drain(one, there, sizes.outbound, batches + turn * many, BATCH) for turn in turns]),
        idle=idle,
    )


def _compared(steps: Sequence[Aged]) -> dict[str, dict[str, float]]:
    empty, full = steps[0], steps[-1]
    return {name: ratios(getattr(full, name), getattr(empty, name)) for name in ("accept", "outbound", "idle")}


def fill(url: str, have: int, want: int) -> None:
    """Add old texts until there are so many; nothing else may come in. Nothing of it is left for the database to do."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select coalesce(max(id), 0) from event").fetchone()
        numbers = {"first": FIRST_OLD + have, "last": FIRST_OLD + want - 1, "event": row[0] if row else 0}
        with connection.transaction():
            for statement in FILL:
                connection.execute(statement, numbers)
        connection.execute("vacuum (analyze) event, text, reason, history")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("checkpoint")
