"""connector texts: list and show texts, settle unknown ones, cancel, give up a write-back."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click
import psycopg

from connector import crms, phone
from connector.cli.connection import connected
from connector.cli.output import JSON, plain, print_json, print_table, say
from connector.cli.text_number import TextNumber
from connector.errors import Unreadable
from connector.model import MAX_CHAT_ID, State
from connector.store import chat_updates, outcomes, text_views, texts
from connector.store.text_views import Only

TEXT = click.argument("id", type=TextNumber(1))


@click.group(name="texts")
def texts_group() -> None:
    """Look at texts, and settle those that are unknown."""


# The columns of a list and the fields they show. Held texts show their send time instead.
LISTED = {
    "id": "id",
    "ticket": "ticket_id",
    "state": "state",
    "chat": "chat_id",
    "since (UTC)": "changed_at",
    "why": "why",
}


LISTED_ONLY = {
    Only.HELD: {"id": "id", "ticket": "ticket_id", "state": "state", "leaves (UTC)": "leaves_at", "why": "why"},
    Only.SCHEDULED: {"id": "id", "ticket": "ticket_id", "state": "state", "leaves (UTC)": "leaves_at", "why": "why"},
    Only.REFUSED: {"id": "id", "ticket": "ticket_id", "state": "state", "refused": "write_refused"},
    Only.CONTRADICTED: {"id": "id", "ticket": "ticket_id", "state": "state", "contradicted": "contradicted"},
}


@texts_group.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--ticket", metavar="ID", help="Only those about this ticket: its id, of 15 or 18 characters.")
@click.option(
    "--held",
    "only",
    flag_value=Only.HELD,
    help="Only those that wait for their hours, their time or another try, and until when.",
)
@click.option("--scheduled", "only", flag_value=Only.SCHEDULED, help="Only those scheduled for a later time.")
@click.option("--refused", "only", flag_value=Only.REFUSED, help="Only those whose outcome the CRM refuses, and why.")
@click.option(
    "--contradicted",
    "only",
    flag_value=Only.CONTRADICTED,
    help="Only those whose answer contradicts how a person had settled them.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@JSON
def list_texts(state: str | None, ticket: str | None, only: str | None, limit: int, as_json: bool) -> None:
    """The newest texts. For example: connector texts list --state unknown"""
    with connected() as connection:
        chosen, part = State(state) if state else None, Only(only) if only else None
        sys.exit(show_texts(connection, chosen, ticket, part, limit, as_json))


def show_texts(
    connection: psycopg.Connection,
    state: State | None,
    ticket: str | None,
    only: Only | None,
    most: int,
    as_json: bool,
) -> int:
    """Print the newest texts. 1 when there is none for the ticket."""
    full, problem = _meant(ticket) if ticket else (None, "")
    rows = text_views.listed(connection, state, full, most, only=only)
    if as_json:
        print_json(rows)
    elif rows or not ticket:
        columns = LISTED_ONLY[only] if only else LISTED
        print_table(list(columns), [[row[name] for name in columns.values()] for row in rows])
    if rows or not ticket:
        return 0
    click.echo(f"There is no such text about ticket {ticket}{f': {problem}' if problem else ''}.", err=True)
    return 1


def _meant(ticket: str) -> tuple[str, str]:
    """The ticket's full id, and the reason when no CRM has ids like it."""
    problems = []
    for stem in crms.known():
        try:
            return crms.named(stem, ticket), ""
        except Unreadable as error:
            problems.append(str(error))
    return ticket, "; ".join(problems)


@texts_group.command()
@TEXT
@JSON
def show(id: int, as_json: bool) -> None:
    """One text and how it came to where it is. Numbers are masked."""
    with connected() as connection:
        sys.exit(show_text(connection, id, as_json))


def show_text(connection: psycopg.Connection, text: int, as_json: bool) -> int:
    """Print a text and its history. The number is masked; of the message only the length is shown."""
    story = text_views.story(connection, text)
    if story is None:
        say(f"There is no text {text}.", err=True)
        return 1
    sms = story.pop("sms")
    story["chat_status_refused"] = chat_updates.refused(connection, text)
    story["to"] = phone.mask(sms["end_user_number"]) if sms else None
    story["message"] = f"{len(sms['message'])} characters" if sms else None
    if as_json:
        print_json(story)
        return 0
    history, trace = story.pop("history"), story.pop("trace")
    for name, value in _told(story):
        say(f"{name:<12} {value}")
    say()
    if trace:
        print_table(["check", "said", "why"], [[one["check"], one["said"], one["why"]] for one in trace])
        say()
    print_table(
        ["at (UTC)", "from", "to", "why"],
        [[step["at"], step["from_state"], step["to_state"], step["why"]] for step in history],
    )
    return 0


