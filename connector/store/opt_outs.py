"""Opt-outs by text: what customers wrote, what it does, and the messages that a person has to decide.

Messages may arrive twice and out of order. Each function is one transaction, or a part of the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
import structlog
from psycopg.rows import class_row, dict_row

from connector import phone, transitions
from connector.policy import opt_out_words
from connector.policy.opt_out_words import NO_EXTRA, ExtraWords, OptOutClass
from connector.policy.opt_outs import DUE_DAYS, LIMIT_DAYS, OptOut, Source, business_days_after
from connector.store import postgres, pseudonyms, queries, record_fields, suppressions
from connector.store import texts as text_store
from connector.store.suppressions import Asked

log = structlog.get_logger()
SQL = queries.load(__file__)
# Characters of a message that a review keeps.
MAX_WORDS = 2_000


class Heard(StrEnum):
    """What a message of a customer has changed."""

    NOTHING = "nothing"  # it is no opt-out, or a newer or the same one was heard before
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    REVIEW = "review"  # a person has to decide
    UNKNOWN_CHAT = "unknown_chat"  # no text has this chat (yet), so the number is not known: try again later
    NO_NUMBER = "no_number"  # the text of this chat is too old: its number was erased


@dataclass(frozen=True, slots=True)
class _Customer:
    """Who wrote: the number (E.164), and the ticket of the text that was answered; empty where there is none."""

    number: str
    crm: str = ""
    ticket_id: str = ""


def heard(
    connection: psycopg.Connection,
    chat_id: str,
    words: str,
    said_at: datetime,
    extra: ExtraWords = NO_EXTRA,
    number: str | None = None,
) -> Heard:
    """Apply what a customer wrote in a chat at this time (UTC), in one transaction. Safe to repeat, in any order.

    `number` (E.164): the customer's number where the event names it; else that of the chat's text. `extra`: the words
    that the mapping files add.
    """
    found = opt_out_words.classify(words, extra)
    if found is OptOutClass.NO:
        return Heard.NOTHING
    with connection.transaction():
        customer = _customer(connection, chat_id, number)
        if isinstance(customer, Heard):
            if customer is Heard.NO_NUMBER:
                log.error("a customer of a chat may have opted out, and the number is not kept", chat=chat_id)
            return customer
        if found is OptOutClass.PROBABLE:
            return _review(connection, customer, chat_id, words, said_at)
        opted_out = found is OptOutClass.CERTAIN
        row = {"number": pseudonyms.of_number(connection, customer.number), "opted_out": opted_out, "said_at": said_at}
        if connection.execute(SQL["newest_word"], row).fetchone() is None:
            return Heard.NOTHING
        if not opted_out:
            return _opt_in(connection, customer)
        word = opt_out_words.plain(words).upper()[:40]
        asked = Asked(chat_id, said_at, word, to_enter=not opt_out_words.platform_acts(words))
        suppressions.suppress(connection, customer.number, "", "the customer", Source.WORD, asked)
        _act(connection, customer, OptOut(Source.WORD, said_at, word))
    return Heard.OPTED_OUT


def suppress(connection: psycopg.Connection, number: str, why: str, by: str) -> bool:
    """Put a number (E.164) on the suppression list on a person's word, and cancel its waiting texts.

    False: a person has put it there before.
    """
    with connection.transaction():
        new = suppressions.suppress(connection, number, why, by)
        if new:
            _act(connection, _Customer(number), OptOut(Source.PERSON, postgres.now(connection)))
    return new


def _customer(connection: psycopg.Connection, chat_id: str, number: str | None) -> _Customer | Heard:
    row = connection.execute(SQL["of_chat"], {"chat": chat_id}).fetchone()
    if row is None and number is not None:
        row = connection.execute(SQL["of_number"], {"number": pseudonyms.of_number(connection, number)}).fetchone()
        return _Customer(number, *row) if row else _Customer(number)
    if row is None:
        return Heard.UNKNOWN_CHAT
    crm, ticket_id, texted = row
    known = number or texted
    return _Customer(known, crm, ticket_id) if known else Heard.NO_NUMBER


def _act(connection: psycopg.Connection, customer: _Customer, opt_out: OptOut) -> None:
    """Cancel the number's waiting texts, and have the CRM's field written. The number is on the list already."""
    waiting = _waiting(connection, customer)
    text_store.move(connection, [transitions.cancelled(text, opt_out.why) for text in waiting])
    if customer.crm:
        record_fields.opt_out(connection, customer.crm, customer.ticket_id, customer.number)
    log.info("a customer opted out", to=phone.mask(customer.number), source=opt_out.source, cancelled=len(waiting))


def _opt_in(connection: psycopg.Connection, customer: _Customer) -> Heard:
    """Lift what a word had set, and nothing else."""
    if not suppressions.lift(connection, customer.number, Source.WORD):
        return Heard.NOTHING
    if not suppressions.sources(connection, customer.number):
        record_fields.opt_in(connection, customer.number)
    log.info("a customer opted in again", to=phone.mask(customer.number))
    return Heard.OPTED_IN


def _review(connection: psycopg.Connection, customer: _Customer, chat_id: str, words: str, said_at: datetime) -> Heard:
    row = {
        "key": pseudonyms.of(connection, f"{chat_id}\n{said_at.timestamp()}\n{words}"),
        "number": customer.number,
        "crm": customer.crm,
        "ticket": customer.ticket_id,
        "chat": chat_id,
        "words": words.replace("\0", "")[:MAX_WORDS],
        "said_at": said_at,
        "due_at": business_days_after(said_at, DUE_DAYS),
        "limit_at": business_days_after(said_at, LIMIT_DAYS),
    }
    made = connection.execute(SQL["ask_person"], row).fetchone()
    if made is None:
        return Heard.NOTHING
    _decide_again(connection, customer)
    log.warning("a customer may have opted out; a person has to decide", review=made[0], to=phone.mask(customer.number))
    return Heard.REVIEW


def _waiting(connection: psycopg.Connection, customer: _Customer) -> dict[int, bool]:
    """The customer's texts that are not being sent yet, as far as it is known whom they are meant for.

    By text: whether it was decided before.
    """
    number = pseudonyms.of_number(connection, customer.number)
    asked = {"hash": number, "crm": customer.crm, "ticket": customer.ticket_id}
    return dict(connection.execute(SQL["waiting"], asked).fetchall())


def _decide_again(connection: psycopg.Connection, customer: _Customer) -> None:
    """Have the policy decide the customer's waiting texts at once. One that it has not seen yet keeps its time."""
    decided = [text for text, decided in _waiting(connection, customer).items() if decided]
    text_store.move(connection, [transitions.decide_again(text) for text in decided])


