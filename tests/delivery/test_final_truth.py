"""What tickets say in the end, whatever order their outcomes became known, written, refused and written late in.

A real ledger, and a CRM whose tickets are a dictionary: what it says last is what people see.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.crms import Change
from connector.delivery.backpressure import Backpressure
from connector.delivery.breaker import Breaker
from connector.delivery.write_back import WriteBack
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.mapping import loader
from connector.mapping.rules import Mapping as TicketMapping
from connector.model import Chat, Decision, OutboundSms, Skip, TicketEvent
from connector.store import circuit_breaker, events, outcomes, text_search, text_views, texts
from connector.store.jobs import Snooze
from connector.store.postgres import Asking
from connector.store.text_search import Only, Search
from tests.support.remote import queued, started

TICKET = "500000000000001AAA"
VALIDATION = Refused("Salesforce: FIELD_CUSTOM_VALIDATION_EXCEPTION: not now", RefusalScope.TICKET)
MAPPING = TicketMapping(
    loader.load(Path(__file__).parent.parent.parent / "mappings" / "salesforce.toml"), "+16285550199", ["US"]
)


class Org:
    """Tickets by id, as people see them. `refuse` is asked about each change; `whole` about each call."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict[str, str | None]] = {}
        self.calls: list[list[str]] = []
        self.refuse: Callable[[str, Mapping[str, str | None]], CallFailed | None] = lambda _, __: None
        self.whole: Callable[[Sequence[str]], CallFailed | None] = lambda _: None
        self.before: Callable[[], None] = lambda: None
        self.broken: CallFailed | None = None

    def probe(self) -> None:
        if self.broken:
            raise self.broken

    def write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        ids = [ticket for ticket, _ in changes]
        self.calls.append(ids)
        before, self.before = self.before, lambda: None
        before()
        if error := self.broken or self.whole(ids):
            raise error
        return [self._write(*change) for change in changes]

    def _write(self, ticket: str, fields: Mapping[str, str | None]) -> CallFailed | None:
        if error := self.refuse(ticket, fields):
            return error
        self.tickets.setdefault(ticket, {}).update(fields)
        return None

    def says(self, ticket: str = TICKET) -> tuple[str | None, str | None]:
        fields = self.tickets.get(ticket, {})
        return fields.get("CCAIP_SMS_Status__c"), fields.get("CCAIP_Chat_Id__c")


class Told:
    """A ledger with some texts, and a worker that writes back."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool, self.org = pool, Org()

    def new(self, name: str, ticket: str = TICKET) -> int:
        with self.pool.connection() as connection:
            [one] = events.save(connection, [TicketEvent("salesforce", name, ticket)])
        return one.text or 0

    def move(self, *moves: transitions.Transition) -> None:
        with self.pool.connection() as connection:
            assert texts.move(connection, moves) == {move.id for move in moves}

    def calling(self, text: int, reason: str = "r") -> int:
        """Its call is under way: the claim's number."""
        sms = OutboundSms("+14155550100", "+16285550199", "Hi", TICKET)
        with self.pool.connection() as connection:
            queued(connection, {text: Decision("requested", reason, sms)})
            return started(connection, text)[text]

    def sent(self, text: int, chat: int) -> None:
        self.move(transitions.sent(text, self.calling(text, f"reason {text}"), Chat(id=chat, status="selecting")))

    def write_back(self, *ids: int) -> None:
        """What a worker does with a job of these texts. Raises Snooze like it."""

        async def run() -> None:
            with ThreadPoolExecutor(2) as threads:
                breaker = Breaker(Asking(self.pool, threads), Backpressure(400))
                crms: Any = {"salesforce": (self.org, MAPPING)}
                await WriteBack(self.pool, crms, breaker, threads, 0, lambda: False).write_back(ids)

        asyncio.run(run())

    def until_told(self, *ids: int) -> None:
        """All jobs of these texts, however often they come again."""
        for _ in range(8):
            self.write_back(*ids)
        with self.pool.connection() as connection:
            assert not connection.execute("select id from texts where outcome > written or write_begun > 0").fetchall()

    def row(self, text: int) -> dict[str, Any]:
        with self.pool.connection() as connection:
            found = text_views.story(connection, text)
        assert found
        return asdict(found)

    def due(self) -> list[tuple[int, float]]:
        """Texts to be told, and in how many seconds."""
        with self.pool.connection() as connection:
            rows = connection.execute(
                "select payload, extract(epoch from execute_after - now())::float8 from pgqueuer"
                " where entrypoint = 'write_back' order by id"
            ).fetchall()
        return [(int(text), due) for payload, due in rows for text in payload.split(b",")]


