"""Traces for OpenTelemetry: one from the request that asks for a text to the write-back of its outcome.

Nothing is traced unless the extra `opentelemetry` is installed and an endpoint is set (see docs/tracing.md); every
function is free of effects then. No attribute holds a ticket, a number or a message. A text is named by its id.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from connector import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

log = structlog.get_logger()

# The attribute that names a text.
TEXT = "connector.text.id"
SERVICE = "ccai-sms-connector"
Attributes = Mapping[str, str | int | bool]

_tracer: "Tracer | None" = None


class Kind(StrEnum):
    """What a span is, by OpenTelemetry's names."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span:
    """A span under way. Without tracing, it records nothing."""

    def __init__(self, span: "OtelSpan | None" = None) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        """Add these attributes."""
        if self._span:
            self._span.set_attributes(attributes)

    def fail(self, error: str) -> None:
        """Mark the span as failed. `error`: a kind of error, never words from outside."""
        if self._span:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)


NO_SPAN = Span()


@contextlib.contextmanager
def configured(process: str, wanted: bool) -> Iterator[None]:
    """Export the spans of this process within the block. `process` is its command, `wanted`: an endpoint is set."""
    if not wanted:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("nothing is traced: install the extra, as in: pip install 'ccai-sms-connector[opentelemetry]'")
        yield
        return
    global _tracer
    named = Resource({"service.name": SERVICE, "service.version": __version__, "connector.process": process})
    provider = TracerProvider(resource=named.merge(Resource.create()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer(SERVICE, __version__)
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def active() -> bool:
    """Return whether spans are recorded."""
    return _tracer is not None


def current() -> str | None:
    """Return the W3C traceparent of the span under way, to be stored with what it leads to. None: there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def span(
    name: str,
    kind: Kind,
    attributes: Attributes,
    parent: str | None = None,
    links: Iterable[str | None] = (),
    beside: bool = False,
) -> contextlib.AbstractContextManager[Span]:
    """A span around a block. `parent` and `links` are traceparents; without a parent, the span under way is it.

    `beside`: it is one of several for the same block, and does not become the span under way. An error that leaves the
    block marks the span as failed, by its type alone.
    """
    if _tracer is None:
        return contextlib.nullcontext(NO_SPAN)
    return _started(_tracer, name, kind, attributes, parent, links, beside)


@contextlib.contextmanager
def _started(
    tracer: "Tracer",
    name: str,
    kind: Kind,
    attributes: Attributes,
    parent: str | None,
    links: Iterable[str | None],
    beside: bool,
) -> Iterator[Span]:
    from opentelemetry.trace import Link, SpanKind, get_current_span, use_span

    linked = [get_current_span(_context(link)).get_span_context() for link in links if link]
    started = tracer.start_span(
        name,
        _context(parent) if parent else None,
        SpanKind[kind],
        attributes,
        [Link(context) for context in linked if context.is_valid],
    )
    found = Span(started)
    under_way = contextlib.nullcontext() if beside else use_span(started, False, False, False)
    try:
        with under_way:
            yield found
    except BaseException as error:
        found.fail(type(error).__name__)
        raise
    finally:
        started.end()


def _context(traceparent: str) -> "Context":
    """The remote context of a traceparent. One that cannot be read is an empty context."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def name_trace(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the trace and the span under way to a log line."""
    if _tracer is not None:
        from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

        context = get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"], line["span_id"] = format_trace_id(context.trace_id), format_span_id(context.span_id)
    return line
