"""Decide again, and try a mapping, in the console: beside the sandbox's org, with texts that delivery has decided."""

import io
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from werkzeug.test import TestResponse

from connector import bootstrap, crms, settings
from connector.model import TicketEvent
from connector.sandbox.crms.salesforce import schema
from connector.store import audit, events, outcomes
from connector.store.audit import Filter
from tests.support.remote import Remote, Tickets
from tests.webhooks.console.conftest import Browser, Operators
from webhooks.console.roles import Role

SHIPPED = (Path(__file__).parent.parent.parent.parent / "mappings" / "salesforce.toml").read_text()
WORDS, OTHER_WORDS = "there is news on your case", "your case has news: it is"


@pytest.fixture
def case(console: Operators) -> str:
    """A case that asks for a text."""
    [case] = console.box.salesforce.make_cases(1)
    console.box.salesforce.edit(case, {"CCAIP_SMS_Status__c": "Requested"})
    return str(case)


@pytest.fixture
def text(console: Operators, connection: psycopg.Connection, case: str) -> int:
    """A text about the case that delivery has sent; the case says so since. Its id."""
    mapping = bootstrap.mappings(settings.load(_env_file=None))["salesforce"]
    [receipt] = events.save(connection, [TicketEvent("salesforce", "e1", case)])
    assert receipt.text
    crm = crms.connect("salesforce", mapping.file)
    Remote(console.pool).deliver(receipt.text, mapping=mapping, tickets=Tickets(crm.read([case])[case].values))
    outcomes.begin_write(connection, {receipt.text: {"sms_status": "Sent"}})
    console.box.salesforce.edit(case, {"CCAIP_SMS_Status__c": "Sent"})
    crm.close()
    return receipt.text


def edit_contact(console: Operators, case: str, **changes: Any) -> None:
    org = console.box.salesforce
    org.store.update(schema.OBJECTS["Contact"], org.case(case)["ContactId"], changes, org.human_user_id)


def number(console: Operators, case: str) -> str:
    contact = console.box.salesforce.store.get(
        schema.OBJECTS["Contact"], console.box.salesforce.case(case)["ContactId"]
    )
    return str(contact["MobilePhone"])


