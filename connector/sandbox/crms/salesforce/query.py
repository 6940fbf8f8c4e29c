"""The query routes: SOQL in, records in pages out."""

import re
from dataclasses import dataclass
from typing import Any

from flask import request

from connector.sandbox import journal
from connector.sandbox.crms.salesforce import api, errors, selection, soql, store

BATCH_SIZE = re.compile(r"batchSize=(\d+)", re.IGNORECASE)
SMALLEST_PAGE, LARGEST_PAGE = 200, 2000  # from memory, not verified in Salesforce's documentation


@dataclass(frozen=True, slots=True)
class Cursor:
    """A result that is read page by page."""

    found: selection.Selection
    rows: list[store.Record]
    size: int


@api.routes.get(f"{api.DATA}/query")
@api.routes.get(f"{api.DATA}/queryAll", endpoint="query_all")
def query(version: str) -> dict[str, Any]:
    """Run a query and return the first page."""
    here = api.org()
    found = selection.Selection(here.store, soql.parse(request.args.get("q", ""), here.clock.now()))
    rows = found.run()
    if not found.query.paths:
        return {"totalSize": len(rows), "done": True, "records": []}
    cursor = Cursor(found, rows, _page_size(here.settings.query_page_size))
    if len(rows) <= cursor.size:
        return _page(cursor, "", 0, version)
    cursor_id = next(here.cursor_ids)
    here.cursors[cursor_id] = cursor
    return _page(cursor, cursor_id, 0, version)


@api.routes.get(f"{api.DATA}/query/<locator>")
def query_more(version: str, locator: str) -> dict[str, Any]:
    """A later page, at the URL that the previous page gave."""
    cursor_id, _, start = locator.partition("-")
    cursor = api.org().cursors.get(cursor_id)
    if cursor is None or not start.isdigit():
        raise errors.ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(cursor, cursor_id, int(start), version)


def _page(cursor: Cursor, cursor_id: str, start: int, version: str) -> dict[str, Any]:
    end = start + cursor.size
    rows = cursor.rows[start:end]
    journal.count(len(rows))
    answer: dict[str, Any] = {"totalSize": len(cursor.rows), "done": end >= len(cursor.rows)}
    if not answer["done"]:
        answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{cursor_id}-{end}"
    return answer | {"records": [cursor.found.render(row, version) for row in rows]}


def _page_size(default: int) -> int:
    """The requested size, within Salesforce's limits. Without one, the sandbox's setting, which may be smaller."""
    wished = BATCH_SIZE.search(request.headers.get("Sforce-Query-Options", ""))
    return min(max(int(wished[1]), SMALLEST_PAGE), LARGEST_PAGE) if wished else default
