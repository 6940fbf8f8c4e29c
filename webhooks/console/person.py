"""The person page: everything that is stored about one person, to print for a complaint, and its erasure.

A number is only ever sent in a form's body: an address names a person by the keyed hash.
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from connector import crms, person_record, phone
from connector.errors import Unreadable
from connector.model import State
from connector.store import erasure, postgres
from connector.store import person as store
from webhooks.console.page import Console, viewer
from webhooks.console.roles import Role, needs

# Digits that a person types to confirm an erasure.
CONFIRM_DIGITS = 4
WAITING = (State.RECEIVED, State.QUEUED)


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.get("/person")
    @needs(Role.VIEW)
    def person() -> ResponseReturnValue:
        hashed, crm, ticket = (request.args.get(name, "") for name in ("of", "crm", "ticket"))
        if not hashed and not ticket:
            return console.page("console/person_search.html", hashes=[], ticket="")
        with console.read() as connection:
            record = store.record(connection, hashed) if hashed else store.ticket_record(connection, crm, ticket)
            at = postgres.now(connection)
        return _page(console, hashed, record, at)

    @pages.post("/person")
    @needs(Role.VIEW)
    def find_person() -> ResponseReturnValue:
        typed, ticket = (request.form.get(name, "").strip() for name in ("phone", "ticket"))
        if bool(typed) == bool(ticket):
            return console.refused("Give a number or a ticket.", url_for("console.person"))
        return _by_number(console, typed) if typed else _by_ticket(console, ticket)

    @pages.post("/person/erase")
    @needs(Role.ACT)
    def erase_person() -> ResponseReturnValue:
        hashed, digits = request.form.get("of", ""), request.form.get("digits", "").strip()
        here = url_for("console.person", of=hashed)
        with console.read() as connection:
            number = store.number_of(connection, hashed)
            meant = number is not None and digits == number[-CONFIRM_DIGITS:]
            if number and meant:
                erased = erasure.erase(connection, viewer().actor, number, bool(request.form.get("suppress")))
        if number is None:
            return console.refused("This number is not kept any more. Nothing was erased.", here)
        if not meant:
            words = f"These are not the last {CONFIRM_DIGITS} digits of the number. Nothing was erased."
            return console.refused(words, here)
        words = f"Erased: {erased.texts:,} texts and {erased.events:,} events of {phone.mask(number, CONFIRM_DIGITS)}."
        return console.done(words, url_for("console.person"))


def _by_number(console: Console, typed: str) -> ResponseReturnValue:
    number = phone.e164(typed)
    if number is None:
        words = "Give the number with its country code, such as +14155550132."
        return console.refused(words, url_for("console.person"))
    with console.read() as connection:
        hashed = store.find(connection, number)
    if hashed is None:
        return console.refused("Nothing is stored about this number.", url_for("console.person"))
    return redirect(url_for("console.person", of=hashed), 303)


def _by_ticket(console: Console, typed: str) -> ResponseReturnValue:
    """Open the record of the ticket's person; of the ticket alone if no number of it is kept; or let choose."""
    with console.read() as connection:
        found = [
            (crm, ticket, store.of_ticket(connection, crm, ticket))
            for crm in crms.known()
            if store.has_texts(connection, crm, ticket := _full_id(crm, typed))
        ]
    if not found:
        return console.refused("There is no text about this ticket.", url_for("console.person"))
    crm, ticket, hashes = found[0]
    if len(hashes) > 1:
        return console.page("console/person_search.html", hashes=hashes, ticket=ticket)
    here = url_for("console.person", of=hashes[0]) if hashes else url_for("console.person", crm=crm, ticket=ticket)
    return redirect(here, 303)


def _full_id(crm: str, typed: str) -> str:
    try:
        return crms.named(crm, typed)
    except Unreadable:
        return typed


def _page(console: Console, hashed: str, record: dict[str, Any], at: datetime) -> ResponseReturnValue:
    shown = record if viewer().may(Role.READ_CONTENT) else person_record.masked(record)
    return console.page(
        "console/person.html",
        hashed=hashed,
        record=shown,
        masked=shown is not record,
        checksum=person_record.checksum(shown),
        waiting=sum(text["state"] in WAITING for text in record["texts"]),
        kept=bool(record["number"]),
        digits=CONFIRM_DIGITS,
        at=at,
    )
