"""`connector purge`: nothing of a person is left in any table but the suppression list, nor in the logs.

Every column of every table is searched, so that a new one is too.
"""

import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg import sql

from connector.cli import demo
from connector.masking import Spellings
from connector.store import audit, erasure, pseudonyms, suppressions
from connector.store.audit import Action
from tests.support import chat_webhooks
from tests.support.agent import Agent
from tests.support.pipe import Pipe, outbound_message, wait_for
from tests.support.tls import TLS

NUMBER, NATIONAL = "+14155550187", "4155550187"
FULL_WIDTH = "（４１５）５５５－０１８７"
FIRST, LAST = "Zebulonia", "Quarkenbush"
WORDS = "your walrus is ready"
WHY = "she asked for the walrus"
SPELLINGS = [
    NUMBER,
    "(415) 555-0187",
    "415.555.0187",
    "1 415 555 0187",
    "0014155550187",
    FULL_WIDTH,
    "٤١٥-٥٥٥-٠١٨٧",
    "tel:%2B14155550187",
    "415\u200b555\u200b0187",
    "415 / 555 - 0187",
    "415,555,0187",
    "415_555_0187",
    "415:555:0187",
    "415, 555; 0187",
    "4-1-5-5-5-5-0-1-8-7",
    "415+555+0187",
    "415|555|0187",
    "415 x 555 x 0187",
    "415\n555\n0187",
]


@pytest.fixture
def connection(pipe: Pipe) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        yield connection


def everything(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """(table.column, what it says) of every value in the schema, bytes in two encodings."""
    columns = connection.execute(
        """select table_name, column_name, data_type from information_schema.columns
           join information_schema.tables using (table_schema, table_name)
           where table_schema = current_schema() and table_type = 'BASE TABLE' and table_name <> 'suppressions'"""
    ).fetchall()
    assert len({table for table, _, _ in columns}) > 15
    for table, column, kind in columns:
        query = sql.SQL("select {0} from {1}" if kind == "bytea" else "select {0}::text from {1}")
        for (value,) in connection.execute(query.format(sql.Identifier(column), sql.Identifier(table))):
            said = (
                [value]
                if not isinstance(value, bytes)
                else [value.decode(encoding, "ignore") for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
            )
            yield from ((f"{table}.{column}", one) for one in said if one)


def digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(sign)) for sign in text if sign.isdecimal())


def left(connection: psycopg.Connection, *words: str) -> set[str]:
    """Where anything of the person is."""
    return {
        place
        for place, said in everything(connection)
        if NATIONAL in digits(said) or any(word.casefold() in said.casefold() for word in words)
    }


def plan(pipe: Pipe, case: str) -> str:
    """A back-fill for this case, planned and not run."""
    made = subprocess.run(
        [sys.executable, "-m", "connector", "backfill", "salesforce", "--ids", "-", "--json"],
        input=case,
        text=True,
        env=os.environ | demo.environment(pipe.box, pipe.url, 1, "t" * 30),
        cwd=pipe.logs,
        check=True,
        capture_output=True,
    )
    return str(json.loads(made.stdout)["plan"])


@pytest.fixture
def case(pipe: Pipe) -> str:
    person = {"MobilePhone": "(415) 555-0187", "FirstName": FIRST, "LastName": LAST}
    return str(pipe.box.salesforce.make_cases(1, contact=person)[0])


def chats(pipe: Pipe, chat_id: int) -> None:
    """Chat events of the person's chat, of another chat that names the number, and one that cannot be read."""
    bodies = [
        chat_webhooks.message(chat_id, f"I am {FIRST} {LAST} and {WORDS}"),
        chat_webhooks.message(77_000_001, f"I am {FIRST} on {FULL_WIDTH}"),
        chat_webhooks.message(chat_id, f"{FIRST}, {WORDS}", f"sender {NUMBER}"),
        f'{{"chat_id": 1, "body": "{FIRST} on {NUMBER}'.encode(),
    ]
    for body in bodies:
        headers = chat_webhooks.headers(body, secret=str(pipe.box.switches["chat_webhook_secret"]))
        url = f"{pipe.web}/webhooks/ccaip/chat-events"
        assert httpx.post(url, content=body, headers=headers, verify=TLS, trust_env=False).status_code == 200
    wait_for(
        lambda: pipe.query("select from chat_events where chat_id = %s and processed_at is not null", str(chat_id)),
        "a chat event is processed",
    )


