"""Everything that is stored of one text, for the people who look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from connector.model import State
from connector.store import queries, text_views, texts
from connector.store.text_views import WriteBackState

SQL = queries.load(__file__)
# Reports of a chat, and texts that were skipped for this one, that are shown.
MAX_REPORTS, MAX_FOLLOWERS = 100, 20


@dataclass(frozen=True, slots=True)
class TextDetails:
    """One text and its event. Times are in UTC.

    `number` and `outbound_number` in E.164, `message`: None where they are not known. `number_hash`: the keyed hash.
    `body`: the event as received. `trace`: the policy's findings. `unclear`: how many calls have no clear answer.
    `notified`: the last outcome that the ticket took. `override`: the reason that a person gave. `listed_by`: the
    sources that have its number on the suppression list. `chat_refused`: why the CRM refuses the status of its chat.
    """

    id: int
    crm: str
    ticket_id: str
    channel: str
    state: str
    why: str
    code: str | None
    rule: str | None
    number: str | None
    number_hash: str | None
    outbound_number: str | None
    message: str | None
    received_at: datetime
    changed_at: datetime
    leaves_at: datetime | None
    send_at: datetime | None
    same_as: int | None
    trace: Sequence[Mapping[str, str]] | None
    agent: str | None
    override: str | None
    reason_name: str | None
    template: str | None
    language: str | None
    attempts: int
    busy_since: datetime | None
    unclear: int
    contradicted: str | None
    outcome: int
    written: int
    notified: int
    write_attempts: int
    write_begun: int
    write_refused: str | None
    held: Mapping[str, str] | None
    chat: Mapping[str, Any] | None
    chat_updates: int | None
    chat_due_at: datetime | None
    chat_refused: str | None
    event_id: str
    changed_by: str | None
    body: Mapping[str, Any] | None
    problem: str | None
    listed_by: Sequence[str]

    @property
    def is_open(self) -> bool:
        """Whether something is still to happen by itself."""
        return State(self.state) in texts.NOT_OVER or self.outcome > self.written

    @property
    def write_back(self) -> WriteBackState:
        return text_views.write_back_state(self.outcome, self.written, self.write_refused)


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of a text."""

    at: datetime
    from_state: str
    to_state: str
    why: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call to CCAI Platform, and its verdict: the state that followed. `ended_at` None: it has none yet."""

    begun_at: datetime
    ended_at: datetime | None = None
    verdict: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ChatReport:
    """What CCAI Platform reported about the text's chat. `problem`: why it had no effect."""

    event_type: str | None
    occurred_at: datetime
    received_at: datetime
    processed_at: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """A text with all that happened to it, oldest first. `followers`: texts that were skipped for it, and their
    tickets.
    """

    text: TextDetails
    steps: Sequence[Step]
    calls: Sequence[Call]
    reports: Sequence[ChatReport] = ()
    followers: Sequence[tuple[int, str]] = field(default_factory=list)


def story(connection: psycopg.Connection[Any], text: int) -> Story | None:
    """Return a text with all that happened to it. None: there is no such text."""
    wanted = {"id": text, "reports": MAX_REPORTS, "followers": MAX_FOLLOWERS}
    with connection.cursor(row_factory=class_row(TextDetails)) as cursor:
        found = cursor.execute(SQL["details"], wanted).fetchone()
    if found is None:
        return None
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        steps = cursor.execute(SQL["steps"], wanted).fetchall()
    with connection.cursor(row_factory=class_row(ChatReport)) as cursor:
        chat = wanted | {"chat": str(found.chat["id"]) if found.chat else None}
        reports = cursor.execute(SQL["reports"], chat).fetchall() if found.chat else []
    followers = connection.execute(SQL["followers"], wanted).fetchall()
    return Story(found, steps, calls(steps), reports, followers)


def calls(steps: Sequence[Step]) -> list[Call]:
    """Return the calls that these transitions tell of. A late answer is a transition of its own, not a call."""
    found: list[Call] = []
    for step in steps:
        if step.to_state == State.SENDING:
            found.append(Call(step.at))
        elif step.from_state == State.SENDING and found:
            found[-1] = Call(found[-1].begun_at, step.at, step.to_state, step.why)
    return found
