"""A connected org: cases are read and outcomes are written back in batches, through simple-salesforce."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from connector.crms import Change, Misfit, Query
from connector.crms.salesforce import check, describe, errors, ids, queries, related, soql
from connector.crms.salesforce.session import Session
from connector.errors import CallFailed, RefusalScope, Refused, Unavailable
from connector.mapping.schema import MappingFile
from connector.model import FieldState, Ticket

log = structlog.get_logger()

# The error for a text that is too long, which happens only if the known length of the field is out of date.
STALE = "STRING_TOO_LONG"


class Salesforce:
    """A connected org, as a connector.crms.Crm."""

    def __init__(self, session: Session, file: MappingFile) -> None:
        self._session = session
        self._file = file
        self._kind = file.ticket.object
        self._paths = describe.paths(file)
        self._select = f"SELECT {', '.join(self._paths)} FROM {self._kind}"  # noqa: S608 - both were checked as identifiers when the mapping was read
        self._thing: describe.Thing | None = None

    def warm_up(self) -> None:
        self._session.own_user()
        things = self._things()
        self._thing = things.named(self._kind)
        # A misfit does not prevent the start: the org may be corrected while the worker runs.
        for misfit in check.misfits(self._file, things):
            say = log.error if misfit.refused else log.warning
            say("the mapping does not fit the org", crm="salesforce", why=misfit.words)

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        good = [identifier for identifier in dict.fromkeys(ids) if not self.not_an_id(identifier)]
        if not good:
            return {}
        listed = ",".join(f"'{identifier}'" for identifier in good)
        records = {record["Id"][:15]: record for record in self._records(f"{self._select} WHERE Id IN ({listed})")}
        return {
            identifier: Ticket("salesforce", record["Id"], self._values(record))
            for identifier in good
            if (record := records.get(identifier[:15]))
        }

    def probe(self) -> None:
        self._session.own_user()
        for record in self._records(f"{self._select} LIMIT 1"):
            self._values(record)

    def _records(self, query: str) -> list[dict[str, Any]]:
        records = [record for page in self._session.query(query) for record in page]
        if not all(isinstance(record.get("Id"), str) for record in records):
            raise Unavailable("Salesforce's answer to a query has a record without an id")
        return records

    def _values(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: queries.follow(record, describe.path_of(self._file, path)) for name, path in self._file.fields.items()
        }

    def find(self, query: Query) -> Iterator[Sequence[Ticket]]:
        rest = queries.conditions(query, self._kind)
        kinds = describe.kinds(self._file, self._things())
        for records in queries.pages(self._session, self._paths, self._kind, rest, kinds):
            by_path = [{path.lower(): value for path, value in record.items()} for record in records]
            yield [Ticket("salesforce", _id_of(values), self._named(values)) for values in by_path]

    def _named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values[describe.path_of(self._file, path).lower()] for name, path in self._file.fields.items()}

    def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
        listed = ",".join(f"'{identifier}'" for identifier in ids if not self.not_an_id(identifier))
        if query.where is None or not listed:
            return set(ids)
        where = soql.condition(query.where)
        found = {
            record["Id"][:15]
            for record in self._records(f"SELECT Id FROM {self._kind} WHERE ({where}) AND Id IN ({listed})")  # noqa: S608 - the operator's own condition, and ids that were checked
        }
        return {identifier for identifier in ids if identifier[:15] in found and not self.not_an_id(identifier)}

    def not_an_id(self, given: str) -> str | None:
        return ids.problem(given, self._kind)

    def write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        answers: dict[int, CallFailed | None] = {
            at: Refused(problem, RefusalScope.GONE)
            for at, (identifier, _) in enumerate(changes)
            if (problem := self.not_an_id(identifier))
        }
        asked = [at for at in range(len(changes)) if at not in answers]
        written = self._write([changes[at] for at in asked]) if asked else []
        answers |= dict(zip(asked, written, strict=True))
        return [answers[at] for at in range(len(changes))]

    def _write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        thing = self._thing = self._thing or self._things().named(self._kind)
        attributes = {"type": thing.name if thing and thing.name else self._kind}
        records = [
            {"attributes": attributes, "id": identifier, **(_fit(thing, fields) if thing else fields)}
            for identifier, fields in changes
        ]
        answers = self._session.call("composite/sobjects", "PATCH", {"allOrNone": False, "records": records})
        if not isinstance(answers, list) or len(answers) != len(changes):
            raise Unavailable(errors.NOT_UNDERSTOOD)
        said = [errors.of_written(identifier, answer) for (identifier, _), answer in zip(changes, answers, strict=True)]
        if any(STALE in str(error) for error in said if error):
            self._thing = None  # the org has changed since `describe`: call it again
        return said

    def read_field(self, name: str, ids: Sequence[str]) -> dict[str, FieldState]:
        good = [identifier for identifier in dict.fromkeys(ids) if not self.not_an_id(identifier)]
        return related.read(self._session, self._kind, describe.path_of(self._file, self._file.fields[name]), good)

    def write_field(self, name: str, values: Sequence[tuple[str, str]]) -> list[CallFailed | None]:
        path = describe.path_of(self._file, self._file.fields[name])
        if "." not in path:
            return self.write([(ticket, {path: value}) for ticket, value in values])
        return related.write(self._session, self._things(), self._kind, path, values)

    def is_own(self, user: str | None) -> bool:
        return bool(user) and str(user)[:15] == self._session.own_user()[:15]

    def usage(self, newest: float | None = None) -> float | None:
        return self._session.usage(newest)

    def check(self) -> list[Misfit]:
        return list(check.misfits(self._file, self._things()))

    def _things(self) -> describe.Things:
        return describe.Things(lambda name: self._session.call(f"sobjects/{name}/describe"))

    def close(self) -> None:
        self._session.close()


def _fit(thing: describe.Thing, fields: Mapping[str, str | None]) -> dict[str, str | None]:
    """Use the org's own spelling, and cut each text to its field's length: a refused write would write nothing."""
    lengths = thing.lengths()
    return {
        thing.fields[name.lower()]["name"] if name.lower() in thing.fields else name: cut(
            value, lengths.get(name.lower())
        )
        if value
        else None
        for name, value in fields.items()
    }


def cut(text: str, length: int | None) -> str:
    """Cut the text to so many UTF-16 units, which is how Salesforce counts. No character is cut in half."""
    if length is None or len(text.encode("utf-16-le")) <= 2 * length:
        return text
    return text.encode("utf-16-le")[: 2 * length].decode("utf-16-le", "ignore")


def _id_of(values: Mapping[str, Any]) -> str:
    if not isinstance(values["id"], str):
        raise Unavailable("Salesforce's answer to a query has a record without an id")
    return values["id"]
