"""Bulk API 2.0 queries: a job that completes at once, and its result as CSV in pages."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from connector.sandbox import clock, journal
from connector.sandbox.crms.salesforce import api, errors, selection, soql, store

DEFAULT_PAGE = 100_000


@dataclass(slots=True)
class Job:
    id: str
    body: dict[str, Any]
    found: selection.Selection
    rows: list[store.Record]


@api.routes.post(f"{api.DATA}/jobs/query")
def bulk_create(version: str) -> dict[str, Any]:
    """Run the query. The job is complete when this returns, but the answer says UploadComplete, as in Salesforce."""
    here, asked = api.org(), api.body()
    if asked.get("operation") not in ("query", "queryAll"):
        raise errors.ApiError(400, "INVALIDJOB", "operation must be query or queryAll")
    found = selection.Selection(here.store, soql.parse(str(asked.get("query", "")), here.clock.now()))
    if not found.query.paths:
        raise errors.ApiError(400, "API_ERROR", "Aggregate queries are not supported by the Bulk API")
    identifier = next(here.job_ids)
    now = clock.timestamp(here.clock.now())
    body = {
        "id": identifier,
        "operation": asked["operation"],
        "object": found.thing.name,
        "createdById": api.user_id(),
        "createdDate": now,
        "systemModstamp": now,
        "state": "UploadComplete",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(version),
        "lineEnding": asked.get("lineEnding", "LF"),
        "columnDelimiter": asked.get("columnDelimiter", "COMMA"),
    }
    here.jobs[identifier] = Job(identifier, body, found, found.run())
    return body


@api.routes.get(f"{api.DATA}/jobs/query/<identifier>")
def bulk_state(version: str, identifier: str) -> dict[str, Any]:
    job = _job(identifier)
    done = {"state": "JobComplete", "numberRecordsProcessed": len(job.rows), "retries": 0, "totalProcessingTime": 1}
    return job.body | done


@api.routes.get(f"{api.DATA}/jobs/query/<identifier>/results")
def bulk_results(version: str, identifier: str) -> Response:
    """A page of CSV. `Sforce-Locator` names the next page, or is `null`."""
    job = _job(identifier)
    start, size = request.args.get("locator", 0, int), request.args.get("maxRecords", DEFAULT_PAGE, int)
    rows = job.rows[start : start + size]
    journal.count(len(rows))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(job.found.columns)
    writer.writerows([_cell(value) for value in job.found.cells(row)] for row in rows)
    following = start + size
    headers = {
        "Sforce-Locator": str(following) if following < len(job.rows) else "null",
        "Sforce-NumberOfRecords": str(len(rows)),
    }
    return Response(text.getvalue(), mimetype="text/csv", headers=headers)


@api.routes.delete(f"{api.DATA}/jobs/query/<identifier>")
def bulk_delete(version: str, identifier: str) -> tuple[str, int]:
    del api.org().jobs[_job(identifier).id]
    return "", 204


def _job(identifier: str) -> Job:
    job: Job | None = api.org().jobs.get(identifier)
    if job is None:
        raise errors.no_such_record()
    return job


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else clock.timestamp(value) or ""
