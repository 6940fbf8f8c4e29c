"""The steps of texts in every order in which two workers, people and maintenance may take them.

A step is one statement, or one transaction, of the connector's own, on a real database. What a worker knows between two
of its steps is in its hand: it may be slow there, or die. A witness notes each call and what came of it, and each write
to a ticket. The promises are checked after every step. In the end everything is mended, and it has to come to rest with
nothing left undone and the truth on each ticket.

    CONNECTOR_TEST_MODEL_EXAMPLES=5000 .venv/bin/python -m pytest tests/store/test_state_machine.py

Three things are taken for granted. The jobs of a worker that has died come again. A call is over when its claim's time
is, though its answer may be heard later. A write that had no clear answer arrives before a job that is taken later
looks what to tell the same ticket, or never.
"""

import contextlib
import copy
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar, cast

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.delivery import write_back
from connector.delivery.admission import Admission
from connector.delivery.retry_policy import DIED
from connector.errors import RefusalScope, Refused, Unavailable
from connector.model import OUTCOMES, Channel, Chat, Decision, OutboundSms, Skip, State, Text, TicketEvent
from connector.outcome import Outcome
from connector.policy.checks import Policy
from connector.policy.config import PolicyKeys
from connector.store import events, retention, sending_claims, text_views, texts
from connector.store import jobs as job_store
from connector.store import outcomes as outcome_store
from connector.store.jobs import Kind, NewJob
from connector.store.outcomes import WriteResult
from connector.store.sending_claims import Attempt
from connector.transitions import UNDECIDED, Transition
from tests.support.counted import counted, in_table

EXAMPLES = int(os.environ.get("CONNECTOR_TEST_MODEL_EXAMPLES", "20"))
STEPS = int(os.environ.get("CONNECTOR_TEST_MODEL_STEPS", "80"))

CRM, NUMBER = "salesforce", "+14155550100"
TICKETS = ("500000000000001AAA", "500000000000002AAA")
WORKERS = ("A", "B")
OTHER = {"A": "B", "B": "A"}
POLICY = Policy(PolicyKeys(), frozenset({"hours"}))
# Texts that may be open when another event comes.
MAX_OPEN = 3
# Rounds of all jobs that are due, until nothing may be left to do.
ROUNDS = 25

Answer = TypeVar("Answer")
# A text, and the number of one of its claims.
Mine = tuple[int, int]

ROWS = """
select id, ticket_id, channel, state, revision, rank() over (order by coalesce(known, 0)) as known,
       (chat ->> 'id')::bigint as chat, contradicted, same_as, outcome, written, notified,
       claim_token, exists (select from reasons where reasons.text = texts.id) as has_reason,
       exists (select from recipients where recipients.text = texts.id) as has_number
from texts order by id
"""
JOBS = """
select id, entrypoint, convert_from(payload, 'utf8') as payload, execute_after <= now() as due from pgqueuer order by id
"""
TABLES = "texts, events, reasons, recipients, history, sending_state, pgqueuer, pgqueuer_log, roll_ups, roll_up_changes"
WIPE = f"truncate {TABLES} restart identity cascade"


@dataclass(frozen=True, slots=True)
class Row:
    """A text as the database has it. `has_reason`, `has_number`: whether it holds one."""

    id: int
    ticket_id: str
    channel: str
    state: str
    revision: int
    known: int
    chat: int | None
    contradicted: str | None
    same_as: int | None
    outcome: int
    written: int
    notified: int
    claim_token: int | None
    has_reason: bool
    has_number: bool


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    entrypoint: str
    payload: str
    due: bool

    @property
    def tells(self) -> bool:
        return Kind(self.entrypoint) is Kind.WRITE_BACK

    @property
    def ids(self) -> list[int]:
        return [int(text) for text in self.payload.split(",")]


@dataclass(eq=False)
class Claim:
    """What is known of a claim. `again`: it was made of an unknown text. `certain`: what became of its call is told."""

    again: bool
    certain: bool = False
    overdue: bool = False


@dataclass(eq=False)
class Call:
    """What the witness knows. `chat` None: it did nothing. `excused`: a person has said that it was not sent."""

    text: int
    claim: int
    reason: str
    chat: int | None
    over: bool = False
    excused: bool = False


@dataclass(eq=False)
class Hand:
    """A text in a worker's hand, and which step is next: decide, settle, claim, undo, call or hear.

    `late`: it may not call any more.
    """

    worker: str
    job: int
    known: Text
    next: str
    token: int = 0
    claim: int = 0
    late: bool = False
    call: Call | None = None
    move: Transition | None = None

    @property
    def text(self) -> int:
        return self.known.id

    def __str__(self) -> str:
        return f"{self.worker}: text {self.text} (revision {self.known.revision}, claim {self.claim})"


@dataclass(eq=False)
class Write:
    """A write to a ticket that is under way."""

    outcome: Outcome


@dataclass(eq=False)
class Telling:
    """What a worker is about to write, or has under way."""

    worker: str
    jobs: list[int]
    outcomes: Sequence[Outcome]
    overtaken: dict[int, int]
    begun: bool = False
    asked: list[Outcome] = field(default_factory=list)

    def __str__(self) -> str:
        known = ", ".join(f"text {one.text} version {one.version} {one.state}" for one in self.outcomes)
        return f"{self.worker}: [{known}] overtaken {self.overtaken}"


@dataclass(frozen=True, slots=True)
class Luck:
    """Whether calls are accepted; how they are answered: clear, again (not now) or unclear; and for how many seconds
    texts are put off.
    """

    accepted: bool = True
    answer: str = "clear"
    pause: float = 60.0


Facts = tuple[int, str, int | None, str | None]


def facts(outcome: Outcome) -> Facts:
    """What a ticket shows."""
    return outcome.text, outcome.state.value, outcome.chat["id"] if outcome.chat else None, outcome.contradicted


