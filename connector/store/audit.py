"""The audit trail: what people did by command line, API, agent page and console, and changes of settings at start.

Call `record` in the transaction of the action, so that both are committed or neither. Entries cannot be changed: a
trigger refuses it. Only the owner of the table can trim it. An entry holds no phone number, message or value of a
setting. The reason that a person gave is stored apart, in `audit_notes`, because it may name a customer: `purge`
erases it.
"""

import os
import pwd
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector import masking
from connector.store import pseudonyms, queries
from connector.store.rows import jsonb

SQL = queries.load(__file__)

# The longest name, value and reason that are kept, in characters; and the number of values before and after an action.
MAX_NAME, MAX_VALUE, MAX_WHY, MAX_VALUES = 200, 200, 500, 20
# Entries that are read at once for an export, and that are deleted in one transaction.
ENTRIES_AT_ONCE = 2_000
# The longest wait for other transactions while entries are deleted. The next run deletes what is left.
LOCK_TIMEOUT = "set local lock_timeout = '5s'"


class Source(StrEnum):
    """How an action reached the connector. PROCESS: a process that started."""

    CLI = "cli"
    API = "api"
    PAGE = "page"
    CONSOLE = "console"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a system user, an API key or an agent. `origin`: the command's host or the request's address."""

    who: str
    source: Source
    origin: str = ""


def this_user(source: Source = Source.CLI) -> Actor:
    """Return the system user of this process and this host. Environment variables cannot change either."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = f"user {user}"
    return Actor(name, source, socket.gethostname())


class Action(StrEnum):
    """What was done."""

    TEXT_CANCEL = "text.cancel"
    TEXT_RESOLVE = "text.resolve"
    TEXT_GIVE_UP = "text.give_up"
    TEXT_WRITE_BACK = "text.write_back"
    TEXT_SEND_AGAIN = "text.send_again"
    BULK_START = "bulk.start"
    BULK_STOP = "bulk.stop"
    SENDING_PAUSE = "sending.pause"
    SENDING_RESUME = "sending.resume"
    OPT_OUT_DECIDE = "opt_out.decide"
    OPT_OUT_ENTER = "opt_out.enter"
    NUMBER_SUPPRESS = "number.suppress"
    NUMBER_LIFT = "number.lift"
    NUMBER_PURGE = "number.purge"
    KEY_ADD = "key.add"
    KEY_REVOKE = "key.revoke"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    LINK_CREATE = "link.create"
    BACKFILL_PLAN = "backfill.plan"
    BACKFILL_RUN = "backfill.run"
    BACKFILL_PAUSE = "backfill.pause"
    BACKFILL_CANCEL = "backfill.cancel"
    SETTING_CHANGE = "setting.change"
    MAPPING_CHANGE = "mapping.change"
    DATABASE_OPEN = "database.open"
    AUDIT_TRIM = "audit.trim"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as stored. `at` in UTC."""

    id: int
    at: datetime
    who: str
    source: Source
    origin: str
    what: str
    about: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: from `since` on, before `until`, with exactly these values. None matches all."""

    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    what: str | None = None
    about: str | None = None
    below: int | None = None


def record(
    connection: psycopg.Connection,
    actor: Actor,
    action: Action,
    about: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str = "",
) -> None:
    """Add an entry, in the caller's transaction. Phone numbers in names, values and `why` are masked, and all are cut.

    `about`: what the action changed: `text(17)`, `number(connection, "+14155550132")`, `named("key", "salesforce")`.
    """
    entry = {
        "who": _cut(actor.who, MAX_NAME),
        "source": actor.source,
        "origin": actor.origin[:MAX_NAME],
        "what": action,
        "about": about,
        "before": before and jsonb(_bounded(before)),
        "after": after and jsonb(_bounded(after)),
        "why": _cut(why.strip(), MAX_WHY),
    }
    connection.execute(SQL["record"], entry)


def text(text_id: int) -> str:
    """Name a text."""
    return f"text {text_id}"


def bulk(bulk_id: int) -> str:
    """Name a bulk action."""
    return f"bulk action {bulk_id}"


def number(connection: psycopg.Connection, e164: str) -> str:
    """Name a phone number by a keyed hash that no other table has, so that an entry outlives the person's data."""
    return f"number {pseudonyms.of(connection, f'audit {e164}')[:32]}"


def named(kind: str, name: str) -> str:
    """Name anything else: a key, a plan, an account, a setting."""
    return f"{kind} {_cut(name, MAX_NAME)}"


def _cut(words: str, most: int) -> str:
    return masking.without_numbers(words.replace("\0", ""))[:most]


def _bounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (bool, int, float)) or value is None else _cut(str(value), MAX_VALUE)
        for name, value in list(values.items())[:MAX_VALUES]
    }


def find(connection: psycopg.Connection, wanted: Filter, most: int) -> list[Entry]:
    """Entries, newest first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(SQL["find"], parameters(wanted, most)).fetchall()


def parameters(wanted: Filter, most: int) -> dict[str, Any]:
    """Return the parameters of the query `find`."""
    return asdict(wanted) | {"most": most}


def export(connection: psycopg.Connection, wanted: Filter) -> Iterator[Entry]:
    """Yield all entries, newest first; never all in memory."""
    while entries := find(connection, wanted, ENTRIES_AT_ONCE):
        yield from entries
        wanted = replace(wanted, below=entries[-1].id)


def forget_notes(connection: psycopg.Connection, abouts: Sequence[str]) -> None:
    """Erase the reasons that people gave for actions on these texts and numbers."""
    connection.execute(SQL["forget_notes"], {"abouts": list(abouts)})


def may_trim(connection: psycopg.Connection) -> bool:
    """Whether this database role owns the audit trail. An application role of its own does not."""
    [(owns,)] = connection.execute(SQL["owns"]).fetchall()
    return bool(owns)


def old(connection: psycopg.Connection, days: float) -> int:
    """The number of entries older than so many days."""
    [(entries,)] = connection.execute(SQL["count_old"], {"days": days}).fetchall()
    return int(entries)


def trim(connection: psycopg.Connection, actor: Actor, days: float) -> int:
    """Delete entries older than so many days, and record that. Return how many. Needs the table's owner.

    Raises psycopg.errors.InsufficientPrivilege for another role.
    """
    trimmed = 0
    while old(connection, days):
        with connection.transaction():
            connection.execute(LOCK_TIMEOUT)
            connection.execute(SQL["unlock"])
            deleted = connection.execute(SQL["delete_old"], {"days": days, "most": ENTRIES_AT_ONCE}).rowcount
            connection.execute(SQL["lock"])
            record(connection, actor, Action.AUDIT_TRIM, "audit", after={"deleted": deleted, "older_than_days": days})
        trimmed += deleted
    return trimmed


def keep(connection: psycopg.Connection, days: float) -> None:
    """Apply the retention of the audit trail: erase the reasons in older entries, and trim it where this role may.

    0 days keeps everything.
    """
    if not days:
        return
    connection.execute(SQL["erase_old_notes"], {"days": days})
    if may_trim(connection):
        trim(connection, this_user(Source.PROCESS), days)
