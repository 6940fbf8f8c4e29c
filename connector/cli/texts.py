"""connector texts: list and show texts, settle unknown ones, cancel, send again, and write back again."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click
import psycopg

from connector import phone
from connector.cli.connection import connected
from connector.cli.decide_again import decide_again
from connector.cli.output import JSON, plain, print_json, print_table, say
from connector.cli.text_list import list_texts
from connector.cli.text_number import TextNumber
from connector.model import MAX_CHAT_ID
from connector.store import actions, audit, chat_updates, text_views, texts, unknowns
from connector.store.text_views import TextStory, WriteBackState
from connector.store.unknowns import Settled

TEXT = click.argument("id", type=TextNumber(1))


@click.group(name="texts")
def texts_group() -> None:
    """Look at texts, and settle those that are unknown."""


texts_group.add_command(list_texts)
texts_group.add_command(decide_again)


@texts_group.command()
@TEXT
@JSON
def show(id: int, as_json: bool) -> None:
    """One text with its history and the checks of the policy. Numbers are masked."""
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
        yield "ticket", f"{'not written yet' if pending else 'never written'}: {story.write_refused}"
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
@click.option("--why", default="", help="How you know, for whoever reads the audit trail.")
def resolve(id: int, chat: int | None, not_sent: bool, why: str) -> None:
    """Settle a text that is unknown, after looking in CCAI Platform. The ticket is notified; nothing is sent."""
    if (chat is None) is not not_sent:
        raise click.UsageError("expected either --sent CHAT_ID or --not-sent")
    with connected() as connection:
        sys.exit(_resolve(connection, id, chat, why))


def _resolve(connection: psycopg.Connection, text: int, chat: int | None, why: str) -> int:
    """Record an operator's finding about an unknown text."""
    settled = unknowns.settle(connection, audit.this_user(), text, chat, why)
    if settled is Settled.DONE:
        found = f"sent, chat {chat}" if chat is not None else "not sent; its reason may be used again"
        say(f"Text {text}: {found}. The ticket will be notified.")
        return 0
    if settled is Settled.CHAT_TAKEN and chat is not None:
        other = unknowns.text_of_chat(connection, chat)
        say(f"Chat {chat} is that of text {other}: nothing was changed.", err=True)
        return 1
    loaded = texts.load(connection, [text]).get(text)
    state = f"is {loaded.state}, not unknown: nothing was changed" if loaded else "does not exist"
    say(f"Text {text} {state}.", err=True)
    return 1


@texts_group.command()
@TEXT
def cancel(id: int) -> None:
    """Cancel a text that has not been sent. Its ticket is notified."""
    with connected() as connection:
        actions.cancel(connection, id, audit.this_user())
    say(f"Text {id} is cancelled. The ticket will be notified.")


@texts_group.command(name="give-up")
@TEXT
@click.option("--why", required=True, help="For whoever looks at the text later.")
def give_up(id: int, why: str) -> None:
    """Stop writing an outcome to its ticket, where the CRM refuses it again and again."""
    with connected() as connection:
        actions.give_up_write_back(connection, id, audit.this_user(), why)
    say(f"Text {id}: its outcome is not written to the ticket any more.")


@texts_group.command(name="write-back")
@TEXT
def write_back(id: int) -> None:
    """Write an outcome to its ticket again, at once: one that was refused, given up, or written over."""
    with connected() as connection:
        actions.repeat_write_back(connection, id, audit.this_user())
    say(f"Text {id}: its outcome will be written to the ticket again.")


@texts_group.command(name="send-again")
@TEXT
@click.option("--why", required=True, help="For whoever looks at the new text later.")
def send_again(id: int, why: str) -> None:
    """Request a failed text again, as an agent does. The policy checks it like any other."""
    with connected() as connection:
        new = actions.send_again(connection, id, audit.this_user(), why)
    say(f"Text {new} was asked for in place of text {id}.")