def words(answer: TestResponse) -> str:
    """What a person reads on a page."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def test_nothing_differs_for_a_text_that_would_be_sent_again(console: Operators, text: int) -> None:
    answer = console.client(Role.VIEW).get(f"/texts/{text}/decide-again")

    assert answer.status_code == 200
    assert "Then send" in words(answer)
    assert "Now send" in words(answer)
    assert "Nothing differs." in words(answer)


def test_what_differs_is_named_and_content_is_for_those_who_may_read_it(
    console: Operators, connection: psycopg.Connection, case: str, text: int
) -> None:
    before = number(console, case)
    edit_contact(console, case, FirstName="Grace", MobilePhone="+14155550123", CCAIP_SMS_Opt_Out__c=True)
    revision = connection.execute("select revision from texts").fetchall()

    masked = words(console.client(Role.VIEW).get(f"/texts/{text}/decide-again"))
    full = words(console.client(Role.VIEW, Role.READ_CONTENT).get(f"/texts/{text}/decide-again"))

    assert "Opt-out ok: not opted out" in masked
    assert "stop: the customer has opted out, as the ticket says" in masked
    for page, seen in ((masked, False), (full, True)):
        assert ("Hi Grace" in page) is seen
        assert ("+14155550123" in page) is seen
        assert (before in page) is seen
    assert connection.execute("select revision from texts").fetchall() == revision
    assert {one.what for one in audit.find(connection, Filter(), 10)} == {"session.begin"}


def test_what_cannot_be_decided_is_told(console: Operators, text: int) -> None:
    browser = console.client(Role.VIEW)

    missing = browser.get("/texts/999/decide-again")
    assert (missing.status_code, "there is no text 999" in missing.text) == (404, True)
    console.box.faults.add("status", side="salesforce", status=503, times=20)
    try:
        away = browser.get(f"/texts/{text}/decide-again")
    finally:
        console.box.faults.clear()
    assert away.status_code == 503
    assert "salesforce cannot be asked" in words(away)


def test_a_draft_is_tried_on_the_newest_events(console: Operators, case: str, text: int) -> None:
    draft = SHIPPED.replace(WORDS, OTHER_WORDS)

    answer = try_it(console.client(Role.VIEW, Role.ACT), draft)

    assert answer.status_code == 200
    page = words(answer)
    assert "1 text tried" in page
    assert "1 worded differently (rule requested)" in page
    assert case in page
    assert "characters; you may not see messages" in page
    assert "has news: it is 000" not in page
    assert f'href="/console/texts?q=text:{text}"' in answer.text or f'href="/console/texts/{text}"' in answer.text
    assert OTHER_WORDS in answer.text.partition("<textarea")[2], "the draft stays in the form"
    content = words(try_it(console.client(Role.VIEW, Role.ACT, Role.READ_CONTENT), draft))
    assert "draft: Hi" in content
    assert "your case has news: it is 000" in content


def try_it(browser: Browser, content: str, **fields: Any) -> TestResponse:
    """Send the form with a pasted draft, as a browser does: with CR LF."""
    pasted = {"draft": content.replace("\n", "\r\n")}
    return browser.post("/try-mapping", **{"crm": "salesforce", "events": "10", "tickets": "", **pasted, **fields})


def test_a_draft_may_be_uploaded_and_tried_on_tickets(console: Operators, case: str) -> None:
    """The ticket has no text yet: it is tried as if a trigger came now."""
    file = (io.BytesIO(SHIPPED.replace("status == 'Closed'", "status != 'Closed'").encode()), "salesforce.toml")

    page = words(try_it(console.client(*Role), "", events="0", tickets=f"{case}\r\n{case[:15]}", file=file))

    assert "1 text tried" in page
    assert "1 skipped by the draft only: Ticket (rule requested)" in page
    assert "draft: skip: the case is closed" in page
    assert "none yet" in page


def test_the_faults_of_a_draft_are_listed_with_their_lines(console: Operators) -> None:
    draft = SHIPPED.replace("status == 'Closed'", "stattus == 'Closed'")
    line = draft[: draft.index("stattus")].count("\n") + 1

    answer = try_it(console.client(*Role), draft)

    assert answer.status_code == 422
    assert f"The draft cannot be used Line Key What is wrong {line} skip_when" in words(answer)
    broken = try_it(console.client(*Role), "a = 1\nb =\n")
    assert "line 2" in words(broken)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"events": "201"}, "Newest events: expected a number from 0 to 200"),
        ({"events": "0" * 5_000 + "x"}, "Newest events: expected a number"),
        ({"events": "9" * 5_000}, "Newest events: expected a number"),
        ({"events": "0" * 5_000}, "Expected from 1 to 200 events and tickets together"),
        ({"events": "1e2"}, "Newest events: expected a number"),
        ({"events": "0"}, "Expected from 1 to 200 events and tickets together"),
        ({"tickets": "17"}, "17"),
        ({"crm": "nosuch"}, "CRM: expected one of salesforce"),
        ({"draft": " "}, "expected a mapping file, pasted or uploaded"),
        ({"draft": "#" * 100_000}, "expected at most 64 KB"),
    ],
)
def test_what_cannot_be_tried_is_told_beside_the_form(console: Operators, fields: dict[str, str], said: str) -> None:
    answer = try_it(console.client(*Role), SHIPPED, **fields)

    assert answer.status_code in (404, 422)
    assert said in words(answer)
    assert '<textarea class="code" id="draft"' in answer.text


def test_an_org_that_refuses_a_field_is_told(console: Operators, case: str) -> None:
    answer = try_it(console.client(*Role), SHIPPED.replace('"SuppliedPhone"', '"Nonsense__c"'), tickets=case)

    assert answer.status_code == 503
    assert "Nonsense__c" in words(answer)


def test_who_may_only_look_cannot_try(console: Operators) -> None:
    browser = console.client(Role.VIEW)

    assert browser.get("/try-mapping").status_code == 403
    assert "Try a mapping" not in browser.get("/").text
    assert try_it(browser, SHIPPED).status_code == 403
