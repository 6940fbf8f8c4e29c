"""What a customer's message does to the list, to waiting texts and to the CRM's field; twice, and out of order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from connector import transitions
from connector.errors import RefusalCode
from connector.model import Channel, Chat, Decision, FieldKind, FieldState, OutboundSms, TextRequest, TicketEvent
from connector.policy.opt_out_words import ExtraWords
from connector.policy.opt_outs import Source
from connector.store import (
    erasure,
    events,
    opt_outs,
    pseudonyms,
    recipients,
    record_fields,
    retention,
    suppressions,
    texts,
)
from connector.store.opt_outs import Heard
from connector.store.suppressions import FieldSays
from tests.support.remote import queued, started, try_to_start

NUMBER, OTHER = "+14155550132", "+14155550133"
CHAT = "114"
OPT_OUT = FieldKind.OPT_OUT
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WISH = "please don't text me any more"


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def saved(connection: psycopg.Connection, name: str) -> int:
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, f"ticket of {name}")])
    assert receipt.text
    return receipt.text


def decision(name: str, number: str = NUMBER) -> Decision:
    return Decision("requested", name, OutboundSms(number, "+16285550199", "Hi Ada", f"ticket of {name}"))


def waiting(connection: psycopg.Connection, name: str, number: str = NUMBER) -> int:
    """A text that is queued for this number."""
    text = saved(connection, name)
    queued(connection, {text: decision(name, number)})
    return text


@pytest.fixture
def sent(connection: psycopg.Connection) -> int:
    """The text whose chat the customer answers in."""
    text = waiting(connection, "sent")
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.sent(text, claim, Chat(id=int(CHAT)))])
    return text


def state(connection: psycopg.Connection, text: int) -> tuple[str, str]:
    row = connection.execute("select state, why from texts where id = %s", [text]).fetchone()
    assert row
    return row[0], row[1]


def sources(connection: psycopg.Connection) -> list[Source]:
    return suppressions.sources(connection, NUMBER)


def field(connection: psycopg.Connection) -> list[tuple[str, bool]]:
    return connection.execute("select ticket_id, value from record_fields").fetchall()


def test_a_word_suppresses_cancels_what_waits_and_has_the_field_written(
    connection: psycopg.Connection, sent: int
) -> None:
    queued_text, held, of_other = (
        waiting(connection, "queued"),
        saved(connection, "held"),
        waiting(connection, "x", OTHER),
    )
    texts.move(connection, [transitions.held(held, "at night", 3600, [], number=NUMBER)])

    assert opt_outs.heard(connection, CHAT, "Stop.", NOON) is Heard.OPTED_OUT

    why = "the customer replied STOP on 2026-11-26 12:00 UTC"
    assert [state(connection, text) for text in (queued_text, held)] == [("cancelled", why)] * 2
    assert state(connection, of_other)[0] == "queued"
    [entry] = suppressions.suppressed(connection, 10)
    assert (entry.number, entry.source, entry.words, entry.said_at) == (NUMBER, "word", "STOP", NOON)
    assert field(connection) == [("ticket of sent", True)]


def scheduled(connection: psycopg.Connection, name: str, ticket: str, channel: Channel = Channel.AGENT) -> int:
    """A text that waits for its own time, or in a back-fill; whom it is for is not known."""
    at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    request = TextRequest(send_at=at) if channel is Channel.AGENT else TextRequest(number=number_hash(connection))
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, ticket, channel=channel, request=request)])
    assert receipt.text
    return receipt.text


def number_hash(connection: psycopg.Connection) -> str:
    return pseudonyms.of_number(connection, NUMBER)


def test_a_word_cancels_what_is_scheduled_or_waits_in_a_back_fill(connection: psycopg.Connection, sent: int) -> None:
    known, elsewhere, unknown = (scheduled(connection, name, f"ticket of {name}") for name in ("known", "else", "no"))
    of_ticket = scheduled(connection, "beside", "ticket of sent")
    batch = scheduled(connection, "batch", "ticket of batch", Channel.BATCH)
    assert texts.scheduled_without_number(connection, "salesforce", 60, 9) == [known, elsewhere, unknown, of_ticket]
    texts.meant_for(connection, {known: NUMBER, elsewhere: OTHER})

    opt_outs.heard(connection, CHAT, "STOP", NOON)

    ended = [text for text in (known, elsewhere, unknown, of_ticket, batch) if state(connection, text)[0] != "received"]
    assert ended == [known, of_ticket, batch]
    told = connection.execute("select count(*) from texts where state = 'cancelled' and outcome > written").fetchone()
    assert told == (3,), "their tickets are told"


def test_a_person_who_suppresses_a_number_cancels_its_waiting_texts_once(connection: psycopg.Connection) -> None:
    queued_text, other = waiting(connection, "queued"), waiting(connection, "other", OTHER)
    planned = scheduled(connection, "scheduled", "ticket of scheduled")
    texts.meant_for(connection, {planned: NUMBER})

    assert opt_outs.suppress(connection, NUMBER, "asked on the phone", "Bea")

    cancelled = [text for text in (queued_text, planned, other) if state(connection, text)[0] == "cancelled"]
    assert cancelled == [queued_text, planned]
    assert "has been on the suppression list since" in state(connection, queued_text)[1]
    assert not opt_outs.suppress(connection, NUMBER, "once more", "Ann")
    assert [one.why for one in suppressions.suppressed(connection, 9)] == ["asked on the phone"]


def test_a_message_for_a_person_does_not_bring_a_scheduled_text_forward(
    connection: psycopg.Connection, sent: int
) -> None:
    text = scheduled(connection, "known", "ticket of known")
    texts.meant_for(connection, {text: NUMBER})

    opt_outs.decide(connection, open_review(connection), False, "about invoices", "Bea")

    assert state(connection, text)[0] == "received"
    assert texts.load(connection, [text])[text].early


def test_a_text_in_sending_is_let_finish(connection: psycopg.Connection, sent: int) -> None:
    text = waiting(connection, "sending")
    claim = started(connection, text)[text]

    opt_outs.heard(connection, CHAT, "STOP", NOON)

    assert texts.move(connection, [transitions.sent(text, claim, Chat(id=115))]) == {text}
    assert state(connection, text)[0] == "sent"


def test_a_text_queued_between_policy_and_opt_out_is_not_sent(connection: psycopg.Connection, sent: int) -> None:
    """The worker asked the policy before the opt-out, and queues the text after it."""
    text = saved(connection, "race")
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    queued(connection, {text: decision("race")})

    assert try_to_start(connection, text) == {}


@pytest.mark.parametrize("words", ["STOP", "stop", "Unsubscribe"])
def test_a_word_that_the_platform_acts_on_need_not_be_entered(
    connection: psycopg.Connection, sent: int, words: str
) -> None:
    opt_outs.heard(connection, CHAT, words, NOON)
    assert suppressions.suppressed(connection, 10, to_enter=True) == []
    assert not suppressions.record_entered(connection, NUMBER)


@pytest.mark.parametrize("words", ["Stop.", "REVOKE", "PARAR", "stop please"])
def test_any_other_word_has_to_be_entered_by_hand(connection: psycopg.Connection, sent: int, words: str) -> None:
    opt_outs.heard(connection, CHAT, words, NOON)
    assert [entry.number for entry in suppressions.suppressed(connection, 10, to_enter=True)] == [NUMBER]
    assert suppressions.record_entered(connection, NUMBER)
    assert suppressions.suppressed(connection, 10, to_enter=True) == []
    assert not suppressions.record_entered(connection, NUMBER)


STEPS = (("STOP", 0), ("START", 1), ("STOP", 2), ("YES", 3))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_newest_word_counts_in_any_order_of_arrival(connection: psycopg.Connection, sent: int, count: int) -> None:
    for order in permutations(STEPS[:count]):
        connection.execute("truncate opt_out_words, suppressions")
        for words, minutes in order:
            for _ in range(2):
                opt_outs.heard(connection, CHAT, words, NOON + timedelta(minutes=minutes))
        stopped = STEPS[:count][-1][0] == "STOP"
        assert sources(connection) == ([Source.WORD] if stopped else []), order
        assert field(connection) in ([("ticket of sent", stopped)], []) or not stopped


def test_two_words_at_the_same_moment_are_an_opt_out(connection: psycopg.Connection, sent: int) -> None:
    for words in ("START", "STOP", "START"):
        opt_outs.heard(connection, CHAT, words, NOON)
    assert sources(connection) == [Source.WORD]


def test_a_repeated_word_does_nothing(connection: psycopg.Connection, sent: int) -> None:
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    suppressions.allow(connection, NUMBER)
    text = waiting(connection, "later")

    assert opt_outs.heard(connection, CHAT, "STOP", NOON) is Heard.NOTHING

    assert state(connection, text)[0] == "queued"
    assert sources(connection) == []


@pytest.mark.parametrize("source", [Source.PERSON, Source.PLATFORM, Source.CRM])
def test_an_opt_in_lifts_only_what_a_word_had_set(connection: psycopg.Connection, sent: int, source: Source) -> None:
    suppressions.suppress(connection, NUMBER, "", "a test", source)
    opt_outs.heard(connection, CHAT, "STOP", NOON)

    assert opt_outs.heard(connection, CHAT, "START", NOON + timedelta(hours=1)) is Heard.OPTED_IN

    assert sources(connection) == [source]
    assert field(connection) == [("ticket of sent", True)], "the number may still not be texted"
    assert opt_outs.heard(connection, CHAT, "UNSTOP", NOON + timedelta(hours=2)) is Heard.NOTHING


def test_a_word_of_the_mapping_counts(connection: psycopg.Connection, sent: int) -> None:
    extra = ExtraWords(("Basta",), ("Dale",))
    assert opt_outs.heard(connection, CHAT, "¡BASTA!", NOON, extra) is Heard.OPTED_OUT
    assert opt_outs.heard(connection, CHAT, "dale", NOON + timedelta(hours=1), extra) is Heard.OPTED_IN


def test_an_unknown_chat_says_so_and_a_number_in_the_event_helps(connection: psycopg.Connection, sent: int) -> None:
    """A chat event may arrive before the answer that names the chat."""
    assert opt_outs.heard(connection, "999", "STOP", NOON) is Heard.UNKNOWN_CHAT
    assert opt_outs.heard(connection, "999", "thanks", NOON) is Heard.NOTHING
    assert sources(connection) == []
    assert opt_outs.heard(connection, "999", "STOP", NOON, number=NUMBER) is Heard.OPTED_OUT
    assert sources(connection) == [Source.WORD]
    assert field(connection) == [("ticket of sent", True)], "the number's newest text"


def test_a_number_that_was_erased_is_reported(connection: psycopg.Connection, sent: int) -> None:
    connection.execute("update texts set sms = null")
    assert opt_outs.heard(connection, CHAT, "STOP", NOON) is Heard.NO_NUMBER


def test_the_field_is_left_if_an_opt_in_finds_that_it_was_set_before(connection: psycopg.Connection, sent: int) -> None:
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    _, [write] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)
    record_fields.keep_before(connection, "salesforce", OPT_OUT, {write.ticket_id: FieldState("003", True)})

    opt_outs.heard(connection, CHAT, "START", NOON + timedelta(hours=1))

    assert field(connection) == [("ticket of sent", True)]


# Reviews.


def open_review(connection: psycopg.Connection, words: str = WISH, at: datetime = NOON) -> int:
    assert opt_outs.heard(connection, CHAT, words, at) is Heard.REVIEW
    return opt_outs.reviews(connection, 100, pending=True)[-1].id


def test_a_wish_waits_for_a_person_and_nothing_is_sent_meanwhile(connection: psycopg.Connection, sent: int) -> None:
    text = waiting(connection, "waits")
    open_review(connection)

    assert opt_outs.heard(connection, CHAT, WISH, NOON) is Heard.NOTHING, "the same event"
    assert try_to_start(connection, text) == {}
    assert state(connection, text)[0] == "queued"
    [review] = opt_outs.reviews(connection, 10)
    assert (review.number, review.words, review.ticket_id) == (NUMBER, WISH, "ticket of sent")
    # A Thursday: two business days later is Monday; ten are two weeks.
    assert (review.due_at, review.limit_at) == (NOON + timedelta(days=4), NOON + timedelta(days=14))
    assert sources(connection) == []


def test_an_opt_out_decided_by_a_person_acts_like_a_word_and_start_does_not_lift_it(
    connection: psycopg.Connection, sent: int
) -> None:
    text, review = waiting(connection, "waits"), open_review(connection)
    open_review(connection, "take me off your list", NOON + timedelta(minutes=1))

    assert opt_outs.decide(connection, review, True, "wants none", "Bea")

    assert state(connection, text) == (
        "cancelled",
        "the customer asked on 2026-11-26 12:00 UTC to get no more texts, as a person decided",
    )
    assert sources(connection) == [Source.PERSON]
    assert field(connection) == [("ticket of sent", True)]
    assert [one.decision for one in opt_outs.reviews(connection, 10)] == ["opt_out"] * 2
    assert not opt_outs.decide(connection, review, False, "", "Bea"), "it is decided"
    opt_outs.heard(connection, CHAT, "START", NOON + timedelta(days=1))
    assert sources(connection) == [Source.PERSON]


def test_a_message_that_is_no_opt_out_lets_the_texts_go_on(connection: psycopg.Connection, sent: int) -> None:
    text, review = waiting(connection, "waits"), open_review(connection)
    texts.move(connection, [transitions.held(text, "review", 3600, [], number=NUMBER)])
    connection.execute("delete from pgqueuer")

    assert opt_outs.decide(connection, review, False, "about invoices", "Bea")

    assert sources(connection) == []
    assert connection.execute("select count(*) from pgqueuer where execute_after <= now()").fetchone() == (1,)
    queued(connection, {text: decision("waits")})
    assert set(try_to_start(connection, text)) == {text}


def test_a_review_is_overdue_after_its_time(connection: psycopg.Connection, sent: int) -> None:
    review = open_review(connection, at=datetime.now(UTC))
    assert (opt_outs.open_reviews(connection).open, opt_outs.open_reviews(connection).overdue) == (1, 0)
    connection.execute("update opt_out_reviews set due_at = now() - interval '1 second'")
    assert opt_outs.open_reviews(connection) == opt_outs.OpenReviews(1, 1, review)
    assert opt_outs.reviews(connection, 10)[0].overdue


# Refusals, and the CRM's field.


def test_a_refusal_that_means_opted_out_fails_the_text_and_suppresses_the_number(
    connection: psycopg.Connection,
) -> None:
    text = waiting(connection, "refused")
    claim = started(connection, text)[text]

    texts.move(connection, [transitions.refused(text, claim, "blocked", code=RefusalCode.OPTED_OUT)])

    assert state(connection, text) == ("failed", "blocked")
    assert sources(connection) == [Source.PLATFORM]
    _, [write] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)
    assert write.value


def test_a_refusal_that_means_opted_out_cancels_what_waits_for_the_number_and_nothing_else(
    connection: psycopg.Connection,
) -> None:
    held, text = waiting(connection, "held"), waiting(connection, "refused")
    other = waiting(connection, "other", OTHER)
    claim = started(connection, text)[text]

    texts.move(connection, [transitions.refused(text, claim, "blocked", code=RefusalCode.OPTED_OUT)])

    assert state(connection, text) == ("failed", "blocked")
    assert state(connection, held)[0] == "cancelled"
    assert "CCAI Platform refused a text on" in str(state(connection, held)[1])
    assert state(connection, other)[0] == "queued"


def test_a_late_refusal_that_means_opted_out_adds_an_entry_whatever_becomes_of_the_text(
    connection: psycopg.Connection,
) -> None:
    text = waiting(connection, "late")
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.unknown(text, claim, "no answer")])
    texts.move(connection, [transitions.found(text, Chat(id=7, status=""), "as a person said")])

    texts.move(connection, [transitions.refused(text, claim, "blocked", code=RefusalCode.OPTED_OUT)])

    assert state(connection, text)[0] == "sent"
    assert sources(connection) == [Source.PLATFORM]
    assert len(record_fields.claim(connection, "salesforce", OPT_OUT, 10)[1]) == 1


def test_the_crms_field_lifts_only_its_own_entry(connection: psycopg.Connection) -> None:
    def says(ticket: str, opted_out: bool) -> None:
        suppressions.follow(connection, [FieldSays(NUMBER, "salesforce", ticket, opted_out)])

    says("a", True)
    says("b", True)
    assert sources(connection) == [Source.CRM]
    says("a", False)
    assert sources(connection) == [Source.CRM], "the other ticket still says so"
    suppressions.suppress(connection, NUMBER, "", "a test")
    says("b", False)
    assert sources(connection) == [Source.PERSON]


def test_a_tickets_own_entry_does_not_speak_against_it_whatever_it_is_called(connection: psycopg.Connection) -> None:
    """Its field has just been read. CCAI Platform may be told a case's number instead of its id."""
    suppressions.follow(connection, [FieldSays(NUMBER, "salesforce", "a", True)])
    sms = OutboundSms(NUMBER, "+16285550199", "Hi", "00001026")
    asked = [Decision("requested", "r", sms, ticket_id=ticket) for ticket in ("a", "b")]

    known = recipients.known(connection, [(~at, "salesforce", one, None) for at, one in enumerate(asked)])

    assert [known[~at].suppressed is not None for at in range(2)] == [False, True]


