"""Finds the cases of a back-fill: by pages of the query API up to 2,000 records, by a Bulk API 2.0 query above.

https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/query_create_job.htm
"""

import csv
import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from connector.crms import Query
from connector.crms.salesforce.session import Session
from connector.errors import Blame, Refused, Unavailable

# More records than this are asked for as a job.
MOST_BY_QUERY = 2_000
# Records in one page of a job's result; seconds between two looks whether it is done, and how long it may take.
PAGE = 2_000
LOOK, PATIENCE = 1.0, 3_600.0
# What a result of a job says of a value, by the field's type: a CSV has no types of its own.
NUMBERS = {"int", "double", "currency", "percent", "long"}
SELECT = re.compile(r"\s*select\s+[^()]+?\s+from\s+(\w+)\s*(.*)", re.IGNORECASE | re.DOTALL)


def conditions(query: Query, kind: str) -> str:
    """What follows FROM <kind> in the query. Raises Refused when it is about something else."""
    if query.where is not None:
        return f"WHERE {query.where} ORDER BY CreatedDate DESC"
    found = SELECT.fullmatch((query.whole or "").strip().rstrip(";"))
    if not found or found[1].lower() != kind.lower():
        raise Refused(f"expected a query of {kind}: SELECT, names of fields, FROM {kind}, and the rest", Blame.TICKET)
    return found[2]


def pages(
    session: Session, paths: Sequence[str], kind: str, rest: str, kinds: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Records of this kind, each as its values by path. `kinds`: each path's field type."""
    count = session.count(f"SELECT COUNT() FROM {kind} {_without_order(rest)}")  # noqa: S608 - the operator's own query
    select = f"SELECT {', '.join(paths)} FROM {kind} {rest}"  # noqa: S608 - paths were checked when the mapping was read
    if count <= MOST_BY_QUERY:
        for records in session.query(select):
            yield [_flat(record, paths) for record in records]
    else:
        yield from _of_job(session, select, kinds)


def _without_order(rest: str) -> str:
    """A count takes no order."""
    return re.split(r"\border\s+by\b", rest, maxsplit=1, flags=re.IGNORECASE)[0]


def _flat(record: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    return {path: follow(record, path) for path in paths}


def follow(record: Any, path: str) -> Any:
    """The value at a path with dots; None where something on the way is empty."""
    for part in path.split("."):
        if record is None:
            return None
        record = record.get(part)
    return record


def _of_job(session: Session, select: str, kinds: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    job = session.call("jobs/query", "POST", {"operation": "query", "query": select})["id"]
    try:
        _wait(session, job)
        locator = ""
        while locator != "null":
            more = {"maxRecords": PAGE} | ({"locator": locator} if locator else {})
            text, headers = session.text(f"jobs/query/{job}/results?{urlencode(more)}")
            yield [_typed(row, kinds) for row in csv.DictReader(io.StringIO(text))]
            locator = headers.get("Sforce-Locator", "null")
    finally:
        session.call(f"jobs/query/{job}", "DELETE")


def _wait(session: Session, job: str) -> None:
    end = time.monotonic() + PATIENCE
    while (state := session.call(f"jobs/query/{job}")["state"]) != "JobComplete":
        if state in ("Failed", "Aborted"):
            raise Refused(f"Salesforce has given the query's job up: {state}", Blame.TICKET)
        if time.monotonic() > end:
            raise Unavailable("Salesforce has not finished the query's job within an hour")
        time.sleep(LOOK)


def _typed(row: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, Any]:
    return {path: _value(text, kinds.get(path.lower(), "string")) for path, text in row.items()}


def _value(text: str, kind: str) -> Any:
    if text in ("", "#N/A"):
        return None
    if kind == "boolean":
        return text == "true"
    return float(text) if kind in NUMBERS else text
