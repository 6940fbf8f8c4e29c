"""A connected org: cases read back in groups, outcomes written back in groups. Speaks through simple-salesforce."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connector.crms import Change, Query
from connector.crms.salesforce import finding, schema, verdicts
from connector.crms.salesforce.ids import ID, NO_ID
from connector.crms.salesforce.session import Session
from connector.errors import CallFailed, Unavailable
from connector.mapping_file import MappingFile
from connector.model import Ticket


class Salesforce:
    """A connected org: a connector.crms.Crm."""

    def __init__(self, session: Session, file: MappingFile) -> None:
        self._session = session
        self._file = file
        self._select = f"SELECT {', '.join(dict.fromkeys(['Id', *file.fields.values()]))} FROM {file.ticket.object}"  # noqa: S608 - both were checked as identifiers when the mapping was read
        self._lengths: Mapping[str, int] | None = None

    def warm_up(self) -> None:
        self._session.own_user()
        self._lengths = schema.lengths(self._session.call(f"sobjects/{self._file.ticket.object}/describe"))

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        good = [identifier for identifier in dict.fromkeys(ids) if ID.fullmatch(identifier)]
        if not good:
            return {}
        listed = ",".join(f"'{identifier}'" for identifier in good)
        records = {record["Id"][:15]: record for record in self._records(f"{self._select} WHERE Id IN ({listed})")}
        return {
            identifier: Ticket("salesforce", record["Id"], self._values(record))
            for identifier in good if (record := records.get(identifier[:15]))
        }

    def probe(self) -> None:
        self._session.own_user()
        self._records(f"{self._select} LIMIT 1")

    def _records(self, soql: str) -> list[dict[str, Any]]:
        records = [record for page in self._session.query(soql) for record in page]
        if not all(isinstance(record.get("Id"), str) for record in records):
            raise Unavailable("Salesforce's answer to a query has a record without an id")
        return records

    def _values(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return {name: finding.follow(record, path) for name, path in self._file.fields.items()}

    def find(self, query: Query) -> Iterator[Sequence[Ticket]]:
        kind = self._file.ticket.object
        paths = list(dict.fromkeys(["Id", *self._file.fields.values()]))
        kinds = schema.kinds(self._file, lambda name: self._session.call(f"sobjects/{name}/describe"))
        for records in finding.pages(self._session, paths, kind, finding.conditions(query, kind), kinds):
            yield [
                Ticket("salesforce", record["Id"], {name: record[path] for name, path in self._file.fields.items()})
                for record in records
            ]

    def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
        listed = ",".join(f"'{identifier}'" for identifier in ids if ID.fullmatch(identifier))
        if query.where is None or not listed:
            return set(ids)
        soql = f"SELECT Id FROM {self._file.ticket.object} WHERE ({query.where}) AND Id IN ({listed})"  # noqa: S608 - the operator's own condition, and ids that were checked
        return {record["Id"] for record in self._records(soql)}

    def not_an_id(self, given: str) -> str | None:
        return None if ID.fullmatch(given) else NO_ID

    def write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        if not all(ID.fullmatch(identifier) for identifier, _ in changes):
            raise ValueError("not a Salesforce id")
        attributes = {"type": self._file.ticket.object}
        records = [{"attributes": attributes, "id": identifier, **self._cut(fields)} for identifier, fields in changes]
        answers = self._session.call("composite/sobjects", "PATCH", {"allOrNone": False, "records": records})
        if not isinstance(answers, list) or len(answers) != len(changes):
            raise Unavailable("Salesforce's answer was not understood")
        return [_verdict(answer) for answer in answers]

    def _cut(self, fields: Mapping[str, str | None]) -> dict[str, str | None]:
        lengths = self._lengths or {}
        return {name: value[: lengths.get(name)] if value else None for name, value in fields.items()}

    def is_own(self, user: str | None) -> bool:
        return bool(user) and str(user)[:15] == self._session.own_user()[:15]

    def usage(self, newest: float | None = None) -> float | None:
        return self._session.usage(newest)

    def check(self) -> list[str]:
        return schema.check(self._file, lambda name: self._session.call(f"sobjects/{name}/describe"))

    def close(self) -> None:
        self._session.close()


def _verdict(answer: Any) -> CallFailed | None:
    if not isinstance(answer, Mapping):
        return Unavailable("Salesforce's answer was not understood")
    return None if answer.get("success") is True else verdicts.of_record(answer)