@pytest.fixture
def told(pool: ConnectionPool) -> Told:
    return Told(pool)


@pytest.mark.parametrize("other", [TICKET, "500000000000002AAA"], ids=["the same ticket", "another ticket"])
def test_who_was_told_of_another_text_is_told_again_when_that_changes(told: Told, other: str) -> None:
    """Text 1 is unknown, text 2 is skipped for the same reason and tells Unknown; then text 1 is settled as sent."""
    first, second = told.new("a"), told.new("b", other)
    claim = told.calling(first)
    told.move(transitions.unknown(first, claim, "no answer"))
    told.move(transitions.skipped_as(second, first))
    told.until_told(first, second)
    assert told.org.says(other) == ("Unknown", None)

    told.move(transitions.sent(first, claim, Chat(id=114)))
    assert [text for text, _ in told.due()][-2:] in ([first, second], [second, first])
    told.until_told(first, second)

    assert told.org.says() == ("Sent", "114")
    assert told.org.says(other) == ("Sent", "114")


def test_who_was_skipped_for_a_text_of_another_ticket_is_told_when_that_has_an_outcome(told: Told) -> None:
    other = "500000000000002AAA"
    first, second = told.new("a"), told.new("b", other)
    claim = told.calling(first)
    told.move(transitions.skipped_as(second, first))
    told.until_told(second)
    assert told.org.says(other) == (None, None), "there is nothing to say yet"

    told.move(transitions.sent(first, claim, Chat(id=114)))
    told.until_told(first, second)

    assert told.org.says(other) == ("Sent", "114")


def test_both_steps_in_one_commit_tell_both(told: Told) -> None:
    first, second = told.new("a"), told.new("b", "500000000000002AAA")
    claim = told.calling(first)
    told.move(transitions.skipped_as(second, first), transitions.sent(first, claim, Chat(id=114)))
    told.until_told(first, second)
    assert told.org.says("500000000000002AAA") == ("Sent", "114")


def test_an_older_outcome_is_overtaken_by_a_newer_one_that_was_written(told: Told) -> None:
    first, second = told.new("a"), told.new("b")
    told.move(transitions.failed(first, "the phone is unusable"))
    told.move(transitions.skipped(second, Skip("in its window")))
    told.write_back(first, second)
    assert told.org.says()[0] == "Skipped"
    assert told.org.calls == [[TICKET]], "one write, of the newest"
    assert told.row(first)["write_refused"] == "a newer text has told the ticket"


def test_a_text_that_was_sent_is_told_before_a_later_one_that_was_not(told: Told) -> None:
    """Else the ticket would never say that the customer has a text."""
    first, second = told.new("a"), told.new("b")
    told.sent(first, 114)
    told.move(transitions.skipped(second, Skip("in its window")))
    told.write_back(first, second)
    assert told.org.says() == ("Sent", "114")

    told.until_told(second)

    assert told.org.says()[0] == "Skipped"


def test_an_older_outcome_is_told_where_the_newer_one_is_refused_and_that_one_when_it_is_taken(told: Told) -> None:
    """A validation rule does not take `Skipped` for a while."""
    first, second = told.new("a"), told.new("b")
    told.sent(first, 114)
    told.move(transitions.skipped(second, Skip("in its window")))
    told.org.refuse = lambda _, fields: VALIDATION if fields["CCAIP_SMS_Status__c"] == "Skipped" else None
    told.write_back(first, second)
    told.write_back(first)
    assert told.org.says() == ("Sent", "114")

    told.org.refuse = lambda _, __: None
    told.until_told(first, second)

    assert told.org.says()[0] == "Skipped", "the newest has the last word"


