"""What a CRM must do for the pipe. Each CRM is one module here, of the stem of its mapping file."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connector.errors import BadSettings, CallFailed
from connector.mapping.schema import MappingFile
from connector.model import Ticket

# A ticket's id and its fields after an outcome, by the CRM's names; None empties a field.
Change = tuple[str, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True)
class Query:
    """Which tickets a back-fill is about, in the CRM's own language: a condition, or a whole query."""

    where: str | None = None
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """What of a mapping does not fit its CRM, in words. `refused`: the CRM would refuse it, or it could not work."""

    words: str
    refused: bool = True


class Crm(Protocol):
    """A connected CRM. Safe for many threads."""

    def warm_up(self) -> None:
        """Ask once for what every call needs to know. Raises like `read`; everything works without it too."""
        ...

    def read(self, ids: Sequence[str]) -> dict[str, Ticket]:
        """The tickets of these ids (at most MOST), by the ids asked for. One that is missing is not there: an answer
        that is not complete raises Unavailable, as does a CRM that cannot be asked. Raises Refused too.
        """
        ...

    def find(self, query: Query) -> Iterator[Sequence[Ticket]]:
        """The tickets that a query finds, page by page, never all in memory. Raises BadQuery, or like `read`."""
        ...

    def fitting(self, query: Query, ids: Sequence[str]) -> set[str]:
        """Those of these tickets (at most MOST) that the query would still find, in one call. Raises like `find`."""
        ...

    def not_an_id(self, given: str) -> str | None:
        """Why no ticket can have this id, in words; None: one may. Asks nobody."""
        ...

    def write(self, changes: Sequence[Change]) -> list[CallFailed | None]:
        """Write to different tickets (at most MOST) in one call. None per change that was taken, else what went wrong:

        Unavailable: again later; Refused: not as it is. Raises them where the whole call had no answer of its own.
        """
        ...

    def probe(self) -> None:
        """Ask what every call asks, about no ticket in particular. Raises Refused or Unavailable: all would meet it."""
        ...

    def is_own(self, user: str | None) -> bool:
        """Whether this user of the CRM is the connector itself. Raises like `read`."""
        ...

    def usage(self, newest: float | None = None) -> float | None:
        """The share of the day's calls that is used, 0 to 1, as the CRM said with its last answer; None: it did not.

        `newest`: in seconds, how old that may be before the CRM is asked. Raises like `read` then.
        """
        ...

    def check(self) -> list[Misfit]:
        """Asks the CRM whether the mapping fits it: what does not. Raises like `read`."""
        ...

    def close(self) -> None: ...


# How many tickets one call reads or writes: Salesforce's limit of composite/sobjects, and enough for any CRM.
CRM_BATCH_SIZE = 200


def known() -> list[str]:
    """The CRMs that this version can connect."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def stems(mappings: Path) -> list[str]:
    """The CRMs that have a mapping file in this folder. Raises BadSettings when there are none, or one is not known."""
    if not mappings.is_dir():
        there = mappings.exists()
        what = f"{mappings} is a file: name the folder that it is in" if there else f"there is no {mappings}"
        raise BadSettings(f"CONNECTOR_MAPPINGS: expected a folder that holds mapping files, but {what}")
    found = sorted(path.stem for path in mappings.glob("*.toml"))
    if not found:
        raise BadSettings(f"CONNECTOR_MAPPINGS: {mappings} holds no mapping file; expected {' or '.join(_files())}")
    if strange := [stem for stem in found if stem not in known()]:
        raise BadSettings(
            f"CONNECTOR_MAPPINGS: no CRM is called {' or '.join(strange)}; a mapping file has its CRM's name: "
            f"{' or '.join(_files())}"
        )
    return found


def _files() -> list[str]:
    return [f"{stem}.toml" for stem in known()]


def named(stem: str, given: str) -> str:
    """A ticket's id in full, as it is kept here, whichever way a person writes it. Raises Unreadable."""
    full: str = importlib.import_module(f"connector.crms.{stem}").ticket_id(given)
    return full


def connect(stem: str, file: MappingFile) -> Crm:
    """The CRM of this stem, from its own settings. Raises BadSettings. Calls nobody yet."""
    crm: Crm = importlib.import_module(f"connector.crms.{stem}").connect(file)
    return crm
