"""The source of chat events and when it last delivered, in words, for `connector check` and `connector status`."""

from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import Any, NamedTuple

from connector.cli.output import count, plain
from connector.settings import Settings
from connector.store.chat_events import MAX_FAILURES, Summary


class Source(StrEnum):
    """The source of chat events."""

    WEBHOOKS = "webhooks"
    NONE = "none"


class Remark(NamedTuple):
    """A sentence for the operator. `attention`: the operator has something to do."""

    words: str
    attention: bool


def source(settings: Settings) -> Source:
    """Return the source that these settings turn on."""
    return Source.WEBHOOKS if settings.ccaip_webhook_secrets else Source.NONE


def as_json(settings: Settings, found: Summary) -> dict[str, Any]:
    """The same for programs."""
    return {"source": source(settings).value, **asdict(found)}


def remarks(settings: Settings, found: Summary | None) -> Iterator[Remark]:
    """Name the source and when it last delivered, and whatever needs attention. None: the database was not asked."""
    if found is None:
        last = "when the last one arrived says: connector status"
    elif found.received_at is None:
        last = "never received"
    else:
        last = f"last received at {plain(found.received_at)}"
    if source(settings) is Source.NONE:
        yield Remark(
            f"Chat events: no source is set up ({last}). What customers reply, such as an opt-out, is not heard here: "
            "set CONNECTOR_CCAIP_WEBHOOK_PRIMARY_SECRET, or enter opt-outs by hand with: connector suppress add",
            attention=True,
        )
    elif found and found.received_at is None:
        yield Remark(
            "Chat events: from webhooks, never received. Reply to a text from a phone of your own; if nothing "
            "arrives, check the URL in CCAI Platform, and enter opt-outs by hand until it does",
            attention=True,
        )
    else:
        yield Remark(f"Chat events: from webhooks, {last}", attention=False)
    yield from _problems(found or Summary())


def _problems(found: Summary) -> Iterator[Remark]:
    if found.failed:
        yield Remark(
            f"{count(found.failed, 'chat event')} failed and will be retried, once an hour after {MAX_FAILURES} "
            "failures; the log says why: a chat event was set aside",
            attention=True,
        )
    if found.unknown_sender:
        yield Remark(
            f"{count(found.unknown_sender, 'chat message')} came from an unknown sender type and had no effect; if "
            "it means the customer, add it to CONNECTOR_CCAIP_CUSTOMER_SENDERS: the log has its name",
            attention=True,
        )
    if found.unreadable:
        yield Remark(
            f"{count(found.unreadable, 'chat event')} could not be read and had no effect; the log says why: a chat "
            "event cannot be read",
            attention=True,
        )
