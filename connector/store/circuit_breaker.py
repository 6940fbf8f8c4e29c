"""A circuit breaker for each remote account: CCAI Platform, and each CRM. The database has one answer for all workers.

Held: the account asked for a pause, or cannot be reached; it ends by itself. Stopped: it refuses what every text would
meet, such as a wrong setting; it ends when a probe that changes nothing succeeds, or by `connector resume`. Texts wait
meanwhile and no try is counted. No pause is written into their jobs, so that it can be lifted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from connector import backoff
from connector.errors import ConnectorError
from connector.store import queries

SQL = queries.load(__file__)
# CCAI Platform's; a CRM's has the CRM's name.
PLATFORM = "ccaip"

# While one is closed, texts in hand are put back for so many seconds. They are not taken up before it opens.
LOOK_AGAIN = 5.0
# Seconds of a pause that was not asked for; twice as long each time that nothing has passed since.
FIRST_HOLD, MAX_HOLD = 1.0, 60.0
# Seconds before what is stopped is probed; doubling too.
FIRST_PROBE, MAX_PROBE = 2.0, 60.0
# Whoever probes has so many seconds for it, before another worker does.
PROBE_TURN = 60.0


class Closed(ConnectorError):
    """Nobody may send, or ask this CRM, now. `stopped`: until it is put right; else for `seconds`."""

    def __init__(self, why: str, stopped: bool, seconds: float) -> None:
        super().__init__(why)
        self.stopped, self.seconds = stopped, seconds


@dataclass(frozen=True, slots=True)
class Status:
    """An account's for people. Times in UTC. `for_people`: no probe opens it."""

    account: str
    stopped_at: datetime | None = None
    stopped_why: str | None = None
    probe_at: datetime | None = None
    for_people: bool = False
    held_until: datetime | None = None
    held_why: str | None = None


def closed(
    name: str, stopped_why: str | None, confirmed: bool | None, held_for: float | None, held_why: str | None
) -> Closed | None:
    """Whether an account like this is closed; `held_for` in seconds. Until it is confirmed, a stop is a pause."""
    if stopped_why is not None:
        what = "texting is stopped" if name == PLATFORM else f"{name} cannot be used"
        return Closed(f"{what}: {stopped_why}", bool(confirmed), LOOK_AGAIN)
    if held_for is not None and held_for > 0:
        who = "CCAI Platform" if name == PLATFORM else name
        said = f" ({held_why})" if held_why else ""
        return Closed(f"{who} asked for a pause or cannot be reached{said}", False, min(held_for, LOOK_AGAIN))
    return None


def look(connection: psycopg.Connection, name: str = PLATFORM) -> Closed | None:
    """Why this account may not be used now; None: it may."""
    return look_all(connection).get(name)


def look_all(connection: psycopg.Connection) -> dict[str, Closed]:
    """The accounts that may not be used now."""
    rows = connection.execute(SQL["look"]).fetchall()
    return {name: found for name, *row in rows if (found := closed(name, *row))}


def hold(connection: psycopg.Connection, name: str, why: str, seconds: float | None = None) -> None:
    """The account is not used for so long; None: for a moment, longer each time that nothing has passed since."""
    row = {"account": name, "why": why, "seconds": seconds, "first": FIRST_HOLD, "longest": MAX_HOLD}
    connection.execute(SQL["hold"], row | {"jitter": backoff.jittered(1)})


def stop(connection: psycopg.Connection, name: str, why: str, text: int | None = None, confirmed: bool = True) -> bool:
    """The account is not used until `resume`; the first reason stays. `text`: whose call was refused.

    Not `confirmed`: it may be that text's own fault. People wait for the first probe then, and are told after it.

    False: it was stopped already. It is probed before long, less soon where it was stopped a moment ago and nothing
    has passed since.
    """
    row = {"account": name, "why": why, "text": text, "confirmed": confirmed, "jitter": backoff.jittered(1)}
    found = connection.execute(SQL["stop"], row | {"first": FIRST_PROBE, "longest": MAX_PROBE})
    return found.fetchone() is not None


def stop_for_people(connection: psycopg.Connection, name: str, why: str) -> None:
    """The account is not used until a person says so: no probe opens it."""
    connection.execute(SQL["stop_for_people"], {"account": name, "why": why})


def alone(connection: psycopg.Connection, name: str, text: int, since: datetime | None) -> bool:
    """Whether others have passed since this text was refused, or nobody else was: then it is not a setting's fault."""
    row = connection.execute(SQL["alone"], {"account": name, "text": text, "since": since}).fetchone()
    return bool(row and row[0])


def passed(connection: psycopg.Connection, names: Iterable[str]) -> None:
    """Calls to these accounts had answers that no setting is to blame for."""
    connection.execute(SQL["passed"], {"lanes": list(names)})


def resume(connection: psycopg.Connection, name: str | None = None) -> list[str]:
    """The account, or all, may be used again. Those that had been kept from it."""
    return [account for (account,) in connection.execute(SQL["resume"], {"account": name})]


def probe_due(connection: psycopg.Connection, name: str) -> bool:
    """Whether it is stopped, and our turn to probe it."""
    return connection.execute(SQL["probe_due"], {"account": name, "turn": PROBE_TURN}).fetchone() is not None


def probed(connection: psycopg.Connection, name: str, seconds: float | None = None) -> float:
    """A probe found it still wrong. In how many seconds the next one is; `seconds`: because it was asked for."""
    row = {"account": name, "seconds": seconds, "first": FIRST_PROBE, "longest": MAX_PROBE}
    found = connection.execute(SQL["probed"], row | {"jitter": backoff.jittered(1)}).fetchone()
    return found[0] if found else 0.0


def status(connection: psycopg.Connection) -> list[Status]:
    """Those that are held or stopped, for people."""
    with connection.cursor(row_factory=class_row(Status)) as cursor:
        return cursor.execute(SQL["status"]).fetchall()
