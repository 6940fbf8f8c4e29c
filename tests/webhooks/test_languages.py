"""Messages in several languages, from the ticket to what the customer received: triggers, the API and the page."""

from collections.abc import Iterator

import pytest

from connector import settings
from connector.sandbox import Sandbox
from tests.conftest import created
from tests.support.agent import Agent, texts_to
from tests.support.pipe import Pipe, running

LANGUAGES = """
templates = [
    { name = "news", label = "News", message = { en = "News {{ case_number }}", es = "Noticias {{ case_number }}" } },
    { name = "plain", label = "Plain", message = "Good day" },
]
"""
OF = """
[languages]
of = "language"
fallback = "en"

[ticket]"""
MESSAGE = 'message = { en = "Hello {{ first_name }}", es = "Hola {{ first_name }}" }'


@pytest.fixture(scope="module")
def pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe whose mapping has languages. The subject of a case stands for the customer's language."""
    shipped = settings.load(_env_file=None).mappings_dir / "salesforce.toml"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    text = "\n".join(MESSAGE if line.startswith("message = ") else line for line in lines)
    text = text.replace('id = "Id"\n', 'id = "Id"\nlanguage = "Subject"\n', 1)
    text = text.replace("\n[ticket]", OF, 1)
    text = text.replace('opt_out_line = ""', 'opt_out_line = { en = "Reply STOP to stop.", es = "Responda STOP." }')
    folder = tmp_path_factory.mktemp("mappings")
    (folder / "salesforce.toml").write_text(LANGUAGES + text, encoding="utf-8")
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, "connector_test_languages", template) as url,
        running(box, url, tmp_path_factory.mktemp("logs"), mappings=str(folder)) as started,
    ):
        yield started


@pytest.fixture
def case(pipe: Pipe) -> str:
    [case] = pipe.box.salesforce.make_cases(1, Subject="es_MX")
    return str(case)


def test_a_triggers_text_is_in_the_customers_language_and_its_trace_says_why(pipe: Pipe, case: str) -> None:
    pipe.box.salesforce.request_text(case)
    [text] = pipe.told(case)
    assert texts_to(pipe, case) == ["Hola Customer Responda STOP."]
    assert {"check": "language", "said": "ok", "why": "in es: the ticket's language is es-mx"} in text["trace"]


def test_a_preview_shows_the_language_and_another_one_can_be_asked_for(pipe: Pipe, case: str) -> None:
    seen = pipe.api("POST", "/texts/preview", json={"ticket_id": case}).json()
    assert (seen["language"], seen["languages"]) == ("es", ["en", "es"])
    assert seen["language_why"] == "the ticket's language is es-mx"
    words = [(one["name"], one["language"]) for one in seen["templates"]]
    assert words == [("news", "es"), ("plain", "en")]
    english = pipe.api("POST", "/texts/preview", json={"ticket_id": case, "language": "EN"}).json()
    assert (english["message"], english["language"]) == ("Hello Customer Reply STOP to stop.", "en")


def test_a_language_that_is_not_offered_is_refused(pipe: Pipe, case: str) -> None:
    for template, language, words in (("", "fr", "expected one of: en, es"), ("plain", "es", "expected one of: en")):
        answer = pipe.send(case, template=template, language=language)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert pipe.texts(case) == []


def test_the_language_is_part_of_what_an_idempotency_key_stands_for(pipe: Pipe, case: str) -> None:
    assert pipe.send(case, key=f"key-{case}", language="en").json()["state"] == "sent"
    assert pipe.send(case, key=f"key-{case}", language="es").status_code == 422
    assert texts_to(pipe, case) == ["Hello Customer Reply STOP to stop."]


def test_an_agent_sees_the_language_and_chooses_another(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.open(case)
    number = pipe.box.salesforce.case(case)["CaseNumber"]
    assert page.value("message") == f"Noticias {number}"
    assert "Spanish (es): the ticket's language is es-mx." in page.words
    assert "Plain (in English (en))" in page.words
    english = agent.submit(page, "language", language="en")
    assert english.value("message") == f"News {number}"
    agent.watched(agent.submit(english))
    assert texts_to(pipe, case) == [f"News {number} Reply STOP to stop."]


def test_own_words_stay_when_the_language_changes(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.submit(agent.open(case), "language", language="en", message="My own words")
    assert page.value("message") == "My own words"
    assert "Reply STOP to stop." in page.root.xpath("string(//p[@class='bubble'])")


def test_send_with_a_language_that_was_not_looked_at_sends_nothing_yet(pipe: Pipe, case: str, agent: Agent) -> None:
    page = agent.submit(agent.open(case), language="en")
    assert "The language is another one now, and nothing was sent." in page.words
    assert page.value("message").startswith("News")
    assert texts_to(pipe, case) == []
