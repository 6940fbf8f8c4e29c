"""connector texts list: search for texts."""

import sys
from dataclasses import asdict
from datetime import datetime

import click
import psycopg

from connector import crms
from connector.cli import moments
from connector.cli.connection import connected
from connector.cli.output import JSON, print_json, print_table
from connector.cli.suppressions import number_of
from connector.errors import RefusalCode, Unreadable
from connector.model import State
from connector.store import text_search
from connector.store.text_search import Only, Search

# The columns of a list and the fields they show. Held texts show their send time instead.
LISTED = {
    "id": "id",
    "ticket": "ticket_id",
    "state": "state",
    "chat": "chat_id",
    "since (UTC)": "changed_at",
    "why": "why",
}


LISTED_ONLY = {
    Only.WAITING: {"id": "id", "ticket": "ticket_id", "state": "state", "leaves (UTC)": "leaves_at", "why": "why"},
    Only.HELD: {"id": "id", "ticket": "ticket_id", "state": "state", "leaves (UTC)": "leaves_at", "why": "why"},
    Only.SCHEDULED: {"id": "id", "ticket": "ticket_id", "state": "state", "leaves (UTC)": "leaves_at", "why": "why"},
    Only.REFUSED: {"id": "id", "ticket": "ticket_id", "state": "state", "refused": "write_refused"},
    Only.CONTRADICTED: {"id": "id", "ticket": "ticket_id", "state": "state", "contradicted": "contradicted"},
}


@click.command(name="list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--ticket", "--case", metavar="ID", help="Only those about this ticket: its id, of 15 or 18 characters.")
@click.option("--phone", metavar="NUMBER", help="Only those for this number, in E.164, until their retention ends.")
@click.option("--agent", metavar="NAME", help="Only those that this agent asked for: the whole name or e-mail address.")
@click.option(
    "--code",
    metavar="CODE",
    type=click.Choice([code.value for code in RefusalCode]),
    help="Only those refused with this code, such as non_us_number.",
)
@moments.between("requested")
@click.option("--not-written", is_flag=True, help="Only those whose ticket does not have the outcome.")
@click.option("--waiting", "only", flag_value=Only.WAITING, help="Only those that have not been sent.")
@click.option(
    "--held",
    "only",
    flag_value=Only.HELD,
    help="Only those that wait for their hours, their time or another try, and until when.",
)
@click.option("--scheduled", "only", flag_value=Only.SCHEDULED, help="Only those scheduled for a later time.")
@click.option("--refused", "only", flag_value=Only.REFUSED, help="Only those whose outcome the CRM refuses, and why.")
@click.option(
    "--contradicted",
    "only",
    flag_value=Only.CONTRADICTED,
    help="Only those whose answer contradicts how a person had settled them.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@JSON
def list_texts(
    state: str | None,
    ticket: str | None,
    phone: str | None,
    agent: str | None,
    code: str | None,
    since: datetime | None,
    until: datetime | None,
    not_written: bool,
    only: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """The newest texts. Several options together select the texts that fit all of them. For example:

    \b
    connector texts list --state unknown
    connector texts list --phone +14155550132 --since 2026-11-24
    """
    moments.require_order(since, until)
    full, problem = full_id(ticket) if ticket else (None, "")
    wanted = Search(
        state=State(state) if state else None,
        crms=crms.known(),
        ticket=full,
        number=number_of(phone) if phone else None,
        code=RefusalCode(code) if code else None,
        since=since,
        until=until,
        agent=agent,
        not_written=not_written,
        only=Only(only) if only else None,
    )
    with connected() as connection:
        sys.exit(_show(connection, wanted, limit, as_json, ticket, problem))


def _show(
    connection: psycopg.Connection, wanted: Search, most: int, as_json: bool, ticket: str | None, problem: str
) -> int:
    """Print the newest texts. 1 when there is none for the ticket; `problem` says what is wrong with its id."""
    rows = text_search.find(connection, wanted, most)
    if as_json:
        print_json([asdict(row) for row in rows])
    elif rows or not ticket:
        columns = LISTED_ONLY[wanted.only] if wanted.only else LISTED
        print_table(list(columns), [[getattr(row, name) for name in columns.values()] for row in rows])
    if rows or not ticket:
        return 0
    click.echo(f"There is no such text about ticket {ticket}{f': {problem}' if problem else ''}.", err=True)
    return 1


def full_id(ticket: str) -> tuple[str, str]:
    """The ticket's full id, and the reason when no CRM has ids like it."""
    problems = []
    for crm_name in crms.known():
        try:
            return crms.named(crm_name, ticket), ""
        except Unreadable as error:
            problems.append(str(error))
    return ticket, "; ".join(problems)
