"""Texts in the states that the pages about evidence show, made without a worker."""

import psycopg

from connector import transitions
from connector.model import Chat, Decision, OutboundSms, TicketEvent
from connector.store import chats, events, texts
from tests.support.remote import queued, started

NUMBER, OTHER = "+14155550132", "+14155550133"
OUTBOUND, MESSAGE = "+16285550199", "Hi Ada, your walrus is ready"


def case(number: int) -> str:
    """The id of a ticket that looks like a Salesforce case's."""
    return f"500{number:012d}AAA"


def waiting(connection: psycopg.Connection, name: str, ticket: str, number: str = NUMBER) -> int:
    """A text that is queued for this number. Its reason is its name."""
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, ticket)])
    assert receipt.text
    decision = Decision("requested", name, OutboundSms(number, OUTBOUND, MESSAGE, ticket))
    queued(connection, {receipt.text: decision})
    return receipt.text


def unknown(connection: psycopg.Connection, name: str, ticket: str, number: str = NUMBER) -> int:
    """A text whose call was cut off."""
    text = waiting(connection, name, ticket, number)
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.unknown(text, claim, "the connection was cut off")])
    return text


def sent(connection: psycopg.Connection, name: str, ticket: str, chat: int, number: str = NUMBER) -> int:
    """A text that was sent as this chat."""
    text = waiting(connection, name, ticket, number)
    claim = started(connection, text)[text]
    texts.move(connection, [transitions.sent(text, claim, Chat(id=chat, status="selecting"))])
    chats.begin(connection, [str(chat)])
    return text


def repeated(connection: psycopg.Connection, of: int, name: str, ticket: str) -> int:
    """A text that was skipped, because another one has its reason."""
    [receipt] = events.save(connection, [TicketEvent("salesforce", name, ticket)])
    assert receipt.text
    texts.move(connection, [transitions.skipped_as(receipt.text, of)])
    return receipt.text
