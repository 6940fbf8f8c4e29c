"""A circuit breaker for each remote account: CCAI Platform, and each CRM. Its state is shared by all workers.

Paused: the account asked for a pause or cannot be reached. The pause ends by itself. Tripped: the account refuses every
call, for example because of a wrong setting. The breaker resets when a probe that changes nothing succeeds, or on
`connector resume`. Texts wait meanwhile, and no attempt is counted. The pause is not written into their jobs, so that
it can be lifted at any time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector import backoff
from connector.errors import ConnectorError
from connector.outcome import Hold
from connector.store import queries

SQL = queries.load(__file__)
# The account name of CCAI Platform; a CRM's account has the CRM's name.
PLATFORM = "ccaip"

# Seconds for which texts in hand are put back while an account is paused. They are not taken before the pause ends.
PAUSE_POLL_SECONDS = 5.0
# Seconds of a pause for which the account named no duration; doubled each time until a call succeeds.
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 60.0
# Seconds until a tripped account is probed; doubled in the same way.
FIRST_PROBE_SECONDS, MAX_PROBE_SECONDS = 2.0, 60.0
# Seconds that a worker has for its probe before another worker may probe.
PROBE_LEASE_SECONDS = 60.0


class SendingPaused(ConnectorError):
    """The account is paused. `until_resumed`: tripped, until the fault is fixed. `retry_after`: in seconds.

    `by_operator`: an operator paused it (see pauses.py). `until`: when that ends, with its zone; empty: it is open.
    """

    def __init__(
        self, why: str, until_resumed: bool, retry_after: float, by_operator: bool = False, until: str = ""
    ) -> None:
        super().__init__(why)
        self.until_resumed, self.retry_after = until_resumed, retry_after
        self.by_operator, self.until = by_operator, until

    @property
    def hold(self) -> Hold:
        """What a ticket is to show while its text waits for the end."""
        return Hold(str(self), self.until)


@dataclass(frozen=True, slots=True)
class Status:
    """The breaker of one account, for display. Times in UTC. `manual_resume`: only an operator resumes it."""

    account: str
    tripped_at: datetime | None = None
    tripped_why: str | None = None
    probe_at: datetime | None = None
    manual_resume: bool = False
    paused_until: datetime | None = None
    paused_why: str | None = None


def sending_paused(
    name: str, tripped_why: str | None, confirmed: bool | None, paused_for: float | None, paused_why: str | None
) -> SendingPaused | None:
    """The pause that these columns describe; `paused_for` in seconds. An unconfirmed trip counts as a pause."""
    if tripped_why is not None:
        what = "sending is paused" if name == PLATFORM else f"{name} cannot be used"
        return SendingPaused(f"{what}: {tripped_why}", bool(confirmed), PAUSE_POLL_SECONDS)
    if paused_for is not None and paused_for > 0:
        who = "CCAI Platform" if name == PLATFORM else name
        said = f" ({paused_why})" if paused_why else ""
        return SendingPaused(
            f"{who} asked for a pause or cannot be reached{said}", False, min(paused_for, PAUSE_POLL_SECONDS)
        )
    return None


def current_pause(connection: psycopg.Connection, name: str = PLATFORM) -> SendingPaused | None:
    """The current pause of this account; None: the account may be used."""
    return current_pauses(connection).get(name)


def current_pauses(connection: psycopg.Connection) -> dict[str, SendingPaused]:
    """The current pauses, by account."""
    rows = connection.execute(SQL["current_pauses"]).fetchall()
    return {name: pause for name, *row in rows if (pause := sending_paused(name, *row))}


def pause(connection: psycopg.Connection, name: str, why: str, seconds: float | None = None) -> None:
    """Pause the account for so many seconds. None: briefly, and longer each time until a call succeeds."""
    row = {"account": name, "why": why, "seconds": seconds, "first": FIRST_PAUSE_SECONDS, "longest": MAX_PAUSE_SECONDS}
    connection.execute(SQL["pause"], row | {"jitter": backoff.jittered(1)})


def trip(connection: psycopg.Connection, name: str, why: str, text: int | None = None, confirmed: bool = True) -> bool:
    """Trip the breaker until a probe or an operator resumes it. Keep the first reason when it is tripped already.

    `text`: the text whose call was refused. Not `confirmed`: that text alone may be at fault. Agents' texts then wait
    for the first probe and get their result after it.

    False: it was tripped already. The first probe follows soon; it follows later when the breaker was tripped recently
    and no call has succeeded since.
    """
    row = {"account": name, "why": why, "text": text, "confirmed": confirmed, "jitter": backoff.jittered(1)}
    found = connection.execute(SQL["trip"], row | {"first": FIRST_PROBE_SECONDS, "longest": MAX_PROBE_SECONDS})
    return found.fetchone() is not None


def trip_until_resumed(connection: psycopg.Connection, name: str, why: str) -> None:
    """Trip the breaker until an operator resumes it. It is not probed."""
    connection.execute(SQL["trip_until_resumed"], {"account": name, "why": why})


def alone(connection: psycopg.Connection, name: str, text: int, since: datetime | None) -> bool:
    """Whether the refusal concerns this text alone: other calls have succeeded since, or no other text was refused."""
    row = connection.execute(SQL["alone"], {"account": name, "text": text, "since": since}).fetchone()
    return bool(row and row[0])


def passed(connection: psycopg.Connection, names: Iterable[str]) -> None:
    """Record that calls to these accounts succeeded, or failed for a reason other than a setting."""
    connection.execute(SQL["passed"], {"lanes": list(names)})


def resume(connection: psycopg.Connection, name: str | None = None) -> list[str]:
    """Resume the account; None: all accounts. The names of those that were paused or tripped."""
    return [account for (account,) in connection.execute(SQL["resume"], {"account": name})]


def probe_due(connection: psycopg.Connection, name: str) -> bool:
    """Whether the account is tripped and due for a probe. If so, this worker has taken the probe."""
    return connection.execute(SQL["probe_due"], {"account": name, "turn": PROBE_LEASE_SECONDS}).fetchone() is not None


def probed(connection: psycopg.Connection, name: str, seconds: float | None = None) -> float:
    """Record a failed probe; the seconds until the next one. `seconds`: the delay that the account asked for."""
    row = {"account": name, "seconds": seconds, "first": FIRST_PROBE_SECONDS, "longest": MAX_PROBE_SECONDS}
    found = connection.execute(SQL["probed"], row | {"jitter": backoff.jittered(1)}).fetchone()
    return found[0] if found else 0.0


def status(connection: psycopg.Connection) -> list[Status]:
    """The accounts that are paused or tripped, for display."""
    with connection.cursor(row_factory=class_row(Status)) as cursor:
        return cursor.execute(SQL["status"]).fetchall()