@dataclass(frozen=True, slots=True)
class OnlyOne:
    """A pool of this connection."""

    one: psycopg.Connection

    @contextlib.contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        yield self.one


def named(hands: Sequence[Hand]) -> str:
    return "; ".join(map(str, hands))


class World:
    """All that there is: the connector's database, and what the others know that it cannot know."""

    def __init__(self, connection: psycopg.Connection, try_again: bool = False) -> None:
        """`try_again`: unknown texts get one more try."""
        self.connection, self.try_again = connection, try_again
        self.luck = Luck()
        self.story, self.broken = list[str](), False
        self.events, self.tokens, self.chats = itertools.count(1), itertools.count(1), itertools.count(101)
        self.rows, self.jobs = dict[int, Row](), list[Job]()
        self.reasons, self.windows = dict[int, str](), dict[int, float]()
        self.hands, self.tellings = list[Hand](), list[Telling]()
        self.owners, self.come_again = dict[int, str](), set[int]()  # by job
        self.lost_jobs = False  # whose job had been taken over died with the text in hand: repaired by maintenance
        self.claims, self.calls = dict[Mine, Claim](), list[Call]()
        self.heard = defaultdict[int, set[int]](set)  # by text: the chats that the ledger was told of
        self.not_sent, self.found, self.taken_back = set[int](), dict[int, int](), set[int]()
        self.not_told = dict[int, int]()  # by text: the outcome that a person has given up to tell
        self.tickets, self.under_way = dict[str, Facts](), list[Write]()

    def _do(
        self, what: str, step: Callable[[psycopg.Connection], Answer], mine: Callable[[Row], bool] = lambda _: False
    ) -> Answer:
        """One step. `mine`: whether it may take this text, which is in `sending`, out of it."""
        self.story.append(what)
        before, answer = self.rows, step(self.connection)
        self._look()
        self.insist(
            [
                f"text {row.id} was taken out of its call by one whose it is not"
                for row in before.values()
                if row.state == State.SENDING
                and not mine(row)
                and (self.rows[row.id].state, self.rows[row.id].revision) != (row.state, row.revision)
            ]
        )
        self.insist(self.wrong())
        self.insist([] if counted(self.connection) == in_table(self.connection) else ["the roll-ups are wrong"])
        return answer

    def _look(self) -> None:
        with self.connection.cursor(row_factory=class_row(Row)) as cursor:
            self.rows = {row.id: row for row in cursor.execute(ROWS)}
        with self.connection.cursor(row_factory=class_row(Job)) as cursor:
            self.jobs = cursor.execute(JOBS).fetchall()

    def insist(self, problems: Iterator[str] | Sequence[str]) -> None:
        """Fail where there are any, with the whole story."""
        if found := list(problems):
            self.broken = True
            raise AssertionError("\n".join([*found, "---", *self.story, "---", *map(str, self.rows.values())]))

    # ---- what comes in

    def asks(self, ticket: str, reason: str, channel: Channel = Channel.TRIGGER, window: float = 0) -> int:
        """A new event; its text. `window` in hours."""
        event = TicketEvent(CRM, f"event {next(self.events)}", ticket, channel=channel)
        what = f"an event: ticket {ticket[14]}, {reason}, {channel}, window {window} h"
        text = self._do(what, lambda connection: events.save(connection, [event]))[0].text
        assert text
        self.reasons[text], self.windows[text] = reason, window
        return text

    # ---- workers: delivery

    def takes(self, worker: str, job: Job) -> None:
        """Take a job: free, or another worker's who is taken for dead."""
        self.owners[job.id] = worker
        if job.tells:
            self.reads_outcomes(worker, [job])
            return
        known = self._do(f"{worker} takes job {job.id} and loads {job.ids}", lambda one: texts.load(one, job.ids))
        for text in known.values():
            if text.early is not True and text.state in UNDECIDED:
                self.hands.append(Hand(worker, job.id, text, "decide"))
            elif text.early is False and text.state is State.UNKNOWN and text.sms:
                self.hands.append(Hand(worker, job.id, text, "claim"))
        self._ends(worker, job.id)

    def _ends(self, worker: str, job: int, again: bool = False) -> None:
        """A job is done when nothing of it is in hand, unless it has to come again. Only its owner has a say in it."""
        if self.owners.get(job) != worker:
            self.lost_jobs |= again
            return
        if again:
            self.come_again.add(job)
        if any(hand.worker == worker and hand.job == job for hand in self.hands):
            return
        del self.owners[job]
        if job in self.come_again:
            self.come_again.discard(job)
        else:
            self.connection.execute("delete from pgqueuer where id = %s", [job])
            self.jobs = [one for one in self.jobs if one.id != job]

    def drops(self, hand: Hand, again: bool = False) -> None:
        """Nothing more is done with it. `again`: its job comes again."""
        self.hands.remove(hand)
        self._ends(hand.worker, hand.job, again)

    def decides(self, hand: Hand, verdict: str) -> None:
        """The ticket was read, mapped, and something is against a text now."""
        text, revision = hand.text, hand.known.revision
        hand.move = {
            "skip quietly": transitions.skipped(text, Skip("no rule", notify=False), revision=revision),
            "skip": transitions.skipped(text, Skip("no usable phone"), revision=revision),
            "fail": transitions.failed(text, "the ticket cannot be read", revision),
            "put off": transitions.put_off(text, revision, "the ticket cannot be read now", self.luck.pause),
            "hold": transitions.held(text, "at night", self.luck.pause, [], revision),
        }[verdict]
        hand.next = "settle"
        self.story.append(f"{hand} decides to {verdict}")

    def admits(self, *hands: Hand) -> None:
        """Nothing is against them but what the ledger knows: one call of admission."""
        asked = [(hand.known, self._decision(hand)) for hand in hands]
        admission = Admission(cast(ConnectionPool, OnlyOne(self.connection)), {CRM: POLICY})
        admitted = self._do(f"{named(hands)} decides to send", lambda _: admission.admit(asked))
        for hand, became in zip(hands, admitted, strict=True):
            if isinstance(became, Transition):
                self._settles_next(hand, became)
            elif became is None:
                self.drops(hand)
            else:
                hand.known, hand.next = became[0], "claim"

    def _decision(self, hand: Hand) -> Decision:
        sms = OutboundSms(NUMBER, "+16285550199", "Hi", hand.known.ticket_id)
        return Decision("requested", self.reasons[hand.text], sms, window_hours=self.windows[hand.text])

    def _settles_next(self, hand: Hand, move: Transition) -> None:
        hand.move, hand.next = move, "settle"

    def claims_them(self, *hands: Hand, how: str = "made") -> None:
        """`how`: made, not made, or made unheard: then the database was lost, and the worker cannot know."""
        for hand in hands:
            hand.token = next(self.tokens)
        tries, before = [Attempt(hand.text, hand.known.revision, hand.token) for hand in hands], self.rows
        answers = dict[int, sending_claims.Answer]()
        if how != "not made":
            answers = self._do(
                f"{named(hands)} claims ({how})", lambda one: sending_claims.start_sending(one, tries, 60)
            )
        for hand in hands:
            claim = answers.get(hand.token)
            if isinstance(claim, int):
                self.claims[hand.text, claim] = Claim(again=before[hand.text].state == State.UNKNOWN)
            if how != "made":
                hand.next = "undo"
            elif isinstance(claim, int):
                hand.claim, hand.next = claim, "call"
            else:
                self.drops(hand)

    def undoes(self, hand: Hand) -> None:
        """Nobody was called. The job comes again."""
        before = self.rows[hand.text]
        one = Attempt(hand.text, 0, hand.token)
        if before.state == State.SENDING and before.claim_token == hand.token:
            self.claims[hand.text, before.revision].certain = True
        self._do(
            f"{hand} undoes its claim",
            lambda connection: sending_claims.undo_sending(connection, [one]),
            lambda row: row.claim_token == hand.token,
        )
        self.drops(hand, again=True)

    def calls_for(self, hand: Hand) -> None:
        """The first byte leaves."""
        chat = next(self.chats) if self.luck.accepted else None
        hand.call = Call(hand.text, hand.claim, self.reasons[hand.text], chat)
        hand.next = "hear"
        self.story.append(f"{hand} calls; {f'it is chat {chat}' if chat else 'it is refused'}")
        self.insist(self._wrong_call(hand.call))
        self.calls.append(hand.call)

    def _wrong_call(self, call: Call) -> Iterator[str]:
        row, claim = self.rows[call.text], self.claims[call.text, call.claim]
        if (row.state, row.revision) != (State.SENDING, call.claim):
            yield f"text {call.text} is called by one whose claim is not good"
        if call.text in self.taken_back:
            yield f"text {call.text} is called after it was taken back"
        for other in self.calls:
            if other.text == call.text and not other.over:
                yield f"text {call.text} is called while another call of it is under way"
            if other.text == call.text and not claim.again and not self.claims[other.text, other.claim].certain:
                yield f"text {call.text} is called again although it is not known what became of its first call"
            if call.chat and other.chat and other.reason == call.reason and not self._may_be_two(other, call, claim):
                yield f"texts {other.text} and {call.text} are two for one reason"

    def _may_be_two(self, first: Call, second: Call, claim: Claim) -> bool:
        """A person was wrong, or this is the one more try of what was not known to be sent."""
        one_more = first.text == second.text and claim.again and first.chat not in self.heard[first.text]
        return first.excused or one_more

    def does_not_call(self, hand: Hand) -> None:
        """Held up, or something came in between: nothing was sent."""
        self._settles_next(hand, transitions.again(hand.text, hand.claim, "the connector was held up", 1))
        self.story.append(f"{hand} does not call")

    def hears(self, hand: Hand) -> None:
        """The call has ended, clearly or not."""
        call, first = hand.call, hand.known.state is not State.UNKNOWN
        assert call
        call.over = True
        if self.luck.answer == "unclear":
            after = self.luck.pause if self.try_again and first else None
            move = transitions.unknown(hand.text, hand.claim, "no answer", after)
        elif call.chat:
            move = transitions.sent(hand.text, hand.claim, Chat(id=call.chat))
        elif self.luck.answer == "clear":
            move = transitions.refused(hand.text, hand.claim, "the number is invalid")
        else:
            move = transitions.again(hand.text, hand.claim, "later", self.luck.pause, tried=True)
        self._settles_next(hand, move)
        self.story.append(f"{hand} hears: {move.to_state}")

    def settles(self, *hands: Hand, heard: bool = True) -> None:
        """Commit what is known. Not `heard`: the commit got through, and its answer did not: it is settled again."""
        moves = [hand.move for hand in hands if hand.move]
        for move in moves:
            if move.answers:
                self.claims[move.id, move.revision or 0].certain = move.to_state is not State.UNKNOWN
                self.heard[move.id] |= {move.chat["id"]} if move.chat else set()
        words = ", ".join(f"{move.to_state}{f' as {move.same_as}' if move.same_as else ''}" for move in moves)
        self._do(
            f"{named(hands)} settles: {words}{'' if heard else ' (unheard)'}",
            lambda one: texts.move(one, moves),
            lambda row: any(move.answers and (row.id, row.revision) == (move.id, move.revision) for move in moves),
        )
        self.insist(self._reasons_lost(moves))
        for hand in hands if heard else ():
            self.drops(hand)

    def _reasons_lost(self, moves: Sequence[Transition]) -> Iterator[str]:
        """What was sent has its reason again, if a person was wrong, unless another text has it by now."""
        held = {self.reasons[row.id] for row in self.rows.values() if row.has_reason}
        for text in [move.id for move in moves if move.chat]:
            if self.reasons[text] not in held:
                yield f"text {text} was sent, and its reason is free"

    def dies(self, worker: str) -> None:
        """All that it had in hand is forgotten; its jobs come again."""
        self.story.append(f"{worker} dies")
        self.lost_jobs |= any(hand.worker == worker != self.owners.get(hand.job) for hand in self.hands)
        self.hands = [hand for hand in self.hands if hand.worker != worker]
        for telling in [one for one in self.tellings if one.worker == worker]:
            self._leaves(telling)
        self.owners = {job: owner for job, owner in self.owners.items() if owner != worker}

    # ---- workers: what tickets are told

    def reads_outcomes(self, worker: str, jobs: Sequence[Job]) -> None:
        """Take these jobs, and look what there is to tell. What earlier tries had under way never arrives then."""
        ids = [text for job in jobs for text in job.ids]
        self.owners |= {job.id: worker for job in jobs}
        tickets = {self.rows[text].ticket_id for text in ids}
        self.under_way = [
            write
            for write in self.under_way
            if write.outcome.ticket_id not in tickets or any(write in self.own(one) for one in self.tellings)
        ]
        what = f"{worker} takes jobs {[job.id for job in jobs]} and reads the outcomes of {ids}"
        to_notify = self._do(what, lambda connection: outcome_store.pending(connection, ids))
        if to_notify.soon:
            self._do("some are told soon", lambda connection: outcome_store.look_again(connection, to_notify.soon, 0))
        self.tellings.append(Telling(worker, [job.id for job in jobs], to_notify.outcomes, dict(to_notify.overtaken)))

    def begins(self, telling: Telling) -> None:
        """The writes leave."""
        telling.begun, telling.asked = True, write_back._newest_of_each_ticket(telling.outcomes)
        self.insist(
            [
                f"ticket {one.ticket_id} is told of text {one.text} what is no outcome: {one.state}"
                for one in telling.asked
                if one.state not in OUTCOMES
            ]
        )
        writes: dict[int, dict[str, Any]] = {one.text: {} for one in telling.asked}
        self._do(f"{telling} begins to write", lambda connection: outcome_store.begin_write(connection, writes))
        self.under_way += [Write(outcome) for outcome in telling.asked]

    def arrives(self, write: Write) -> None:
        """The CRM has taken it."""
        self.under_way.remove(write)
        self.tickets[write.outcome.ticket_id] = facts(write.outcome)
        self.story.append(f"ticket {write.outcome.ticket_id[14]} shows {facts(write.outcome)}")

    def own(self, telling: Telling) -> list[Write]:
        return [write for write in self.under_way if any(write.outcome is one for one in telling.asked)]

    def tells(self, telling: Telling, how: str = "taken") -> None:
        """Commit what the CRM said: taken, refused or unclear; or `unheard`: taken, but the database was lost."""
        unclear = Unavailable("no answer") if how == "unclear" else None
        answers: write_back.Answers = dict.fromkeys((one.text for one in telling.asked), unclear)
        for write in [] if unclear else self.own(telling):
            if how == "refused":
                self.under_way.remove(write)
                answers[write.outcome.text] = Refused("a rule of the CRM's", RefusalScope.TICKET)
            else:
                self.arrives(write)
        results, later = write_back._sorted(telling.outcomes, answers)
        results += [WriteResult(text, version, True) for text, version in telling.overtaken.items()]
        self._do(f"{telling} tells: {how}", lambda connection: self._settle_told(connection, results, later))
        self._end_telling(telling, again=how == "unheard")

    def _settle_told(
        self, connection: psycopg.Connection, results: Sequence[WriteResult], later: dict[int, tuple[float, str | None]]
    ) -> None:
        outcome_store.record(connection, results)
        if later:
            outcome_store.retry_later(connection, later)

    def _end_telling(self, telling: Telling, again: bool = False) -> None:
        self.tellings.remove(telling)
        for job in telling.jobs:
            self._ends(telling.worker, job, again)

    def _leaves(self, telling: Telling) -> None:
        """Its job comes again, also where another worker had taken it over: nothing else could find out."""
        self.tellings.remove(telling)
        if telling.asked and not any(self.owners.get(job) == telling.worker for job in telling.jobs):
            new = [NewJob(Kind.WRITE_BACK, one.text, Channel.TRIGGER) for one in telling.asked]
            self._do("their jobs come again", lambda connection: job_store.add(connection, new))

    # ---- people, time and maintenance

    def cancels(self, text: int) -> None:
        if self._do(f"a person cancels text {text}", lambda connection: text_views.cancel(connection, text, "maya")):
            self.taken_back.add(text)

    def pauses(self, text: int) -> None:
        """Its back-fill is paused."""
        step = transitions.taken_back(text, "paused")
        if self._do(f"text {text} is taken back", lambda connection: texts.move(connection, [step])):
            self.taken_back.add(text)

    def gives_up_telling(self, text: int) -> None:
        """A person does not want the ticket to be told."""
        what = f"a person does not want text {text} to be told"
        if self._do(what, lambda connection: outcome_store.give_up(connection, text, "not wanted")):
            self.not_told[text] = self.rows[text].outcome

    def untold(self) -> list[int]:
        """Texts that no ticket was told of, and nobody is about to."""
        busy = {one.text for telling in self.tellings for one in telling.outcomes}
        busy |= {write.outcome.text for write in self.under_way}
        untold = [row.id for row in self.rows.values() if row.outcome > row.written and not row.notified]
        return [text for text in untold if text not in busy]

    def resolves(self, text: int, chat: int | None) -> None:
        """A person says what became of an unknown text, and may be wrong."""
        if chat is not None:
            self.found[text] = chat
        else:
            self.not_sent.add(text)
            for call in self.calls:
                call.excused |= call.text == text
        what = f"a person settles text {text} as {'not sent' if chat is None else f'chat {chat}'}"
        assert self._do(what, lambda connection: text_views.resolve(connection, text, chat))

    def claims_end(self) -> None:
        """The time of all claims is over: no call begins any more, and none is under way any more."""
        for row in self.rows.values():
            if row.state == State.SENDING:
                self.claims[row.id, row.revision].overdue = True
        for hand in self.hands:
            hand.late |= hand.next == "call"
        for call in self.calls:
            call.over = True
        past = "update texts set claim_until = clock_timestamp() - interval '1 second' where state = 'sending'"
        self._do("the time of all claims is over", lambda connection: connection.execute(past))

    def hour_comes(self) -> None:
        """All that was put off is due."""
        self.connection.execute("update pgqueuer set execute_after = now() where execute_after > now()")
        due = "update texts set not_before = now() - interval '1 second' where not_before > now()"
        self._do("what was put off is due", lambda connection: connection.execute(due))

    def gives_up(self) -> None:
        self._do(
            "texts are given up",
            lambda connection: texts.give_up_overdue(connection, DIED),
            lambda row: self.claims[row.id, row.revision].overdue,
        )

    def keeps_house(self, what: str) -> None:
        """Much later than the last step of any text."""
        self.connection.execute("update texts set changed_at = changed_at - interval '2 minutes'")
        {
            "requeue": lambda: self._do("maintenance: requeue", retention.requeue),
            "free": lambda: self._do("maintenance: free", retention.free),
            "free lately": lambda: self._do(
                "maintenance: free lately", lambda one: retention.free(one, all_texts=False)
            ),
        }[what]()

    # ---- what there is

    def free_jobs(self) -> list[Job]:
        return [job for job in self.jobs if job.due and job.id not in self.owners]

    def in_hand(self, worker: str | None = None) -> list[Hand | Telling]:
        every: list[Hand | Telling] = [*self.hands, *self.tellings]
        return [one for one in every if worker in (None, one.worker)]

    def to_do(self, worker: str | None = None) -> list[Hand | Telling | Job]:
        """What a worker has in hand, or could take, be it from one who is taken for dead; None: anybody's."""
        whose = (None, OTHER.get(worker or ""))
        return [*self.in_hand(worker), *(job for job in self.jobs if job.due and self.owners.get(job.id) in whose)]

    def in_state(self, *states: State) -> list[int]:
        return [row.id for row in self.rows.values() if row.state in states]

    def copied(self) -> "World":
        """The same world, which goes on by itself, on the same connection."""
        return copy.deepcopy(self, {id(self.connection): self.connection})

    def next_job(self) -> Job | None:
        """Texts before tickets, and what is free before what another worker has."""
        due = [job for job in self.jobs if job.due]
        return min(due, key=lambda job: (job.id in self.owners, job.tells, job.id), default=None)

    def place(self, left: frozenset[str]) -> Hashable:
        """Worlds that are alike in this go on alike, whichever worker is which. `left`: what is still to happen."""
        rows = [replace(row, claim_token=None) for row in self.rows.values()]
        jobs = [(job.entrypoint, job.payload, job.due) for job in self.jobs]
        workers = sorted(
            repr(
                (
                    worker in left,
                    [job.payload for job in self.jobs if self.owners.get(job.id) == worker],
                    [replace(one, worker="", job=0) for one in self.hands if one.worker == worker],
                    [
                        (one.begun, one.outcomes, one.overtaken, [write.outcome for write in self.own(one)])
                        for one in self.tellings
                        if one.worker == worker
                    ],
                )
            )
            for worker in WORKERS
        )
        besides = (self.claims, self.calls, sorted(self.taken_back), self.tickets, sorted(left - {*WORKERS}))
        return repr((rows, jobs, workers, besides))

    # ---- what must be so after every step

    def wrong(self) -> Iterator[str]:
        for row in self.rows.values():
            if row.state == State.SENT and row.has_reason:
                for call in self.calls:
                    call.excused &= call.text != row.id  # a person was wrong, and the ledger knows
            if row.id in self.reasons:
                yield from self._wrong_holds(row)
                yield from self._wrong_answers(row)

    def _wrong_holds(self, row: Row) -> Iterator[str]:
        """Reasons and numbers are held by those that may have been sent, and by nobody who was certainly not."""
        if row.state in (State.SKIPPED, State.FAILED, State.CANCELLED):
            if row.has_reason:
                yield f"text {row.id} is {row.state} and holds its reason"
            if row.has_number:
                yield f"text {row.id} is {row.state} and holds its number"
        mistaken = {self.reasons[text] for text in self.not_sent}
        holds = row.has_reason or self.reasons[row.id] in mistaken
        if row.state in (State.SENDING, State.SENT, State.UNKNOWN) and not holds:
            yield f"text {row.id} is {row.state} and does not hold its reason"

    def _wrong_answers(self, row: Row) -> Iterator[str]:
        """No answer is dropped, and nothing is made up."""
        claims = [claim for (text, _), claim in self.claims.items() if text == row.id]
        chats, person = self.heard.get(row.id, set()), row.id in self.not_sent or row.id in self.found
        if chats and (row.state not in (State.SENT, State.SENDING) or row.chat not in chats):
            yield f"text {row.id} was answered with chats {chats} and is {row.state}, chat {row.chat}"
        other = row.id in self.not_sent or self.found.get(row.id, row.chat) not in chats or len(chats) > 1
        if chats and other and row.state == State.SENT and not row.contradicted:
            yield f"text {row.id} was settled otherwise than it was answered, and nobody hears of it"
        if row.contradicted and not person and len(chats) < 2:
            yield f"text {row.id} is said to be contradicted, and is not: {row.contradicted}"
        if row.state == State.UNKNOWN and all(claim.certain for claim in claims):
            yield f"text {row.id} is unknown although all its calls have clear answers"
        over = row.state not in (State.SENDING, State.UNKNOWN, State.SENT)
        if over and row.id not in self.not_sent and not all(claim.certain for claim in claims):
            yield f"text {row.id} is {row.state} although it may have been sent"

    # ---- the end

    def heals(self, finish: bool = False, arrive: bool = True) -> None:
        """Nothing goes wrong any more; it has to come to rest. `finish`: workers go on, else they die; `arrive`: writes
        that are under way.
        """
        self.story.append("everything is mended")
        self.luck = Luck()
        if finish:
            self.goes_on()
        for worker in WORKERS:
            self.dies(worker)
        for write in list(self.under_way) if arrive else ():
            self.arrives(write)
        if self.lost_jobs:
            self.keeps_house("requeue")
        self.comes_to_rest()
        held = self._held()
        for what in ("free", "requeue"):
            self.keeps_house(what)
        rest = held == self._held() and all(job.tells for job in self.jobs)
        self.insist([] if rest else ["maintenance has found something to put right"])
        self.comes_to_rest()

    def comes_to_rest(self) -> None:
        """Do all jobs, those that come of them, too."""
        for _ in range(ROUNDS):
            self.claims_end()
            self.hour_comes()
            self.gives_up()
            if not self.jobs:
                break
            for job in self.jobs:
                self.takes(WORKERS[0], job)
                self.goes_on()
        self.insist([f"it does not come to rest: {job}" for job in self.jobs])
        self.insist(self.undone())
        self.insist(self.untrue())

    def _held(self) -> list[tuple[int]]:
        every = "select text from reasons union all select text from recipients order by text"
        return self.connection.execute(every).fetchall()

    def goes_on(self) -> None:
        """Workers do what they have in hand to its end."""
        while self.hands or self.tellings:
            for hand in list(self.hands):
                self.next_of(hand)
            for telling in list(self.tellings):
                if not telling.begun:
                    self.begins(telling)
                self.tells(telling)

    def does(self, worker: str, one: Hand | Telling | Job) -> None:
        """The next step of what it has in hand, or takes."""
        if isinstance(one, Job):
            self.takes(worker, one)
        elif isinstance(one, Hand):
            self.next_of(one)
        elif one.begun:
            self.tells(one)
        else:
            self.begins(one)

    def next_of(self, hand: Hand) -> None:
        """The next step, when nothing comes in between."""
        steps: dict[str, Callable[[Hand], None]] = {
            "decide": self.admits,
            "settle": self.settles,
            "claim": self.claims_them,
            "undo": self.undoes,
            "call": self.does_not_call if hand.late else self.calls_for,
            "hear": self.hears,
        }
        steps[hand.next](hand)

    def undone(self) -> Iterator[str]:
        """Nothing is stranded: each text is over, and has been told of unless it was taken back."""
        for row in self.rows.values():
            if row.state not in OUTCOMES:
                yield f"text {row.id} is stranded: {row.state}"
            if row.state == State.SKIPPED and row.same_as and self._truth_of(row).outcome == 0:
                yield f"text {row.id} was skipped for text {row.same_as}, which has ended without a result"
            elif row.state == State.SKIPPED and row.same_as and row.outcome == 0:
                yield f"text {row.id} was skipped for text {row.same_as}, and nobody hears of it"

    def _truth_of(self, row: Row) -> Row:
        """The text that it was skipped for, and so on."""
        seen = {row.id}
        while row.same_as is not None and row.state == State.SKIPPED and row.same_as not in seen:
            row = self.rows[row.same_as]
            seen.add(row.id)
        return row

    def untrue(self) -> Iterator[str]:
        """Each ticket shows the text whose outcome became known last, and what is known of it now."""
        reported = [
            row for row in self.rows.values() if row.outcome > self.not_told.get(row.id, 0) and not self._gives_way(row)
        ]
        newest = {row.ticket_id: row for row in sorted(reported, key=lambda row: (row.known, row.id))}
        for ticket, row in newest.items():
            truth = self._truth_of(row)
            expected = (row.id, truth.state, truth.chat, truth.contradicted)
            if self.tickets.get(ticket) != expected:
                yield f"ticket {ticket[14]} shows {self.tickets.get(ticket)}; the truth is {expected}"

    def _gives_way(self, row: Row) -> bool:
        """What sent nothing, and the ticket has not asked for, does not hide that another text is unknown."""
        return (
            row.channel != Channel.TRIGGER
            and self._truth_of(row).state in (State.FAILED, State.SKIPPED, State.CANCELLED)
            and any(one.state == State.UNKNOWN and one.ticket_id == row.ticket_id for one in self.rows.values())
        )


