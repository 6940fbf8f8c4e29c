"""What operators see and do at the command line: where texts are, why texting is stopped, what became of the unknown.

Each command asks the database alone; nothing here calls a remote side.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import psycopg
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector import crms, harmless, phone
from connector.errors import Unreadable
from connector.model import State
from connector.store import api_keys, circuit_breaker, erasure, leases, outcomes, recipients, text_views, texts
from connector.store.text_views import Only


def _plain(value: object) -> str:
    """A time as ISO 8601 in UTC, everything else as it is."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def print_json(value: object) -> None:
    """For machines."""
    click.echo(harmless.in_json(json.dumps(value, indent=2, ensure_ascii=False, default=_plain)))


def say(line: str = "", err: bool = False) -> None:
    """One line for people, whoever has written its words. `err`: on standard error."""
    click.echo(harmless.on_screen(line), err=err)


def count(number: int, noun: str) -> str:
    """ "1 text", "2 texts" """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_table(columns: list[str], rows: list[list[object]]) -> None:
    """A table as wide as the screen, or as it needs where there is none. The last column alone gives way."""
    *firm, last = columns
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in firm:
        table.add_column(column, no_wrap=True)
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else harmless.on_screen(_plain(cell))) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


def show_status(connection: psycopg.Connection, as_json: bool) -> int:
    """Whether texts may leave, and how many are where. 1 if an account is stopped, or a CRM refuses outcomes."""
    accounts, counts, heard = (
        circuit_breaker.status(connection),
        text_views.counts(connection),
        leases.heard(connection),
    )
    platform = next(
        (one for one in accounts if one.lane == circuit_breaker.PLATFORM),
        circuit_breaker.Status(circuit_breaker.PLATFORM),
    )
    total = {name: sum(row[name] for row in counts) for name in ("untold", "refused", "contradicted", "held")}
    leaves_at = _leaves_at(accounts, [row["leaves_at"] for row in counts if row["leaves_at"]])
    bad = bool(total["refused"] or any(one.stopped_at for one in accounts))
    if as_json:
        print_json(
            {
                "stopped_at": platform.stopped_at,
                "stopped_why": platform.stopped_why,
                "held_until": platform.held_until,
                "accounts": [asdict(one) for one in accounts],
                "worker": heard.lately,
                "worker_heard_at": heard.at,
                "texts": {row["state"]: row["texts"] for row in counts},
                "untold": total["untold"],
                "refused": total["refused"],
                "contradicted": total["contradicted"],
                "texts_held": total["held"],
                "next_leaves_at": leaves_at,
            }
        )
        return int(bad)
    for line in [*_said_of(accounts), *_said_of_texts(total, leaves_at, heard)]:
        say(line)
    print_table(["state", "texts", "not told yet"], [[row["state"], row["texts"], row["untold"]] for row in counts])
    return int(bad)


def _said_of(accounts: Sequence[circuit_breaker.Status]) -> Iterator[str]:
    """What keeps texts from leaving."""
    for one in accounts:
        mine = one.lane == circuit_breaker.PLATFORM
        if one.stopped_at:
            what = "Texting is stopped" if mine else f"{one.lane} cannot be used"
            yield f"{what} since {_plain(one.stopped_at)}: {one.stopped_why}"
            by_itself = "" if one.for_people else " by itself once the setting is right, or"
            yield f"It goes on{by_itself} with: connector resume"
        elif mine:
            yield f"Texts wait until {_plain(one.held_until)}: CCAI Platform asked for a pause, or cannot be reached."
        else:
            yield f"{one.lane} is left alone until {_plain(one.held_until)}: {one.held_why}"
    if not accounts:
        yield "Texts may leave."


def _said_of_texts(total: Mapping[str, int], leaves_at: datetime | None, heard: leases.Heard) -> Iterator[str]:
    if not heard.lately:
        since = f" since {_plain(heard.at)} (UTC)" if heard.at else ""
        yield f"No worker has been heard of{since}: nothing leaves until one runs (connector run, or worker)."
    if held := total["held"]:
        waiting = "waits for its hours, or for another try" if held == 1 else "wait for their hours, or for another try"
        then = f"; the next leaves at {_plain(leaves_at)} (UTC)" if leaves_at else ""
        yield f"{count(held, 'queued text')} {waiting}{then}."
    if refused := total["refused"]:
        are = "is" if refused == 1 else "are"
        yield f"{count(refused, 'outcome')} {are} refused by the CRM, and told again: connector texts list --refused"
    if contradicted := total["contradicted"]:
        one = "an answer that contradicts how a person had settled it"
        yield f"{count(contradicted, 'text')} had {one}: connector texts list --contradicted"


def _leaves_at(accounts: Sequence[circuit_breaker.Status], due: Sequence[datetime]) -> datetime | None:
    """When the first of those that are held leaves; None: there is none, or nobody knows."""
    if not due or any(one.stopped_at for one in accounts):
        return None
    return max([min(due), *(one.held_until for one in accounts if one.held_until)])


# What is shown of texts in a list: the column and what is in it. Those that are held leave later instead.
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
    Only.REFUSED: {"id": "id", "ticket": "ticket_id", "state": "state", "refused": "write_refused"},
    Only.CONTRADICTED: {"id": "id", "ticket": "ticket_id", "state": "state", "contradicted": "contradicted"},
}


def show_texts(
    connection: psycopg.Connection,
    state: State | None,
    ticket: str | None,
    only: Only | None,
    most: int,
    as_json: bool,
) -> int:
    """The newest texts. 1 if there is none about the ticket that was named."""
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
    """The id in full of the ticket that a person means; and why no ticket can have it, in words."""
    problems = []
    for stem in crms.known():
        try:
            return crms.named(stem, ticket), ""
        except Unreadable as error:
            problems.append(str(error))
    return ticket, "; ".join(problems)


