"""Do the items of bulk actions: each text is checked again when its turn comes."""

import time

import psycopg
import structlog

from connector.errors import ActionRefused
from connector.model import Channel
from connector.store import actions, bulk_actions, text_search
from connector.store.bulk_actions import BulkKind, TakenBulk

log = structlog.get_logger()

# Seconds between looks for bulk actions, and seconds after which a look ends so that others get their turn.
POLL_SECONDS, TURN_SECONDS = 1.0, 20.0
# Items of one transaction: a stop waits for them.
ITEMS_AT_ONCE = 20
NOT_FITTING = "does not fit the search any more"
OWN_ERROR = "met an error of the connector's own: its log says where"


def run(connection: psycopg.Connection) -> None:
    """Do items until none is left, or for TURN_SECONDS."""
    end = time.monotonic() + TURN_SECONDS
    while time.monotonic() < end and step(connection):
        pass


def step(connection: psycopg.Connection) -> bool:
    """Do some items of one bulk action, in one transaction. False: no worker is needed now."""
    with connection.transaction():
        bulk = bulk_actions.take(connection, ITEMS_AT_ONCE)
        if bulk is None:
            return False
        if bulk.texts:
            bulk_actions.end_items(connection, bulk.id, _done(connection, bulk))
        else:
            bulk_actions.finish(connection, bulk.id)
            log.info("a bulk action has ended", bulk=bulk.id)
        return True


def _done(connection: psycopg.Connection, bulk: TakenBulk) -> dict[int, str | None]:
    """Act on the texts. Why each was refused; None: it was done."""
    fits = bulk.texts if bulk.search is None else text_search.fitting(connection, bulk.search, bulk.texts)
    return {text: _refusal(connection, bulk, text) if text in fits else NOT_FITTING for text in bulk.texts}


def _refusal(connection: psycopg.Connection, bulk: TakenBulk, text: int) -> str | None:
    try:
        with connection.transaction():
            _act(connection, bulk, text)
    except ActionRefused as error:
        return error.why
    except psycopg.OperationalError:
        raise  # the whole transaction is done again
    except Exception as error:  # noqa: BLE001 - one text must not keep the others from their turn
        log.error("an item of a bulk action failed", bulk=bulk.id, text=text, why=type(error).__name__)
        return OWN_ERROR
    return None


def _act(connection: psycopg.Connection, bulk: TakenBulk, text: int) -> None:
    if bulk.action is BulkKind.CANCEL:
        actions.cancel(connection, text, bulk.actor, why=bulk.why)
    elif bulk.action is BulkKind.WRITE_BACK:
        actions.repeat_write_back(connection, text, bulk.actor, bulk.why)
    elif bulk.action is BulkKind.SEND_AGAIN:
        actions.send_again(connection, text, bulk.actor, bulk.why, Channel.BATCH)
    else:
        actions.suppress_number_of(connection, text, bulk.actor, bulk.why)
