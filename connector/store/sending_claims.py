"""Claims of texts before their calls: `sending` is committed first, so that a crash cannot hide a text.

Each function is one transaction, committed when it returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector.store import circuit_breaker, daily_budget, jobs, pauses, postgres, queries, texts
from connector.store.daily_budget import OverBudget, Share

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to claim a text at the revision that was read. `token` identifies the attempt uniquely.

    `share`: what the text takes of a daily budget, if its outbound number has one.
    """

    text: int
    revision: int
    token: int
    share: Share | None = None


# The claim's number if the text may be sent now. Else why not: its account or an operator has paused it, or the day's
# budget of its outbound number is used up.
Answer = int | circuit_breaker.SendingPaused | OverBudget


def start_sending(
    connection: psycopg.Connection, tries: Sequence[Attempt], good_for: float, now: datetime | None = None
) -> dict[int, Answer]:
    """Claim texts before their calls: commit `sending`, so that a crash in the middle of a call is detected.

    The result by token. An attempt that is missing came too late: the text was claimed by another worker, cancelled, or
    decided again; or its number has opted out, or waits for a review. After `good_for` seconds, by the database's
    clock, the claim expires. `now` names the day of budgets; None: the database's.
    """
    if not any(one.share for one in tries):
        return _claim(connection, tries, good_for)
    with connection.transaction():
        now = now or postgres.now(connection)
        counter = daily_budget.lock(connection, [one.share for one in tries if one.share], now)
        paid = daily_budget.holding(connection, [one.text for one in tries])
        shares = {one.token: one.share for one in tries if one.share and one.text not in paid}
        answers = _claim(connection, [one for one in tries if one.token not in shares], good_for)
        # What does not fit is tried again as long as others that do fit cannot be claimed and leave their room.
        while fitting := counter.fitting(shares):
            stored = {token: counter.stored(shares[token]) for token in fitting}
            claimed = _claim(connection, [one for one in tries if one.token in fitting], good_for, stored)
            counter.take(shares[token] for token, answer in claimed.items() if isinstance(answer, int))
            answers |= claimed
            shares = {token: share for token, share in shares.items() if token not in fitting}
        daily_budget.keep(connection, counter)
    return answers | {token: share.error for token, share in shares.items()}


def _claim(
    connection: psycopg.Connection, tries: Sequence[Attempt], good_for: float, shares: Mapping[int, object] = {}
) -> dict[int, Answer]:
    asked = _columns(tries) | {
        "revisions": [one.revision for one in tries],
        "shares": [Jsonb(shares[one.token]) if one.token in shares else None for one in tries],
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["claim"], {"account": circuit_breaker.PLATFORM, "good_for": good_for} | asked)
        return {row["token"]: _why_not(row) or row["claim"] for row in rows}


def _why_not(row: dict[str, Any]) -> circuit_breaker.SendingPaused | None:
    if row["scope"]:
        return pauses.Pause(**{name: row[name] for name in pauses.Pause.__slots__}).error
    account = (row[name] for name in ("tripped_why", "confirmed", "paused_for", "paused_why"))
    return circuit_breaker.sending_paused(circuit_breaker.PLATFORM, *account)


def undo_sending(connection: psycopg.Connection, tries: Sequence[Attempt]) -> None:
    """Undo these claims, if they were made: the connection was lost during the claim, and no call was made."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        to_write = cursor.execute(SQL["unclaim"], _columns(tries), prepare=False).fetchall()
        to_write += cursor.execute(
            texts.SQL["notify_followers"], {"ids": [row["id"] for row in to_write]}, prepare=False
        ).fetchall()
        jobs.add(connection, jobs.write_backs(to_write))


def _columns(tries: Sequence[Attempt]) -> dict[str, list[int]]:
    return {"ids": [one.text for one in tries], "tokens": [one.token for one in tries]}
