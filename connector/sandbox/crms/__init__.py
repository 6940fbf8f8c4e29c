"""The CRMs the sandbox can play. Each is one module or package in this folder, found by its name."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from flask import Blueprint
from pydantic import BaseModel

from connector.sandbox import journal, switches


class Refused(Exception):
    """The CRM does not accept what was asked of it, in words; the root of every CRM's own refusals."""


class Crm(Protocol):
    """What the rest of the sandbox needs of a CRM: made once, started with the server, shown on the page."""

    calls: list[journal.Call]

    def start(self, url: str) -> None:
        """The sandbox answers at `url` now; whatever pushes to the connector may begin."""

    def stop(self) -> None:
        """End every thread."""

    def reset(self) -> None:
        """As it was at the start."""

    def stats(self) -> dict[str, Any]:
        """Counts for the control plane."""

    def has_ticket(self, ticket_id: str) -> bool:
        """Whether there is such a ticket."""

    def tickets(self) -> list[dict[str, Any]]:
        """The page's list: `id`, `number`, `title`, `person`, `outcome` of each ticket."""

    def ticket(self, ticket_id: str) -> dict[str, Any]:
        """One ticket for the page: as in the list, beside `phone`, `editable`, `outcomes` and `facts`."""

    def edit(self, ticket_id: str, changes: Mapping[str, Any]) -> None:
        """A person changes a ticket's fields."""

    def request_text(self, ticket_id: str) -> None:
        """A person asks for a text by changing the ticket: the workflow's way."""

    @property
    def has_agents_page(self) -> bool:
        """Whether the connector's page for agents can be opened from a ticket."""

    def agents_page(self, ticket_id: str) -> str:
        """A fresh link to that page, as a CRM would ask the connector for one."""


class Module(Protocol):
    """What a module in this folder offers."""

    Settings: type[BaseModel]
    SWITCHES: tuple[switches.Switch, ...]
    Side: type[Any]
    """Made with `(clock, switches, faults, settings)`: a `Crm`."""
    BLUEPRINTS: tuple[Blueprint, ...]
    """Its routes, the first named like the CRM; then those of its control plane."""


@cache
def discover() -> dict[str, Any]:
    """Every CRM there is, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
