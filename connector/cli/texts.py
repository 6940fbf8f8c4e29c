"""connector texts: list and show texts, settle unknown ones, cancel, give up a write-back."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click
import psycopg

from connector import phone
from connector.cli.connection import connected
from connector.cli.output import JSON, plain, print_json, print_table, say
from connector.cli.text_list import list_texts
from connector.cli.text_number import TextNumber
from connector.model import MAX_CHAT_ID, State
from connector.store import audit, chat_updates, outcomes, text_views, texts
from connector.store.audit import Action
from connector.store.text_views import TextStory, WriteBackState

TEXT = click.argument("id", type=TextNumber(1))


@click.group(name="texts")
def texts_group() -> None:
    """Look at texts, and settle those that are unknown."""


texts_group.add_command(list_texts)


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
    shown = asdict(story) | {
        "chat_status_refused": chat_updates.refused(connection, text),
        "to": phone.mask(story.sms.end_user_number) if story.sms else None,
        "message": f"{len(story.sms.message)} characters" if story.sms else None,
    }
    del shown["sms"]
    if as_json:
        print_json(shown)
        return 0
    for name, value in _lines(story, shown):
        say(f"{name:<12} {value}")
    say()
    if story.trace:
        print_table(["check", "said", "why"], [[one["check"], one["said"], one["why"]] for one in story.trace])
        say()
    print_table(
        ["at (UTC)", "from", "to", "why"],
        [[step.at, step.from_state, step.to_state, step.why] for step in story.history],
    )
    return 0


def _lines(story: TextStory, shown: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
    yield from ((name.replace("_", " "), plain(shown[name])) for name in names if shown[name] not in (None, ""))
    if story.chat:
        ended = ", ended" if story.chat.get("ended") else ""
        yield "chat", f"{story.chat['id']} {story.chat['status']}".rstrip() + ended
    if shown["chat_status_refused"]:
        yield "chat status", f"not written: {shown['chat_status_refused']}"
    if story.contradicted:
        yield "contradicted", story.contradicted
    pending = story.write_back is WriteBackState.PENDING
    if story.write_refused:
        yield "ticket", f"{'not told yet' if pending else 'never told'}: {story.write_refused}"
    elif story.write_back is not WriteBackState.NONE:
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
    with connection.transaction():
        resolved = text_views.resolve(connection, text, chat)
        if resolved:
            after = {"state": State.SENT if chat is not None else State.FAILED, "chat": chat}
            before = {"state": State.UNKNOWN}
            audit.record(
                connection, audit.this_user(), Action.TEXT_RESOLVE, audit.text(text), before=before, after=after
            )
    if resolved:
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
    with connection.transaction():
        cancelled = text_views.cancel(connection, text, "an operator")
        if cancelled:
            audit.record(connection, audit.this_user(), Action.TEXT_CANCEL, audit.text(text))
    if cancelled:
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
    with connection.transaction():
        given_up = outcomes.give_up(connection, text, f"given up: {why}")
        if given_up:
            audit.record(connection, audit.this_user(), Action.TEXT_GIVE_UP, audit.text(text), why=why)
    if given_up:
        say(f"Text {text}: its ticket is not told any more.")
        return 0
    say(f"Text {text} has nothing to tell its ticket, or does not exist: nothing was changed.", err=True)
    return 1
