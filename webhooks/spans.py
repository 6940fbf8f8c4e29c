"""A span for each POST request: the beginning of a trace, or a part of its caller's."""

from contextlib import ExitStack

from flask import Flask, Response, g, request

from connector import tracing
from connector.tracing import Kind


def trace_requests(app: Flask) -> None:
    """Record a span for each POST request to a known route. The caller's `traceparent` header is its parent."""

    @app.before_request
    def begin() -> None:
        if request.method == "POST" and request.url_rule:
            route = request.url_rule.rule  # not the path, which may hold a token
            attributes = {"http.request.method": "POST", "http.route": route}
            g.spans = ExitStack()
            g.span = g.spans.enter_context(
                tracing.span(f"POST {route}", Kind.SERVER, attributes, request.headers.get("traceparent"))
            )

    @app.after_request
    def answered(response: Response) -> Response:
        if "span" in g:
            g.span.note({"http.response.status_code": response.status_code})
            if response.status_code >= 500:
                g.span.fail(f"{response.status_code}")
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        if "spans" in g:
            g.spans.close()
