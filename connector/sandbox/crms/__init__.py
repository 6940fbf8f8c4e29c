"""The CRMs that the sandbox emulates. Each is a module or package in this folder, discovered by name."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from flask import Blueprint
from pydantic import BaseModel

from connector.sandbox import journal, switches


class Refused(Exception):
    """The CRM refuses a request. Base class of each CRM's refusals; the message says why."""


class Crm(Protocol):
    """The interface of an emulated CRM."""

    calls: list[journal.Call]

    def start(self, url: str) -> None:
        """Begin to push to the connector. The sandbox now listens at `url`."""

    def stop(self) -> None:
        """End all threads."""

    def reset(self) -> None:
        """Restore the initial state."""

    def stats(self) -> dict[str, Any]:
        """Counts for the control plane."""

    def has_ticket(self, ticket_id: str) -> bool:
        """Whether the ticket exists."""

    def tickets(self, search: str = "", page: int = 1) -> tuple[list[dict[str, Any]], int]:
        """A page of the tickets that contain these words, the newest on page 1, and how many pages there are.

        Each ticket has `id`, `number`, `title`, `person`, `outcome`.
        """

    def ticket(self, ticket_id: str) -> dict[str, Any]:
        """A ticket for the page: the keys of the list, and `phone`, `editable`, `outcomes`, `facts`."""

    def edit(self, ticket_id: str, changes: Mapping[str, Any]) -> None:
        """Change a ticket's fields, as a person."""

    def request_text(self, ticket_id: str) -> None:
        """Request a text by changing the ticket, as a person who triggers the workflow."""

    @property
    def has_agents_page(self) -> bool:
        """Whether a ticket links to the connector's agent page."""

    def agents_page(self, ticket_id: str) -> str:
        """A new link to the agent page, requested from the connector as a CRM does."""


class Module(Protocol):
    """The interface of a module in this folder."""

    Settings: type[BaseModel]
    SWITCHES: tuple[switches.Switch, ...]
    Side: type[Any]
    """Called with `(clock, switches, faults, settings)`; returns a `Crm`."""
    BLUEPRINTS: tuple[Blueprint, ...]
    """The CRM's routes, named like the CRM, then the routes of its control plane."""


@cache
def discover() -> dict[str, Any]:
    """Every CRM module, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
