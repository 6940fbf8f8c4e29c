"""The page of one text: what it shows to whom, and its actions."""

import psycopg
import pytest

from connector import transitions
from connector.model import Chat, State, TextRequest, TicketEvent
from connector.policy.opt_outs import Source
from connector.store import actions, audit, erasure, events, suppressions, texts
from connector.store.audit import Actor, Filter
from tests.store.test_actions import NUMBER, texts_in
from tests.webhooks.console.conftest import Operators
from webhooks.console.roles import Role

ACTIONS = ("cancel", "write-back", "give-up", "send-again", "suppress", "lift")


def state(connection: psycopg.Connection, text: int) -> str:
    [(found,)] = connection.execute("select state from texts where id = %s", [text]).fetchall()
    return str(found)


def entries(connection: psycopg.Connection, about: str) -> list[tuple[str, str, str]]:
    return [(one.what, one.source, one.why) for one in audit.find(connection, Filter(about=about), 9)]


def follower_of(connection: psycopg.Connection, text: int) -> int:
    """A text that was skipped for this one."""
    [receipt] = events.save(connection, [TicketEvent("salesforce", "again", "case1")])
    assert receipt.text
    texts.move(connection, [transitions.skipped_as(receipt.text, text)])
    return receipt.text


def test_the_page_tells_the_whole_story(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.SENT)
    connection.execute(
        "insert into chat_events (key, chat_id, event_type, occurred_at, processed_at)"
        " values ('k', %s, 'chat_ended', now(), now())",
        [str(text)],
    )
    follower = follower_of(connection, text)

    page = console.client(Role.VIEW).get(f"/texts/{text}").text

    for shown in ("requested", "ticket:case1", f"q=chat:{text}", "chat_ended", "badge-sending", ">e1<"):
        assert shown in page, shown
    assert f'href="/console/texts/{follower}"' in page
    assert "The ticket does not have the outcome yet." in page
    assert 'data-live="text"' in page, "its write-back is still to come"


def test_number_message_and_event_are_for_those_who_may_read_them(
    console: Operators, connection: psycopg.Connection
) -> None:
    [text] = texts_in(connection, State.SENT)
    connection.execute('update events set body = \'{"Subject": "walrus"}\'')

    page = console.client(Role.VIEW, Role.ACT).get(f"/texts/{text}").text
    assert NUMBER not in page
    assert "Hi Ada" not in page
    assert "walrus" not in page
    assert "0132" in page

    page = console.client(Role.VIEW, Role.READ_CONTENT).get(f"/texts/{text}").text
    assert NUMBER in page
    assert "Hi Ada" in page
    assert "walrus" in page


def test_a_text_that_is_over_and_written_is_not_refreshed(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.SENT)
    connection.execute("update texts set written = outcome, notified = outcome")

    assert "data-live" not in console.client(Role.VIEW).get(f"/texts/{text}").text


def test_an_erased_text_still_has_its_page(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED)
    erasure.purge(connection, NUMBER)

    answer = console.client(Role.VIEW, Role.ACT, Role.READ_CONTENT).get(f"/texts/{text}")

    assert answer.status_code == 200
    assert "not known" in answer.text


def test_there_is_no_page_of_a_text_that_does_not_exist(console: Operators) -> None:
    answer = console.client(Role.VIEW).get("/texts/99")

    assert answer.status_code == 404
    assert "There is no text 99." in answer.text


def test_a_text_is_cancelled_with_the_person_in_the_audit_trail(
    console: Operators, connection: psycopg.Connection
) -> None:
    [text] = texts_in(connection, State.QUEUED)
    browser = console.client(Role.VIEW, Role.ACT, name="ops")

    said = browser.notice(browser.post(f"/texts/{text}/cancel", why="wrong words", back=f"/console/texts/{text}"))

    assert said == f"Text {text} is cancelled. Its ticket will be notified."
    assert state(connection, text) == "cancelled"
    assert entries(connection, audit.text(text)) == [("text.cancel", "console", "wrong words")]
    [entry] = audit.find(connection, Filter(about=audit.text(text)), 1)
    assert (entry.who, entry.origin) == ("key:ops", "127.0.0.1")


