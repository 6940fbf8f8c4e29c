"""Pauses by an operator: of all sending, of an account, of the batch channel, or of a rule.

A pause is in force for all workers from its commit on: the statement that commits `sending` checks it, and so does a
worker whose call is held up. Texts that are covered wait as they are, and no attempt is counted. An agent's text fails
with the reason, so that the agent knows at once, unless it was scheduled. See docs/decisions/0014-pauses.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from connector.model import Channel
from connector.store import circuit_breaker, queries
from connector.store.circuit_breaker import PLATFORM, SendingPaused

SQL = queries.load(__file__)
# Seconds until a job is tried again that was taken although a pause covers its texts. A pause of everything, of an
# account or of batches keeps their jobs in the queue; only that of a rule is met by a job.
POLL_SECONDS = 10.0


class Scope(StrEnum):
    """What a pause covers."""

    ALL = "all"
    ACCOUNT = "account"
    CHANNEL = "channel"
    RULE = "rule"


# What is paused, in words that continue with "is paused".
WHAT = {
    Scope.ALL: "sending",
    Scope.ACCOUNT: "the use of {name}",
    Scope.CHANNEL: "sending of {name} texts",
    Scope.RULE: "sending for the rule {name}",
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause. `name`: the account, channel or rule; empty for all. Times in UTC; `ends_at` None: until `resume`."""

    scope: Scope
    name: str
    why: str
    paused_by: str
    since: datetime
    ends_at: datetime | None = None

    @property
    def what(self) -> str:
        """What is paused, in words."""
        is_platform = (self.scope, self.name) == (Scope.ACCOUNT, PLATFORM)
        return WHAT[Scope(self.scope)].format(name="CCAI Platform" if is_platform else self.name)

    @property
    def is_wide(self) -> bool:
        """Whether an account as a whole is paused."""
        return self.scope in (Scope.ALL, Scope.ACCOUNT)

    @property
    def error(self) -> SendingPaused:
        """The pause as an error, for workers and agents."""
        end = f"{self.ends_at.astimezone(UTC):%Y-%m-%d %H:%M}" if self.ends_at else ""
        words = f"{self.what} is paused{end and f' until {end} UTC'} by {self.paused_by}: {self.why}"
        return SendingPaused(words, True, POLL_SECONDS, by_operator=True, until=end and f"{end}, UTC")

    def covers(self, crm: str, channel: Channel, rule: str | None) -> bool:
        """Whether it covers a text of this CRM, channel and rule."""
        named = {Scope.ALL: "", Scope.CHANNEL: channel.value, Scope.RULE: rule}
        return self.name in (PLATFORM, crm) if self.scope == Scope.ACCOUNT else self.name == named[Scope(self.scope)]


@dataclass(frozen=True, slots=True)
class Pauses:
    """All that keeps texts from being sent: the accounts' own pauses, and the operator's, the widest first."""

    accounts: Mapping[str, SendingPaused]
    operator: Sequence[Pause] = ()

    @property
    def by_account(self) -> dict[str, SendingPaused]:
        """The pauses by account. An operator's pause of all sending is one of CCAI Platform."""
        wide = {PLATFORM if one.scope == Scope.ALL else one.name: one for one in reversed(self.operator) if one.is_wide}
        return {**self.accounts, **{name: pause.error for name, pause in wide.items()}}

    @property
    def batches(self) -> SendingPaused | None:
        """The operator's pause of the batch channel."""
        batches = (Scope.CHANNEL, Channel.BATCH)
        return next((one.error for one in self.operator if (one.scope, one.name) == batches), None)

    def of(self, crm: str, channel: Channel, rule: str | None) -> list[SendingPaused]:
        """All pauses that cover a text of this CRM, channel and rule; the operator's first."""
        own = [one.error for one in self.operator if one.covers(crm, channel, rule)]
        return own + [pause for name in (PLATFORM, crm) if (pause := self.accounts.get(name))]


def current(connection: psycopg.Connection) -> list[Pause]:
    """The operator's pauses that are in force, the widest first."""
    with connection.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(SQL["current"]).fetchall()


def stopped(accounts: Sequence[circuit_breaker.Status], operator: Sequence[Pause]) -> bool:
    """Whether an account cannot be used until that is resolved: it is tripped, or an operator has paused it."""
    return any(one.tripped_at for one in accounts) or any(one.is_wide for one in operator)


def everything(connection: psycopg.Connection) -> Pauses:
    """The pauses of the accounts, and those of the operator."""
    return Pauses(circuit_breaker.current_pauses(connection), current(connection))


def covering(connection: psycopg.Connection, ids: Sequence[int]) -> dict[int, SendingPaused]:
    """The operator's pauses that cover these texts, by text."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row.pop("id"): Pause(**row).error for row in cursor.execute(SQL["covering"], {"ids": list(ids)})}


def pause(
    connection: psycopg.Connection, scope: Scope, name: str, why: str, by: str, ends_at: datetime | None = None
) -> Pause:
    """Begin a pause; committed when it returns. One that is in force gets these words and this end."""
    asked: dict[str, Any] = {"scope": scope, "name": name, "why": why, "paused_by": by, "ends_at": ends_at}
    with connection.cursor(row_factory=class_row(Pause)) as cursor:
        [begun] = cursor.execute(SQL["pause"], asked).fetchall()
    return begun


def resume(connection: psycopg.Connection, scope: Scope, name: str = "") -> bool:
    """End a pause; committed when it returns. False: there was none in force."""
    return connection.execute(SQL["resume"], {"scope": scope, "name": name}).fetchone() is not None
