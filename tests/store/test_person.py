"""The record of one person: everything that is stored, by number and by ticket, and its erasure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from connector import person_record, transitions
from connector.model import Channel, Chat, Decision, OutboundSms, Skip, State, TextRequest, TicketEvent
from connector.store import audit, chats, erasure, events, opt_outs, person, pseudonyms, retention, suppressions, texts
from connector.store.audit import Action, Actor, Filter, Source
from tests.support.remote import queued, started

NUMBER, OTHER = "+14155550132", "+14155550133"
ADA = Actor("ada", Source.CLI, "host")
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[psycopg.Connection]:
    with pool.connection() as connection:
        yield connection


def saved(connection: psycopg.Connection, name: str, ticket: str = "", request: TextRequest | None = None) -> int:
    channel = Channel.AGENT if request else Channel.TRIGGER
    event = TicketEvent("salesforce", name, ticket or f"ticket of {name}", channel=channel, request=request)
    [receipt] = events.save(connection, [event])
    assert receipt.text
    return receipt.text


def waiting(connection: psycopg.Connection, name: str, number: str = NUMBER, request: TextRequest | None = None) -> int:
    text = saved(connection, name, request=request)
    queued(connection, {text: Decision("requested", name, OutboundSms(number, "+16285550199", "Hi Ada", name))})
    return text


def sent(connection: psycopg.Connection, name: str, chat: int = 114, number: str = NUMBER) -> int:
    request = TextRequest(agent_name="Ada Agent", override="she asked", overrides=("hours",))
    text = waiting(connection, name, number, request)
    texts.move(connection, [transitions.sent(text, started(connection, text)[text], Chat(id=chat, status="selecting"))])
    chats.begin(connection, [str(chat)])
    return text


def record(connection: psycopg.Connection, number: str = NUMBER) -> dict[str, Any]:
    hashed = person.find(connection, number)
    assert hashed
    return person.record(connection, hashed)


def test_a_record_has_texts_overrides_write_backs_and_chat_statuses(connection: psycopg.Connection) -> None:
    text = sent(connection, "a")
    sent(connection, "stranger", 115, OTHER)
    chats.observe(connection, "114", "finished", NOON, "webhook", ended=True)

    found = record(connection)

    assert (found["number"], found["tickets"]) == (NUMBER, ["salesforce ticket of a"])
    [only] = found["texts"]
    assert (only["id"], only["message"], only["sent_to"]) == (text, "Hi Ada", NUMBER)
    assert (only["agent"], only["override"], only["overrides"]) == ("Ada Agent", "she asked", ["hours"])
    assert (only["write_back"], only["chat"]["status"], only["chat"]["ended"]) == ("pending", "finished", True)
    assert [step["to"] for step in only["history"]] == ["queued", "sending", "sent"]


def test_texts_that_name_no_number_yet_or_wait_for_it_belong_to_the_person(connection: psycopg.Connection) -> None:
    first = sent(connection, "a")
    received = saved(connection, "received", "ticket of a")
    held, skipped = saved(connection, "held"), saved(connection, "skipped")
    texts.move(connection, [transitions.held(held, "its hours", 600, [], number=NUMBER)])
    for_other = saved(connection, "for other", "ticket of a")
    moves = [
        transitions.Transition(skipped, transitions.UNDECIDED, State.SKIPPED, "texted before", number=NUMBER),
        transitions.Transition(for_other, transitions.UNDECIDED, State.SKIPPED, "texted before", number=OTHER),
    ]
    texts.move(connection, moves)

    assert [one["id"] for one in record(connection)["texts"]] == [skipped, held, received, first]


def test_a_record_has_opt_outs_reviews_and_what_people_did(connection: psycopg.Connection) -> None:
    text = sent(connection, "a")
    opt_outs.heard(connection, "114", "please don't text me any more", NOON)
    [review] = opt_outs.reviews(connection, 9)
    opt_outs.decide(connection, review.id, True, "she means it", "ada")
    audit.record(connection, ADA, Action.TEXT_CANCEL, audit.text(text), why="she called")
    audit.record(connection, ADA, Action.NUMBER_SUPPRESS, audit.number(connection, NUMBER))

    found = record(connection)

    assert [(one["source"], one["why"], one["added_by"]) for one in found["opt_outs"]] == [
        ("person", "she means it", "ada")
    ]
    assert [(one["words"], one["decision"]) for one in found["reviews"]] == [
        ("please don't text me any more", "opt_out")
    ]
    assert [(one["ticket"], one["kind"], one["value"]) for one in found["record_fields"]] == [
        ("ticket of a", "opt_out", True)
    ]
    assert [(one["what"], one["why"]) for one in found["actions"]] == [
        ("text.cancel", "she called"),
        ("number.suppress", ""),
    ]


def test_a_number_without_texts_is_found_by_its_hash_for_a_day(connection: psycopg.Connection) -> None:
    assert person.find(connection, NUMBER) is None, "nothing is stored about it"
    suppressions.suppress(connection, NUMBER, "asked on the phone", "an operator")

    found = record(connection)
    assert (found["number"], found["texts"], len(found["opt_outs"])) == (NUMBER, [], 1)

    connection.execute("update person_lookups set at = now() - interval '25 hours'")
    assert retention.keep(connection, 30).person_lookups == 1
    assert person.number_of(connection, pseudonyms.of_number(connection, NUMBER)) is None


def test_a_ticket_leads_to_its_numbers(connection: psycopg.Connection) -> None:
    sent(connection, "a")
    undecided = saved(connection, "b")

    [hashed] = person.of_ticket(connection, "salesforce", "ticket of a")
    assert person.number_of(connection, hashed) == NUMBER
    assert person.of_ticket(connection, "salesforce", "ticket of b") == []
    assert person.has_texts(connection, "salesforce", "ticket of b")
    assert not person.has_texts(connection, "salesforce", "ticket of c")
    found = person.ticket_record(connection, "salesforce", "ticket of b")
    assert (found["number"], [one["id"] for one in found["texts"]]) == (None, [undecided])


def test_the_checksum_stays_until_something_changes(connection: psycopg.Connection) -> None:
    text = sent(connection, "a")
    before = person_record.checksum(record(connection))
    assert person_record.checksum(record(connection)) == before

    connection.execute("update texts set sms = sms || %s where id = %s", [Jsonb({"message": "Hi Bob"}), text])

    assert person_record.checksum(record(connection)) != before


def test_an_erasure_is_recorded_and_leaves_the_opt_out_only(connection: psycopg.Connection) -> None:
    sent(connection, "a")
    suppressions.suppress(connection, OTHER, "", "")
    suppressions.suppress(connection, NUMBER, "asked on the phone", "an operator")
    person.find(connection, OTHER)

    erased = erasure.erase(connection, ADA, NUMBER)
    erasure.erase(connection, ADA, OTHER)

    assert (erased.texts, erased.events) == (1, 1)
    assert connection.execute("select from person_lookups").fetchall() == [], "the hash of OTHER is erased too"
    found = record(connection)
    assert (found["texts"], [one["source"] for one in found["opt_outs"]]) == ([], ["person"])
    entries = audit.find(connection, Filter(what=Action.NUMBER_PURGE), 9)
    assert [(entry.who, entry.after) for entry in entries][-1] == (
        "ada",
        {"texts": 1, "events": 1, "suppressed": False},
    )


def test_a_skip_names_the_person_it_was_for(connection: psycopg.Connection) -> None:
    """Without a number, the text belongs to its ticket only."""
    text = saved(connection, "a")
    texts.move(connection, [transitions.skipped(text, Skip("no phone"))])

    assert person.find(connection, NUMBER) is None
    assert person.ticket_record(connection, "salesforce", "ticket of a")["texts"][0]["why"] == "no phone"
