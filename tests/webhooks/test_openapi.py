"""The API's document: valid OpenAPI 3.0, small enough for External Services, and true."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV30SpecValidator, validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.pipe import Pipe
from tests.support.tls import TLS
from webhooks.absent import is_empty

OPERATIONS = ["cancelText", "createLink", "getText", "listTexts", "previewText", "sendText", "suppress"]
# https://help.salesforce.com/s/articleView?id=platform.external_services_schema_requirements.htm
IMPORTABLE = {"application/json", "application/x-www-form-urlencoded", "text/plain"}


def negative_data_rejection_but_for_empty(ctx: Any, response: Any, case: schemathesis.Case[Any]) -> bool | None:
    """An empty value counts as absent, though none is documented: External Services sends them, and imports no null."""
    bodies = [part for part in (case.body, case.query) if isinstance(part, dict)]
    if any(is_empty(value) for body in bodies for value in body.values()):
        return None
    return negative_data_rejection(ctx, response, case)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection_but_for_empty,
]


@pytest.fixture(scope="module")
def document(pipe: Pipe) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{pipe.web}/v1/openapi.json", verify=TLS, trust_env=False).json()
    return document


def test_the_document_is_valid_openapi_3_0(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.0.")
    validate(document, cls=OpenAPIV30SpecValidator)


def every(part: Any) -> Any:
    yield part
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from every(child)


def test_external_services_can_import_it(document: dict[str, Any]) -> None:
    """https://help.salesforce.com/s/articleView?id=platform.external_services_schema_requirements.htm"""
    for part in every(document):
        if isinstance(part, dict):
            assert not {"anyOf", "oneOf", "const", "patternProperties"} & set(part)
            assert not isinstance(part.get("type"), list)
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert sorted(names) == OPERATIONS
    assert all(len(name) <= 80 for name in names)
    for one in operations:
        for kind in one.get("requestBody", {}).get("content", {"application/json": {}}):
            assert kind == "application/json"
    assert len(str(document)) < 100_000


def test_only_media_types_are_declared_that_external_services_takes(document: dict[str, Any]) -> None:
    """In requests, answers and components, of errors too."""
    contents = [part["content"] for part in every(document) if isinstance(part, dict) and "content" in part]
    assert len(contents) > len(OPERATIONS)
    assert {kind for content in contents for kind in content} <= IMPORTABLE


def test_what_names_a_rule_or_template_says_what_becomes_of_an_unknown_one(document: dict[str, Any]) -> None:
    for path in ("/v1/texts/preview", "/v1/texts"):
        refused = document["paths"][path]["post"]["responses"]["422"]
        assert "the mapping has no such rule, template or language" in refused["description"]
        assert list(refused["content"]) == ["application/json"]


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_what_is_answered_is_what_is_documented(pipe: Pipe, document: dict[str, Any], operation_id: str) -> None:
    """No 500 and nothing undocumented, whatever is asked."""
    schema = schemathesis.openapi.from_dict(document)
    headers, statuses = {"Authorization": f"Bearer {pipe.every_right}"}, set[int]()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=schema.find_operation_by_id(operation_id).as_strategy())
    def ask(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(base_url=pipe.web, headers=headers, checks=CHECKS)
        statuses.add(answer.status_code)

    ask()
    assert statuses