def used(pipe: Pipe, connection: psycopg.Connection, case: str, agent: Agent) -> list[str]:
    """Everything that can be done about one person; the hashes that it leaves."""
    planned = plan(pipe, case)
    pipe.event(case)
    pipe.told(case)
    pipe.event(case, event_id=f"of {NUMBER}")
    pipe.told(case, 2)
    pipe.send(case, key=f"key of {NUMBER}", message=f"Hi {FIRST}, {WORDS}", override=WHY, overrides=["hours"])
    agent.watched(agent.submit(agent.open(case), message=f"Dear {FIRST}, {WORDS}", override=WHY))
    chats(pipe, next(text["chat"]["id"] for text in pipe.told(case, 4) if text["chat"]))
    for unreadable in (f"<odd>{FIRST} {FULL_WIDTH}", f"<odd>{NUMBER}", "<odd>415-555-0187 &#233;"):
        for encoding in ("utf-8", "utf-16", "utf-16-be"):
            pipe.outbound_message(unreadable.encode(encoding))
    pipe.outbound_message(outbound_message(pipe.box, case, "04l000000000001AAA"))
    pipe.told(case, 5)
    suppressions.suppress(connection, NUMBER, "asked on the phone", "somebody")
    about = audit.number(connection, NUMBER)
    audit.record(connection, audit.this_user(), Action.NUMBER_SUPPRESS, about, why=f"{FIRST} asked, {FULL_WIDTH}")
    plan(pipe, case)
    pipe.event(case)
    pipe.told(case, 6)
    connection.execute("update plans set why = 'stopped at ' || %s where id = %s", ["415,555_0187", planned])
    connection.execute("update sending_state set paused_why = 'refused for ' || %s", [FULL_WIDTH])
    connection.execute(
        "insert into operator_pauses (scope, name, why, paused_by, ends_at)"
        " values ('rule', 'erased', 'wrong words to ' || %s, %s, now()) on conflict do nothing",
        [FULL_WIDTH, NUMBER],
    )
    reasons = connection.execute("select reason from texts where ticket_id = %s and reason is not null", [case])
    plain = hashlib.sha256(NUMBER.encode()).hexdigest()
    return [plain[:32], pseudonyms.of_number(connection, NUMBER), *(reason for (reason,) in reasons)]


def test_nothing_of_a_person_is_left_after_purge(
    pipe: Pipe, connection: psycopg.Connection, case: str, agent: Agent
) -> None:
    hashes = used(pipe, connection, case, agent)
    of_person = [FIRST, LAST, WORDS, WHY, *hashes]
    assert len(left(connection, *of_person)) > 12, "it was everywhere"

    erased = erasure.purge(connection, NUMBER)

    assert erased.texts >= 5
    assert left(connection, *of_person) == set()
    logs = "".join(path.read_text() for path in pipe.logs.glob("*.log"))
    assert NATIONAL not in digits(logs)
    assert not [one for one in of_person if one in logs]
    assert suppressions.suppress(connection, NUMBER, "", "") is False, "the suppression list is the person's own wish"


def test_what_waits_is_cancelled_if_it_was_decided_or_not(connection: psycopg.Connection, case: str) -> None:
    """A text of the same ticket that was not decided yet has no number, and would go to the person."""
    for state, sms in (("queued", json.dumps({"end_user_number": NUMBER})), ("received", None)):
        connection.execute(
            """with e as (insert into events (crm, event_id, channel, ticket_id)
                          values ('salesforce', %(state)s || %(case)s, 'trigger', %(case)s) returning id)
               insert into texts (event, crm, ticket_id, channel, state, sms, not_before)
               select id, 'salesforce', %(case)s, 'trigger', %(state)s, %(sms)s, now() + interval '1 day' from e""",
            {"case": case, "state": state, "sms": sms},
        )
    erasure.purge(connection, NUMBER)
    assert connection.execute("select state, sms, why from texts where ticket_id = %s", [case]).fetchall() == [
        ("cancelled", None, "erased"),
        ("cancelled", None, "erased"),
    ]


def test_purge_can_put_the_number_on_the_suppression_list(connection: psycopg.Connection) -> None:
    erasure.purge(connection, "+14155550188", suppress=True)
    assert suppressions.suppress(connection, "+14155550188", "", "") is False
    assert suppressions.allow(connection, "+14155550188")


@pytest.mark.parametrize("spelt", SPELLINGS)
def test_a_number_is_found_in_every_spelling(spelt: str) -> None:
    found = Spellings(NUMBER)
    assert NATIONAL not in digits(found.without(f"call {spelt} now"))
    assert found.without({"a": [f"{spelt}"]}) != {"a": [spelt]}
    for encoding in ("utf-8", "utf-16", "utf-16-be"):
        assert found.without(f"call {spelt} now".encode(encoding)) is None


@pytest.mark.parametrize(
    "other", ["+14155550186", "94155550187", "41555501870", "415 555 01 2026", "Zoë 5550187", "4155,55,0186"]
)
def test_another_number_is_left(other: str) -> None:
    assert Spellings(NUMBER).without(f"call {other} now") == f"call {other} now"


def test_numbers_in_json_are_found() -> None:
    assert NATIONAL not in str(Spellings(NUMBER).without({"phone": 14155550187, "n": [4155550187], "ok": True}))