@dataclass(frozen=True, slots=True)
class Review:
    """A message that may be an opt-out. Times are in UTC; `decided_at` None: a person has to decide it.

    `due_at`: overdue from then on; `limit_at`: the law's limit. `number` None: the person was erased.
    """

    id: int
    number: str | None
    crm: str
    ticket_id: str
    chat: str
    words: str
    said_at: datetime
    due_at: datetime
    limit_at: datetime
    decided_at: datetime | None
    decided_by: str
    decision: str | None
    why: str
    overdue: bool


def reviews(connection: psycopg.Connection, most: int, pending: bool = False) -> list[Review]:
    """The reviews: open ones first, oldest first. `pending`: only these."""
    with connection.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(SQL["reviews"], {"most": most, "pending": pending}).fetchall()


def review(connection: psycopg.Connection, review_id: int) -> Review | None:
    """One review. None: there is none with this id."""
    with connection.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(SQL["review"], {"id": review_id}).fetchone()


def decide(connection: psycopg.Connection, review_id: int, opt_out: bool, why: str, by: str) -> bool:
    """Decide an open review, in one transaction. False: it is not open any more, or does not exist.

    An opt-out acts like a word and decides all open reviews of the number. Otherwise the texts that waited for the
    decision are decided again.
    """
    row: dict[str, Any] = {"id": review_id, "decision": "opt_out" if opt_out else "not", "why": why, "by": by}
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        decided = cursor.execute(SQL["decide"], row).fetchone()
        if decided is None:
            return False
        customer = _Customer(decided["number"], decided["crm"], decided["ticket_id"])
        if opt_out:
            asked = Asked(decided["chat"], decided["said_at"])
            suppressions.suppress(connection, customer.number, why, by, Source.PERSON, asked)
            cursor.execute(SQL["decide_others"], row | {"number": customer.number})
            _act(connection, customer, OptOut(Source.PERSON, decided["said_at"], asked=True))
        else:
            _decide_again(connection, customer)
    log.info("a person decided an opt-out review", review=review_id, decision=row["decision"])
    return True


@dataclass(frozen=True, slots=True)
class OpenReviews:
    """How many reviews are open, how many of them are overdue, and the id of the oldest overdue one."""

    open: int = 0
    overdue: int = 0
    oldest: int | None = None


def open_reviews(connection: psycopg.Connection) -> OpenReviews:
    """Count the open reviews."""
    with connection.cursor(row_factory=class_row(OpenReviews)) as cursor:
        return cursor.execute(SQL["open_reviews"]).fetchone() or OpenReviews()


def say_overdue(connection: psycopg.Connection) -> None:
    """Log an error when reviews are overdue."""
    counted = open_reviews(connection)
    if counted.overdue:
        log.error(
            "opt-out reviews are overdue: connector opt-outs list", overdue=counted.overdue, review=counted.oldest
        )


def forget(connection: psycopg.Connection, number: str, tickets: Sequence[str]) -> None:
    """Erase what this number (E.164) said. An undecided opt-out becomes an entry of the suppression list first."""
    asked = {"number": number, "hash": pseudonyms.of_number(connection, number), "tickets": list(tickets)}
    if connection.execute(SQL["has_open"], asked).fetchone() is not None:
        suppressions.suppress(connection, number, "erased before an opt-out was decided", "an operator")
    suppressions.forget_words(connection, number)
    connection.execute(SQL["forget_reviews"], asked)
    connection.execute(SQL["forget_word"], asked)
    record_fields.forget(connection, number, tickets)
