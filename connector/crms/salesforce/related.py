"""Read and write a field of the records that cases refer to, such as their contacts."""

from collections.abc import Sequence
from typing import Any

from connector.crms.salesforce import errors, ids, queries
from connector.crms.salesforce.describe import Things
from connector.crms.salesforce.session import Session
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.model import FieldState

Answers = dict[int, CallFailed | None]


def read(session: Session, kind: str, path: str, tickets: Sequence[str]) -> dict[str, FieldState]:
    """Return the checkbox at the end of the path for each case, with its record. Raises like Session.call."""
    record_id = ".".join([*path.split(".")[:-1], "Id"])
    paths = list(dict.fromkeys(["Id", record_id, path]))
    found = _records(session, kind, paths, tickets)
    return {
        ticket: FieldState(str(values[record_id]), bool(values[path]))
        for ticket in tickets
        if (values := found.get(ticket[:15])) and values[record_id]
    }


def _records(session: Session, kind: str, paths: Sequence[str], tickets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the values at these paths, by the first 15 characters of the case's id."""
    if not tickets:
        return {}
    listed = ",".join(f"'{ticket}'" for ticket in tickets)
    query = f"SELECT {', '.join(paths)} FROM {kind} WHERE Id IN ({listed})"  # noqa: S608 - names of the mapping, and ids that were checked
    records = [record for page in session.query(query) for record in page]
    return {str(record.get("Id"))[:15]: {path: queries.follow(record, path) for path in paths} for record in records}


def write(
    session: Session, things: Things, kind: str, path: str, values: Sequence[tuple[str, str]]
) -> list[CallFailed | None]:
    """Write each (ticket, value) to the field at the end of the path. Returns and raises like Crm.write."""
    *relationships, field = path.split(".")
    target = things.target(kind, relationships)
    if target is None:
        raise Refused(f"Salesforce: {path} belongs to no record of one kind", RefusalScope.SETTINGS)
    answers: Answers = {
        at: Refused(problem, RefusalScope.GONE)
        for at, (ticket, _) in enumerate(values)
        if (problem := ids.problem(ticket, kind))
    }
    tickets = [ticket for at, (ticket, _) in enumerate(values) if at not in answers]
    records = _related(session, kind, ".".join(relationships), tickets)
    first: dict[str, int] = {}  # one call must not name a record twice
    for at, (ticket, value) in enumerate(values):
        record = records.get(ticket[:15])
        if at in answers:
            continue
        if record is None:
            answers[at] = Refused(f"Salesforce: the {kind} has no {'.'.join(relationships)}", RefusalScope.GONE)
        elif values[first.setdefault(record, at)][1] != value:
            answers[at] = Unavailable("another value is being written to the same record")
    answers |= _written(session, target, field, {record: values[at][1] for record, at in first.items()}, first)
    return [answers[at] if at in answers else answers[first[records[values[at][0][:15]]]] for at in range(len(values))]


def _related(session: Session, kind: str, relationship: str, tickets: Sequence[str]) -> dict[str, str]:
    """Return the ids of the records that these cases refer to, by the first 15 characters of the case's id."""
    path = f"{relationship}.Id"
    found = _records(session, kind, ["Id", path], tickets)
    return {ticket: str(values[path]) for ticket, values in found.items() if values[path]}


def _written(session: Session, target: str, field: str, changes: dict[str, str], places: dict[str, int]) -> Answers:
    """Write each record; the answers by their places."""
    if not changes:
        return {}
    records = [{"attributes": {"type": target}, "id": record, field: value} for record, value in changes.items()]
    answers = session.call("composite/sobjects", "PATCH", {"allOrNone": False, "records": records})
    if not isinstance(answers, list) or len(answers) != len(records):
        raise Unavailable(errors.NOT_UNDERSTOOD)
    return {places[record]: errors.of_written(record, answer) for record, answer in zip(changes, answers, strict=True)}
