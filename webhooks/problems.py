"""Errors of the API, with the members of RFC 9457: type, title, status and detail.

https://www.rfc-editor.org/rfc/rfc9457
They are sent as application/json: Salesforce External Services imports no application/problem+json.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from flask import Response


class Problem(Exception):
    """What is answered instead of what was asked for. `detail` says what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def answer(self) -> Response:
        body = {
            "type": "about:blank",  # the status says it all
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Response(json.dumps(body), status=self.status, headers=self.headers, content_type="application/json")