def _told(story: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = (
        "id",
        "crm",
        "ticket_id",
        "channel",
        "agent",
        "rule",
        "reason",
        "state",
        "why",
        "override",
        "send_at",
        "leaves_at",
        "to",
        "message",
        "event_id",
        "received_at",
    )
    yield from ((name.replace("_", " "), plain(story[name])) for name in names if story[name] not in (None, ""))
    if story["chat"]:
        ended = ", ended" if story["chat"].get("ended") else ""
        yield "chat", f"{story['chat']['id']} {story['chat']['status']}".rstrip() + ended
    if story["chat_status_refused"]:
        yield "chat status", f"not written: {story['chat_status_refused']}"
    if story["contradicted"]:
        yield "contradicted", story["contradicted"]
    state = text_views.write_back_state(story)
    pending = state is text_views.WriteBackState.PENDING
    if story["write_refused"]:
        yield "ticket", f"{'not told yet' if pending else 'never told'}: {story['write_refused']}"
    elif state is not text_views.WriteBackState.NONE:
        yield "ticket", "does not have the outcome yet" if pending else "has the outcome"


@texts_group.command()
@TEXT
@click.option(
    "--sent",
    "chat",
    type=click.IntRange(1, MAX_CHAT_ID),
    metavar="CHAT_ID",
    help="It was sent; this is its chat in CCAI Platform.",
)
@click.option("--not-sent", is_flag=True, help="It was not sent. The same reason may then be texted.")
def resolve(id: int, chat: int | None, not_sent: bool) -> None:
    """Settle a text that is unknown, after looking in CCAI Platform. The ticket is told; nothing is sent."""
    if (chat is None) is not not_sent:
        raise click.UsageError("expected either --sent CHAT_ID or --not-sent")
    with connected() as connection:
        sys.exit(_resolve(connection, id, chat))


def _resolve(connection: psycopg.Connection, text: int, chat: int | None) -> int:
    """Record an operator's finding about an unknown text."""
    if text_views.resolve(connection, text, chat):
        found = f"sent, chat {chat}" if chat is not None else "not sent; its reason may be used again"
        say(f"Text {text}: {found}. The ticket will be told.")
        return 0
    loaded = texts.load(connection, [text]).get(text)
    state = f"is {loaded.state}, not unknown: nothing was changed" if loaded else "does not exist"
    say(f"Text {text} {state}.", err=True)
    return 1


# The reason for refusing to cancel a text, by state.
TOO_LATE = {
    State.SENDING: "is being sent at this moment: it cannot be taken back",
    State.SENT: "was sent already: it cannot be taken back",
    State.SKIPPED: "was skipped: nothing was sent, and nothing will be",
    State.FAILED: "has failed: nothing was sent, and nothing will be",
    State.UNKNOWN: "may have been sent, nobody knows yet: it cannot be taken back. See: connector texts resolve -h",
    State.CANCELLED: "was cancelled before",
}


@texts_group.command()
@TEXT
def cancel(id: int) -> None:
    """Take back a text that has not left. Its ticket is told."""
    with connected() as connection:
        sys.exit(_cancel(connection, id))


def _cancel(connection: psycopg.Connection, text: int) -> int:
    """Cancel a text that was not sent yet."""
    if text_views.cancel(connection, text, "an operator"):
        say(f"Text {text} is cancelled. The ticket will be told.")
        return 0
    loaded = texts.load(connection, [text]).get(text)
    why = TOO_LATE.get(loaded.state, "is changing at this moment: try again") if loaded else "does not exist"
    say(f"Text {text} {why}.", err=True)
    return 1


@texts_group.command(name="give-up")
@TEXT
@click.option("--why", required=True, help="For whoever looks at the text later.")
def give_up(id: int, why: str) -> None:
    """Stop telling a ticket what became of a text, where the CRM refuses it again and again."""
    with connected() as connection:
        sys.exit(_give_up(connection, id, why))


def _give_up(connection: psycopg.Connection, text: int, why: str) -> int:
    """Record an operator's decision to give up a write-back."""
    if outcomes.give_up(connection, text, f"given up: {why}"):
        say(f"Text {text}: its ticket is not told any more.")
        return 0
    say(f"Text {text} has nothing to tell its ticket, or does not exist: nothing was changed.", err=True)
    return 1