def test_a_refused_action_says_why_and_keeps_the_page(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.SENT)
    browser = console.client(Role.VIEW, Role.ACT)

    answer = browser.post(f"/texts/{text}/cancel", back=f"/console/texts/{text}")

    assert answer.location == f"/console/texts/{text}"
    assert browser.notice(answer) == f"Text {text} was sent already: it cannot be taken back."
    assert entries(connection, audit.text(text)) == []


@pytest.mark.parametrize("action", ["give-up", "send-again", "suppress", "lift"])
def test_what_needs_a_reason_is_refused_without_one(
    console: Operators, connection: psycopg.Connection, action: str
) -> None:
    [text] = texts_in(connection, State.FAILED)
    browser = console.client(Role.VIEW, Role.ACT)

    assert "needs a reason" in browser.notice(browser.post(f"/texts/{text}/{action}", why="  "))
    assert entries(connection, audit.text(text)) == []


def test_a_failed_text_is_sent_again_once(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.FAILED, request=TextRequest(message="Hi"))
    browser = console.client(Role.VIEW, Role.ACT)
    assert "Send again" in browser.get(f"/texts/{text}").text

    first = browser.notice(browser.post(f"/texts/{text}/send-again", why="the number was corrected"))
    second = browser.notice(browser.post(f"/texts/{text}/send-again", why="the number was corrected"))

    assert first.startswith(f"Text {text + 1} was asked for")
    assert "was followed by another request" in second
    assert connection.execute("select count(*) from texts").fetchone() == (2,)


def test_a_write_back_is_repeated_and_given_up(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.SENT)
    browser = console.client(Role.VIEW, Role.ACT)

    browser.post(f"/texts/{text}/write-back")
    browser.post(f"/texts/{text}/give-up", why="the case was merged")

    assert "never gets the outcome" in browser.get(f"/texts/{text}").text
    assert [what for what, _, _ in entries(connection, audit.text(text))] == ["text.give_up", "text.write_back"]


def test_a_number_is_suppressed_and_only_a_persons_entry_lifted(
    console: Operators, connection: psycopg.Connection
) -> None:
    [text] = texts_in(connection, State.SENT)
    suppressions.suppress(connection, NUMBER, "", "the customer", Source.WORD)
    browser = console.client(Role.VIEW, Role.ACT)

    assert "is on the suppression list" in browser.notice(browser.post(f"/texts/{text}/suppress", why="asked"))
    assert suppressions.sources(connection, NUMBER) == [Source.PERSON, Source.WORD]
    assert "Lift the suppression" in browser.get(f"/texts/{text}").text
    assert "is lifted" in browser.notice(browser.post(f"/texts/{text}/lift", why="a mistake"))
    assert suppressions.sources(connection, NUMBER) == [Source.WORD]
    assert "no entry by a person" in browser.notice(browser.post(f"/texts/{text}/lift", why="a mistake"))


@pytest.mark.parametrize("action", ACTIONS)
def test_whoever_may_only_look_cannot_act_even_by_hand(
    console: Operators, connection: psycopg.Connection, action: str
) -> None:
    [text] = texts_in(connection, State.QUEUED)
    browser = console.client(Role.VIEW, Role.READ_CONTENT)

    assert "Actions" not in browser.get(f"/texts/{text}").text
    answer = browser.post(f"/texts/{text}/{action}", why="by hand")

    assert answer.status_code == 403
    assert state(connection, text) == "queued"
    assert entries(connection, audit.text(text)) == []


def test_each_call_has_its_verdict(console: Operators, connection: psycopg.Connection) -> None:
    [text] = texts_in(connection, State.UNKNOWN)
    texts.move(connection, [transitions.found(text, Chat(id=7), "a person found its chat")])
    actions.suppress(connection, NUMBER, Actor("ada", audit.Source.CLI), "asked")

    page = console.client(Role.VIEW).get(f"/texts/{text}").text

    calls = page[page.index('id="calls"') : page.index('id="chat"')]
    assert calls.count("<li>") == 1
    assert "badge-unknown" in calls
    assert "no answer" in calls
    assert "on the suppression list (person)" in page
