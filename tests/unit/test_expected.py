"""What is wrong with a value is said in our own words, never in pydantic's, whatever the value and its place."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

import connector
import webhooks
from connector import expected, settings
from connector.crms.salesforce import ids
from connector.crms.salesforce import settings as salesforce
from connector.errors import BadSettings, Unreadable
from webhooks.crms.salesforce import events

PYDANTIC = re.compile(
    r"Input |should (?:be|have|match)|Extra inputs|Field required|Value error|Assertion failed|instance of|pattern '|"
    r"[Uu]nable to parse|valid (?:string|integer|number|list|dict|boolean)|rules\.\d"
)
WRONG = [
    None,
    True,
    -1,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "x" * 6000,
    "\0",
    b"x",
    [],
    [None],
    [1] * 3,
    {},
    {"a": None},
    {"nope": 1},
    object(),
]
# It shares no code with the rest.
OTHERS = ("connector.sandbox",)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.startswith(OTHERS) and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


MODELS = sorted(
    {
        model
        for package in (connector, webhooks)
        for module in modules(package)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
    },
    key=lambda model: (model.__module__, model.__name__),
)


def errors(model: type[BaseModel], given: Any) -> Iterator[ErrorDetails]:
    try:
        model.model_validate(given)
    except ValidationError as error:
        yield from error.errors()


def test_there_are_models_to_try() -> None:
    names = {model.__name__ for model in MODELS}
    assert {"MappingFile", "Rule", "Settings", "Hooks", "SendBody", "Event", "HoursKeys"} <= names


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_no_model_speaks_pydantics_language(model: type[BaseModel], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):  # this machine's would be loaded at every try
        monkeypatch.delenv(variable, raising=False)
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    tries: list[Any] = [*WRONG, *({names[name]: value} for name in names for value in WRONG)]
    tries += [{names[name]: [value]} for name in names for value in WRONG]
    tries += [{names[name]: {"a": value}} for name in names for value in WRONG]
    said = {expected.words(error) for given in tries for error in errors(model, given)}
    assert not [words for words in said if PYDANTIC.search(words)]
    assert expected.NOT_FIT not in said, "what is expected can be said more clearly"


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_every_kind_of_error_has_words(kind: str) -> None:
    limits: dict[str, Any] = dict.fromkeys(
        ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "actual_length"), 2.0
    )
    limits |= {"expected": "'a' or 'b'"}
    words = expected.words({"type": kind, "msg": f"Value error, {kind}", "ctx": limits})
    assert words
    assert not PYDANTIC.search(words)


def test_nothing_else_shows_pydantics_words() -> None:
    for package in (connector, webhooks):
        for path in Path(package.__path__[0]).rglob("*.py"):
            if "sandbox" not in path.parts and path.name != "expected.py":
                assert '["msg"]' not in path.read_text(encoding="utf-8"), path


ORG = {"url": "https://acme.my.salesforce.com", "client_id": "id", "client_secret": "secret"}


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (settings.Settings, {"ccaip_subdomain": "acme.uc1.ccaiplatform.com"}, "DOMAIN: .*whole address: take what"),
        (settings.Settings, {"ccaip_subdomain": "https://acme.uc1.ccaiplatform.com/"}, "SUBDOMAIN: .*a whole address"),
        (settings.Settings, {"ccaip_domain": "https://uc1.ccaiplatform.com"}, "DOMAIN: .*leave out https://"),
        (settings.Settings, {"ccaip_domain": "uc1.ccaiplatform.com/apps/api"}, "DOMAIN: .*leave out https://"),
        (
            settings.Settings,
            {"ccaip_subdomain": "acme", "ccaip_domain": "acme.uc1.ccaiplatform.com"},
            "DOMAIN: .*begins with the subdomain, which would be there twice",
        ),
        (settings.Settings, {"ccaip_url": "https://acme.example/apps/api/v1/sms"}, "URL: .*without a path"),
        (settings.Settings, {"frame_ancestors": "https://acme.lightning.force.com/x"}, "ANCESTORS: .*without a path"),
        (salesforce.Settings, ORG | {"url": "https://acme.lightning.force.com"}, r"URL: .*write \.my\.salesforce\.com"),
        (salesforce.Settings, ORG | {"url": "acme.lightning.force.com/lightning/page/home"}, "URL: .*My Domain"),
        (salesforce.Settings, ORG | {"url": "https://acme.my.salesforce-setup.com"}, "URL: .*the address of pages"),
        (salesforce.Settings, ORG | {"url": "https://login.salesforce.com"}, "URL: .*where people log in"),
        (salesforce.Settings, ORG | {"url": "https://acme.my.salesforce.com/home"}, "URL: .*without a path"),
        (salesforce.Settings, ORG | {"api_version": "v67"}, "API_VERSION: expected a version of the API, such as 67.0"),
        (salesforce.Hooks, {"organization_id": "500000000000001AAA"}, "ORGANIZATION_ID: .*begin with 00D"),
    ],
)
def test_the_likely_mistake_is_named_with_the_setting(kind: Any, given: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=f"CONNECTOR_.*{words}"):
        settings.load(kind, _env_file=None, **given)


def test_what_is_missing_is_said_by_what_it_is() -> None:
    for kind in (salesforce.Settings, salesforce.Hooks):
        with pytest.raises(BadSettings) as caught:
            settings.load(kind, _env_file=None)
        for line in str(caught.value).splitlines():
            assert re.fullmatch(r"CONNECTOR_SALESFORCE_\w+: expected (the|at least) .{10,}", line), line


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("00001027", ids.A_NUMBER),
        ("https://acme.lightning.force.com/lightning/r/Case/500000000000001AAA/view", ids.AN_ADDRESS),
        ("500", ids.A_NUMBER),
        ("case", ids.NO_ID),
    ],
)
def test_a_case_number_or_address_for_an_id_is_named(given: str, words: str) -> None:
    assert ids.problem(given, "Case") == words
    with pytest.raises(Unreadable, match=r"event 0: ticket_id: this is no id of a Salesforce record"):
        events.parse(f'{{"ticket_id": "{given}", "event_id": "e"}}'.encode(), "")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("[]", "the event: expected keys with their values"),
        ("{}", "event 0: ticket_id: required, but missing"),
        ('{"ticket_id": 5}', "event 0: ticket_id: expected text"),
        ('{"ticket_id": "500000000000001AAA", "event_id": 7}', "event 0: event_id: expected text"),
        ('{"ticket_id": "500000000000001AAA", "event_id": "a\\nb"}', "event_id: expected text in one line"),
    ],
)
def test_a_webhooks_sender_is_told_which_key(event: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        events.parse(f"[{event}]".encode(), "")
