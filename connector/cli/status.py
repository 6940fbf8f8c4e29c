"""connector status: whether texts may be sent, and the number of texts in each state."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import click
import psycopg

from connector.cli import chat_sources, daily_budgets
from connector.cli.connection import connected
from connector.cli.output import JSON, count, plain, print_json, print_table, say
from connector.cli.pause import sentence
from connector.model import FieldKind, State
from connector.settings import Settings, load
from connector.store import chat_events, circuit_breaker, leases, opt_outs, pauses, record_fields, text_views
from connector.store.pauses import Pause, Scope

# What the fields of records are called.
FIELDS = {FieldKind.OPT_OUT: "opt-out field", FieldKind.PHONE_INVALID: "mark of an invalid number"}


@click.command()
@JSON
def status(as_json: bool) -> None:
    """Whether texts are sent, whether a worker runs, and how many texts are in each state. Status 1 if stopped."""
    with connected() as connection:
        sys.exit(show_status(connection, load(), as_json))


def show_status(connection: psycopg.Connection, settings: Settings, as_json: bool) -> int:
    """Print whether texts may be sent, and counts by state.

    1 when sending or an account is paused, a CRM refuses what is written to it, or an opt-out review is overdue.
    """
    accounts, operator, counts, heard = (
        circuit_breaker.status(connection),
        pauses.current(connection),
        text_views.counts(connection),
        leases.heard(connection),
    )
    chats = chat_events.summary(connection)
    platform = next(
        (one for one in accounts if one.account == circuit_breaker.PLATFORM),
        circuit_breaker.Status(circuit_breaker.PLATFORM),
    )
    reviews, fields_refused = opt_outs.open_reviews(connection), record_fields.refused(connection)
    total = {
        name: sum(getattr(row, name) for row in counts) for name in ("not_written", "refused", "contradicted", "held")
    }
    total["unknown"] = sum(row.texts for row in counts if row.state == State.UNKNOWN)
    leaves_at = _leaves_at(accounts, operator, [row.leaves_at for row in counts if row.leaves_at])
    budgets = daily_budgets.rows(connection)
    refused = bool(total["refused"] or any(fields_refused.values()))
    bad = refused or bool(reviews.overdue) or pauses.stopped(accounts, operator)
    if as_json:
        print_json(
            {
                "tripped_at": platform.tripped_at,
                "tripped_why": platform.tripped_why,
                "paused_until": platform.paused_until,
                "pauses": [asdict(one) for one in operator],
                "accounts": [asdict(one) for one in accounts],
                "worker": heard.lately,
                "worker_heard_at": heard.at,
                "texts": {row.state: row.texts for row in counts},
                "not_written": total["not_written"],
                "refused": total["refused"],
                "contradicted": total["contradicted"],
                "texts_held": total["held"],
                "next_leaves_at": leaves_at,
                "daily_budgets": budgets,
                "opt_out_reviews": asdict(reviews),
                "fields_refused": fields_refused,
                "chat_events": chat_sources.as_json(settings, chats),
            }
        )
        return int(bad)
    lines = [*_said_of(accounts, operator, heard), *_said_of_texts(total, leaves_at, heard)]
    for line in [*lines, *_said_of_opt_outs(reviews, fields_refused)]:
        say(line)
    for line in daily_budgets.in_words(budgets):
        say(line)
    for remark in chat_sources.remarks(settings, chats):
        say(f"{remark.words}.")
    print_table(["state", "texts", "not written"], [[row.state, row.texts, row.not_written] for row in counts])
    return int(bad)


def _said_of(
    accounts: Sequence[circuit_breaker.Status], operator: Sequence[Pause], heard: leases.Heard
) -> Iterator[str]:
    """A line for each pause, with its reason; without one, and with a worker, that texts may leave."""
    yield from (sentence(one) for one in operator)
    for one in accounts:
        mine = one.account == circuit_breaker.PLATFORM
        if one.tripped_at:
            what = "Sending is paused" if mine else f"{one.account} cannot be used"
            yield f"{what} since {plain(one.tripped_at)}: {one.tripped_why}"
            by_itself = "" if one.manual_resume else " by itself once the setting is right, or"
            yield f"It goes on{by_itself} with: connector resume"
        elif mine:
            yield f"Texts wait until {plain(one.paused_until)}: CCAI Platform asked for a pause, or cannot be reached."
        else:
            yield f"{one.account} is left alone until {plain(one.paused_until)}: {one.paused_why}"
    if not accounts and not any(one.is_wide for one in operator) and heard.lately:
        yield "Texts may leave."


def _said_of_texts(total: Mapping[str, int], leaves_at: datetime | None, heard: leases.Heard) -> Iterator[str]:
    if not heard.lately:
        since = f" since {plain(heard.at)}" if heard.at else ""
        yield f"No worker has been heard of{since}: nothing leaves until one runs (connector run, or worker)."
    if held := total["held"]:
        one, several = "waits for its hours, its time or another try", "wait for their hours, their time or another try"
        waiting = one if held == 1 else several
        then = f"; the next leaves at {plain(leaves_at)}" if leaves_at else ""
        yield f"{count(held, 'queued text')} {waiting}{then}."
    if unknown := total["unknown"]:
        settle = "connector texts list --state unknown, then connector texts resolve"
        yield f"{count(unknown, 'text')} may have been sent, and nobody knows: {settle}"
    if refused := total["refused"]:
        are = "is" if refused == 1 else "are"
        yield f"{count(refused, 'outcome')} {are} refused by the CRM, and written again: connector texts list --refused"
    if contradicted := total["contradicted"]:
        one = "an answer that contradicts how a person had settled it"
        yield f"{count(contradicted, 'text')} had {one}: connector texts list --contradicted"


def _said_of_opt_outs(reviews: opt_outs.OpenReviews, fields_refused: Mapping[FieldKind, int]) -> Iterator[str]:
    if reviews.open:
        late = f"; {reviews.overdue:,} overdue" if reviews.overdue else ""
        yield f"{count(reviews.open, 'message')} may be an opt-out{late}: connector opt-outs list --pending"
    for kind, refused in fields_refused.items():
        if refused:
            yield f"{count(refused, FIELDS[kind])} refused by the CRM, and written again: see the worker's log"


def _leaves_at(
    accounts: Sequence[circuit_breaker.Status], operator: Sequence[Pause], due: Sequence[datetime]
) -> datetime | None:
    """When the next held text is sent. None when there is none or an account waits for `resume`."""
    sending = [one for one in operator if one.scope == Scope.ALL or one.name == circuit_breaker.PLATFORM]
    if not due or any(one.tripped_at for one in accounts) or not all(one.ends_at for one in sending):
        return None
    ends = [one.ends_at for one in sending if one.ends_at]
    return max([min(due), *ends, *(one.paused_until for one in accounts if one.paused_until)])
