"""The page for agents over HTTP, without scripts: what is shown, and that one wish is one text."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from connector import settings
from connector.cli import demo
from connector.store import pauses, postgres
from connector.store.pauses import Scope
from tests.support.agent import Agent, link, texts_to
from tests.support.pipe import Pipe, without_job
from webhooks.app import create_app

# What is shown


def test_the_page_shows_whom_it_is_about_and_what_would_leave(pipe: Pipe, case: str, agent: Agent) -> None:
    page, shown = agent.open(case), pipe.box.salesforce.case(case)
    assert f"Case {shown['CaseNumber']}" in page.words
    assert page.root.xpath("string(//h1)").startswith("Text Customer")
    assert page.value("message").startswith("Hi Customer, there is news on your case")
    assert page.value("message") in page.root.xpath("string(//*[@id='preview'])")
    assert "1 of at most 4 segments" in page.words
    assert "You write as Maya Lindgren." in page.words
    number = shown["ContactMobile"]
    assert f"•{number[-4:]}" in page.words
    assert number[2:] not in page.answer.text
    assert "Nothing blocks it" in page.words
    assert pipe.texts(case) == []


def test_looking_at_other_words_shows_them_as_they_would_leave(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.submit(agent.open(case), "preview", message="“Grüße” – Ihr Paket ist da…\r\nBis bald")
    assert page.value("message") == "“Grüße” – Ihr Paket ist da…\nBis bald"
    assert '"Grüße" - Ihr Paket ist da...\nBis bald' in page.root.xpath("string(//p[@class='bubble'])")
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
    assert "The ticket has the result" in page.words
    assert f"Case {pipe.box.salesforce.case(case)['CaseNumber']}" in page.words
    assert texts_to(pipe, case) == ["Your part is here."]
    assert (text["request"]["agent_name"], text["request"]["agent_email"]) == tuple(agent.who.values())
    agent.get(str(sent.answer.url))  # loaded again
    assert len(pipe.texts(case)) == 1
    assert "Your part is here." in agent.open(case).root.xpath("string(//*[@id='texts'])")


def test_the_agent_can_become_the_chats_own(pipe: Pipe, case: str, agent: Agent) -> None:
    agent.watched(agent.submit(agent.open(case, agent_id=7, agent_name="Ana")))
    [text] = pipe.texts(case)
    assert (text["request"]["agent_id"], text["request"]["agent_name"]) == (7, "Ana")


def test_back_and_send_again_is_the_same_text(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    first = agent.watched(agent.submit(page))
    again = agent.submit(page)
    assert again.answer.url.path == first.answer.url.path
    assert "had been asked for already, by Maya Lindgren" in again.words
    assert "Nothing was sent twice" in again.words
    assert len(texts_to(pipe, case)) == 1


def test_words_for_a_text_that_was_asked_for_meanwhile_are_kept(
    pipe: Pipe, case: str, agents: Callable[[], Agent]
) -> None:
    """Another tab or agent was faster: its text is shown, and the words can be used for another one."""
    agent, other = agents(), agents()
    page = agent.open(case)
    other.watched(other.submit(other.open(case), message="First"))
    shown = agent.submit(page, message="Carefully chosen words", override="old reason")
    assert shown.status == 409
    assert "had been asked for already, by Maya Lindgren. Nothing was sent twice." in shown.words
    assert "Your words were not sent Carefully chosen words" in shown.words
    anew = agent.submit(shown, "preview")
    assert (anew.value("message"), anew.value("override")) == ("Carefully chosen words", "")
    assert int(anew.value("after")) == pipe.texts(case)[-1]["id"]
    assert texts_to(pipe, case) == ["First"]


def test_a_form_that_is_loaded_again_after_its_text_was_sent_still_means_that_text(
    pipe: Pipe, case: str, agent: Agent
) -> None:
    """Back and reload without scripts: the server makes the form anew, with the words that were sent."""
    page = agent.open(case)
    first = agent.watched(agent.submit(page, message="Your part is here."))
    chat = int(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"])
    pipe.box.ccaip.end_chat(chat)
    back = agent.get(str(page.answer.url))
    assert "This text was asked for already" in back.words
    assert back.value("message") == "Your part is here."
    assert "Your part is here." in back.root.xpath("string(//*[@id='preview'])")
    again = agent.submit(back, override="they did not get it")
    assert again.answer.url.path == first.answer.url.path
    assert len(texts_to(pipe, case)) == 1
    [another] = back.root.xpath("//a[text()='Write another']/@href")
    fresh = agent.get(pipe.web + another)
    assert fresh.value("message").startswith("Hi Customer")
    agent.watched(agent.submit(fresh, override="they did not get it"))
    assert len(texts_to(pipe, case)) == 2


def test_typing_in_an_old_form_does_not_make_it_a_new_one(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    agent.watched(agent.submit(page))
    look = agent.client.post(f"{page.answer.url}/preview", data=page.form() | {"message": "Other words"}).json()
    assert str(look["after"]) == page.value("after")


def test_a_reason_is_asked_for_again_when_something_else_is_found(pipe: Pipe, case: str, agent: Agent) -> None:
    """A reason typed while one text stood against it does not count for another."""
    agent.watched(agent.submit(agent.open(case)))
    pipe.box.ccaip.end_chat(int(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"]))
    page = agent.open(case)
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        connection.execute("update texts set state = 'unknown' where ticket_id = %s", [case])
    look = agent.client.post(f"{page.answer.url}/preview", data=page.form() | {"override": "they asked"}).json()
    assert "it wants a reason, given with this in view: yours is older" in look["verdict"]

    refused = agent.submit(page, override="they asked")

    assert (refused.status, refused.value("override")) == (422, "")
    problem = refused.root.xpath("string(//*[@id='override-problem'])")
    assert "(unknown) is for the same reason. Your reason was given before this was shown: “they asked”." in problem
    assert len(texts_to(pipe, case)) == 1
    agent.watched(agent.submit(refused, override="they asked"))
    assert len(texts_to(pipe, case)) == 2


@pytest.mark.parametrize("findings", ["", "forged", "another page's"])
def test_a_reason_for_findings_that_were_not_shown_counts_for_nothing(
    pipe: Pipe, case: str, agents: Callable[[], Agent], findings: str
) -> None:
    agent = agents()
    agent.watched(agent.submit(agent.open(case)))
    page, other = agent.open(case), agents().open(case)
    sealed = other.value("findings") if findings == "another page's" else findings
    assert agent.submit(page, override="they asked", findings=sealed).status == 422
    assert len(texts_to(pipe, case)) == 1


@pytest.mark.parametrize("how", ["double click", "two tabs", "two agents"])
def test_at_the_same_moment_one_text_leaves(pipe: Pipe, case: str, agents: Callable[[], Agent], how: str) -> None:
    people = [agents(), agents()] * 2 if how == "two agents" else [agents()] * 4
    pages = [people[0].open(case)] * 4 if how == "double click" else [one.open(case) for one in people]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(Agent.submit, people, pages))
    assert {answer.status for answer in answers} == {200}
    [text] = {answer.answer.url.path.rpartition("/")[2] for answer in answers}
    pipe.told(case)
    assert len(texts_to(pipe, case)) == 1
    assert [str(row["id"]) for row in pipe.texts(case)] == [text]


def test_a_text_of_the_workflow_meanwhile_is_shown_before_another_is_sent(pipe: Pipe, case: str, agent: Agent) -> None:
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
    assert pipe.texts(case)[-1]["request"]["override"] == "the customer did not get it"
    assert len(texts_to(pipe, case)) == 2


def test_what_is_wrong_with_the_message_is_said_beside_it(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    for message, words in (
        ("", "The message is empty."),
        ("x" * 700, "5 segments"),
        ("y" * 6000, "at most 5000"),
        ("Look: bit.ly/abc", "link shortener"),
    ):
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
    assert "This cannot be sent. No usable phone: Contact.MobilePhone is not a" in page.words
    assert "Put a number that can get texts into Contact.MobilePhone, Contact.Phone or SuppliedPhone" in page.words
    assert not page.root.xpath("//main//form | //textarea | //button"), "there is nothing to fill in"
    pipe.box.salesforce.edit(case, {"SuppliedPhone": "(415) 555-2671"})
    [again] = page.root.xpath("//a[text()='Look again']/@href")
    assert agent.get(pipe.web + again).root.xpath("//button[@value='send']")


def test_who_opts_out_meanwhile_is_not_texted_and_the_words_are_kept(pipe: Pipe, case: str, agent: Agent) -> None:
    page, number = agent.open(case), pipe.box.salesforce.case(case)["ContactMobile"]
    pipe.api("POST", "/suppressions", json={"number": number})
    look = agent.client.post(f"{page.answer.url}/preview", data=page.form()).json()
    assert look["stopped"]
    assert "suppression list" in look["verdict"]
    stopped = agent.submit(page, message="Carefully chosen words")
    assert stopped.status == 422
    assert "This cannot be sent. The customer's number has been on the suppression list since" in stopped.words
    assert "Nobody can override" in stopped.words
    assert "Nothing was sent. Your words are kept here. Carefully chosen words" in stopped.words
    assert stopped.root.xpath("//*[@autofocus]/@id") == ["stopped"]
    assert not stopped.root.xpath("//textarea | //button[@value='send']")
    pipe.api("POST", "/suppressions", json={"number": number, "suppressed": False})
    again = agent.submit(stopped, "preview")
    assert (again.status, again.value("message")) == (200, "Carefully chosen words")
    assert again.root.xpath("//button[@value='send']")
    assert pipe.texts(case) == []


def test_where_no_template_suits_the_agent_writes(
    pipe: Pipe, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapping whose only words need a first name, and a customer who has none."""
    [case] = pipe.box.salesforce.make_cases(1, contact={"FirstName": None})
    shipped = Path("mappings/salesforce.toml").read_text(encoding="utf-8")
    (tmp_path / "salesforce.toml").write_text(shipped.replace("{{ first_name or 'there' }}", "{{ first_name }}"))
    for name, value in demo.environment(pipe.box, pipe.url, 8080, pipe.token).items():
        monkeypatch.setenv(name, value)
    wanted: settings.Settings = settings.load(_env_file=None, mappings=tmp_path)
    url = link(pipe, case).removeprefix(pipe.web)
    with postgres.pool(pipe.url, 2) as pool:
        browser = create_app(wanted, pool).test_client()
        page = browser.get(url, follow_redirects=True).text
        assert "does not suit this case" in page
        assert "The message is empty." in page
        assert 'value="send"' in page


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


