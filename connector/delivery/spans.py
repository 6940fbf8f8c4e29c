"""The spans of delivery. Each text continues the trace of its event; a text without one has no spans.

A batch of write-backs has a span of its own, and links join it to the traces of its texts.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack

from connector import tracing
from connector.delivery.sender import Outcome
from connector.errors import CallFailed, Refused
from connector.model import Chat, Decision, Skip, Text
from connector.outcome import Outcome as TextOutcome
from connector.tracing import NO_SPAN, TEXT, Kind, Span

Decisions = Mapping[Text, Decision | Skip | CallFailed]


@contextlib.contextmanager
def deciding(texts: Sequence[Text]) -> Iterator[Mapping[int, Span]]:
    """A span for each of these texts while their tickets are read and mapped, by text."""
    with ExitStack() as stack:
        yield {
            text.id: stack.enter_context(tracing.span("decide", Kind.CONSUMER, _of(text), text.traceparent, (), True))
            for text in texts
            if text.traceparent
        }


def decided(spans: Mapping[int, Span], decisions: Decisions) -> None:
    """Note what was decided about each text."""
    for text, decision in decisions.items() if spans else ():
        span = spans.get(text.id, NO_SPAN)
        if isinstance(decision, Decision):
            span.note({"connector.decision": "text", "connector.rule": decision.rule})
        elif isinstance(decision, Skip):
            span.note({"connector.decision": "skip", "connector.check": decision.check})
        else:
            span.fail(type(decision).__name__)


def sending(text: Text) -> AbstractContextManager[Span]:
    """The span of a text from waiting for its turn to the platform's answer."""
    if text.traceparent is None:
        return contextlib.nullcontext(NO_SPAN)
    return tracing.span("send SMS", Kind.CLIENT, _of(text), text.traceparent)


def answered(span: Span, outcome: Outcome) -> None:
    """Note the platform's answer."""
    if isinstance(outcome, Chat):
        span.note({"connector.result": "accepted"})
    else:
        span.fail(outcome.code.value if isinstance(outcome, Refused) and outcome.code else type(outcome).__name__)


@contextlib.contextmanager
def writing(outcomes: Sequence[TextOutcome]) -> Iterator[Mapping[int, Span]]:
    """A span for each of these outcomes while they are written, by text, and one of the batch."""
    traced = [outcome for outcome in outcomes if outcome.traceparent]
    with ExitStack() as stack:
        if traced:
            count, links = {"messaging.batch.message_count": len(outcomes)}, [one.traceparent for one in traced]
            stack.enter_context(tracing.span("write back batch", Kind.CLIENT, count, links=links))
        links = [tracing.current()]
        yield {
            outcome.text: stack.enter_context(
                tracing.span("write back", Kind.CONSUMER, _written(outcome), outcome.traceparent, links, beside=True)
            )
            for outcome in traced
        }


def written(spans: Mapping[int, Span], answers: Mapping[int, CallFailed | None]) -> None:
    """Note which outcomes the CRM did not accept."""
    for text, span in spans.items():
        if error := answers.get(text):
            span.fail(type(error).__name__)


def _of(text: Text) -> tracing.Attributes:
    return {TEXT: text.id, "connector.crm": text.crm, "connector.channel": text.channel.value}


def _written(outcome: TextOutcome) -> tracing.Attributes:
    return {TEXT: outcome.text, "connector.crm": outcome.crm, "connector.state": outcome.state.value}
