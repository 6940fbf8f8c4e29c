"""Errors of the API, as RFC 9457 has them: application/problem+json with type, title, status and detail.

https://www.rfc-editor.org/rfc/rfc9457
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
        return Response(
            json.dumps(body), status=self.status, headers=self.headers, content_type="application/problem+json"
        )
