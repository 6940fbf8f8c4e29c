"""Links to the page for agents, and the sessions they open: who gets in, once, and for how long."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
from psycopg_pool import ConnectionPool

from connector.store import page_links, retention
from connector.store.api_keys import Right
from tests.support.agent import Agent, Page, link, plain
from tests.support.pipe import Pipe
from tests.support.tls import TLS
from webhooks.agent_page.sessions import LINK_SECONDS, SESSION_SECONDS, AgentSession, AgentSessions, unopened
from webhooks.signed_values import Purpose

COOKIE = "texting"


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
    assert httpx.head(url, verify=TLS, trust_env=False).status_code == 204, "whoever only looks has not opened it"
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


def test_an_old_link_opens_nothing(pipe: Pipe, case: str, ours: AgentSessions) -> None:
    old = replace(unopened("salesforce", case, "Maya", "", 0), until=time.time() - 1)
    page = Page(plain(f"{pipe.web}/agents/text/{old.id}?link={ours.seal(Purpose.LINK, old)}"))
    assert page.status == 410
    assert "within five minutes" in page.words


def test_what_we_have_not_sealed_as_a_link_opens_nothing(pipe: Pipe, case: str, ours: AgentSessions) -> None:
    fine = unopened("salesforce", case, "Maya", "", 0)
    token = ours.seal(Purpose.LINK, fine)
    forged = [
        "",
        "x",
        token[:-1],
        f"{token}A",
        token.swapcase(),
        "é" * 20,
        "." * 50,
        "A" * 5000,
        ours.seal(Purpose.SESSION, fine),
        ours.form_token(fine),
    ]
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


def test_a_session_is_of_one_page_and_ends(pipe: Pipe, case: str, ours: AgentSessions) -> None:
    mine = replace(unopened("salesforce", case, "Maya", "", 0), until=time.time() + 60)
    other = replace(unopened("salesforce", case, "Maya", "", 0), until=time.time() + 60)
    over = replace(mine, until=time.time() - 1)
    url = f"{pipe.web}/agents/text/{mine.id}"
    wanted = [(None, 403), ("", 403), ("x", 403), (other, 403), (over, 410), (mine, 200)]
    for who, status in wanted:
        value = ours.seal(Purpose.SESSION, who) if isinstance(who, AgentSession) else who
        page = Page(plain(url, headers={} if value is None else {"Cookie": f"{COOKIE}={value}"}))
        assert page.status == status
    assert "opened from a ticket" in Page(plain(f"{pipe.web}/agents/text")).words


def test_all_web_sides_make_one_secret(pipe: Pipe, pool: ConnectionPool) -> None:
    def secret(_: int) -> bytes:
        with pool.connection() as connection:
            return page_links.secret(connection)

    with ThreadPoolExecutor(8) as threads:
        [one] = set(threads.map(secret, range(8)))
    assert len(one) == page_links.SECRET_BYTES


def test_used_links_are_forgotten_when_they_could_open_nothing_anyway(pool: ConnectionPool) -> None:
    now = time.time()
    with pool.connection() as connection:
        assert page_links.use(connection, "old", now - 90_000)
        assert page_links.use(connection, "young", now)
        assert not page_links.use(connection, "young", now)
        assert retention.keep(connection, 30) == retention.Erased(used_links=1)
        assert connection.execute("select id from used_links").fetchall() == [("young",)]
