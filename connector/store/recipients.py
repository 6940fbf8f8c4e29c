"""Recipients' numbers: what is known of each, and when each was texted last, stored under its pseudonym."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connector.model import Decision, State
from connector.policy.checks import Known
from connector.policy.opt_outs import OpenReview, OptOut, Source
from connector.store import pseudonyms, queries

SQL = queries.load(__file__)


def known(connection: psycopg.Connection, asked: Sequence[tuple[int, str, Decision, str | None]]) -> dict[int, Known]:
    """The facts that the policy needs about these (text, crm, decision, meant for)s, by text.

    A text's own claims are left out. `meant for` is the pseudonym of the number that the text was planned for.
    """
    rows = [
        {
            "id": text,
            "crm": crm,
            "ticket": decision.ticket_id or decision.sms.ticket_id,
            "number": decision.sms.end_user_number,
            "hash": pseudonyms.of_number(connection, decision.sms.end_user_number),
            "rule": decision.rule,
            "reason": pseudonyms.of(connection, decision.reason),
            "meant_for": meant_for,
        }
        for text, crm, decision, meant_for in asked
    ]
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row["id"]: _known(row) for row in cursor.execute(SQL["known"], {"asked": Jsonb(rows)})}


def _known(row: Mapping[str, Any]) -> Known:
    other_reason = row["same_reason"] not in (None, row["id"])
    return Known(
        suppressed=OptOut(Source.stored(row["source"]), row["suppressed_at"], row["words"], row["asked"])
        if row["source"]
        else None,
        review=OpenReview(row["review"], row["said_at"]) if row["review"] else None,
        other_number=row["other_number"],
        texted_by=row["texted_by"],
        texted_at=row["texted_at"],
        same_reason=row["same_reason"] if other_reason else None,
        same_reason_state=State(row["same_reason_state"]) if other_reason else None,
        same_reason_notified=other_reason and row["same_reason_notified"],
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A text's claim on a number. It succeeds if no other text claimed the number within `window`."""

    text: int
    number: str
    window: timedelta


def claim(connection: psycopg.Connection, claims: Sequence[Claim], now: datetime) -> set[int]:
    """Claim numbers in the caller's transaction; the texts that succeeded. Of several for one number, the oldest.

    A claim without a window always succeeds.
    """
    once: dict[str, Claim] = {}
    for one in sorted(claims, key=lambda one: one.text):
        once.setdefault(one.number, one)
    rows = [
        {
            "id": one.text,
            "hash": pseudonyms.of_number(connection, one.number),
            "free_before": (now - one.window).isoformat(),
        }
        for one in once.values()
    ]
    claimed = connection.execute(SQL["claim_numbers"], {"claims": Jsonb(rows), "now": now})
    return {text for (text,) in claimed} | {one.text for one in claims if not one.window}


def texted(connection: psycopg.Connection, number: str, text: int) -> None:
    """Record that this text was sent to this number (E.164) after all. The number's window begins now."""
    connection.execute(SQL["texted"], {"hash": pseudonyms.of_number(connection, number), "text": text})


def forget(connection: psycopg.Connection, number: str) -> None:
    """Erase when this number was texted."""
    connection.execute(SQL["forget"], {"hash": pseudonyms.of_number(connection, number)})