def test_the_crms_entries_are_read_again_in_turns(connection: psycopg.Connection) -> None:
    suppressions.follow(connection, [FieldSays(NUMBER, "salesforce", "a/b", True)])
    assert suppressions.take_unchecked(connection, 3600, 10) == []
    assert suppressions.take_unchecked(connection, 0, 10) == [(NUMBER, "salesforce", "a/b")]


# The field's writes.


def test_a_value_is_one_workers_until_its_claim_expires(connection: psycopg.Connection, sent: int) -> None:
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    first, [write] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)
    assert record_fields.claim(connection, "salesforce", OPT_OUT, 10)[1] == []
    connection.execute("update record_fields set claim_until = now() - interval '1 second'")  # it was killed
    second, [again] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)
    record_fields.record(
        connection, "salesforce", OPT_OUT, second, [record_fields.FieldResult(again.ticket_id, again.version)]
    )
    assert record_fields.claim(connection, "salesforce", OPT_OUT, 10)[1] == []

    # It was not killed, only slow: the CRM may have its older value now.
    record_fields.record(
        connection, "salesforce", OPT_OUT, first, [record_fields.FieldResult(write.ticket_id, write.version)]
    )

    assert len(record_fields.claim(connection, "salesforce", OPT_OUT, 10)[1]) == 1