def test_a_write_that_comes_late_is_corrected_by_the_newer_outcome(told: Told) -> None:
    """One worker reads the older outcome and is stopped; another tells the newer one; then the first one goes on."""
    first, second = told.new("a"), 2
    told.move(transitions.failed(first, "the phone is unusable"))

    def meanwhile() -> None:
        assert told.new("b") == second
        told.sent(second, 115)
        told.write_back(second)
        assert told.org.says() == ("Sent", "115")

    told.org.before = meanwhile
    told.write_back(first)
    assert told.org.says()[0] == "Failed", "it has come late, and hides the newer one"
    assert told.due()[-1][0] == second

    told.write_back(second)

    assert told.org.says() == ("Sent", "115")


def test_a_late_write_of_a_worker_that_dies_after_it_is_corrected_too(told: Told) -> None:
    """Nobody notes that it was made: but that it was begun is noted before."""
    first, second = told.new("a"), 2
    told.move(transitions.failed(first, "the phone is unusable"))

    class Died(BaseException): ...

    def meanwhile() -> None:
        assert told.new("b") == second
        told.sent(second, 115)
        told.write_back(second)
        told.org.tickets[TICKET]["CCAIP_SMS_Status__c"] = "Failed"  # the late write gets through
        raise Died

    told.org.before = meanwhile
    with pytest.raises(Died):
        told.write_back(first)
    assert told.org.says()[0] == "Failed"

    told.until_told(first, second)  # the dead worker's job comes again, and what follows from it

    assert told.org.says() == ("Sent", "115")


def test_a_late_write_of_the_same_texts_older_outcome_is_corrected(told: Told) -> None:
    text = told.new("a")
    claim = told.calling(text)
    told.move(transitions.unknown(text, claim, "no answer"))

    def meanwhile() -> None:
        told.move(transitions.sent(text, claim, Chat(id=114)))
        told.write_back(text)
        assert told.org.says() == ("Sent", "114")

    told.org.before = meanwhile
    told.write_back(text)
    assert told.org.says()[0] == "Unknown"
    told.until_told(text)
    assert told.org.says() == ("Sent", "114")


def test_a_refused_outcome_is_told_again_with_long_pauses_until_a_person_gives_it_up(told: Told) -> None:
    text = told.new("a")
    told.sent(text, 114)
    told.org.refuse = lambda _, __: VALIDATION
    pauses = []
    for _ in range(12):
        told.write_back(text)
        assert told.due()[-1][0] == text
        pauses.append(told.due()[-1][1])
    assert 20 < pauses[0] < 40
    assert pauses == sorted(pauses) or 2600 < pauses[-1] < 4600
    assert max(pauses) < 4600
    assert told.row(text)["write_refused"] == str(VALIDATION)
    with told.pool.connection() as connection:
        [counted] = [row for row in text_views.counts(connection) if row.state == "sent"]
        assert (counted.not_written, counted.refused) == (1, 1)
        assert [row.id for row in text_search.find(connection, Search(only=Only.REFUSED), 10)] == [text]
        assert outcomes.give_up(connection, text, "given up: the case is closed")
        assert not outcomes.give_up(connection, text, "again")
    told.write_back(text)
    assert len(told.org.calls) == 12, "nobody asks again"
    assert told.row(text)["write_refused"] == f"{VALIDATION}; given up: the case is closed"


def test_an_outcome_that_was_refused_for_a_moment_is_told_after_it(told: Told) -> None:
    text = told.new("a")
    told.sent(text, 114)
    told.org.refuse = lambda _, __: VALIDATION
    told.write_back(text)
    told.org.refuse = lambda _, __: None
    told.until_told(text)
    assert told.org.says() == ("Sent", "114")
    assert told.row(text)["write_refused"] is None


