"""Process saved chat events: hear what customers write, and observe how chats end. At least once, in any order.

Each group is one transaction, so a worker that dies leaves its events to others. An event that fails is retried, then
set aside; others go on meanwhile.
"""

import time
from collections.abc import Collection
from functools import partial

import psycopg
import structlog

from connector.ccaip import chat_events
from connector.ccaip.chat_events import Effect
from connector.policy.opt_out_words import NO_EXTRA, ExtraWords
from connector.store import chat_events as store
from connector.store import chats, opt_outs
from connector.store.chat_events import ChatEvent, ProblemKind
from connector.worker.maintenance import MaintenanceTask

log = structlog.get_logger()

NAME = "chat events"
EVERY_SECONDS = 1.0
# Events in a transaction. Small, because the texts and numbers that they change are locked until its end.
GROUP_SIZE = 20
# Seconds after which a run ends, so that a stopping worker does not wait for a backlog.
RUN_SECONDS = 2.0


def task(customer_senders: Collection[str], extra: ExtraWords) -> MaintenanceTask:
    """The maintenance task that processes chat events. `customer_senders`: as in ccaip.chat_events.effect.

    `extra`: the opt-out words that the mapping files add.
    """
    return MaintenanceTask(NAME, EVERY_SECONDS, partial(process, customer_senders=customer_senders, extra=extra))


def process(connection: psycopg.Connection, customer_senders: Collection[str], extra: ExtraWords = NO_EXTRA) -> None:
    """Process the events that are due, for RUN_SECONDS at most."""
    end = time.monotonic() + RUN_SECONDS
    while _process_group(connection, customer_senders, extra) and time.monotonic() < end:
        pass


def _process_group(connection: psycopg.Connection, customer_senders: Collection[str], extra: ExtraWords) -> int:
    """Process a group of events in one transaction; their number."""
    done: list[int] = []
    ignored: list[int] = []
    early: list[int] = []
    given_up: list[int] = []
    with connection.transaction():
        events = store.due(connection, GROUP_SIZE)
        for event in sorted(events, key=lambda one: (one.occurred_at, one.id)):
            effect = chat_events.effect(event.event_type, event.body, customer_senders)
            if effect.none:
                ignored.append(event.id)
            elif not event.known:
                (ignored if event.expired else early).append(event.id)
            elif effect.unknown_sender is not None:
                _report_sender(connection, event, effect.unknown_sender)
                given_up.extend([event.id] if event.expired else [])
            elif _applied(connection, event, effect, extra):
                done.append(event.id)
        store.processed(connection, done)
        store.ignored(connection, ignored)
        store.wait(connection, early)
        store.given_up(connection, given_up)
    return len(events)


def _applied(connection: psycopg.Connection, event: ChatEvent, effect: Effect, extra: ExtraWords) -> bool:
    """Apply an event. False: it failed, which is recorded. Raises psycopg.Error when the connection is lost."""
    try:
        with connection.transaction():
            if status := effect.status:
                chats.observe(
                    connection, event.chat_id, status.status, event.occurred_at, "webhook", ended=status.ended
                )
            if effect.words is not None:
                opt_outs.heard(connection, event.chat_id, effect.words, event.occurred_at, extra)
    except Exception as error:
        if connection.broken:
            raise
        name = type(error).__name__
        failures = store.failed(connection, event.id, ProblemKind.FAILED, f"{name} while it was processed")
        if failures == store.MAX_FAILURES:
            log.error("a chat event was set aside", chat_event=event.id, chat=event.chat_id, why=name)
        else:
            log.warning("a chat event has failed; it is retried", chat_event=event.id, chat=event.chat_id, why=name)
        return False
    return True


def _report_sender(connection: psycopg.Connection, event: ChatEvent, sender: str) -> None:
    named = f'the sender type "{sender}" is not known' if sender else "the message names no sender type"
    problem = f"{named}; if it means the customer, add it to CONNECTOR_CCAIP_CUSTOMER_SENDERS"
    if store.failed(connection, event.id, ProblemKind.UNKNOWN_SENDER, problem) == 1:
        log.warning(
            "a chat message was not acted upon: its sender type is not known", chat_event=event.id, sender=sender
        )
