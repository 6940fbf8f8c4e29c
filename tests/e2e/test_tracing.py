"""Traces of the running pipe, received as a collector receives them: protobuf over HTTP."""

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from connector.sandbox import Sandbox
from tests.conftest import created
from tests.support.pipe import Pipe, running, wait_for


class Collector(ThreadingHTTPServer):
    """Receives spans at /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies = list[bytes]()

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of_trace(self, trace: str, *names: str) -> dict[str, Span]:
        """The spans of this trace by their names, as soon as there are these."""

        def look() -> dict[str, Span] | None:
            found = {span.name: span for span in self.spans if span.trace_id.hex() == trace}
            return found if found.keys() >= set(names) else None

        return wait_for(look, f"the trace has {names}")


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.bodies.append(body)
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


@pytest.fixture(scope="module")
def pipe(server: str, template: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe whose processes send their spans to the collector."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_address[1]}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with (
            Sandbox(port=0, requests_per_second=0).running() as box,
            created(server, "connector_test_tracing", template) as url,
            running(box, url, tmp_path_factory.mktemp("tracing"), write_back_hold_seconds="0.5") as pipe,
        ):
            yield pipe


def attributes(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_one_trace_goes_from_the_callers_span_to_the_write_back(pipe: Pipe, collector: Collector) -> None:
    """The caller's traceparent is honoured, and the spans of the worker continue it across the queue."""
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    [case] = pipe.box.salesforce.make_cases(1)

    key = {"Idempotency-Key": secrets.token_hex(8), "traceparent": f"00-{trace}-{caller}-01"}
    text = pipe.api("POST", "/texts?wait=20", json={"ticket_id": case}, headers=key).json()
    pipe.told(case)

    found = collector.of_trace(trace, "POST /v1/texts", "decide", "send SMS", "write back")
    request = found["POST /v1/texts"]
    assert request.parent_span_id.hex() == caller
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request)["http.response.status_code"] == 200
    for name in ("decide", "send SMS", "write back"):
        assert found[name].parent_span_id == request.span_id
        assert attributes(found[name])["connector.text.id"] == text["id"]
        assert found[name].status.code != Status.STATUS_CODE_ERROR
    assert attributes(found["decide"])["connector.decision"] == "text"
    assert attributes(found["write back"])["connector.state"] == "sent"
    [line] = [line for line in logged(pipe, "worker") if line["event"] == "text sent" and line["text"] == text["id"]]
    assert (line["trace_id"], line["span_id"]) == (trace, found["send SMS"].span_id.hex())


def test_a_batch_of_write_backs_is_joined_by_links(pipe: Pipe, collector: Collector) -> None:
    """Each text keeps its trace. The batch has a span of its own, with a link to each, and each links to it."""
    cases = pipe.box.salesforce.make_cases(5)
    traces = {case: secrets.token_hex(16) for case in cases}
    for case in cases:
        headers = {"traceparent": f"00-{traces[case]}-{secrets.token_hex(8)}-01", "Idempotency-Key": case}
        pipe.api("POST", "/texts", json={"ticket_id": case}, headers=headers)
    for case in cases:
        pipe.told(case)

    for trace in traces.values():
        written = collector.of_trace(trace, "write back")["write back"]
        [link] = written.links
        batches = {span.span_id: span for span in collector.spans if span.name == "write back batch"}
        assert trace in {link.trace_id.hex() for link in batches[link.span_id].links}


def test_a_trigger_begins_a_trace_of_its_own_and_a_refused_call_is_a_failed_span(
    pipe: Pipe, collector: Collector
) -> None:
    body = {"message": "message is required"}
    pipe.box.faults.add("status", side="ccaip", route="sms", status=400, body=body)
    [case] = pipe.box.salesforce.make_cases(1, CCAIP_SMS_Status__c="Requested")
    [text] = pipe.told(case)

    trace = text["traceparent"].split("-")[1]
    found = collector.of_trace(trace, "decide", "send SMS", "write back")
    posted = "POST /webhooks/salesforce/"
    request = wait_for(
        lambda: next((one for name, one in collector.of_trace(trace).items() if name.startswith(posted)), None),
        "the web process has sent its span",
    )
    assert request.parent_span_id == b""
    assert pipe.token not in request.name
    assert found["send SMS"].status.code == Status.STATUS_CODE_ERROR
    assert attributes(found["send SMS"])["error.type"] == "no_message"


def test_no_span_names_a_ticket_a_number_or_a_message(pipe: Pipe, collector: Collector) -> None:
    texts = pipe.query("select ticket_id, sms from texts where sms is not null")
    sent = b"".join(collector.bodies)
    assert texts
    for text in texts:
        for secret in (text["ticket_id"], text["sms"]["end_user_number"], text["sms"]["message"]):
            assert secret.encode() not in sent


def logged(pipe: Pipe, process: str) -> list[dict[str, object]]:
    lines = (pipe.logs / f"{process}.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