# An operator's pause


def test_while_an_operator_has_paused_sending_nothing_can_be_sent_and_the_page_says_why(
    pipe: Pipe, case: str, agent: Agent
) -> None:
    page = agent.open(case)
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        pauses.pause(connection, Scope.ALL, "", "the message names a wrong date", "Ana")
        try:
            refused = agent.submit(page, message="Your part is here.")
            preview = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
            text = pipe.send(case).json()
        finally:
            pauses.resume(connection, Scope.ALL)
    why = "ending is paused by Ana: the message names a wrong date"
    assert why in refused.words
    assert "Tell an admin, and look again later." in refused.words
    assert (preview["allowed"], preview["overridable"], why in preview["why"]) == (False, False, True)
    assert (text["state"], text["said"]) == ("failed", f"Not sent: s{why}.")
    assert texts_to(pipe, case) == []


def test_a_triggers_text_says_that_a_pause_keeps_it(pipe: Pipe, case: str, agent: Agent) -> None:
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        pauses.pause(connection, Scope.RULE, "requested", "the message names a wrong date", "Ana")
        try:
            text = without_job(pipe.url, case)
            connection.execute("update texts set rule = 'requested' where id = %s", [text])
            shown = pipe.api("GET", f"/texts/{text}").json()
            opened = str(agent.open(case).answer.url).partition("?")[0]
            watched = agent.get(f"{opened}/texts/{text}").words
        finally:
            pauses.resume(connection, Scope.RULE, "requested")
            connection.execute("update texts set state = 'cancelled' where id = %s", [text])
    why = "sending for the rule requested is paused by Ana: the message names a wrong date"
    assert (shown["pause"], shown["said"]) == (why, f"It waits: {why}.")
    assert "Waiting: sending is paused" in watched
    assert "Being sent" not in watched
    assert "pause" not in pipe.api("GET", f"/texts/{text}").json()