def test_a_newer_value_during_a_write_is_written_next(connection: psycopg.Connection, sent: int) -> None:
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    token, [write] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)
    record_fields.keep_before(connection, "salesforce", OPT_OUT, {write.ticket_id: FieldState("003", False)})
    opt_outs.heard(connection, CHAT, "START", NOON + timedelta(hours=1))
    record_fields.record(
        connection, "salesforce", OPT_OUT, token, [record_fields.FieldResult(write.ticket_id, write.version)]
    )

    _, [newer] = record_fields.claim(connection, "salesforce", OPT_OUT, 10)

    assert (newer.value, newer.before) == (False, False)


# Erasure and retention.


def test_purge_erases_the_words_and_keeps_the_opt_out(connection: psycopg.Connection, sent: int) -> None:
    opt_outs.heard(connection, CHAT, "STOP", NOON)
    open_review(connection)
    _, writes = record_fields.claim(connection, "salesforce", OPT_OUT, 10)

    erasure.purge(connection, NUMBER)

    assert set(sources(connection)) == {Source.WORD, Source.PERSON}, "an undecided wish counts"
    assert connection.execute("select words, chat from suppressions").fetchall() == [("", None)] * 2
    hashed = pseudonyms.of_number(connection, NUMBER)
    for table in ("opt_out_words", "opt_out_reviews", "record_fields", "texts", "recipients"):
        said = str(connection.execute(sql.SQL("select {0}::text from {0}").format(sql.Identifier(table))).fetchall())
        assert not [one for one in (NUMBER, hashed, WISH) if one in said], table
    assert len(writes) == 1
    assert field(connection) == [("ticket of sent", True)], "it is still written"