# ---- by chance


def while_there_are(what: Callable[[World], Sequence[object]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule that takes one of them."""
    return precondition(lambda self: bool(what(self.world)))


LUCK = st.builds(
    Luck, st.booleans(), st.sampled_from(["clear", "clear", "again", "unclear"]), st.sampled_from([0.0, 60.0])
)


class Machine(RuleBasedStateMachine):
    """What may happen next, drawn by chance: mostly that somebody goes on, and every other thing now and then."""

    connection: ClassVar[psycopg.Connection]

    def __init__(self) -> None:
        super().__init__()
        self.connection.execute(WIPE)
        self.world = World(self.connection)
        self.finish, self.arrive, self.meddled, self.rested = False, False, 0, False

    @initialize(
        try_again=st.booleans(),
        same_ticket=st.booleans(),
        finish=st.booleans(),
        arrive=st.booleans(),
        channels=st.tuples(*[st.sampled_from(Channel)] * 2),
    )
    def begin(
        self, try_again: bool, same_ticket: bool, finish: bool, arrive: bool, channels: tuple[Channel, Channel]
    ) -> None:
        """Two events for one reason."""
        self.world.try_again, self.finish, self.arrive = try_again, finish, arrive
        for ticket, channel in zip((TICKETS[0], TICKETS[not same_ticket]), channels, strict=True):
            self.world.asks(ticket, "reason 0", channel)

    @precondition(lambda self: len(self.world.in_state(*UNDECIDED, State.SENDING)) < MAX_OPEN)
    @rule(
        ticket=st.sampled_from(TICKETS),
        before=st.booleans(),
        channel=st.sampled_from(Channel),
        window=st.sampled_from([0, 0, 0, 24]),
    )
    def event(self, ticket: str, before: bool, channel: Channel, window: float) -> None:
        """For a reason that there was `before`, or for another one now and then."""
        number = len(self.world.rows) // 2
        self.world.asks(ticket, f"reason {number - 1 if before else number}", channel, window)

    def _work(self, data: st.DataObject, order: Sequence[str], luck: Luck) -> None:
        self.world.luck, self.rested = luck, False
        for worker in order:
            if to_do := self.world.to_do(worker):
                self.world.does(worker, drawn(data, to_do))

    @while_there_are(World.to_do)
    @rule(data=st.data(), order=st.lists(st.sampled_from(WORKERS), min_size=1, max_size=8), luck=LUCK)
    def work(self, data: st.DataObject, order: list[str], luck: Luck) -> None:
        """Workers go on in this order, with whatever there is to do."""
        self._work(data, order, luck)

    @while_there_are(World.to_do)
    @rule(data=st.data(), worker=st.sampled_from(WORKERS), count=st.integers(1, 6), luck=LUCK)
    def work_alone(self, data: st.DataObject, worker: str, count: int, luck: Luck) -> None:
        self._work(data, [worker] * count, luck)

    @while_there_are(lambda world: world.hands)
    @rule(data=st.data(), count=st.integers(1, 6), luck=LUCK)
    def go_on(self, data: st.DataObject, count: int, luck: Luck) -> None:
        """A worker goes on with one text."""
        self.world.luck = luck
        hand = drawn(data, self.world.hands)
        for _ in range(count):
            if hand in self.world.hands:
                self.world.next_of(hand)

    @while_there_are(lambda world: world.hands)
    @rule(data=st.data(), heard=st.booleans())
    def together(self, data: st.DataObject, heard: bool) -> None:
        """All texts of a worker that are as far as this one take their next step in one call."""
        first = drawn(data, self.world.hands)
        hands = [hand for hand in self.world.hands if (hand.worker, hand.next) == (first.worker, first.next)]
        if first.next == "settle":
            self.world.settles(*hands, heard=heard)
        elif step := {"decide": self.world.admits, "claim": self.world.claims_them}.get(first.next):
            step(*hands)

    @while_there_are(lambda world: world.hands)
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["skip quietly", "skip", "fail", "put off", "hold"]),
        how=st.sampled_from(["made unheard", "not made"]),
        luck=LUCK,
    )
    def stray(self, data: st.DataObject, verdict: str, how: str, luck: Luck) -> None:
        """A worker takes another step than the next one."""
        self.world.luck = luck
        hand = drawn(data, self.world.hands)
        {
            "decide": lambda: self.world.decides(hand, verdict),
            "claim": lambda: self.world.claims_them(hand, how=how),
            "settle": lambda: self.world.settles(hand, heard=False),
            "call": lambda: self.world.does_not_call(hand),
            "hear": lambda: self.world.hears(hand),
            "undo": lambda: self.world.drops(hand, again=True),
        }[hand.next]()

    @precondition(lambda self: any(job.tells for job in self.world.free_jobs()))
    @rule(worker=st.sampled_from(WORKERS))
    def take_all_to_notify(self, worker: str) -> None:
        self.world.reads_outcomes(worker, [job for job in self.world.free_jobs() if job.tells])

    @while_there_are(lambda world: world.tellings)
    @rule(data=st.data(), how=st.sampled_from([None, "taken", "taken", "refused", "unclear", "unheard"]))
    def tell(self, data: st.DataObject, how: str | None) -> None:
        """None: the writes have only left."""
        telling = drawn(data, self.world.tellings)
        if not telling.begun:
            self.world.begins(telling)
        if how:
            self.world.tells(telling, how)

    @while_there_are(lambda world: world.under_way)
    @rule(data=st.data())
    def arrive_at_ticket(self, data: st.DataObject) -> None:
        self.world.arrives(drawn(data, self.world.under_way))

    @precondition(lambda self: self.meddled < len(self.world.rows) // 2)
    @while_there_are(lambda world: world.in_state(*UNDECIDED, State.SENDING))
    @rule(data=st.data(), cancel=st.booleans())
    def take_back(self, data: st.DataObject, cancel: bool) -> None:
        """Also when it is too late."""
        self.meddled += 1
        text = drawn(data, self.world.in_state(*UNDECIDED, State.SENDING, State.SENT))
        (self.world.cancels if cancel else self.world.pauses)(text)

    @while_there_are(lambda world: world.in_state(State.UNKNOWN))
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        """As not sent, as its chat, or as a chat that it was not."""
        text = drawn(data, self.world.in_state(State.UNKNOWN))
        chats = [call.chat for call in self.world.calls if call.text == text and call.chat]
        self.world.resolves(text, drawn(data, [None, 99, *chats]))

    @precondition(lambda self: len(self.world.not_told) < 2)
    @while_there_are(World.untold)
    @rule(data=st.data())
    def give_up_telling(self, data: st.DataObject) -> None:
        self.world.gives_up_telling(drawn(data, self.world.untold()))

    @precondition(lambda self: not self.rested or not self.world.to_do())
    @rule(
        worker=st.sampled_from(WORKERS),
        what=st.sampled_from(["claims end", "hour", "give up", "die", "requeue", "free", "free lately"]),
    )
    def besides(self, worker: str, what: str) -> None:
        """Time passes, maintenance does its work, a worker dies: not twice in a row."""
        self.rested = True
        happen: dict[str, Callable[[], None]] = {
            "claims end": self.world.claims_end,
            "hour": self.world.hour_comes,
            "give up": self.world.gives_up,
            "die": lambda: self.world.dies(worker),
        }
        happen.get(what, lambda: self.world.keeps_house(what))()

    def teardown(self) -> None:
        """Unless it has failed already."""
        if not self.world.broken:
            self.world.heals(self.finish, self.arrive)


def drawn(data: st.DataObject, them: Sequence[Answer]) -> Answer:
    """One of them, by its position: the story says which it was."""
    return them[data.draw(st.integers(0, len(them) - 1))]


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as one:
        # One transaction holds all cases, and is idle while the next step is drawn.
        one.execute("set idle_in_transaction_session_timeout = 0")
        one.execute("set synchronous_commit = off")
        yield one


def test_in_whatever_order_steps_are_taken_no_promise_is_broken(connection: psycopg.Connection) -> None:
    class Bound(Machine): ...

    Bound.connection = connection
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )


# ---- one by one


Happening = tuple[str, Callable[[World], object]]


def happenings(world: World, left: frozenset[str]) -> Iterator[Happening]:
    """What may happen next, by name. `left`: what has not happened yet of that which happens once."""
    for worker in WORKERS:
        if worker in left and world.next_job():
            yield worker, taking(worker)
        if worker not in left:
            yield from goings_on(world, worker, left)
    if "time" in left:
        yield "time", time_passes
    if "cancel" in left:
        yield "cancel", lambda there: there.cancels(1)
    if "pause" in left:
        yield "pause", lambda there: there.pauses(1)
    if "resolve" in left and world.in_state(State.UNKNOWN):
        yield "resolve", lambda there: there.resolves(1, 99)


def taking(worker: str) -> Callable[[World], None]:
    def take(there: World) -> None:
        job = there.next_job()
        assert job
        there.takes(worker, job)

    return take


def time_passes(there: World) -> None:
    there.claims_end()
    there.hour_comes()
    there.gives_up()


def goings_on(world: World, worker: str, left: frozenset[str]) -> Iterator[Happening]:
    """What may happen to what a worker has in hand."""
    for position in range(len(world.in_hand(worker))):
        yield from goings_on_at(world, worker, position, left)


def goings_on_at(world: World, worker: str, position: int, left: frozenset[str]) -> Iterator[Happening]:
    """What may happen to the one of them at this position."""

    def it(there: World, kind: type[Answer]) -> Answer:
        found = there.in_hand(worker)[position]
        assert isinstance(found, kind)
        return found

    one = world.in_hand(worker)[position]
    yield "", lambda there: there.does(worker, there.in_hand(worker)[position])
    if "death" in left:
        yield "death", lambda there: there.dies(worker)
    if "hold" in left and isinstance(one, Hand) and one.next == "decide":
        yield "hold", lambda there: there.decides(it(there, Hand), "hold")
    if "unheard" in left and isinstance(one, Hand) and one.next == "settle":
        yield "unheard", lambda there: there.settles(it(there, Hand), heard=False)
    if isinstance(one, Telling) and world.own(one):
        yield "", lambda there: there.arrives(there.own(it(there, Telling))[0])


def orders(world: World, left: frozenset[str], counted: dict[Hashable, int]) -> int:
    """In how many orders it can go on from here; each of them is taken. Where two meet, they go on as one."""
    if (place := world.place(left)) in counted:
        return counted[place]
    found = list(happenings(world, left))
    for name, happen in found:
        with world.connection.transaction(force_rollback=True):
            there = world.copied()
            happen(there)
            counted[place] = counted.get(place, 0) + orders(there, left - {name}, counted)
    if not found:
        world.heals()
    return counted.setdefault(place, 1)


@pytest.fixture
def world(connection: psycopg.Connection) -> Iterator[World]:
    """A world in a transaction that is never committed, so that each step can be undone."""
    with connection.transaction(force_rollback=True):
        connection.execute(WIPE)
        yield World(connection)


@pytest.mark.parametrize(
    ("accepted", "answer", "once"),
    [
        (True, "clear", "cancel"),
        (True, "unclear", "cancel"),
        (True, "clear", "hold"),
        (True, "unclear", "death"),
        (False, "again", "death"),
        (False, "again", "unheard"),
    ],
)
def test_every_order_of_two_workers_with_one_text(world: World, accepted: bool, answer: str, once: str) -> None:
    """The time of all claims is over once. And once a person cancels the text, or a worker holds it at night, dies, or
    does not hear that what it knows is committed.
    """
    world.luck = Luck(accepted, answer)
    world.asks(TICKETS[0], "a reason")
    assert orders(world, frozenset({*WORKERS, "time", once}), {}) > 900


@pytest.mark.parametrize("once", ["cancel", "pause"])
def test_every_order_of_two_workers_with_a_text_each_for_one_reason(world: World, once: str) -> None:
    """And a person takes one of them back."""
    for ticket in TICKETS:
        world.asks(ticket, "a reason")
    assert orders(world, frozenset({*WORKERS, once}), {}) > 100


@pytest.mark.parametrize("once", [None, "death"])
def test_every_order_of_two_writes_to_one_ticket(world: World, once: str | None) -> None:
    """Two texts of a ticket have failed."""
    for reason in ("a reason", "another reason"):
        world.asks(TICKETS[0], reason)
    for job in world.jobs:
        world.takes(WORKERS[0], job)
        world.decides(world.hands[0], "fail")
        world.settles(world.hands[0])
    assert orders(world, frozenset(filter(None, (*WORKERS, once))), {}) > 30


@pytest.mark.parametrize("once", [None, "death"])
def test_every_order_of_two_writes_of_one_text(world: World, once: str | None) -> None:
    """A text is unknown, and a person settles it while one worker or the other tells of it."""
    world.luck = Luck(answer="unclear")
    world.asks(TICKETS[0], "a reason")
    world.takes(WORKERS[0], world.jobs[0])
    while world.hands:
        world.next_of(world.hands[0])
    assert orders(world, frozenset(filter(None, (*WORKERS, "resolve", once))), {}) > 30
