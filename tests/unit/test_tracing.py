"""Tracing is free of effects unless it is installed and wanted."""

import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from connector import environment, tracing
from connector.tracing import NO_SPAN, Kind

LOADED = """
from connector import tracing
import connector.worker.run, webhooks.server, sys
with tracing.configured("worker", False):
    assert not tracing.active()
    print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_nothing_of_opentelemetry_is_loaded_unless_it_is_wanted() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_tracing_a_span_records_nothing() -> None:
    with tracing.span("x", Kind.INTERNAL, {"a": 1}) as span:
        span.note({"b": 2})
        span.fail("Wrong")
        assert span is NO_SPAN
        assert tracing.current() is None
    assert tracing.name_trace(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_endpoint_is_what_switches_it_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not environment.OpenTelemetry().wanted
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert environment.OpenTelemetry().wanted


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as lines, tracing.configured("worker", True):
        assert not tracing.active()
    assert "ccai-sms-connector[opentelemetry]" in lines[0]["event"]
