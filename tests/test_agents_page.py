"""The page for agents over HTTP, without scripts: who gets in, what is shown, and that one wish is one text."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from connector import house, links
from connector.keys import Right
from tests.agent import Agent, Page, link, texts_to
from tests.pipe import Pipe
from webhooks import drafts, schemas
from webhooks.doorway import PER_MINUTE
from webhooks.links import LINK_SECONDS, SESSION_SECONDS, Links, Visit, visit
from webhooks.seals import Purpose

COOKIE = "texting"


@pytest.fixture
def agents(pipe: Pipe) -> Iterator[Callable[[], Agent]]:
    """As many people with browsers as are wanted."""
    with contextlib.ExitStack() as stack:

        def another() -> Agent:
            agent = Agent(pipe)
            stack.enter_context(agent.client)
            return agent

        yield another


@pytest.fixture
def agent(agents: Callable[[], Agent]) -> Agent:
    return agents()


@pytest.fixture
def ours(pipe: Pipe) -> Iterator[Links]:
    """The links of the running web side: whatever is sealed with these, it takes."""
    with ConnectionPool(pipe.url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=True) as pool:
        yield Links(pool)


def plain(url: str, **more: object) -> httpx.Response:
    """One request of a browser that knows nothing yet."""
    return httpx.get(url, trust_env=False, timeout=60, **more)


# Links


def test_a_link_leads_to_the_page_without_itself_in_the_address(pipe: Pipe, case: str) -> None:
    url = link(pipe, case)
    answer = plain(url)
    assert answer.status_code == 303
    page = answer.headers["Location"]
    assert page == url.removeprefix(pipe.web).partition("?")[0]
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    attributes = [one.strip() for one in rest.split(";")[1:]]
    assert name == COOKIE
    assert {"HttpOnly", f"Path={page}", "SameSite=Lax"} <= set(attributes)
    assert "Secure" not in attributes, "this came by http, on this machine"
    [age] = [int(one.partition("=")[2]) for one in attributes if one.startswith("Max-Age")]
    assert SESSION_SECONDS - 10 <= age <= SESSION_SECONDS


def test_a_link_opens_once(pipe: Pipe, case: str, agent: Agent) -> None:
    url = link(pipe, case)
    assert httpx.head(url, trust_env=False).status_code == 204, "whoever only looks has not opened it"
    assert agent.get(url).status == 200
    again = Page(plain(url))
    assert again.status == 410
    assert "A link opens the page once. Open the page again from the ticket." in again.words
    back = agent.get(url)
    assert (back.status, back.answer.url.query) == (200, b""), "who has the page open has only gone back"


def test_a_link_opens_once_for_those_who_come_at_the_same_moment(pipe: Pipe, case: str) -> None:
    url = link(pipe, case)
    with ThreadPoolExecutor(8) as threads:
        answers = [one.status_code for one in threads.map(plain, [url] * 8)]
    assert sorted(answers) == [303] + [410] * 7


def test_an_old_link_opens_nothing(pipe: Pipe, case: str, ours: Links) -> None:
    old = replace(visit("salesforce", case, "Maya", "", 0), until=time.time() - 1)
    page = Page(plain(f"{pipe.web}/agents/text/{old.id}?link={ours.seal(Purpose.LINK, old)}"))
    assert page.status == 410
    assert "within five minutes" in page.words


def test_what_we_have_not_sealed_as_a_link_opens_nothing(pipe: Pipe, case: str, ours: Links) -> None:
    fine = visit("salesforce", case, "Maya", "", 0)
    token = ours.seal(Purpose.LINK, fine)
    forged = [
        "", "x", token[:-1], f"{token}A", token.swapcase(), "é" * 20, "." * 50, "A" * 5000,
        ours.seal(Purpose.SESSION, fine), ours.form_token(fine),
    ]  # fmt: skip
    for one in forged:
        page = Page(plain(f"{pipe.web}/agents/text/{fine.id}", params={"link": one}))
        assert page.status == 403, one
        assert "was not made by the connector" in page.words
    assert plain(f"{pipe.web}/agents/text/{fine.id}?link={token}").status_code == 303


def test_a_link_says_until_when_it_opens_and_needs_the_right_to_send(pipe: Pipe, case: str) -> None:
    answer = pipe.api("POST", "/links", json={"ticket_id": case[:15]}).json()
    assert answer["url"].startswith(f"{pipe.web}/agents/text/")
    left = time.strptime(answer["expires_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(time.mktime(left) - time.mktime(time.gmtime()) - LINK_SECONDS) < 5
    reading = pipe.api_key(Right.READ, Right.PREVIEW)
    assert pipe.api("POST", "/links", reading, json={"ticket_id": case}).status_code == 403
    assert pipe.api("POST", "/links", json={"ticket_id": "nonsense"}).status_code == 404
    assert pipe.api("POST", "/links", json={"ticket_id": case, "agent_id": "x"}).status_code == 422


def test_a_session_is_of_one_page_and_ends(pipe: Pipe, case: str, ours: Links) -> None:
    mine = replace(visit("salesforce", case, "Maya", "", 0), until=time.time() + 60)
    other = replace(visit("salesforce", case, "Maya", "", 0), until=time.time() + 60)
    over = replace(mine, until=time.time() - 1)
    url = f"{pipe.web}/agents/text/{mine.id}"
    wanted = [(None, 403), ("", 403), ("x", 403), (other, 403), (over, 410), (mine, 200)]
    for who, status in wanted:
        value = ours.seal(Purpose.SESSION, who) if isinstance(who, Visit) else who
        page = Page(plain(url, headers={} if value is None else {"Cookie": f"{COOKIE}={value}"}))
        assert page.status == status
    assert "opened from a ticket" in Page(plain(f"{pipe.web}/agents/text")).words


def test_all_web_sides_make_one_secret(pipe: Pipe, pool: ConnectionPool) -> None:
    def secret(_: int) -> bytes:
        with pool.connection() as connection:
            return links.secret(connection)

    with ThreadPoolExecutor(8) as threads:
        [one] = set(threads.map(secret, range(8)))
    assert len(one) == links.SECRET_BYTES


def test_used_links_are_forgotten_when_they_could_open_nothing_anyway(pool: ConnectionPool) -> None:
    now = time.time()
    with pool.connection() as connection:
        assert links.use(connection, "old", now - 90_000)
        assert links.use(connection, "young", now)
        assert not links.use(connection, "young", now)
        assert house.keep(connection, 30) == house.Erased(used_links=1)
        assert connection.execute("select id from used_link").fetchall() == [("young",)]


# What is shown


def test_every_page_keeps_others_out_and_stays_nowhere(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    sent = agent.submit(page)
    pages = [page, sent, agent.get(f"{sent.answer.url}/news"), Page(plain(f"{pipe.web}/agents/text"))]
    for one in pages:
        headers = one.answer.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'", "style-src": "'self'", "script-src": "'self'", "img-src": "data:",
            "connect-src": "'self'", "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
        }  # fmt: skip
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
    for name in ("agents.css", "agents.js", "segments.js"):
        answer = plain(f"{pipe.web}/agents/static/{name}")
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
    for attribute in ("style", "onclick", "onsubmit", "onload"):
        assert not page.root.xpath(f"//*[@{attribute}]")
    assert not page.root.xpath("//script[not(@src)] | //style")
    assert not page.root.xpath("//*[starts-with(@src, 'http') or starts-with(@href, 'http')]")


def test_the_page_shows_whom_it_is_about_and_what_would_leave(pipe: Pipe, case: str, agent: Agent) -> None:
    page, shown = agent.open(case), pipe.box.salesforce.case(case)
    assert f"Case {shown['CaseNumber']}" in page.words
    assert page.root.xpath("string(//h1)").startswith("Text Customer")
    assert page.value("message").startswith("Hi Customer, there is news on your case")
    assert page.value("message") in page.root.xpath("string(//*[@id='preview'])")
    assert "1 of at most 4 segments" in page.words
    assert "You write as Maya Lindgren." in page.words
    number = shown["ContactMobile"]
    assert f"•{number[-2:]}" in page.words
    assert number[2:] not in page.answer.text
    assert "Nothing stands against it" in page.words
    assert pipe.texts(case) == []


def test_looking_at_other_words_shows_them_as_they_would_leave(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.submit(agent.open(case), "preview", message="“Grüße” – Ihr Paket ist da…\r\nBis bald")
    assert page.value("message") == "“Grüße” – Ihr Paket ist da…\nBis bald"
    assert "\"Grüße\" - Ihr Paket ist da...\nBis bald" in page.root.xpath("string(//p[@class='bubble'])")
    assert "GSM-7" in page.words
    back = agent.submit(page, "template", template="requested")
    assert back.value("message").startswith("Hi Customer")
    assert pipe.texts(case) == []


# Sending


def test_a_text_is_sent_once_and_followed_until_the_case_is_told(pipe: Pipe, case: str, agent: Agent) -> None:
    sent = agent.submit(agent.open(case), message="Your part is here.")
    assert [one.status_code for one in sent.answer.history] == [303]
    page = agent.watched(sent)
    [text] = pipe.told(case)
    chat = pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"]
    assert page.root.xpath("string(//*[@id='chat-id'])") == chat
    assert f"Sent. Chat {chat} is selecting." in page.words
    assert "The ticket has been told" in page.words
    assert f"Case {pipe.box.salesforce.case(case)['CaseNumber']}" in page.words
    assert texts_to(pipe, case) == ["Your part is here."]
    assert (text["ask"]["agent_name"], text["ask"]["agent_email"]) == tuple(agent.who.values())
    agent.get(str(sent.answer.url))  # loaded again
    assert len(pipe.texts(case)) == 1
    assert "Your part is here." in agent.open(case).root.xpath("string(//*[@id='texts'])")


def test_the_agent_can_become_the_chats_own(pipe: Pipe, case: str, agent: Agent) -> None:
    agent.watched(agent.submit(agent.open(case, agent_id=7, agent_name="Ana")))
    [text] = pipe.texts(case)
    assert (text["ask"]["agent_id"], text["ask"]["agent_name"]) == (7, "Ana")


def test_back_and_send_again_is_the_same_text(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    first = agent.watched(agent.submit(page))
    again = agent.submit(page, message="Other words, typed after going back")
    assert again.answer.url.path == first.answer.url.path
    assert "had been asked for already, by Maya Lindgren" in again.words
    assert "Nothing was sent twice" in again.words
    assert len(texts_to(pipe, case)) == 1


@pytest.mark.parametrize("how", ["double click", "two tabs", "two agents"])
def test_at_the_same_moment_one_text_leaves(
    pipe: Pipe, case: str, agents: Callable[[], Agent], how: str
) -> None:
    people = [agents(), agents()] * 2 if how == "two agents" else [agents()] * 4
    pages = [people[0].open(case)] * 4 if how == "double click" else [one.open(case) for one in people]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(Agent.submit, people, pages))
    assert {answer.status for answer in answers} == {200}
    [text] = {answer.answer.url.path.rpartition("/")[2] for answer in answers}
    pipe.told(case)
    assert len(texts_to(pipe, case)) == 1
    assert [str(row["id"]) for row in pipe.texts(case)] == [text]


def test_a_text_of_the_workflow_meanwhile_is_shown_before_another_is_sent(
    pipe: Pipe, case: str, agent: Agent
) -> None:
    page = agent.open(case)
    pipe.box.salesforce.request_text(case)
    pipe.told(case)
    shown = agent.submit(page, message="My own words")
    assert shown.status == 409
    assert "asked for meanwhile" in shown.words
    assert shown.value("message") == "My own words"
    assert "by the workflow" in shown.words
    assert len(texts_to(pipe, case)) == 1


def test_once_more_wants_a_reason_beside_its_field(pipe: Pipe, case: str, agent: Agent) -> None:
    agent.watched(agent.submit(agent.open(case)))
    pipe.box.ccaip.end_chat(int(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"]))
    page = agent.open(case)
    assert page.root.xpath("//*[@id='reason'][not(@hidden)]")
    refused = agent.submit(page)
    assert refused.status == 422
    field = refused.field("override")
    assert field.get("aria-invalid") == "true"
    assert field.get("autofocus") is not None
    described = [refused.root.get_element_by_id(name).text_content() for name in field.get("aria-describedby").split()]
    assert "is for the same reason. Say why it is sent anyway." in described[-1]
    assert len(pipe.texts(case)) == 1
    sent = agent.watched(agent.submit(refused, override="the customer did not get it"))
    assert "Sent. Chat" in sent.words
    assert pipe.texts(case)[-1]["ask"]["override"] == "the customer did not get it"
    assert len(texts_to(pipe, case)) == 2


def test_what_is_wrong_with_the_message_is_said_beside_it(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    for message, words in (("", "The message is empty."), ("x" * 700, "5 segments"), ("y" * 6000, "at most 5000"),
                           ("Look: bit.ly/abc", "link shortener")):  # fmt: skip
        refused = agent.submit(page, message=message)
        assert refused.status == 422, message
        assert refused.field("message").get("aria-invalid") == "true"
        assert words in refused.root.xpath("string(//*[@id='message-problem'])")
        assert refused.value("message") == message, "what was typed is kept"
    assert pipe.texts(case) == []


def test_who_cannot_be_texted_is_not_offered_to_be(pipe: Pipe, agent: Agent) -> None:
    [case] = pipe.box.salesforce.make_cases(1, contact={"MobilePhone": "12"})
    page = agent.open(case)
    assert page.status == 200
    assert "This cannot be sent. No usable phone" in page.words
    assert not page.root.xpath("//button[@value='send']")
    assert agent.submit(page).status == 422
    assert pipe.texts(case) == []


def test_while_the_crm_is_away_the_words_are_kept(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    pipe.box.faults.add("status", side="salesforce", status=503, times=50)
    away = agent.submit(page, message="Long, carefully chosen words")
    assert away.status == 503
    assert "Salesforce cannot be asked right now" in away.words
    assert "Nothing was sent." in away.words
    pipe.box.faults.clear()
    assert agent.submit(away, "preview").value("message") == "Long, carefully chosen words"
    assert pipe.texts(case) == []


def test_a_ticket_that_is_not_there(pipe: Pipe, agent: Agent) -> None:
    page = agent.open("500999999999999AAA")
    assert page.status == 404
    assert "does not exist" in page.words


# What others may not


def test_a_form_of_another_session_or_site_is_refused(
    pipe: Pipe, case: str, agent: Agent, agents: Callable[[], Agent]
) -> None:
    page, other = agent.open(case), agents().open(case)
    for token in ("", "x", other.value("token"), page.value("token")[:-1], "é"):
        assert agent.submit(page, token=token).status == 403
    here = pipe.web
    refused = [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": here}, {"Sec-Fetch-Site": "none"}, {"Origin": ""},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ]  # fmt: skip
    for headers in refused:
        assert agent.submit(page, headers=headers).status == 403, headers
    assert pipe.texts(case) == []
    for headers in ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Origin": here}):
        assert agent.submit(page, "preview", headers=headers).status == 200, headers


def test_two_tickets_in_two_tabs_stay_apart(pipe: Pipe, agent: Agent) -> None:
    one, two = pipe.box.salesforce.make_cases(2)
    first, second = agent.open(one), agent.open(two)
    agent.watched(agent.submit(first, message="For the first"))
    agent.watched(agent.submit(second, message="For the second"))
    assert (texts_to(pipe, one), texts_to(pipe, two)) == (["For the first"], ["For the second"])


def test_a_page_shows_no_other_tickets_texts(pipe: Pipe, case: str, agent: Agent) -> None:
    [other] = pipe.box.salesforce.make_cases(1)
    hidden = pipe.send(other).json()["id"]
    page = agent.open(case)
    for text in (hidden, 10**15, 10**30):
        url = f"{page.answer.url}/texts/{text}"
        assert agent.get(url).status == 404
        assert agent.get(f"{url}/news").status == 404
        assert agent.client.post(f"{url}/cancel", data=page.form()).status_code == 404


def test_what_has_not_left_can_be_cancelled(pipe: Pipe, case: str, agent: Agent) -> None:
    with psycopg.connect(pipe.url, autocommit=True) as connection:  # no job: nobody sends it
        connection.execute(
            "with e as (insert into event (crm, event_id, door, ticket_id) values ('salesforce', %s, 'trigger', %s)"
            " returning id) insert into text (event, crm, ticket_id, door)"
            " select id, 'salesforce', %s, 'trigger' from e",
            [secrets.token_hex(8), case, case],
        )
    page = agent.open(case)
    [url] = page.root.xpath("//form[contains(@action, '/cancel')]/@action")
    assert agent.client.post(pipe.web + url, data={"token": "x"}).status_code == 403
    for _ in range(2):
        done = Page(agent.client.post(pipe.web + url, data=page.form()))
        assert f"Not sent: cancelled by {agent.who['agent_email']}." in done.words
    assert [row["state"] for row in pipe.texts(case)] == ["cancelled"]


def test_an_agent_who_asks_without_end_is_asked_to_wait(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    url = f"{page.answer.url}/texts/{10**15}/news"
    for _ in range(2 * PER_MINUTE + 2):  # the minute may turn once
        answer = agent.client.get(url)
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "typed",
    [
        {"message": "<script>alert(1)</script>"}, {"message": "</textarea><img src=x>"}, {"message": "a\x00b"},
        {"message": "\u202e reversed"}, {"message": "{{ 7 * 7 }} %s %(x)s"}, {"override": "a\nb\x07"},
        {"override": "z" * 500}, {"after": "-1"}, {"after": "9" * 40}, {"after": "²"}, {"key": "é" * 20}, {"key": ""},
        {"key": "k" * 10_000}, {"template": "<b>"}, {"do": "nothing"}, {"message": "x" * 200_000},
        {"message": "y" * 1_500_000},
    ],
    ids=lambda typed: next(iter(typed)),
)  # fmt: skip
def test_odd_input_does_no_harm(case: str, agent: Agent, typed: dict[str, str]) -> None:
    page = agent.submit(agent.open(case), **({"do": "preview"} | typed))
    assert page.status in (200, 403, 413, 422)
    for tag in ("script[not(@src)]", "img", "b"):
        assert not page.root.xpath(f"//{tag}")
    if page.status != 413:
        sent = agent.submit(agent.open(case), **typed)
        assert sent.status in (200, 403, 422)


@pytest.mark.parametrize(
    ("typed", "leaves", "expected"),
    [
        ("Hi", "Halden: Hi STOP ends", ("Halden: ", " STOP ends")), ("“Hi”", 'Halden: "Hi"', ("Halden: ", "")),
        ("Hi", "Hi", ("", "")), ("", "", ("", "")), ("Hi", "", ("", "")), (None, "Hi", ("", "")),
    ],
)  # fmt: skip
def test_what_is_put_around_the_words_is_known_to_the_script(
    typed: str | None, leaves: str, expected: tuple[str, str]
) -> None:
    seen = schemas.Preview(
        crm="x", ticket_id="1", message=leaves, segments_most=4, allowed=True, overridable=True, findings=[],
        templates=[], after=0,
    )
    assert drafts.around(seen, drafts.Draft(typed)) == expected
