"""The outcome of each case of a plan, as CSV or JSON Lines."""

import csv
import io
import json
from collections.abc import Iterator

import psycopg

from connector import harmless
from connector.backfill import plans

COLUMNS = ("ticket_id", "state", "why", "chat_id", "chat_status", "text", "segments", "ticket_notified", "reason")


def csv_lines(connection: psycopg.Connection, plan: str) -> Iterator[str]:
    """Yield the column names and a line for each case. A spreadsheet evaluates no cell as a formula."""
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in plans.outcomes(connection, plan):
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        fields = row | {"ticket_notified": str(row["ticket_notified"]).lower()}
        writer.writerow({name: harmless.in_spreadsheet(fields[name]) for name in COLUMNS})
    yield line.getvalue()


def json_lines(connection: psycopg.Connection, plan: str) -> Iterator[str]:
    """Yield a JSON object for each case, with its line's end."""
    for row in plans.outcomes(connection, plan):
        fields = {key: row[key] for key in COLUMNS if row[key] is not None}
        yield harmless.in_json(json.dumps(fields, ensure_ascii=False)) + "\n"