def test_a_ticket_that_is_gone_is_not_told_again(told: Told) -> None:
    text = told.new("a")
    told.sent(text, 114)
    told.org.refuse = lambda _, __: Refused("Salesforce: ENTITY_IS_DELETED: gone", RefusalScope.GONE)
    told.write_back(text)
    with told.pool.connection() as connection:
        assert not connection.execute("select id from texts where outcome > written").fetchall()


@pytest.mark.parametrize("scope", [RefusalScope.TICKET, RefusalScope.SETTINGS])
def test_a_call_that_is_refused_because_of_one_value_is_halved_until_it_is_alone(
    told: Told, scope: RefusalScope
) -> None:
    tickets = [f"{number:018d}" for number in range(40)]
    ids = [told.new(ticket, ticket) for ticket in tickets]
    told.move(*(transitions.failed(text, "no") for text in ids))
    bad = tickets[17]
    told.org.whole = lambda listed: Refused("JSON_PARSER_ERROR", scope) if bad in listed else None
    told.write_back(*ids)
    assert {ticket for ticket in tickets if told.org.says(ticket)[0] == "Failed"} == {*tickets} - {bad}
    assert len(told.org.calls) < 15
    with told.pool.connection() as connection:
        assert circuit_breaker.current_pause(connection, "salesforce") is None, "nobody else is to blame"


def test_where_nothing_can_be_written_though_a_probe_passes_each_outcome_waits_on_its_own(told: Told) -> None:
    """A firewall does not like the address by which cases are written: that must not use up the calls of the day."""
    ids = [told.new(f"{number:018d}", f"{number:018d}") for number in range(100)]
    told.move(*(transitions.failed(text, "no") for text in ids))
    told.org.whole = lambda _: Refused("Salesforce: HTTP 403: ", RefusalScope.SETTINGS)
    told.write_back(*ids)
    assert len(told.org.calls) <= 10
    assert all(due > 20 for _, due in told.due()[-100:])
    told.org.whole = lambda _: None
    told.until_told(*ids)


@pytest.mark.parametrize(
    ("error", "stopped"),
    [
        (Refused("Salesforce: API_DISABLED_FOR_ORG: no", RefusalScope.SETTINGS), True),
        (Refused("Salesforce: HTTP 404: ", RefusalScope.TICKET), True),
        (Unavailable("no answer"), False),
        (Unavailable("Salesforce: REQUEST_LIMIT_EXCEEDED", 900), False),
    ],
    ids=["a setting", "a refusal of no record", "away", "the day's calls"],
)
def test_what_all_would_meet_holds_the_outcomes_without_a_try_and_is_said(
    told: Told, error: Refused | Unavailable, stopped: bool
) -> None:
    ids = [told.new(name, f"{name:>018}") for name in "abc"]
    told.move(*(transitions.failed(text, "no") for text in ids))
    told.org.broken = error
    jobs = told.due()
    with pytest.raises(Snooze) as later:
        told.write_back(*ids)
    assert later.value.seconds == circuit_breaker.PAUSE_POLL_SECONDS, "no pause of all is any job's own"
    assert len(told.due()) == len(jobs), "the job itself comes again"
    with told.pool.connection() as connection:
        assert connection.execute("select max(write_attempts) from texts").fetchone() == (0,)
        pause = circuit_breaker.current_pause(connection, "salesforce")
    assert pause
    assert (pause.until_resumed, str(error) in str(pause)) == (stopped, True)

    told.org.broken = None
    told.until_told(*ids)
    assert {told.org.says(f"{name:>018}")[0] for name in "abc"} == {"Failed"}


def test_what_contradicts_a_person_stands_on_the_ticket(told: Told) -> None:
    text = told.new("a")
    claim = told.calling(text)
    told.move(transitions.unknown(text, claim, "no answer"))
    told.move(transitions.not_sent(text, "a person found that it was not sent"))
    with told.pool.connection() as connection:
        texts.move(connection, [transitions.sent(text, claim, Chat(id=114))])
    told.until_told(text)
    assert told.org.says() == ("Sent", "114")
    assert "it had been settled as not sent" in (told.org.tickets[TICKET]["CCAIP_SMS_Error__c"] or "")
