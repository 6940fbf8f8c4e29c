"""connector opt-outs: messages that may be opt-outs, and numbers to enter on CCAI Platform's own list."""

import sys
from dataclasses import asdict

import click
import psycopg

from connector import phone
from connector.cli.connection import connected
from connector.cli.output import JSON, print_json, print_table, say
from connector.cli.suppressions import number_of
from connector.store import actions, audit, suppressions
from connector.store import opt_outs as store
from connector.store.opt_outs import Review
from connector.store.suppressions import Suppressed


@click.group(name="opt-outs")
def opt_outs() -> None:
    """Opt-outs by text: what a person has to decide, and what has to be entered on CCAI Platform's list by hand."""


@opt_outs.command(name="list")
@click.option("--pending", is_flag=True, help="Only what has to be decided or entered.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="How many of each.")
@JSON
def list_opt_outs(pending: bool, limit: int, as_json: bool) -> None:
    """The messages that may be opt-outs, and the numbers to enter by hand. Shows whole numbers and messages."""
    with connected() as connection:
        sys.exit(show_opt_outs(connection, pending, limit, as_json))


def show_opt_outs(connection: psycopg.Connection, pending: bool, most: int, as_json: bool) -> int:
    """Print reviews, and numbers to enter on the platform's own list."""
    reviews = store.reviews(connection, most, pending)
    to_enter = suppressions.suppressed(connection, most, to_enter=True)
    if as_json:
        print_json(
            {"reviews": [asdict(review) for review in reviews], "to_enter": [asdict(entry) for entry in to_enter]}
        )
        return 0
    print_table(
        ["id", "number", "said at (UTC)", "decide by (UTC)", "decision", "ticket", "message"],
        [_review_row(review) for review in reviews],
    )
    if to_enter:
        say()
        say("Enter these numbers on CCAI Platform's Do-Not-Contact list, then: connector opt-outs entered NUMBER")
        print_table(["number", "since (UTC)", "why"], [_entry_row(entry) for entry in to_enter])
    return 0


def _review_row(review: Review) -> list[object]:
    decision = {"opt_out": "opt-out", "not": "no opt-out"}.get(review.decision or "")
    state = decision or ("overdue" if review.overdue else "open")
    return [review.id, review.number, review.said_at, review.due_at, state, review.ticket_id, review.words]


def _entry_row(entry: Suppressed) -> list[object]:
    return [entry.number, entry.added_at, entry.words or entry.why or entry.source]


@opt_outs.command(name="decide")
@click.argument("review_id", metavar="ID", type=int)
@click.option("--opt-out", "decision", flag_value="opt_out", help="The customer wants no more texts.")
@click.option("--not", "decision", flag_value="not", help="The message is about something else.")
@click.option("--why", required=True, help="The reason. It is kept with the message.")
def decide_review(review_id: int, decision: str | None, why: str) -> None:
    """Decide whether a message is an opt-out. Status 1 if there is nothing to decide.

    \b
    connector opt-outs decide 12 --opt-out --why "wants no texts"
    connector opt-outs decide 13 --not --why "is about invoices"
    """
    if decision is None:
        raise click.UsageError("expected --opt-out or --not")
    opt_out = decision == "opt_out"
    with connected() as connection:
        actions.decide_opt_out(connection, review_id, audit.this_user(), opt_out, why)
    if opt_out:
        say(f"Review {review_id}: opt-out. The number is on the suppression list, and its waiting texts are cancelled.")
        say("Enter the number on CCAI Platform's Do-Not-Contact list too: connector opt-outs list --pending")
    else:
        say(f"Review {review_id}: no opt-out. The texts that waited for it are decided again.")


@opt_outs.command(name="entered")
@click.argument("number_or_id", metavar="NUMBER|ID")
def record_entered(number_or_id: str) -> None:
    """Record that a number was entered on CCAI Platform's own list: NUMBER in E.164, or the ID of its review.

    Status 1 if it did not have to be entered.
    """
    with connected() as connection:
        is_id = number_or_id.isascii() and number_or_id.isdecimal()
        review = store.review(connection, int(number_or_id)) if is_id else None
        number = review.number if review else number_of(number_or_id)
        actions.record_entered(connection, number, audit.this_user())
    say(f"{phone.mask(number or '')} is recorded as entered on CCAI Platform's list.")
