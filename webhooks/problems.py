"""Errors of the API, with the members of RFC 9457: type, title, status and detail.

https://www.rfc-editor.org/rfc/rfc9457
The media type is application/json, because Salesforce External Services does not import application/problem+json.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from flask import Response


class Problem(Exception):
    """An error answer. `detail` says how to correct the request."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def answer(self) -> Response:
        body = {
            "type": "about:blank",  # RFC 9457: no meaning beyond the status
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Response(json.dumps(body), status=self.status, headers=self.headers, content_type="application/json")
