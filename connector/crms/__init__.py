"""The interface that each CRM implements. A CRM is one module here, named like its mapping file."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connector.errors import BadSettings, CallFailed
from connector.mapping.schema import MappingFile
from connector.model import FieldState, Ticket

# A ticket's id and its fields after an outcome, by the CRM's names; None empties a field.
Change = tuple[str, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True)
class Query:
    """The tickets of a back-fill, in the CRM's own language: a condition, or a whole query."""

    where: str | None = None
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """A part of a mapping that does not fit its CRM. `refused`: the CRM would refuse it, or it could not work."""

    words: str
    refused: bool = True


class Crm(Protocol):
    """A connected CRM. Thread-safe."""

    def warm_up(self) -> None:
        """Load in advance what every call needs. Optional. Raises like `read`."""
        ...

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        """Return the tickets of at most CRM_BATCH_SIZE ids, by the ids given. A missing ticket is left out.

        Raises Unavailable when the CRM cannot be called or its response is incomplete; raises Refused too.
        """
        ...

    def find(self, query: Query) -> Iterator[Sequence[Ticket]]:
        """Yield the tickets that a query finds, page by page, never all in memory. Raises like `read`."""
        ...

    def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
        """Return which of at most CRM_BATCH_SIZE tickets the query still finds, in one call. Raises like `find`."""
        ...

    def not_an_id(self, given: str) -> str | None:
        """Return why no ticket can have this id; None: one may. Makes no call."""
        ...

    def write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        """Write to at most CRM_BATCH_SIZE different tickets in one call. Return for each change None or its error.

        None: written; Unavailable: retry later; Refused: do not retry unchanged. Raises these errors where the whole
        call failed.
        """
        ...

    def read_field(self, name: str, ids: Sequence[str]) -> dict[str, FieldState]:
        """Return the state of a checkbox of the mapping, by its name there, for at most CRM_BATCH_SIZE tickets, by id.

        The field may belong to a record that the ticket refers to, such as its contact. A ticket without such a record
        is left out. Raises like `read`. Called only where `[opt_outs]` or `[invalid_numbers]` names a field.
        """
        ...

    def write_field(self, name: str, values: Sequence[tuple[str, str]]) -> list[CallFailed | None]:
        """Write a field of the mapping, by its name there, for the (ticket, value)s of at most CRM_BATCH_SIZE tickets.

        Returns and raises like `write`; Refused(GONE): there is no such record. Called like `read_field`.
        """
        ...

    def probe(self) -> None:
        """Make the call of a read, for no particular ticket. Raises Refused or Unavailable if all calls would fail."""
        ...

    def is_own(self, user: str | None) -> bool:
        """Return whether this CRM user is the connector itself. Raises like `read`."""
        ...

    def usage(self, newest: float | None = None) -> float | None:
        """Return the used share of the day's calls, 0 to 1, as last reported by the CRM; None: not reported.

        `newest`: the maximum age of the report in seconds. The CRM is called if it is older; raises like `read` then.
        """
        ...

    def check(self) -> list[Misfit]:
        """Check with the CRM whether the mapping fits it, and return what does not. Raises like `read`."""
        ...

    def close(self) -> None: ...


# Tickets that one call reads or writes: Salesforce's limit for composite/sobjects, and enough for any CRM.
CRM_BATCH_SIZE = 200


def known() -> list[str]:
    """Return the CRMs that this version can connect."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def names(mappings: Path) -> list[str]:
    """Return the CRMs with a mapping file in this folder. Raises BadSettings when there is none, or one is unknown."""
    if not mappings.is_dir():
        there = mappings.exists()
        what = f"{mappings} is a file: name the folder that it is in" if there else f"there is no {mappings}"
        raise BadSettings(f"CONNECTOR_MAPPINGS: expected a folder that holds mapping files, but {what}")
    found = sorted(path.stem for path in mappings.glob("*.toml"))
    if not found:
        raise BadSettings(f"CONNECTOR_MAPPINGS: {mappings} holds no mapping file; expected {' or '.join(_files())}")
    if strange := [crm_name for crm_name in found if crm_name not in known()]:
        raise BadSettings(
            f"CONNECTOR_MAPPINGS: no CRM is called {' or '.join(strange)}; a mapping file has its CRM's name: "
            f"{' or '.join(_files())}"
        )
    return found


def _files() -> list[str]:
    return [f"{crm_name}.toml" for crm_name in known()]


def named(crm_name: str, given: str) -> str:
    """Return a ticket's id in full, as it is stored, from any spelling by a person. Raises Unreadable."""
    full: str = importlib.import_module(f"connector.crms.{crm_name}").ticket_id(given)
    return full


def ticket_page(crm_name: str, ticket_id: str) -> str:
    """Return the address at which people see a ticket in its CRM; empty: it is not known. Makes no call."""
    page = getattr(importlib.import_module(f"connector.crms.{crm_name}"), "ticket_page", None)
    return str(page(ticket_id)) if page else ""


def connect(crm_name: str, file: MappingFile) -> Crm:
    """Return the CRM of this name, with its own settings. Makes no call yet. Raises BadSettings."""
    crm: Crm = importlib.import_module(f"connector.crms.{crm_name}").connect(file)
    return crm
