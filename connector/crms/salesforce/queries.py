"""Find the cases of a back-fill: in pages of the query API up to 2,000 records, in a Bulk API 2.0 query above.

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
from connector.crms.salesforce import soql
from connector.crms.salesforce.errors import MAX_WORDS
from connector.crms.salesforce.session import Session
from connector.errors import RefusalScope, Refused, Unavailable

# Above this number of records, a job is used.
MAX_BY_QUERY = 2_000
# Records in one page of a job's result; seconds between two polls of the job; seconds that it may take.
PAGE = 2_000
POLL_SECONDS, MAX_JOB_SECONDS = 1.0, 3_600.0
JOB_ID = re.compile(r"[a-zA-Z0-9]{15,18}")
# Values in the result of a job, by field type: its CSV has no types of its own. They are those of a query's answer.
BOOLEANS = {"true": True, "false": False}
FRACTIONS, WHOLE_NUMBERS = ("double", "currency", "percent"), ("int", "long")
# The end of a time in the result of a job, and in the answer to a query.
UTC_IN_JOB, UTC_IN_QUERY = "Z", "+0000"


def conditions(query: Query, kind: str) -> str:
    """Return what follows FROM <kind> in the query. Raises Refused for another kind or an invalid query."""
    if query.where is not None:
        return f"WHERE {soql.condition(query.where)} ORDER BY CreatedDate DESC"
    return soql.after_from(query.whole or "", kind)


def pages(
    session: Session, paths: Sequence[str], kind: str, rest: str, kinds: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of records, each as its values by path. `kinds`: the field type of each path, in lower case.

    Raises like Session.call.
    """
    count = session.count(f"SELECT COUNT() FROM {kind} {soql.without_order(rest)}")  # noqa: S608 - the operator's own query
    select = f"SELECT {', '.join(paths)} FROM {kind} {rest}"  # noqa: S608 - paths were checked when the mapping was read
    if count <= MAX_BY_QUERY:
        for records in session.query(select):
            yield [{path: follow(record, path) for path in paths} for record in records]
    else:
        yield from _of_job(session, select, paths, kinds)


def follow(record: Any, path: str) -> Any:
    """Return the value at a dotted path; None where a relationship on the way is empty.

    Salesforce responds in the org's own spelling, and its names are not case-sensitive. Raises Unavailable where the
    response lacks the field: that says nothing about the field's value.
    """
    for part in path.split("."):
        if record is None:
            return None
        record = _part(record, part, path)
    return record


def _part(record: Any, part: str, path: str) -> Any:
    if isinstance(record, Mapping):
        if part in record:
            return record[part]
        for name, value in record.items():
            if name.lower() == part.lower():
                return value
    raise Unavailable(f"Salesforce's answer lacks the field {path}")


def _of_job(
    session: Session, select: str, paths: Sequence[str], kinds: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    job = _named(session.call("jobs/query", "POST", {"operation": "query", "query": select}), "id")
    if not JOB_ID.fullmatch(job):
        raise Unavailable("Salesforce's answer about the query's job was not understood")
    try:
        expected = _wait(session, job)
        count, locator, followed = 0, "", set[str]()
        while locator != "null":
            rows, locator = _rows(session, job, locator, paths)
            count += len(rows)
            yield [_typed(row, paths, kinds) for row in rows]
            if locator in followed:
                raise Unavailable("Salesforce gave the same page of a query's job again")
            followed.add(locator)
        if expected is not None and count != expected:
            raise Unavailable(f"Salesforce gave {count} of the {expected} records of a query's job")
    finally:
        session.call(f"jobs/query/{job}", "DELETE")


def _rows(session: Session, job: str, locator: str, paths: Sequence[str]) -> tuple[list[dict[str, str]], str]:
    """Return one page of a job's result, its values by path in lower case, and the locator of the next page."""
    more = {"maxRecords": PAGE} | ({"locator": locator} if locator else {})
    try:
        text, headers = session.text(f"jobs/query/{job}/results?{urlencode(more)}")
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError):
        raise Unavailable("Salesforce's answer with the records of a query's job was not understood") from None
    names = [name.lower() for name in header]
    if missing := [path for path in paths if path.lower() not in names]:
        raise Unavailable(f"Salesforce's answer lacks the field {missing[0]}")
    if any(len(line) != len(names) for line in lines):
        raise Unavailable("Salesforce's answer with the records of a query's job breaks off")
    return [dict(zip(names, line, strict=True)) for line in lines], headers.get("Sforce-Locator", "null")


def _named(answer: Any, name: str) -> str:
    value = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(value, str):
        raise Unavailable("Salesforce's answer about the query's job was not understood")
    return value


def _wait(session: Session, job: str) -> int | None:
    """Wait until the job is complete. Return the number of records found; None: Salesforce does not report it."""
    end = time.monotonic() + MAX_JOB_SECONDS
    while (state := _named(answer := session.call(f"jobs/query/{job}"), "state")) != "JobComplete":
        if state in ("Failed", "Aborted"):
            why = str(answer.get("errorMessage") or state)[:MAX_WORDS]
            raise Refused(f"Salesforce has given the query's job up: {why}", RefusalScope.TICKET)
        if time.monotonic() > end:
            raise Unavailable("Salesforce has not finished the query's job within an hour")
        time.sleep(POLL_SECONDS)
    count = answer.get("numberRecordsProcessed")
    return count if isinstance(count, int) else None


def _typed(row: Mapping[str, str], paths: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    return {path: value(row[path.lower()], kinds[path.lower()], path) for path in paths}


def value(text: str, kind: str, path: str) -> Any:
    """Return a value of a job's result as the answer to a query has it. Raises Unavailable where it is no such value.

    The reason of a text must not depend on how its case was read.
    """
    if text in ("", "#N/A"):
        return None
    try:
        if kind in WHOLE_NUMBERS:
            return int(text.removesuffix(".0"))
        return BOOLEANS[text] if kind == "boolean" else float(text) if kind in FRACTIONS else _text(text, kind)
    except (KeyError, ValueError):
        raise Unavailable(f"Salesforce's answer has a {path} that is no {kind}") from None


def _text(text: str, kind: str) -> str:
    is_time = kind == "datetime" and text.endswith(UTC_IN_JOB)
    return text.removesuffix(UTC_IN_JOB) + UTC_IN_QUERY if is_time else text
