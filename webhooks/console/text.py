"""The page of one text: what happened to it and why, and what a person can do about it."""

import json

import psycopg
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from connector import crms, harmless
from connector.model import State
from connector.policy.opt_outs import Source
from connector.store import actions, text_details
from connector.store.text_details import TextDetails
from connector.store.text_views import WriteBackState
from webhooks.console.acting import attempt, reason
from webhooks.console.page import Console, live, viewer
from webhooks.console.roles import Role, needs
from webhooks.problems import Problem

WRITE_BACKS = {
    WriteBackState.NONE: "Nothing is written to the ticket so far.",
    WriteBackState.PENDING: "The ticket does not have the outcome yet.",
    WriteBackState.WRITTEN: "The ticket has the outcome.",
    WriteBackState.DROPPED: "The ticket never gets the outcome.",
}


def add(pages: Blueprint, console: Console) -> None:
    """Add the routes."""

    @pages.get("/texts/<int:text>")
    @needs(Role.VIEW)
    def text(text: int) -> ResponseReturnValue:
        with console.read() as connection:
            story = text_details.story(connection, text)
        if story is None:
            raise Problem(404, f"There is no text {text}.")
        shown = story.text
        return console.page(
            "console/text.html",
            story=story,
            text=shown,
            ticket_page=crms.ticket_page(shown.crm, shown.ticket_id) if shown.crm in crms.known() else "",
            body=_body(shown) if viewer().may(Role.READ_CONTENT) else None,
            write_back=WRITE_BACKS[shown.write_back],
            possible=possible(shown),
            is_live=shown.is_open or live(),  # a page that was open gets the end, too
        )

    _add_actions(pages, console)


def possible(text: TextDetails) -> frozenset[str]:
    """What can be done to a text as it is now. Each action checks again when it is done."""
    over = State(text.state) not in (State.RECEIVED, State.QUEUED, State.SENDING)
    found = {
        "cancel": text.state in (State.RECEIVED, State.QUEUED),
        "write_back": over and text.outcome > 0,
        "give_up": text.outcome > text.written,
        "send_again": text.state == State.FAILED,
        "suppress": text.number is not None and Source.PERSON not in text.listed_by,
        "lift": Source.PERSON in text.listed_by,
    }
    return frozenset(name for name, can in found.items() if can)


def _body(text: TextDetails) -> str | None:
    """The event as it was received."""
    return harmless.in_json(json.dumps(text.body, indent=2, ensure_ascii=False)) if text.body else None


def _add_actions(pages: Blueprint, console: Console) -> None:
    @pages.post("/texts/<int:text>/cancel")
    @needs(Role.ACT)
    def cancel_text(text: int) -> ResponseReturnValue:
        def cancel(connection: psycopg.Connection) -> str:
            actions.cancel(connection, text, viewer().actor, why=request.form.get("why", ""))
            return f"Text {text} is cancelled. Its ticket will be notified."

        return attempt(console, cancel)

    @pages.post("/texts/<int:text>/write-back")
    @needs(Role.ACT)
    def repeat_write_back(text: int) -> ResponseReturnValue:
        def repeat(connection: psycopg.Connection) -> str:
            actions.repeat_write_back(connection, text, viewer().actor, request.form.get("why", ""))
            return f"Text {text}: its outcome will be written to the ticket again."

        return attempt(console, repeat)

    @pages.post("/texts/<int:text>/give-up")
    @needs(Role.ACT)
    def give_up_write_back(text: int) -> ResponseReturnValue:
        def give_up(connection: psycopg.Connection) -> str:
            actions.give_up_write_back(connection, text, viewer().actor, reason())
            return f"Text {text}: its outcome is not written to the ticket any more."

        return attempt(console, give_up)

    @pages.post("/texts/<int:text>/send-again")
    @needs(Role.ACT)
    def send_again(text: int) -> ResponseReturnValue:
        def send(connection: psycopg.Connection) -> str:
            new = actions.send_again(connection, text, viewer().actor, reason())
            return f"Text {new} was asked for in place of text {text}. The policy decides whether it is sent."

        return attempt(console, send)

    @pages.post("/texts/<int:text>/suppress")
    @needs(Role.ACT)
    def suppress_number(text: int) -> ResponseReturnValue:
        def suppress(connection: psycopg.Connection) -> str:
            actions.suppress_number_of(connection, text, viewer().actor, reason())
            return "The number is on the suppression list: it is not texted again."

        return attempt(console, suppress)

    @pages.post("/texts/<int:text>/lift")
    @needs(Role.ACT)
    def lift_number(text: int) -> ResponseReturnValue:
        def lift(connection: psycopg.Connection) -> str:
            actions.lift_number_of(connection, text, viewer().actor, reason())
            return "The entry is lifted. Entries of other sources stay."

        return attempt(console, lift)
