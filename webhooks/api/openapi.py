"""The API's description: OpenAPI 3.0.3, which Salesforce External Services can import. Errors are problems."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Response
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel

TAG = Tag(name="texts", description="Text the customer of a ticket.")

PROBLEMS = {
    400: "The request cannot be read.",
    401: "The bearer key is missing or wrong.",
    403: "The key has no right to this.",
    404: "There is no such ticket or text.",
    409: "It is too late.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "A value is not as documented.",
    429: "More requests than this key may make in a minute.",
    503: "The CRM or the database does not answer; try again.",
}
# The problems of every operation.
EVERYWHERE = (400, 401, 403, 422, 429, 503)
# The meaning of 422 where the body describes a text.
NOT_KNOWN = {
    422: "A value is not as documented, or the mapping has no such rule, template or language: `detail` has its names."
}


def answers(good: Mapping[int, type[BaseModel]], *more: int, said: Mapping[int, str] = {}) -> ResponseDict:
    """The answers of an operation: models by status, and problems. `said` replaces descriptions of problems."""
    return {
        **{str(status): model for status, model in good.items()},
        **{
            str(status): {
                "description": said.get(status, PROBLEMS[status]),
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status in sorted({*EVERYWHERE, *more})
        },
    }


def document(app: Any) -> Response:
    """The whole document. External Services accepts no OpenAPI 3.1; no value in the document is null."""
    return Response(json.dumps(_as_3_0(app.api_doc | {"openapi": "3.0.3"})), content_type="application/json")


def _as_3_0(schema: Any) -> Any:
    """Replace what only 3.1 knows: `const` becomes `enum`."""
    if isinstance(schema, list):
        return [_as_3_0(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        ("enum" if key == "const" else key): [value] if key == "const" else _as_3_0(value)
        for key, value in schema.items()
    }
