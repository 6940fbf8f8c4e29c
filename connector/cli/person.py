"""connector person: everything that is stored about one person, with a checksum."""

import json
import sys
from typing import Any

import click
import psycopg

from connector import crms, person_record
from connector.cli.connection import connected
from connector.cli.output import JSON, print_json, print_table, say
from connector.cli.suppressions import number_of
from connector.cli.text_list import full_id
from connector.store import person as store


@click.command()
@click.option("--phone", metavar="NUMBER", help="The person with this number, in E.164, such as +14155550132.")
@click.option("--ticket", "--case", metavar="ID", help="The person whom this ticket is about.")
@click.option("--masked", is_flag=True, help="As the console shows it to people who may not read content.")
@JSON
def person(phone: str | None, ticket: str | None, masked: bool, as_json: bool) -> None:
    """Everything that is stored about one person. For a complaint, and to check a page that was printed.

    The checksum is the SHA-256 of the record. The console prints the same one, as long as nothing has changed since.
    """
    if (phone is None) is (ticket is None):
        raise click.UsageError("expected either --phone NUMBER or --ticket ID")
    with connected() as connection:
        records = _of_phone(connection, phone) if phone else _of_ticket(connection, ticket or "")
        for record in records:
            _print(person_record.masked(record) if masked else record, as_json)
    if not records:
        say("Nothing is stored about this number." if phone else "There is no text about this ticket.", err=True)
    sys.exit(0 if records else 1)


def _of_phone(connection: psycopg.Connection, typed: str) -> list[dict[str, Any]]:
    hashed = store.find(connection, number_of(typed))
    return [store.record(connection, hashed)] if hashed else []


def _of_ticket(connection: psycopg.Connection, typed: str) -> list[dict[str, Any]]:
    """Return a record for each number that the ticket's texts are for; of the ticket alone where there is none."""
    ticket, _ = full_id(typed)
    records = []
    for crm in crms.known():
        hashes = store.of_ticket(connection, crm, ticket)
        records += [store.record(connection, hashed) for hashed in hashes]
        if not hashes and store.has_texts(connection, crm, ticket):
            records.append(store.ticket_record(connection, crm, ticket))
    return records


def _print(record: dict[str, Any], as_json: bool) -> None:
    """Print a record and its checksum."""
    if as_json:
        print_json({"checksum": person_record.checksum(record), "record": json.loads(person_record.canonical(record))})
        return
    say(f"number    {record['number'] or 'not kept'}")
    say(f"tickets   {', '.join(record['tickets'])}")
    say(f"checksum  SHA-256 {person_record.checksum(record)}")
    for title, columns in TABLES.items():
        if rows := record[title]:
            say(f"\n{title.replace('_', ' ')}")
            print_table([name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in rows])


# What is printed of each part of a record; all of it is in the JSON.
TABLES = {
    "texts": ("id", "ticket", "state", "received_at", "changed_at", "write_back", "agent", "message", "why"),
    "opt_outs": ("source", "added_at", "added_by", "said_at", "words", "why"),
    "reviews": ("id", "ticket", "said_at", "decided_at", "decision", "decided_by", "words"),
    "record_fields": ("crm", "ticket", "kind", "value", "written", "refused"),
    "actions": ("at", "who", "what", "about", "why"),
}