def show_text(connection: psycopg.Connection, text: int, as_json: bool) -> int:
    """One text and its history. The number is masked, and of the message only its length is shown."""
    story = text_views.story(connection, text)
    if story is None:
        say(f"There is no text {text}.", err=True)
        return 1
    sms = story.pop("sms")
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
        "door",
        "agent",
        "rule",
        "state",
        "why",
        "override",
        "leaves_at",
        "to",
        "message",
        "event_id",
        "received_at",
    )
    yield from ((name.replace("_", " "), _plain(story[name])) for name in names if story[name] not in (None, ""))
    if story["chat"]:
        yield "chat", f"{story['chat']['id']} {story['chat']['status']}".rstrip()
    if story["contradicted"]:
        yield "contradicted", story["contradicted"]
    waits = story["outcome"] > story["written"]
    if story["write_refused"]:
        yield "ticket", f"{'not told yet' if waits else 'never told'}: {story['write_refused']}"
    elif story["outcome"]:
        yield "ticket", "does not have the outcome yet" if waits else "has the outcome"


def resolve(connection: psycopg.Connection, text: int, chat: int | None) -> int:
    """A person has found out what became of an unknown text."""
    if text_views.resolve(connection, text, chat):
        found = f"sent, chat {chat}" if chat is not None else "not sent; its reason may be used again"
        say(f"Text {text}: {found}. The ticket will be told.")
        return 0
    loaded = texts.load(connection, [text]).get(text)
    state = f"is {loaded.state}, not unknown: nothing was changed" if loaded else "does not exist"
    say(f"Text {text} {state}.", err=True)
    return 1


# Why a text cannot be taken back.
TOO_LATE = {
    State.SENDING: "is being sent at this moment: it cannot be taken back",
    State.SENT: "was sent already: it cannot be taken back",
    State.SKIPPED: "was skipped: nothing was sent, and nothing will be",
    State.FAILED: "has failed: nothing was sent, and nothing will be",
    State.UNKNOWN: "may have been sent, nobody knows yet: it cannot be taken back. See: connector texts resolve -h",
    State.CANCELLED: "was cancelled before",
}


def cancel(connection: psycopg.Connection, text: int) -> int:
    """Take back what has not left."""
    if text_views.cancel(connection, text, "an operator"):
        say(f"Text {text} is cancelled. The ticket will be told.")
        return 0
    loaded = texts.load(connection, [text]).get(text)
    why = TOO_LATE.get(loaded.state, "is changing at this moment: try again") if loaded else "does not exist"
    say(f"Text {text} {why}.", err=True)
    return 1


def give_up(connection: psycopg.Connection, text: int, why: str) -> int:
    """A person has decided that the ticket need not be told."""
    if outcomes.give_up(connection, text, f"given up: {why}"):
        say(f"Text {text}: its ticket is not told any more.")
        return 0
    say(f"Text {text} has nothing to tell its ticket, or does not exist: nothing was changed.", err=True)
    return 1


def _number(typed: str) -> str:
    number = phone.e164(typed)
    if number is None:
        raise click.BadParameter(f"expected a number in E.164, such as +14155550132, not {typed!r}")
    return number


def suppress(connection: psycopg.Connection, typed: str, why: str) -> int:
    """Nobody texts this number any more."""
    number = _number(typed)
    new = recipients.suppress(connection, number, why, "an operator")
    say(f"{phone.mask(number)} {'is' if new else 'was already'} on the suppression list.")
    return 0


def allow(connection: psycopg.Connection, typed: str) -> int:
    """It may be texted again. 1 if it was not on the list."""
    number = _number(typed)
    if recipients.allow(connection, number):
        say(f"{phone.mask(number)} is no longer on the suppression list.")
        return 0
    say(f"{phone.mask(number)} is not on the suppression list: nothing was changed.", err=True)
    return 1


def show_suppressed(connection: psycopg.Connection, most: int, as_json: bool) -> int:
    """The suppression list."""
    rows = recipients.suppressed(connection, most)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ["number", "since (UTC)", "added by", "why"],
            [[row.number, row.added_at, row.added_by, row.why] for row in rows],
        )
    return 0


def add_key(connection: psycopg.Connection, name: str, rights: Sequence[api_keys.Right], per_minute: int) -> int:
    """A new key, shown this once."""
    key = api_keys.add(connection, name, rights, per_minute)
    if key is None:
        say(f"There is a key called {name} already. Revoke it first, or take another name.", err=True)
        return 1
    say("This is the key. It is not shown again, and only its hash is kept:", err=True)
    say(key)
    return 0


def revoke_key(connection: psycopg.Connection, name: str) -> int:
    """It is worth nothing any more."""
    if api_keys.revoke(connection, name):
        say(f"The key {name} is revoked.")
        return 0
    say(f"There is no key called {name}.", err=True)
    return 1


def show_keys(connection: psycopg.Connection, as_json: bool) -> int:
    """The keys, without themselves."""
    rows = api_keys.listed(connection)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(
            ["name", "a minute", "since (UTC)", "rights"],
            [[row.name, row.per_minute, row.added_at, ", ".join(row.rights)] for row in rows],
        )
    return 0


def purge(connection: psycopg.Connection, typed: str, suppress: bool) -> int:
    """Erase one person."""
    number = _number(typed)
    erased = erasure.purge(connection, number, suppress)
    what = f"{count(erased.texts, 'text')}, {count(erased.events, 'event')}"
    say(f"Erased what is known of {phone.mask(number)}: {what}.")
    return 0
