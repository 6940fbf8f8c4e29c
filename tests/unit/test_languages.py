"""Languages of messages: tags, what suits a customer, and what a mapping file may say of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connector import languages
from connector.cli import check
from connector.errors import BadMapping
from connector.mapping import loader
from connector.mapping.rules import Mapping
from connector.model import Channel, Decision, Skip, TextRequest, Ticket
from connector.policy.checks import Known
from tests.unit.test_mapping_rules import RAW, RULE, TICKET_ID, VALUES

NOON = datetime(2026, 6, 2, 16, 0, tzinfo=UTC)
LANGUAGES = {"of": "language", "fallback": "en", "called": {"Spanish": "es"}}
MESSAGE = {"en": "Hi {{ first_name }}", "es": "Hola {{ first_name }}", "pt-BR": "Oi {{ first_name }}"}


def mapping(**more: Any) -> Mapping:
    fields = RAW["fields"] | {"language": "Contact.Language__c"}
    raw = RAW | {"fields": fields, "languages": LANGUAGES, "rules": [RULE | {"message": MESSAGE}]} | more
    return Mapping(loader.parse(raw, "a.toml"), "+16285550100", ["US"])


def decide(found: Mapping, said: object = None, **request: Any) -> Decision | Skip:
    ticket = Ticket("salesforce", TICKET_ID, VALUES | {"language": said})
    return found.decide(ticket, TextRequest(**request) if request else None)


def problems(**more: Any) -> str:
    with pytest.raises(BadMapping) as refused:
        mapping(**more)
    return str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "offered", "found"),
    [
        ("es", {"en", "es"}, "es"),
        ("es-mx", {"en", "es"}, "es"),
        ("es-mx", {"es", "es-mx"}, "es-mx"),
        ("zh-hant-tw", {"zh", "zh-hant"}, "zh-hant"),
        ("pt", {"pt-pt", "pt-br"}, "pt-br"),
        ("es", {"est", "en"}, None),
        ("fr", {"en"}, None),
    ],
)
def test_a_language_is_matched_by_the_beginning_of_its_tag(wanted: str, offered: set[str], found: str | None) -> None:
    assert languages.match(wanted, offered) == found


@pytest.mark.parametrize(
    ("said", "language", "message", "why"),
    [
        ("es_MX", "es", "Hola Ada", "the ticket's language is es-mx"),
        ("ES", "es", "Hola Ada", "the ticket's language is es"),
        ("pt-br", "pt-br", "Oi Ada", "the ticket's language is pt-br"),
        (" spanish ", "es", "Hola Ada", "the ticket's language is es"),
        ("fr_CA", "en", "Hi Ada", "the mapping has no message in fr-ca, the ticket's language"),
        ("Klingon!", "en", "Hi Ada", "the ticket names a language that [languages] does not know"),
        (None, "en", "Hi Ada", "the ticket names no language"),
        (7, "en", "Hi Ada", "the ticket names a language that [languages] does not know"),
    ],
)
def test_the_ticket_decides_the_language(said: object, language: str, message: str, why: str) -> None:
    found = decide(mapping(), said)
    assert isinstance(found, Decision)
    assert (found.sms.message, found.language.language, found.language.why) == (message, language, why)


def test_a_person_may_choose_another_language() -> None:
    found = decide(mapping(), "es_MX", language="PT_br")
    assert isinstance(found, Decision)
    assert (found.sms.message, found.language.why) == ("Oi Ada", "as it was asked for")


def test_a_language_that_the_message_lacks_is_refused_and_never_replaced() -> None:
    plain = {"name": "plain", "label": "Plain", "message": "Good day"}
    found = mapping(templates=[plain])
    assert found.unknown(TextRequest(template="plain", language="es")) == ("language", "es", ["en"])
    assert found.unknown(TextRequest(message="Mine", language="es")) is None
    assert found.unknown(TextRequest(language="fr")) == ("language", "fr", ["en", "es", "pt-br"])
    skip = decide(found, "es", template="plain", language="es")
    assert isinstance(skip, Skip)
    assert "the message is not in es" in skip.why


def test_a_message_without_the_tickets_language_is_sent_in_the_fallback_language() -> None:
    found = decide(mapping(templates=[{"name": "plain", "label": "P", "message": "Good day"}]), "es", template="plain")
    assert isinstance(found, Decision)
    assert (found.sms.message, found.language.language) == ("Good day", "en")
    assert "this message is not in es" in found.language.why


def test_the_first_texts_words_are_in_the_messages_language_and_the_trace_names_it() -> None:
    policy = {"brand": "Acme:", "opt_out_line": {"en": "Reply STOP to stop.", "es": "Responda STOP."}}
    found = mapping(policy=policy)
    for said, message in (("es", "Acme: Hola Ada Responda STOP."), ("pt-BR", "Acme: Oi Ada Reply STOP to stop.")):
        decision = decide(found, said)
        assert isinstance(decision, Decision)
        ruling = found.policy.allow(decision, Known(), Channel.TRIGGER, "", NOON)
        assert ruling.sms.message == message
        assert ruling.trace[0]["check"] == "language"
        assert said.lower() in ruling.trace[0]["why"]


def test_without_languages_nothing_changes() -> None:
    plain = Mapping(loader.parse(RAW, "a.toml"), "+16285550100", ["US"])
    decision = plain.decide(Ticket("salesforce", TICKET_ID, VALUES))
    assert isinstance(decision, Decision)
    assert decision.language.language == ""
    assert plain.unknown(TextRequest(language="es")) == ("language", "es", [])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"languages": None}, 'rule "requested", message: has languages: expected a table [languages]'),
        ({"languages": LANGUAGES | {"fallback": "fr"}}, "message: expected the fallback language too: fr"),
        (
            {"languages": LANGUAGES | {"fallback": "english!"}},
            'languages.fallback: expected a language tag, such as "en"',
        ),
        ({"languages": LANGUAGES | {"of": "tongue"}}, 'languages.of: "tongue" is not defined'),
        (
            {"languages": LANGUAGES | {"called": {"Spanish": "?"}}},
            'languages.called: "Spanish": expected a language tag',
        ),
        ({"rules": [RULE]}, "languages: is never used: expected a message with languages"),
        ({"rules": [RULE | {"message": MESSAGE | {"EN": "Hi"}}]}, '"EN": expected each language once'),
        ({"rules": [RULE | {"message": MESSAGE | {"e": "Hi"}}]}, '"e": expected a language tag'),
        ({"rules": [RULE | {"message": MESSAGE | {"fr": ""}}]}, "fr: expected text"),
        ({"rules": [RULE | {"message": {}}]}, "expected text, or a table with a text for each language"),
        ({"rules": [RULE | {"message": MESSAGE | {"fr": "{{ prenom }}"}}]}, '"prenom" is not defined'),
        ({"rules": [RULE | {"message": MESSAGE | {"fr": "{{ first_name "}}]}, "fr: not a template that can be read"),
        ({"rules": [RULE | {"message": MESSAGE | {"fr": "ê" * 300}}]}, "message.fr: takes 5 segments (UCS-2)"),
        ({"policy": {"opt_out_line": {"es": "STOP"}}}, "policy.opt_out_line: expected the fallback language too: en"),
    ],
)
def test_a_fault_in_one_language_is_refused_at_load(more: dict[str, Any], words: str) -> None:
    assert words in problems(**more)


def test_the_check_shows_the_languages_and_each_message() -> None:
    shown = "\n".join(check.in_words("salesforce", mapping()))
    assert "languages en, es, pt-br, by language" in shown
    assert "else en" in shown
    assert "es: Hola {{ first_name }}" in shown