def test_a_decided_review_is_deleted_after_its_retention(connection: psycopg.Connection, sent: int) -> None:
    decided = open_review(connection)
    opt_outs.decide(connection, decided, False, "", "Bea")
    undecided = open_review(connection, at=NOON + timedelta(minutes=1))
    connection.execute("update opt_out_reviews set decided_at = decided_at - interval '31 days'")
    connection.execute("update opt_out_reviews set said_at = said_at - interval '1 year'")

    retention.keep(connection, 30)

    assert [one.id for one in opt_outs.reviews(connection, 10)] == [undecided]


def test_purge_and_retention_erase_what_is_known_of_marks_of_invalid_numbers(
    connection: psycopg.Connection, sent: int
) -> None:
    unusable = saved(connection, "unusable")
    connection.execute("update texts set ticket_id = 'ticket of sent' where id = %s", [unusable])
    record_fields.number_invalid(connection, [unusable])  # no number is known
    record_fields.number_invalid(connection, [waiting(connection, "x", OTHER)])
    connection.execute("update record_fields set written = version, before = false")

    erasure.purge(connection, NUMBER)

    assert field(connection) == [("ticket of x", True)]
    connection.execute("update record_fields set due_at = now() - interval '31 days'")
    retention.keep(connection, 30)
    assert field(connection) == [("ticket of x", True)], "it is cleared once a text is sent"
    connection.execute("update record_fields set value = false")
    retention.keep(connection, 30)
    assert field(connection) == []
