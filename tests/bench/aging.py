"""What old texts cost: connectors whose ledgers hold none, and more and more, measured in turns."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from tests.bench import stack
from tests.bench.figures import Aged, Old, compared, middle
from tests.bench.place import Place, Sizes
from tests.bench.scenarios import BATCH, drain, one_by_one
from tests.bench.stack import Stack, Upstream

# Old texts are numbered from here on, new ones below.
FIRST_OLD = 1_000_000_000
# A turn is short, as shares of what is measured elsewhere: the machine is as fast for one of them as for the next.
SINGLES, BATCHES, IDLE = 1 / 4, 1 / 3, 1 / 10

# Texts that were sent and told in the last year, their words and numbers erased.
FILL = (
    """insert into events (crm, event_id, channel, ticket_id, received_at)
       select 'salesforce', 'old-' || n, 'trigger', '5006x' || lpad(n::text, 10, '0') || 'AAA',
              now() - interval '40 days' - random() * interval '325 days'
       from generate_series(%(first)s::bigint, %(last)s::bigint) n""",
    """insert into texts (event, crm, ticket_id, channel, state, rule, chat, outcome, written, changed_at)
       select id, crm, ticket_id, channel, 'sent', 'requested',
              jsonb_build_object('id', 1000000000 + id, 'status', 'selecting'), 1, 1, received_at + interval '1 second'
       from events""",
    """insert into reasons (crm, rule, reason, text)
       select crm, rule, encode(sha256(ticket_id::bytea), 'hex'), id from texts""",
    """insert into recipients (number, text, at)
       select left(encode(sha256(id::text::bytea), 'hex'), 32), id, changed_at from texts""",
    """insert into history (text, at, from_state, to_state, why)
       select texts.id, texts.changed_at, step.from_state, step.to_state, ''
       from texts cross join (values ('received', 'queued'), ('queued', 'sending'), ('sending', 'sent'))
            as step (from_state, to_state)""",
)


@dataclass
class Ledger:
    """A database with so many old texts, and the upstream of the connectors that use it. `turns`: what was measured."""

    old: int
    there: Upstream
    url: str
    turns: list[Aged] = field(default_factory=list)
    used: int = 0

    def first(self, events: int) -> int:
        """The number of the first of so many new events and those that warm up for them."""
        first, self.used = self.used, self.used + 2 * events
        return first


def old(place: Place, _: str = "connector") -> Old:
    """The same connector with an empty ledger, and with more and more texts that are over in it.

    In each round all of them are started anew: chance favours one process for as long as it lives.
    """
    with contextlib.ExitStack() as opened:
        ledgers = [Ledger(count, *opened.enter_context(place.ledger())) for count in (0, *place.sizes.old)]
        for ledger in ledgers:
            if ledger.old:
                place.say(f"  filling a ledger with {ledger.old:,} old texts")
                fill(ledger.url, ledger.old)
        for number in range(place.sizes.rounds):
            place.say(f"  {place.sizes.turns} turns, round {number + 1}")
            _round(place, ledgers)
    empty, full = ledgers[0].turns, ledgers[-1].turns
    return Old(
        steps=[middle(ledger.turns) for ledger in ledgers],
        ratios={
            name: compared([getattr(turn, name) for turn in full], [getattr(turn, name) for turn in empty])
            for name in ("accept", "outbound", "idle")
        },
    )


def _round(place: Place, ledgers: Sequence[Ledger]) -> None:
    with contextlib.ExitStack() as running:
        stacks = [running.enter_context(stack.connector(ledger.there, ledger.url, place.logs())) for ledger in ledgers]
        pairs = list(zip(ledgers, stacks, strict=True))
        for ledger, one in pairs:
            _turn(place.sizes, ledger, one)  # connections and caches are there then
        for number in range(place.sizes.turns):
            for ledger, one in pairs if number % 2 else reversed(pairs):
                ledger.turns.append(_turn(place.sizes, ledger, one))


def _turn(sizes: Sizes, ledger: Ledger, one: Stack) -> Aged:
    idle, singles, many = (
        max(round(whole * share), 1)
        for whole, share in ((sizes.idle, IDLE), (sizes.accept, SINGLES), (sizes.outbound, BATCHES))
    )
    return Aged(
        old=ledger.old,
        idle=one_by_one(one, ledger.there, idle, ledger.first(idle)),
        accept=drain(one, ledger.there, singles, ledger.first(singles)),
        outbound=drain(one, ledger.there, many, ledger.first(many), BATCH),
    )


def fill(url: str, count: int) -> None:
    """So many old texts for an empty ledger. Nothing of it is left for the database to do."""
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            for statement in FILL:
                connection.execute(statement, {"first": FIRST_OLD, "last": FIRST_OLD + count - 1})
        connection.execute("vacuum (analyze) events, texts, reasons, recipients, history")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("checkpoint")
