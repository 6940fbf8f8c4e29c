"""The page for agents and what others may not: forms, tickets and texts of somebody else, too much, and odd input."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.agent import Agent, Page, plain, texts_to
from tests.support.pipe import Pipe, without_job
from webhooks.agent_page.access import PER_MINUTE
from webhooks.agent_page.sessions import AgentSessions
from webhooks.signed_values import Purpose


def test_every_page_keeps_others_out_and_stays_nowhere(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    sent = agent.submit(page)
    pages = [page, sent, agent.get(f"{sent.answer.url}/news"), Page(plain(f"{pipe.web}/agents/text"))]
    for one in pages:
        headers = one.answer.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "script-src": "'self'",
            "img-src": "data:",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
    scripts = ("agents.js", "keeping.js", "looks.js", "parts.js", "segments.js", "watching.js", "writing.js")
    for path in (
        "assets/base.css",
        "assets/pressing.js",
        *(f"agents/static/{name}" for name in ("agents.css", *scripts)),
    ):
        answer = plain(f"{pipe.web}/{path}")
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
    for attribute in ("style", "onclick", "onsubmit", "onload"):
        assert not page.root.xpath(f"//*[@{attribute}]")
    assert not page.root.xpath("//script[not(@src)] | //style")
    assert not page.root.xpath("//*[starts-with(@src, 'http') or starts-with(@href, 'http')]")


def test_a_form_of_another_session_or_site_is_refused(
    pipe: Pipe, case: str, agent: Agent, agents: Callable[[], Agent]
) -> None:
    page, other = agent.open(case), agents().open(case)
    for token in ("", "x", other.value("token"), page.value("token")[:-1], "é"):
        assert agent.submit(page, token=token).status == 403
    here = pipe.web
    refused = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": here},
        {"Sec-Fetch-Site": "none"},
        {"Origin": ""},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ]
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
    without_job(pipe.url, case)
    page = agent.open(case)
    [url] = page.root.xpath("//form[contains(@action, '/cancel')]/@action")
    assert agent.client.post(pipe.web + url, data={"token": "x"}).status_code == 403
    for _ in range(2):
        done = Page(agent.client.post(pipe.web + url, data=page.form()))
        assert f"Not sent: cancelled by {agent.who['agent_email']}." in done.words
    [row] = pipe.texts(case)
    assert row["state"] == "cancelled"
    recorded = "select who, source from audit where what = 'text.cancel' and about = %s"
    assert pipe.query(recorded, f"text {row['id']}") == [{"who": agent.who["agent_email"], "source": "page"}]


def test_an_agent_who_asks_without_end_is_asked_to_wait(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    url = f"{page.answer.url}/texts/{10**15}/news"
    for _ in range(2 * PER_MINUTE + 2):  # the minute may turn once
        answer = agent.client.get(url)
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert f"{PER_MINUTE} requests a minute are allowed; try again in" in Page(answer).words
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "typed",
    [
        {"message": "<script>alert(1)</script>"},
        {"message": "</textarea><img src=x>"},
        {"message": "a\x00b"},
        {"message": "\u202e reversed"},
        {"message": "{{ 7 * 7 }} %s %(x)s"},
        {"override": "a\nb\x07"},
        {"override": "z" * 500},
        {"after": "-1"},
        {"after": "9" * 40},
        {"after": "²"},
        {"findings": "é" * 20},
        {"findings": ""},
        {"findings": "k" * 10_000},
        {"template": "<b>"},
        {"do": "nothing"},
        {"message": "x" * 200_000},
        {"message": "y" * 1_500_000},
    ],
    ids=lambda typed: next(iter(typed)),
)
def test_odd_input_does_no_harm(case: str, agent: Agent, typed: dict[str, Any]) -> None:
    page = agent.submit(agent.open(case), **({"do": "preview"} | typed))
    assert page.status in (200, 403, 413, 422)
    for tag in ("script[not(@src)]", "img", "b"):
        assert not page.root.xpath(f"//{tag}")
    if page.status != 413:
        sent = agent.submit(agent.open(case), **typed)
        assert sent.status in (200, 403, 422)


@pytest.mark.parametrize("lost", ["no cookie", "another page's form", "half an hour"])
def test_words_are_shown_where_the_page_is_no_longer_open(
    pipe: Pipe, case: str, agent: Agent, agents: Callable[[], Agent], ours: AgentSessions, lost: str
) -> None:
    page, other = agent.open(case), agents()
    headers, words = {}, {"message": "Carefully <b>chosen</b> words"}
    if lost == "no cookie":
        agent.client.cookies.clear()
    elif lost == "another page's form":
        words["token"] = other.open(case).value("token")
    else:
        visit = ours.session(page.answer.url.path.rpartition("/")[2], agent.client.cookies["texting"])
        agent.client.cookies.clear()
        headers = {"Cookie": f"texting={ours.seal(Purpose.SESSION, replace(visit, until=1))}"}
    refused = agent.submit(page, headers=headers, **words)
    assert refused.status in (403, 410)
    assert refused.root.xpath("string(//textarea[@readonly])").strip() == words["message"]
    assert pipe.texts(case) == []


def test_words_that_another_site_posts_are_not_shown(case: str, agent: Agent) -> None:
    refused = agent.submit(agent.open(case), message="Call 555", headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status, "Call 555" in refused.answer.text) == (403, False)
